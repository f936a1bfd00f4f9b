//! The pages for a person.

use std::sync::Arc;

use axum::http::StatusCode;
use merx_alipay::{BeijingTime, Outcome, Precreate, Subject, TradeStatus, Yuan};
use merx_alipay_sandbox::{Armed, Fault};
use merx_kernel::{Clock, Timestamp};
use merx_platform::time::VirtualClock;
use merx_sql::{Db, DbOptions};
use serde_json::{Value, json};

use crate::world::{NOTIFY, Page, World, no, secs};

const HOME: &str = "http://alipay.example";

async fn seen(world: &World, path: &str) -> Page {
    world.send("GET", path, &[("accept", "text/html,*/*;q=0.8")], String::new()).await
}

async fn form(world: &World, path: &str, origin: Option<&str>, body: &str) -> Page {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(origin.map(|origin| ("origin", origin)));
    world.send("POST", path, &headers, body.to_owned()).await
}

/// A code for an order, as the shop shows it.
async fn code(world: &World, number: &str, fen: i64) -> String {
    let asked = Precreate {
        out_trade_no: no(number),
        total_amount: Yuan::of_fen(fen),
        subject: Subject::nearest("茶 <b>tea</b>"),
        time_expire: BeijingTime(world.clock.now().plus(secs(600))),
        notify_url: NOTIFY.to_owned(),
    };
    let Outcome::Done(made) = world.call(&asked).await else { panic!("no code") };
    made.qr_code
}

#[tokio::test(start_paused = true)]
async fn a_code_leads_to_the_phone_that_scans_it() {
    let world = World::new().await;
    let scanned = code(&world, "q1", 1_234).await;
    let phone = world.get(&scanned).await;
    assert_eq!(phone.status, StatusCode::OK);
    for text in ["扫码后手机上看到的页面", "What the phone shows after the scan", "12.34", "class=\"phone\""]
    {
        assert!(phone.body.contains(text), "{text} is missing in {}", phone.body);
    }
    assert!(!phone.body.contains("<svg"), "the phone has no code to scan");
    let [pay, open] = phone.actions().try_into().unwrap();
    world.post(&open, "").await;
    assert_eq!(world.status("q1").await, TradeStatus::WaitBuyerPay, "scanned, and not paid");
    world.post(&pay, "").await;
    assert_eq!(world.status("q1").await, TradeStatus::TradeSuccess);
    let done = world.get(&scanned).await;
    assert!(done.body.contains("已付款") && done.actions().is_empty());
    assert_eq!(world.sandbox.ledger().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_page_lists_what_can_be_paid_and_what_was() {
    let world = World::new().await;
    let empty = seen(&world, "/").await;
    assert!(empty.body.contains("Nothing yet"), "{}", empty.body);
    assert!(empty.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let scanned = code(&world, "q1", 1_234).await;
    world.paid("a1", 8_888).await;
    world.opened("a2", 100).await;
    let page = seen(&world, "/").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "12.34",
        "88.88",
        "as the phone that scans",
        "nobody has begun",
        "/trades/a1",
        "已付款",
        "&lt;b&gt;tea",
    ] {
        assert!(page.body.contains(text), "{text} is missing in {}", page.body);
    }
    assert!(page.body.contains(&format!("href=\"{scanned}\"")), "a person can pay the code from here");
    assert!(!page.body.contains("<script"));
    world.pass(secs(3_600)).await;
    let later = seen(&world, "/").await;
    assert!(later.body.contains("expired, nobody came") && !later.body.contains(&scanned));
    // Programs are told the routes.
    let told: Value = serde_json::from_str(&world.get("/").await.body).unwrap();
    assert_eq!(told["routes"]["what_can_go_wrong"], "GET /sandbox/faults");
}

#[tokio::test(start_paused = true)]
async fn every_switch_is_described_and_its_example_arms_it() {
    let world = World::new().await;
    let told: Value = serde_json::from_str(&world.get("/sandbox/faults").await.body).unwrap();
    let switches = told["switches"].as_array().unwrap();
    assert_eq!(switches.len(), 12, "one for each");
    let page = seen(&world, "/sandbox/faults").await;
    for switch in switches {
        let example = switch["example"].as_str().unwrap();
        let armed: Armed = serde_json::from_str(example).unwrap();
        assert_eq!(armed.fault.name(), switch["fault"].as_str().unwrap());
        assert!(!switch["en"].as_str().unwrap().is_empty());
        assert!(page.body.contains(switch["zh"].as_str().unwrap()), "{switch}");
        let done = world.post_json("/faults", &serde_json::from_str(example).unwrap()).await;
        assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
    }
    let told: Value = serde_json::from_str(&world.get("/sandbox/faults").await.body).unwrap();
    assert_eq!(told["armed"].as_array().unwrap().len(), switches.len());
    assert!(seen(&world, "/sandbox/faults").await.body.contains("Clear all"));
}

#[tokio::test(start_paused = true)]
async fn a_person_arms_a_switch_on_the_page_and_a_foreign_page_does_not() {
    let world = World::new().await;
    let body = "switch=%7B%22fault%22%3A%22lose_notification%22%7D&times=3";
    for origin in
        [None, Some("null"), Some("http://evil.example"), Some("http://alipay.example.evil.example")]
    {
        let refused = form(&world, "/sandbox/faults", origin, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{origin:?}");
        let refused = form(&world, "/sandbox/faults/clear", origin, "").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{origin:?}");
    }
    assert!(world.sandbox.armed().is_empty());
    let done = form(&world, "/sandbox/faults", Some(HOME), body).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/sandbox/faults"));
    assert_eq!(world.sandbox.armed(), [Armed { fault: Fault::LoseNotification, times: 3 }]);
    let wrong = form(&world, "/sandbox/faults", Some(HOME), "switch=x").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    form(&world, "/sandbox/faults/clear", Some("http://127.0.0.1:8081"), "").await;
    assert!(world.sandbox.armed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_answers_under_its_own_name_only() {
    let world = World::new().await;
    for (host, status) in [
        ("alipay.example", 200),
        ("localhost:8081", 200),
        ("127.0.0.1", 200),
        ("[::1]:8081", 200),
        ("evil.example", 421),
        ("evil.example:8081", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ] {
        for path in ["/", "/ledger", "/sandbox/faults"] {
            let page = world.send("GET", path, &[("host", host)], String::new()).await;
            assert_eq!(page.status.as_u16(), status, "{host} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn switches_are_remembered_across_restarts() {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(Timestamp::from_millis(1_790_000_000_000)));
    let db = Db::inline(DbOptions::new(clock.clone()), &[]).unwrap();
    let first = World::on(db.clone(), clock.clone()).await;
    let lose = json!({"fault": "lose_notification", "times": 3});
    let late = json!({"fault": "pay_after_close", "after_ms": 1000, "times": 1});
    first.post_json("/faults", &lose).await;
    first.post_json("/faults", &late).await;
    // One is used up before the end.
    first.paid("a1", 100).await;
    first.tasks.shutdown(secs(5)).await.unwrap();

    let second = World::on(db.clone(), clock.clone()).await;
    let armed: Value = serde_json::from_str(&second.get("/faults").await.body).unwrap();
    assert_eq!(armed, json!([{"fault": "lose_notification", "times": 2}, late]));
    second.fetch("DELETE", "/faults", "", String::new()).await;
    second.tasks.shutdown(secs(5)).await.unwrap();
    let third = World::on(db, clock).await;
    assert!(third.sandbox.armed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_person_reads_the_ledger_and_a_program_too() {
    let world = World::new().await;
    let page = seen(&world, "/ledger").await;
    assert!(page.body.contains("No money has moved yet"), "{}", page.body);
    world.paid("a1", 1_000).await;
    let refund = merx_alipay::Refund {
        out_trade_no: no("a1"),
        refund_amount: Yuan::of_fen(250),
        out_request_no: no("r1"),
        refund_reason: None,
    };
    assert!(matches!(world.call(&refund).await, Outcome::Done(_)));
    let page = seen(&world, "/ledger").await;
    for text in ["¥10.00", "−¥2.50", "¥7.50", "/trades/a1", "r1", "2 entries"] {
        assert!(page.body.contains(text), "{text} is missing in {}", page.body);
    }
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let told: Value = serde_json::from_str(&world.get("/ledger").await.body).unwrap();
    assert_eq!(told["entries"].as_array().unwrap().len(), 2);
}
