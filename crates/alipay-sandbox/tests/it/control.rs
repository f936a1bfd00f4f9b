use axum::http::StatusCode;
use merx_alipay::{Params, TradeStatus};
use serde_json::{Value, json};

use crate::world::World;

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn switches_are_armed_listed_and_cleared_by_http() {
    let world = World::new().await;
    let armed = [
        json!({"fault": "lose_notification", "times": 3}),
        json!({"fault": "duplicate_notification", "copies": 99, "times": 1}),
        json!({"fault": "delay_notification", "delay_ms": 5, "times": 1}),
        json!({"fault": "reorder_notification", "times": 1}),
        json!({"fault": "wrong_notification", "field": "total_amount", "value": "0.01", "times": 1}),
        json!({"fault": "gateway_timeout", "method": "alipay.trade.query", "executed": false, "times": 2}),
        json!({"fault": "gateway_unknown", "executed": true, "times": 1}),
        json!({"fault": "half_answer", "executed": true, "times": 1}),
        json!({"fault": "wrong_signature", "executed": true, "times": 1}),
        json!({"fault": "pay_after_close", "after_ms": 1000, "times": 1}),
        json!({"fault": "pay_after_expiry", "times": 1}),
    ];
    for switch in &armed {
        let page = world.post_json("/faults", switch).await;
        assert_eq!(page.status, StatusCode::CREATED, "{switch}: {}", page.body);
    }
    assert_eq!(read(&world.get("/faults").await.body), json!(armed));
    let cleared = world.fetch("DELETE", "/faults", "", String::new()).await;
    assert_eq!(cleared.status, StatusCode::NO_CONTENT);
    assert_eq!(read(&world.get("/faults").await.body), json!([]));
    let short = world.post_json("/faults", &json!({"fault": "pay_after_close"})).await;
    assert_eq!(read(&short.body), json!([{"fault": "pay_after_close", "after_ms": 1000, "times": 1}]));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_switch_is_told_what_is_wrong() {
    let world = World::new().await;
    for (switch, told) in [
        (json!({"fault": "lose_everything"}), "lose_everything"),
        (json!({"fault": "duplicate_notification"}), "copies"),
        (json!({"fault": "wrong_notification", "field": "price"}), "price"),
        (json!({"fault": "half_answer", "methode": "x"}), "methode"),
        (json!({}), "fault"),
    ] {
        let page = world.post_json("/faults", &switch).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.body.contains(told), "{switch}: {}", page.body);
        assert_eq!(read(&page.body)["code"], "sandbox.request_invalid");
    }
    let form = world.post("/faults", "{}").await;
    assert!(form.body.contains("content-type: application/json"), "{}", form.body);
    assert!(world.sandbox.armed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn any_notification_can_be_signed_and_sent() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    let sent = world
        .post_json("/notifications", &json!({"out_trade_no": "a1", "replace": {"total_amount": "9.99"}}))
        .await;
    assert_eq!(read(&sent.body), json!({"status": 200, "body": "success", "taken": true}));
    let told = world.notified();
    assert_eq!(told[1].total_amount.to_decimal(), "9.99");
    assert_eq!(told[1].trade_status, TradeStatus::TradeSuccess);
    let missing = world.post_json("/notifications", &json!({"out_trade_no": "zz"})).await;
    assert_eq!(
        (missing.status, read(&missing.body)["code"].clone()),
        (StatusCode::NOT_FOUND, json!("sandbox.no_such_trade"))
    );
    let (_, form) = world.sandbox.forge("a1", &[("app_id".to_owned(), "1".to_owned())]).await.unwrap();
    assert_eq!(Params::from_form(form.as_bytes()).unwrap().get("app_id"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn trades_and_ledger_can_be_seen() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    let trade = read(&world.get("/trades/a1").await.body);
    assert_eq!(trade["trade"]["trade_status"], "TRADE_SUCCESS");
    assert_eq!(trade["notifications"][0]["state"], "done");
    assert_eq!(trade["notifications"][0]["last_reply"], "200 success");
    assert_eq!(world.get("/trades/zz").await.status, StatusCode::NOT_FOUND);
    let ledger = read(&world.get("/ledger").await.body);
    assert_eq!(ledger["entries"][0]["kind"], "capture");
    assert_eq!(world.get("/livez").await.body, "ok");
    assert!(world.get("/").await.body.contains("development only"));
}
