//! Prices: at their moment, told once, explained.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::bench::{Bench, later};

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = crate::on_every_mode!("prices":
        a_change_of_now_is_quoted_at_once,
        a_planned_price_is_quoted_from_its_millisecond,
        each_change_is_told_when_it_takes_effect,
        a_price_is_taken_back,
        of_two_at_once_the_later_made_counts,
        what_is_no_price_is_refused,
        every_price_is_kept_with_its_reason,
    );
    trials.extend(crate::trials!("prices": timers_fire_by_themselves));
    trials
}

fn price(minor: i64) -> Value {
    json!({"minor": minor, "currency": "CNY"})
}

async fn set(bench: &Bench, minor: i64, from: Option<i64>, until: Option<i64>) -> String {
    let body = json!({
        "price": price(minor), "effective_from": from.map(later), "effective_until": until.map(later),
        "reason": format!("to {minor}"),
    });
    bench.post("/v1/admin/skus/T-100/prices", body).await["id"].as_str().unwrap().to_owned()
}

async fn a_change_of_now_is_quoted_at_once(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    assert_eq!(bench.price("T-100").await, 1990);
    bench.facts().await;
    set(&bench, 1790, None, None).await;
    assert_eq!((bench.price("T-100").await, bench.price("T-250").await), (1790, 4500));
    let facts = bench.facts().await;
    assert_eq!(
        (&facts[0].1["action"], &facts[0].1["reason"]),
        (&json!("catalogue.price_set"), &json!("to 1790"))
    );
    let told = json!({"sku": "T-100", "product_id": product, "before": price(1990), "after": price(1790)});
    assert_eq!(facts[1], ("price_changed.v1".to_owned(), told));
    let seen = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(seen["skus"][0]["price"], price(1790));
}

async fn a_planned_price_is_quoted_from_its_millisecond(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    set(&bench, 1500, Some(60_000), Some(120_000)).await;
    let path = format!("/v1/products/{product}");
    // Read before the change: what is remembered knows the moments to come. No timer fires here.
    assert_eq!(bench.price("T-100").await, 1990);
    let tag = bench.buyer.get(&path).await.expect(200).headers["etag"].clone();
    let before = bench.deps.db.stats();
    for (moment, expected) in
        [(59_999, 1990), (60_000, 1500), (60_001, 1500), (119_999, 1500), (120_000, 1990)]
    {
        bench.clock.set(later(moment));
        assert_eq!(bench.price("T-100").await, expected, "at {moment}");
    }
    assert_eq!(bench.deps.db.stats().since(&before).total().statements(), 0, "from memory, and right");
    bench.clock.set(later(60_000));
    let seen = bench.buyer.get(&path).await.expect(200);
    assert_eq!(seen.body["skus"][0]["price"], price(1500));
    assert_ne!(seen.headers["etag"], tag, "another page has another tag");
}

async fn each_change_is_told_when_it_takes_effect(bench: Arc<Bench>) {
    bench.listed("T").await;
    set(&bench, 1500, Some(60_000), Some(120_000)).await;
    set(&bench, 1700, Some(120_000), None).await;
    bench.facts().await;
    assert_eq!(bench.fire_due().await, 0);
    let told = |facts: Vec<(String, Value)>| -> Vec<(String, i64, i64)> {
        let one = |(kind, data): (String, Value)| {
            (kind, data["before"]["minor"].as_i64().unwrap(), data["after"]["minor"].as_i64().unwrap())
        };
        facts.into_iter().map(one).collect()
    };
    bench.clock.set(later(60_000));
    assert_eq!(bench.fire_due().await, 1);
    assert_eq!(told(bench.facts().await), [("price_changed.v1".to_owned(), 1990, 1500)]);
    // One ends as the other begins: one change, though two timers fire, and long after their moment.
    bench.clock.set(later(500_000));
    assert_eq!(bench.fire_due().await, 2);
    assert_eq!(told(bench.facts().await), [("price_changed.v1".to_owned(), 1500, 1700)]);
    assert_eq!(bench.fire_due().await, 0);
}

async fn a_price_is_taken_back(bench: Arc<Bench>) {
    bench.listed("T").await;
    let planned = set(&bench, 1500, Some(60_000), None).await;
    let path = format!("/v1/admin/skus/T-100/prices/{planned}");
    let off = bench.staff.delete(&format!("{path}?reason=no%20sale")).await.expect(200).body;
    assert_eq!(off["status"], "cancelled");
    bench.clock.set(later(60_000));
    assert_eq!((bench.fire_due().await, bench.price("T-100").await), (0, 1990));
    bench.staff.delete(&path).await.expect_problem(409, "catalogue.price_over");
    // One in force ends, and the price below it counts again.
    let standing = set(&bench, 1200, None, Some(90_000)).await;
    assert_eq!(bench.price("T-100").await, 1200);
    bench.facts().await;
    bench.staff.delete(&format!("/v1/admin/skus/T-100/prices/{standing}")).await.expect(200);
    assert_eq!(bench.price("T-100").await, 1990);
    let facts = bench.facts().await;
    assert_eq!((facts[1].0.as_str(), &facts[1].1["after"]), ("price_changed.v1", &price(1990)));
    bench.clock.set(later(90_000));
    assert_eq!(bench.fire_due().await, 0);
    let other = format!("/v1/admin/skus/T-250/prices/{standing}");
    bench.staff.delete(&other).await.expect_problem(404, "catalogue.price_not_found");
    bench
        .staff
        .delete("/v1/admin/skus/NONE/prices/prc_00000000000000000000000009")
        .await
        .expect_problem(404, "catalogue.sku_not_found");
}

async fn of_two_at_once_the_later_made_counts(bench: Arc<Bench>) {
    bench.listed("T").await;
    set(&bench, 1500, Some(60_000), None).await;
    set(&bench, 1600, Some(60_000), None).await;
    // Many at once on one SKU: each is there, none is lost.
    let more = (0..8).map(|n| set(&bench, 1700 + n, Some(70_000 + n), None));
    futures_util::future::join_all(more).await;
    bench.clock.set(later(60_000));
    assert_eq!(bench.price("T-100").await, 1600);
    bench.clock.set(later(80_000));
    assert_eq!(bench.price("T-100").await, 1707);
}

async fn what_is_no_price_is_refused(bench: Arc<Bench>) {
    bench.listed("T").await;
    let path = "/v1/admin/skus/T-100/prices";
    for (pointer, body) in [
        ("/price/minor", json!({"price": price(0), "reason": "x"})),
        ("/price/minor", json!({"price": price(10_000_000_001), "reason": "x"})),
        ("/price/currency", json!({"price": {"minor": 1, "currency": "USD"}, "reason": "x"})),
        ("/effective_from", json!({"price": price(1), "effective_from": later(0), "reason": "x"})),
        (
            "/effective_from",
            json!({"price": price(1), "effective_from": "2099-01-01T00:00:00Z", "reason": "x"}),
        ),
        (
            "/effective_until",
            json!({"price": price(1), "effective_from": later(9), "effective_until": later(9), "reason": "x"}),
        ),
        ("/price/minor", json!({"price": {"minor": 1.5, "currency": "CNY"}, "reason": "x"})),
    ] {
        let answer = bench.staff.post(path, body).await;
        answer.expect_problem(400, "request.invalid");
        assert_eq!(answer.text_at("/errors/0/pointer"), pointer);
    }
    bench.staff.post(path, json!({"price": price(1)})).await.expect_problem(400, "request.invalid");
    let body = json!({"price": price(1), "reason": "x"});
    bench
        .staff
        .post("/v1/admin/skus/NONE/prices", body.clone())
        .await
        .expect_problem(404, "catalogue.sku_not_found");
    for n in 0..50 {
        set(&bench, 100 + n, Some(1_000 + n), None).await;
    }
    bench.staff.post(path, body).await.expect_problem(409, "catalogue.too_many_prices");
}

async fn every_price_is_kept_with_its_reason(bench: Arc<Bench>) {
    bench.listed("T").await;
    for (minor, from) in [(1800, None), (1700, Some(60_000)), (1600, Some(70_000))] {
        set(&bench, minor, from, None).await;
    }
    let page = bench.staff.get("/v1/admin/skus/T-100/prices?limit=2").await.expect(200).body;
    let shown: Vec<(&Value, &Value)> =
        page["items"].as_array().unwrap().iter().map(|p| (&p["price"]["minor"], &p["status"])).collect();
    assert_eq!(shown, [(&json!(1600), &json!("planned")), (&json!(1700), &json!("planned"))]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = bench
        .staff
        .get(&format!("/v1/admin/skus/T-100/prices?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&rest["items"][0]["status"], &rest["items"][0]["reason"]),
        (&json!("standing"), &json!("to 1800"))
    );
    assert_eq!((rest["items"].as_array().unwrap().len(), rest.get("next_cursor")), (1, None));
}

/// The real runner on a virtual clock: nobody asks for anything.
fn timers_fire_by_themselves() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        use merx_catalogue::{Settings, State, commands::create_product};
        let mut state = None;
        let platform = merx_testkit::TestPlatform::start(&["catalogue"], 1, |deps| {
            let objects = Arc::new(merx_platform::objects::MemoryStore::default());
            let wired = State::new(deps, Settings { currency: merx_kernel::Currency::CNY, objects });
            let context = merx_catalogue::module(&wired, &merx_testkit::generous_limits());
            state = Some(wired);
            vec![context]
        })
        .await;
        let state = state.unwrap();
        let content = serde_json::from_value(crate::bench::content("T")).unwrap();
        create_product(&state, crate::bench::id(1), content).await.unwrap();
        let staff = platform.api.as_account(crate::bench::KEEPER, merx_kernel::Role::ProductManager);
        let body = json!({"price": price(1500), "effective_from": later(60_000), "reason": "sale"});
        staff.post("/v1/admin/skus/T-100/prices", body).await.expect(201);
        let shown = async |expected: &str| {
            let page = platform.api.get("/v1/products").await.expect(200).body;
            assert_eq!(page["items"][0]["skus"][0]["price"]["minor"].to_string(), expected);
        };
        tokio::time::advance(std::time::Duration::from_millis(59_999)).await;
        shown("1990").await;
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        shown("1500").await;
        platform.settle().await;
        let history = staff.get("/v1/admin/catalogue/history?object=T-100").await.expect(200).body;
        let actions: Vec<&Value> =
            history["items"].as_array().unwrap().iter().map(|c| &c["action"]).collect();
        assert_eq!(actions, [&json!("took_effect"), &json!("planned")]);
        platform.finish().await;
    });
}
