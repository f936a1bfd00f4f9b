//! Categories, brands and attributes over HTTP.

use std::sync::Arc;

use http::Method;
use libtest_mimic::Trial;
use merx_kernel::Role;
use serde_json::{Value, json};

use crate::bench::{Bench, content};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("structure":
        categories_are_kept_in_order,
        a_category_never_lies_in_itself,
        brands_are_kept,
        definitions_keep_what_products_say,
        staff_only_and_once,
    )
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|c| c["slug"].as_str().unwrap()).collect()
}

async fn categories_are_kept_in_order(bench: Arc<Bench>) {
    let tea = bench.category("tea", None, json!([])).await;
    bench.category("ware", None, json!([])).await;
    let green = bench.category("green", Some(&tea), json!([])).await;
    bench.category("black", Some(&tea), json!([])).await;
    let body = json!({"slug": "gifts", "name": {"zh": "礼", "en": "Gifts"}, "position": 0});
    bench.post("/v1/admin/categories", body).await;
    let page = bench.buyer.get("/v1/categories").await.expect(200).body;
    assert_eq!(names(&page), ["gifts", "tea", "green", "black", "ware"]);
    let depths: Vec<u64> =
        page["items"].as_array().unwrap().iter().map(|c| c["depth"].as_u64().unwrap()).collect();
    assert_eq!(depths, [1, 1, 2, 2, 1]);

    let path = format!("/v1/admin/categories/{green}");
    let shown = bench.staff.get(&path).await.expect(200);
    assert_eq!((shown.headers["etag"].to_str().unwrap(), &shown.body["version"]), ("\"1\"", &json!(1)));
    let renamed = json!({"slug": "green", "name": {"zh": "绿茶", "en": "Green tea"}, "parent_id": tea});
    let answer = bench.with_version(Method::PUT, &path, 1, renamed.clone()).await.expect(200);
    assert_eq!(
        (&answer.body["version"], &answer.body["position"]),
        (&json!(2), &json!(0)),
        "it stays in its place"
    );
    bench
        .with_version(Method::PUT, &path, 1, renamed.clone())
        .await
        .expect_problem(412, "request.version_stale");
    bench.staff.put(&path, renamed).await.expect_problem(428, "request.version_missing");
    // To another parent, and with what lies in it.
    let moved = json!({"slug": "green", "name": {"zh": "绿茶", "en": "Green tea"}, "position": 1});
    bench.with_version(Method::PUT, &path, 2, moved).await.expect(200);
    let page = bench.buyer.get("/v1/categories").await.expect(200).body;
    assert_eq!(names(&page), ["gifts", "green", "tea", "black", "ware"]);

    let taken = json!({"slug": "tea", "name": {"zh": "茶", "en": "Tea"}});
    bench.staff.post("/v1/admin/categories", taken).await.expect_problem(409, "catalogue.slug_taken");
    let tea_path = format!("/v1/admin/categories/{tea}");
    bench
        .with_version(Method::DELETE, &tea_path, 1, Value::Null)
        .await
        .expect_problem(409, "catalogue.category_in_use");
    bench.with_version(Method::DELETE, &path, 3, Value::Null).await.expect(204);
    bench.staff.get(&path).await.expect_problem(404, "catalogue.category_not_found");
    let mut sold = content("IN");
    sold["category_id"] = json!(tea);
    bench.listed_as(sold).await;
    bench.buyer.get("/v1/categories/tea").await.expect(200);
    bench.buyer.get(&format!("/v1/categories/{tea}")).await.expect(200);
    bench.buyer.get("/v1/categories/none").await.expect_problem(404, "catalogue.category_not_found");
}

async fn a_category_never_lies_in_itself(bench: Arc<Bench>) {
    let mut path = Vec::new();
    for depth in 0..5 {
        let parent = path.last().cloned();
        path.push(bench.category(&format!("c{depth}"), parent.as_deref(), json!([])).await);
    }
    let body = |parent: &str| json!({"slug": "c0", "name": {"zh": "类", "en": "C"}, "parent_id": parent});
    let top = format!("/v1/admin/categories/{}", path[0]);
    for parent in [&path[0], &path[1], &path[4]] {
        let answer = bench.with_version(Method::PUT, &top, 1, body(parent)).await;
        answer.expect_problem(409, "catalogue.category_cycle");
    }
    let sixth = json!({"slug": "c5", "name": {"zh": "类", "en": "C"}, "parent_id": path[4]});
    bench.staff.post("/v1/admin/categories", sixth).await.expect_problem(409, "catalogue.category_too_deep");
    // A tree of five levels fits nowhere else.
    let other = bench.category("other", None, json!([])).await;
    let answer = bench.with_version(Method::PUT, &top, 1, body(&other)).await;
    answer.expect_problem(409, "catalogue.category_too_deep");
    let nowhere = "cat_00000000000000000000000009";
    let answer = bench.with_version(Method::PUT, &top, 1, body(nowhere)).await;
    answer.expect_problem(400, "request.invalid");
}

async fn brands_are_kept(bench: Arc<Bench>) {
    for slug in ["c", "a", "b"] {
        bench.brand(slug).await;
    }
    let first = bench.buyer.get("/v1/brands?limit=2").await.expect(200).body;
    assert_eq!((names(&first), &first["next_cursor"]), (vec!["a", "b"], &json!("b")));
    let rest = bench.buyer.get("/v1/brands?limit=2&cursor=b").await.expect(200).body;
    assert_eq!((names(&rest), rest.get("next_cursor")), (vec!["c"], None));
    let id = first["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/admin/brands/{id}");
    let body = json!({"slug": "z", "name": {"zh": "牌", "en": "Z"}, "reason": "renamed by its owner"});
    bench.with_version(Method::PUT, &path, 1, body.clone()).await.expect(200);
    bench.with_version(Method::PUT, &path, 1, body).await.expect_problem(412, "request.version_stale");
    let mut sold = content("B");
    sold["brand_id"] = json!(id);
    let product = bench.listed_as(sold).await;
    let shown = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(shown["brand"]["slug"], "z");
    bench
        .with_version(Method::DELETE, &path, 2, Value::Null)
        .await
        .expect_problem(409, "catalogue.brand_in_use");
    let other = bench.brand("gone").await;
    let path = format!("/v1/admin/brands/{other}");
    bench
        .with_version(Method::DELETE, &format!("{path}?reason=a%20mistake"), 1, Value::Null)
        .await
        .expect(204);
    bench.staff.get(&path).await.expect_problem(404, "catalogue.brand_not_found");
}

async fn definitions_keep_what_products_say(bench: Arc<Bench>) {
    let choice = |code: &str| json!({"code": code, "name": {"zh": "色", "en": code}});
    let colour = |codes: &[&str]| {
        let choices: Vec<Value> = codes.iter().map(|c| choice(c)).collect();
        json!({"code": "colour", "name": {"zh": "颜色", "en": "Colour"}, "kind": "choice", "filterable": true, "choices": choices})
    };
    bench.attribute(colour(&["red", "blue"])).await;
    let again = json!({"attribute": colour(&["red"])});
    bench.staff.post("/v1/admin/attributes", again).await.expect_problem(409, "catalogue.slug_taken");
    let unknown = json!({"slug": "x", "name": {"zh": "类", "en": "C"}, "attributes": [{"code": "size"}]});
    bench.staff.post("/v1/admin/categories", unknown).await.expect_problem(400, "request.invalid");
    let category = bench.category("cups", None, json!([{"code": "colour", "required": true}])).await;
    let mut cup = content("CUP");
    cup["category_id"] = json!(category);
    cup["attributes"] = json!({"colour": "blue"});
    bench.listed_as(cup).await;

    let path = "/v1/admin/attributes/colour";
    let put = |version: i64, attribute: Value| {
        let bench = bench.clone();
        async move { bench.with_version(Method::PUT, path, version, json!({"attribute": attribute})).await }
    };
    put(1, colour(&["red"])).await.expect_problem(409, "catalogue.attribute_in_use");
    put(1, colour(&["blue", "green"])).await.expect(200);
    put(1, colour(&["blue"])).await.expect_problem(412, "request.version_stale");
    let number = json!({"code": "colour", "name": {"zh": "颜色", "en": "Colour"}, "kind": "number"});
    put(2, number).await.expect_problem(400, "request.invalid");
    bench
        .with_version(Method::DELETE, path, 2, Value::Null)
        .await
        .expect_problem(409, "catalogue.attribute_in_use");
    let shown = bench.buyer.get("/v1/categories/cups").await.expect(200).body;
    assert_eq!(shown["attributes"][0]["code"], "colour");
    assert_eq!(
        (&shown["attributes"][0]["required"], &shown["attributes"][0]["filterable"]),
        (&json!(true), &json!(true))
    );

    let other = json!({"code": "size", "name": {"zh": "尺寸", "en": "Size"}, "kind": "number", "unit": "cm"});
    bench.attribute(other).await;
    let page = bench.staff.get("/v1/admin/attributes?limit=1").await.expect(200).body;
    assert_eq!(
        (&page["items"][0]["attribute"]["code"], &page["next_cursor"]),
        (&json!("colour"), &json!("colour"))
    );
    bench.with_version(Method::DELETE, "/v1/admin/attributes/size", 1, Value::Null).await.expect(204);
    bench.staff.get("/v1/admin/attributes/size").await.expect_problem(404, "catalogue.attribute_not_found");
}

async fn staff_only_and_once(bench: Arc<Bench>) {
    let body = json!({"slug": "one", "name": {"zh": "一", "en": "One"}});
    bench.buyer.post("/v1/admin/brands", body.clone()).await.expect_problem(401, "request.unauthenticated");
    let customer = bench.buyer.as_account(crate::bench::id(9), Role::Customer);
    customer.post("/v1/admin/brands", body.clone()).await.expect_problem(403, "request.forbidden");
    customer.get("/v1/admin/products").await.expect_problem(403, "request.forbidden");
    let first = bench.staff.post_as("k1", "/v1/admin/brands", body.clone()).await.expect(201);
    let again = bench.staff.post_as("k1", "/v1/admin/brands", body).await.expect(201);
    assert_eq!((first.text, again.headers["idempotency-replayed"].to_str().unwrap()), (again.text, "true"));
    let other = json!({"slug": "two", "name": {"zh": "二", "en": "Two"}});
    let reused = bench.staff.post_as("k1", "/v1/admin/brands", other).await;
    reused.expect_problem(422, "request.idempotency_key_reused");
    let facts = bench.facts().await;
    assert_eq!(facts.len(), 1);
    assert_eq!(
        (facts[0].0.as_str(), &facts[0].1["action"]),
        ("staff_acted.v1", &json!("catalogue.brand_created"))
    );
    assert_eq!(facts[0].1["actor"], json!(crate::bench::KEEPER));
}
