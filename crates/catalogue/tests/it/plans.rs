//! Listing and delisting by plan: exact, whatever runs or was down.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_kernel::Timestamp;
use serde_json::{Value, json};

use crate::bench::{Bench, content, later};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("plans":
        a_plan_is_kept_to_the_millisecond,
        a_plan_survives_a_process_that_was_down,
        a_newer_plan_overrides,
        taking_off_sale_needs_a_reason,
        a_plan_is_told_once,
    )
}

async fn plan(
    bench: &Bench,
    product: &str,
    list_at: Option<Timestamp>,
    delist_at: Option<Timestamp>,
) -> Value {
    let body = json!({"list_at": list_at, "delist_at": delist_at, "reason": "season"});
    bench.post(&format!("/v1/admin/products/{product}/listing"), body).await
}

/// Whether buyers see it, in each way they can.
async fn seen(bench: &Bench, product: &str) -> bool {
    let one = bench.buyer.get(&format!("/v1/products/{product}")).await.status.as_u16() == 200;
    let list = bench.buyer.get("/v1/products").await.expect(200).body;
    let listed = list["items"].as_array().unwrap().iter().any(|p| p["id"] == json!(product));
    let sellable = bench.quote("T-100").await.sellable;
    assert_eq!((one, listed), (sellable, sellable), "all agree");
    sellable
}

async fn a_plan_is_kept_to_the_millisecond(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    let planned = plan(&bench, &product, Some(later(10_000)), Some(later(20_000))).await;
    assert_eq!((&planned["status"], &planned["list_at"]), (&json!("unlisted"), &json!(later(10_000))));
    // No timer fires in this test: what is seen is computed.
    for (moment, expected) in [(0, false), (9_999, false), (10_000, true), (19_999, true), (20_000, false)] {
        bench.clock.set(later(moment));
        assert_eq!(seen(&bench, &product).await, expected, "at {moment}");
    }
}

async fn a_plan_survives_a_process_that_was_down(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    plan(&bench, &product, Some(later(10_000)), Some(later(20_000))).await;
    bench.facts().await;
    bench.clock.set(later(3_600_000));
    assert_eq!(bench.fire_due().await, 2);
    assert!(!seen(&bench, &product).await);
    let shown = bench.admin(&product).await;
    assert_eq!(
        (&shown["status"], shown.get("list_at"), shown.get("delist_at")),
        (&json!("unlisted"), None, None)
    );
    assert_eq!(bench.facts().await.last().unwrap().1["listed"], json!(false));
}

async fn a_newer_plan_overrides(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    let path = format!("/v1/admin/products/{product}");
    plan(&bench, &product, Some(later(10_000)), None).await;
    plan(&bench, &product, Some(later(30_000)), None).await;
    bench.clock.set(later(10_000));
    assert_eq!(bench.fire_due().await, 0, "the older timer is gone");
    assert!(!seen(&bench, &product).await);
    plan(&bench, &product, None, None).await;
    assert!(seen(&bench, &product).await, "now overrides later");
    bench.clock.set(later(30_000));
    assert_eq!(bench.fire_due().await, 0);
    let body = json!({"delist_at": later(40_000), "reason": "end of season"});
    bench.post(&format!("{path}/delisting"), body).await;
    assert_eq!(bench.admin(&product).await["plan_reason"], "end of season");
    let shown = bench.staff.delete(&format!("{path}/schedule?reason=longer")).await.expect(200).body;
    assert_eq!(shown.get("delist_at"), None);
    bench.clock.set(later(50_000));
    assert_eq!((bench.fire_due().await, seen(&bench, &product).await), (0, true));
    let late = json!({"list_at": later(60_000)});
    bench.staff.post(&format!("{path}/listing"), late).await.expect_problem(409, "catalogue.already_listed");
}

async fn taking_off_sale_needs_a_reason(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let path = format!("/v1/admin/products/{product}/delisting");
    bench.staff.post(&path, json!({})).await.expect_problem(400, "request.invalid");
    bench.staff.post(&path, json!({"reason": " "})).await.expect_problem(400, "request.invalid");
    bench.facts().await;
    let off = bench.post(&path, json!({"reason": "recalled"})).await;
    assert_eq!(off["status"], "unlisted");
    assert!(!seen(&bench, &product).await);
    assert_eq!(bench.quote("T-100").await.reason, "catalogue.sku_delisted");
    let facts = bench.facts().await;
    assert_eq!((&facts[0].1["reason"], &facts[1].1["listed"]), (&json!("recalled"), &json!(false)));
    bench.staff.post(&path, json!({"reason": "again"})).await.expect_problem(409, "catalogue.not_listed");
}

async fn a_plan_is_told_once(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    plan(&bench, &product, Some(later(10_000)), None).await;
    assert_eq!(
        bench.fact_types().await,
        ["staff_acted.v1", "staff_acted.v1"],
        "a plan is no change for buyers"
    );
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(bench.fire_due().await, 1);
    assert_eq!(
        bench.facts().await,
        [("product_changed.v1".to_owned(), json!({"product_id": product, "listed": true}))]
    );
    assert_eq!((bench.fire_due().await, bench.facts().await), (0, vec![]));
    let history = bench.staff.get(&format!("/v1/admin/products/{product}/history")).await.expect(200).body;
    let last = &history["items"][0];
    assert_eq!(
        (&last["action"], &last["reason"], last.get("actor")),
        (&json!("listed"), &json!("season"), None)
    );
}
