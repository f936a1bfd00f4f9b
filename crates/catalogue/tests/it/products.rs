//! Products from draft to sale.

use std::sync::Arc;

use http::Method;
use libtest_mimic::Trial;
use merx_catalogue::commands::create_product;
use merx_contracts::ids::ProductId;
use serde_json::{Value, json};

use crate::bench::{Bench, content, id};

pub fn trials() -> Vec<Trial> {
    crate::on_every_mode!("products":
        a_draft_is_seen_by_staff_only,
        a_draft_is_checked_as_a_whole_when_listed,
        edits_are_seen_once_published,
        a_draft_is_thrown_away,
        skus_are_retired_and_come_back,
        a_sku_belongs_to_one_product,
        nobody_overwrites_what_he_has_not_seen,
        limits_are_told,
        quotes_answer_in_the_order_asked,
        loading_again_changes_nothing,
        a_whole_shop_is_loaded,
        what_the_shop_decides_cannot_be_sent,
    )
}

async fn a_draft_is_seen_by_staff_only(bench: Arc<Bench>) {
    let product = bench.drafted(json!({"title": {"zh": "茶", "en": "Tea"}})).await;
    let path = format!("/v1/products/{product}");
    bench.buyer.get(&path).await.expect_problem(404, "catalogue.product_not_found");
    assert_eq!(bench.buyer.get("/v1/products").await.expect(200).body["items"], json!([]));
    let shown = bench.admin(&product).await;
    assert_eq!((&shown["status"], &shown["version"], shown.get("live")), (&json!("draft"), &json!(1), None));
    assert_eq!(shown["draft"]["title"]["en"], "Tea");
    let page = bench.staff.get("/v1/admin/products?has_draft=true&q=te&status=draft").await.expect(200).body;
    assert_eq!(page["items"][0]["id"], json!(product));
    assert_eq!(bench.quote("T-100").await.reason, "catalogue.sku_unknown");
    let gone = format!("/v1/admin/products/{product}");
    bench.with_version(Method::DELETE, &gone, 1, Value::Null).await.expect(204);
    bench.staff.get(&gone).await.expect_problem(404, "catalogue.product_not_found");
    assert_eq!(bench.fact_types().await, ["staff_acted.v1", "staff_acted.v1"], "buyers are told nothing");
}

async fn a_draft_is_checked_as_a_whole_when_listed(bench: Arc<Bench>) {
    let product = bench.drafted(json!({"title": {"zh": "茶", "en": "Tea"}})).await;
    let path = format!("/v1/admin/products/{product}");
    let answer = bench.staff.post(&format!("{path}/listing"), json!({})).await;
    answer.expect_problem(409, "catalogue.not_ready");
    let pointers: Vec<&str> =
        answer.body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/description", "/skus"]);
    bench.with_version(Method::PUT, &path, 1, json!({"content": content("T")})).await.expect(200);
    bench.facts().await;
    let listed = bench.post(&format!("{path}/listing"), json!({"reason": "spring"})).await;
    assert_eq!((&listed["status"], listed.get("draft")), (&json!("listed"), None));
    let facts = bench.facts().await;
    assert_eq!(facts[0].0, "staff_acted.v1");
    assert_eq!(
        (&facts[0].1["action"], &facts[0].1["reason"]),
        (&json!("catalogue.product_listed"), &json!("spring"))
    );
    assert_eq!(facts[1], ("product_changed.v1".to_owned(), json!({"product_id": product, "listed": true})));
    let seen = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(seen["skus"][1]["choices"]["en"], "Weight: 250 g");
    assert!(bench.quote("T-100").await.sellable);
}

async fn edits_are_seen_once_published(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let (path, public) = (format!("/v1/admin/products/{product}"), format!("/v1/products/{product}"));
    let before = bench.buyer.get(&public).await.expect(200);
    let tag = before.headers["etag"].to_str().unwrap().to_owned();
    let version = bench.admin(&product).await["version"].as_i64().unwrap();
    let mut edited = content("T");
    edited["title"]["en"] = json!("Better tea");
    let put = bench.with_version(Method::PUT, &path, version, json!({"content": edited})).await.expect(200);
    assert_eq!(bench.buyer.get(&public).await.expect(200).body, before.body, "a draft changes nothing");
    let conditional = |tag: String| {
        let request = bench.request(Method::GET, &public).header("if-none-match", tag);
        let (bench, request) = (bench.clone(), request.body(axum::body::Body::empty()).unwrap());
        async move { merx_testkit::request(bench.buyer.router(), request).await }
    };
    assert_eq!(conditional(tag.clone()).await.status.as_u16(), 304);
    bench.facts().await;
    let version = put.body["version"].as_i64().unwrap();
    let publish = format!("{path}/publication");
    bench.staff.post(&publish, json!({})).await.expect_problem(428, "request.version_missing");
    bench
        .with_version(Method::POST, &publish, version - 1, json!({}))
        .await
        .expect_problem(412, "request.version_stale");
    let published =
        bench.with_version(Method::POST, &publish, version, json!({"reason": "better"})).await.expect(201);
    assert_eq!(published.body["status"], "listed", "what is on sale stays on sale");
    assert_eq!(published.headers["etag"], format!("\"{}\"", published.body["version"]), "{}", published.text);
    let after = conditional(tag).await.expect(200);
    assert_eq!(after.body["title"]["en"], "Better tea");
    assert_eq!(bench.quote("T-100").await.title.unwrap().en, "Better tea");
    assert_eq!(bench.fact_types().await, ["staff_acted.v1", "product_changed.v1"]);
    bench
        .with_version(Method::POST, &publish, version + 1, json!({}))
        .await
        .expect_problem(409, "catalogue.no_draft");
}

async fn a_draft_is_thrown_away(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let path = format!("/v1/admin/products/{product}");
    let version = bench.admin(&product).await["version"].as_i64().unwrap();
    let draft = format!("{path}/draft");
    bench
        .with_version(Method::DELETE, &draft, version, Value::Null)
        .await
        .expect_problem(409, "catalogue.no_draft");
    bench
        .with_version(
            Method::PUT,
            &path,
            version,
            json!({"content": {"title": {"zh": "无", "en": "Nothing"}}}),
        )
        .await
        .expect(200);
    let shown = bench.with_version(Method::DELETE, &draft, version + 1, Value::Null).await.expect(200);
    assert_eq!((shown.body.get("draft"), &shown.body["live"]["title"]["en"]), (None, &json!("Tea T")));
    bench
        .with_version(Method::DELETE, &path, version + 2, Value::Null)
        .await
        .expect_problem(409, "catalogue.published");
    let never = bench.drafted(content("N")).await;
    let draft = format!("/v1/admin/products/{never}/draft");
    bench
        .with_version(Method::DELETE, &draft, 1, Value::Null)
        .await
        .expect_problem(409, "catalogue.never_published");
}

async fn publish(bench: &Bench, product: &str, content: Value) -> merx_testkit::Answer {
    let path = format!("/v1/admin/products/{product}");
    let version = bench.admin(product).await["version"].as_i64().unwrap();
    bench.with_version(Method::PUT, &path, version, json!({"content": content})).await.expect(200);
    bench.with_version(Method::POST, &format!("{path}/publication"), version + 1, json!({})).await
}

async fn skus_are_retired_and_come_back(bench: Arc<Bench>) {
    let product = bench.listed("T").await;
    let mut smaller = content("T");
    smaller["skus"].as_array_mut().unwrap().pop();
    publish(&bench, &product, smaller).await.expect(201);
    let told = bench.quote("T-250").await;
    assert_eq!((told.sellable, told.reason.as_str()), (false, "catalogue.sku_delisted"));
    // Its code stays taken, and it comes back with the price it had.
    let mut whole = content("T");
    whole["skus"][1]["price"] = Value::Null;
    publish(&bench, &product, whole.clone()).await.expect(201);
    assert_eq!(bench.price("T-250").await, 4500);
    whole["skus"][1]["price"] = json!({"minor": 1, "currency": "CNY"});
    publish(&bench, &product, whole).await.expect_problem(409, "catalogue.not_ready");
}

async fn a_sku_belongs_to_one_product(bench: Arc<Bench>) {
    bench.listed("T").await;
    let mut other = content("U");
    other["skus"][0]["sku"] = json!("T-100");
    let product = bench.drafted(other).await;
    let answer = bench.staff.post(&format!("/v1/admin/products/{product}/listing"), json!({})).await;
    answer.expect_problem(409, "catalogue.sku_taken");
    assert_eq!(bench.admin(&product).await["status"], "draft", "nothing of it was kept");
}

async fn nobody_overwrites_what_he_has_not_seen(bench: Arc<Bench>) {
    let product = bench.drafted(content("T")).await;
    let path = format!("/v1/admin/products/{product}");
    let edits =
        (0..8).map(|n| {
            let mut edited = content("T");
            edited["title"]["en"] = json!(format!("Edit {n}"));
            let (bench, path) = (bench.clone(), path.clone());
            async move {
                bench.with_version(Method::PUT, &path, 1, json!({"content": edited})).await.status.as_u16()
            }
        });
    let mut answers = futures_util::future::join_all(edits).await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 412, 412, 412, 412, 412, 412, 412]);
    assert_eq!(bench.admin(&product).await["version"], 2);
}

async fn limits_are_told(bench: Arc<Bench>) {
    let mut limited = content("T");
    limited["skus"][0]["limit_per_order"] = json!(2);
    limited["skus"][0]["limit_per_buyer"] = json!(5);
    let product = bench.listed_as(limited).await;
    let (first, second) = (bench.quote("T-100").await, bench.quote("T-250").await);
    assert_eq!((first.limit_per_order, first.limit_per_buyer), (2, 5));
    assert_eq!((second.limit_per_order, second.limit_per_buyer), (0, 0));
    let seen = bench.buyer.get(&format!("/v1/products/{product}")).await.expect(200).body;
    assert_eq!(
        (&seen["skus"][0]["limit_per_buyer"], seen["skus"][1].get("limit_per_buyer")),
        (&json!(5), None)
    );
}

async fn quotes_answer_in_the_order_asked(bench: Arc<Bench>) {
    use merx_contracts::{
        catalogue::v1::{QuoteRequest, catalogue_client::CatalogueClient},
        common::v1::SkuQuantity,
    };
    use merx_platform::rpc::{self, Peer};
    bench.listed("T").await;
    let mut client = CatalogueClient::new(bench.module.rpc.clone().map(Peer::local).unwrap());
    let line = |sku: &str| SkuQuantity { sku: sku.to_owned(), quantity: 2 };
    let request = QuoteRequest { lines: vec![line("NONE"), line("T-250"), line("T-100")] };
    let quote = rpc::ask(client.quote(request).await).unwrap();
    let told: Vec<(&str, bool)> = quote.lines.iter().map(|l| (l.sku.as_str(), l.sellable)).collect();
    assert_eq!(told, [("NONE", false), ("T-250", true), ("T-100", true)]);
    assert_eq!((quote.lines[1].unit_price.as_ref().unwrap().minor, quote.lines[2].weight_grams), (4500, 120));
    assert!(rpc::ask(client.quote(QuoteRequest { lines: vec![line("T-100"); 101] }).await).is_err());
    let none = QuoteRequest { lines: vec![SkuQuantity { sku: "T-100".to_owned(), quantity: 0 }] };
    assert!(rpc::ask(client.quote(none).await).is_err());
    // What was read once is remembered: no statement for another quote.
    let before = bench.deps.db.stats();
    assert_eq!(bench.price("T-100").await, 1990);
    assert_eq!(bench.deps.db.stats().since(&before).total().statements(), 0);
}

async fn loading_again_changes_nothing(bench: Arc<Bench>) {
    let load = |bits: u128, value: Value| {
        let content = serde_json::from_value(value).unwrap();
        let (bench, product): (_, ProductId) = (bench.clone(), id(bits));
        async move { create_product(&bench.state, product, content).await }
    };
    load(1, content("T")).await.unwrap();
    let mut dearer = content("T");
    dearer["skus"][0]["price"]["minor"] = json!(9_999_999);
    load(1, dearer).await.unwrap();
    assert_eq!(bench.price("T-100").await, 1990);
    let mut other = content("U");
    other["skus"][0]["sku"] = json!("T-100");
    assert!(load(2, other).await.unwrap_err().is("catalogue.sku_taken"));
    let shown = bench.buyer.get("/v1/products").await.expect(200).body;
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(1));
}

async fn a_whole_shop_is_loaded(bench: Arc<Bench>) {
    use merx_catalogue::{
        Seed, SeedPicture, SeedProduct,
        commands::keep_categories::CategorySpec,
        domain::{Slug, Status},
        seed,
        store::structure::Brand,
    };
    let text = |t: &str| serde_json::from_value(json!({"zh": t, "en": t})).unwrap();
    let category = |slug: &str, parent| CategorySpec {
        slug: Slug::new(slug).unwrap(),
        name: text(slug),
        parent,
        position: None,
        attributes: Vec::new(),
    };
    let made = || Seed {
        attributes: vec![
            serde_json::from_value(
                json!({"code": "organic", "name": {"zh": "有机", "en": "Organic"}, "kind": "boolean"}),
            )
            .unwrap(),
        ],
        categories: vec![(id(1), category("tea", None)), (id(2), category("green", Some(id(1))))],
        brands: vec![Brand { id: id(3), slug: Slug::new("own").unwrap(), name: text("Own"), version: 0 }],
        products: (0..60u128)
            .map(|n| {
                let mut value = content(&format!("P{n}"));
                value["category_id"] = json!(id::<merx_contracts::ids::CategoryKind>(2));
                value["brand_id"] = json!(id::<merx_contracts::ids::BrandKind>(3));
                let drawn = format!(
                    r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><title>{n}</title></svg>"#
                );
                SeedProduct {
                    id: id(1000 + n),
                    content: serde_json::from_value(value).unwrap(),
                    status: Status::Listed,
                    pictures: vec![SeedPicture {
                        id: id(5000 + n),
                        bytes: drawn.into(),
                        alt: serde_json::from_value(json!({"zh": "茶", "en": "tea"})).unwrap(),
                    }],
                }
            })
            .collect(),
    };
    let before = bench.deps.db.stats();
    seed(&bench.state, made()).await.unwrap();
    let spent = bench.deps.db.stats().since(&before).total();
    assert_eq!(spent.write_txs, 7, "one for the structure, two for every twenty products");
    seed(&bench.state, made()).await.unwrap();
    let page = bench.buyer.get("/v1/products?category=tea&limit=100").await.expect(200).body;
    assert_eq!(page["items"].as_array().unwrap().len(), 60);
    assert_eq!(page["items"][0]["category_path"][1]["slug"], "green");
    let url = page["items"][0]["pictures"][0]["files"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(bench.buyer.get(&url).await.expect(200).headers["content-type"], "image/svg+xml");
}

async fn what_the_shop_decides_cannot_be_sent(bench: Arc<Bench>) {
    for (name, value) in [
        ("id", json!("prd_00000000000000000000000001")),
        ("status", json!("listed")),
        ("version", json!(7)),
        ("list_at", json!("2030-01-01T00:00:00Z")),
        ("pictures", json!([])),
    ] {
        let mut inside = content("T");
        inside[name] = value.clone();
        bench
            .staff
            .post("/v1/admin/products", json!({"content": inside}))
            .await
            .expect_problem(400, "request.invalid");
        let mut outside = json!({"content": content("T")});
        outside[name] = value;
        bench.staff.post("/v1/admin/products", outside).await.expect_problem(400, "request.invalid");
    }
}
