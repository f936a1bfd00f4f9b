//! Who changed what, when and why.

use std::sync::Arc;

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::bench::{Bench, KEEPER, content};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("history": every_change_says_who_and_why, only_what_differs_is_kept, pages)
}

async fn every_change_says_who_and_why(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let body = json!({"price": {"minor": 1, "currency": "CNY"}, "reason": "a test"});
    bench.post("/v1/admin/skus/T-100/prices", body).await;
    bench.post(&format!("/v1/admin/products/{product}/delisting"), json!({"reason": "recalled"})).await;
    let page = bench.staff.get(&format!("/v1/admin/products/{product}/history")).await.expect(200).body;
    let rows: Vec<(&str, &str, &Value)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["kind"].as_str().unwrap(), c["action"].as_str().unwrap(), &c["reason"]))
        .collect();
    let (none, test, recalled) = (Value::Null, json!("a test"), json!("recalled"));
    let expected = [
        ("product", "delisted", &recalled),
        ("price", "set", &test),
        ("product", "listed", &none),
        ("product", "drafted", &none),
    ];
    assert_eq!(rows, expected);
    let last = &page["items"][0];
    assert_eq!(
        (&last["actor"], &last["before"]["status"], &last["after"]["status"]),
        (&json!(KEEPER), &json!("listed"), &json!("unlisted"))
    );
    let unknown = "/v1/admin/products/prd_00000000000000000000000009/history";
    bench.staff.get(unknown).await.expect_problem(404, "catalogue.product_not_found");
    bench.buyer.get(unknown).await.expect_problem(401, "request.unauthenticated");
}

async fn only_what_differs_is_kept(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let path = format!("/v1/admin/products/{product}");
    let version = bench.admin(&product).await["version"].as_i64().unwrap();
    let mut edited = content("T");
    edited["title"]["en"] = json!("New");
    edited["skus"][0]["weight_grams"] = json!(130);
    bench.facts().await;
    bench
        .with_version(Method::PUT, &path, version, json!({"content": edited, "reason": "weighed"}))
        .await
        .expect(200);
    let page = bench.staff.get(&format!("{path}/history?limit=1")).await.expect(200).body;
    assert_eq!(
        page["items"][0]["before"],
        json!({"title": {"en": "Tea T"}, "skus": {"T-100": {"weight_grams": 120}}})
    );
    assert_eq!(
        page["items"][0]["after"],
        json!({"title": {"en": "New"}, "skus": {"T-100": {"weight_grams": 130}}})
    );
    let acted = &bench.facts().await[0].1;
    assert_eq!(
        (&acted["action"], &acted["object"]),
        (&json!("catalogue.product_draft_edited"), &json!(product))
    );
    assert_eq!(acted["detail"]["after"]["title"]["en"], "New");
    // A change that is too long for a message is named there; the history has all of it.
    edited["description"] = json!({"zh": "长".repeat(4000), "en": "long ".repeat(700)});
    bench.with_version(Method::PUT, &path, version + 1, json!({"content": edited})).await.expect(200);
    let acted = &bench.facts().await[0].1;
    assert_eq!(acted["detail"]["fields"], json!(["description"]));
}

async fn pages(bench: Arc<Bench>) {
    for slug in ["a", "b", "c"] {
        bench.brand(slug).await;
    }
    let first = bench.staff.get("/v1/admin/catalogue/history?limit=2").await.expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = bench
        .staff
        .get(&format!("/v1/admin/catalogue/history?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .body;
    let slugs: Vec<&Value> = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .chain(rest["items"].as_array().unwrap())
        .map(|c| &c["after"]["slug"])
        .collect();
    assert_eq!(slugs, [&json!("c"), &json!("b"), &json!("a")]);
    assert_eq!(rest.get("next_cursor"), None);
    let object = first["items"][1]["object"].as_str().unwrap();
    let one = bench.staff.get(&format!("/v1/admin/catalogue/history?object={object}")).await.expect(200).body;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
}
