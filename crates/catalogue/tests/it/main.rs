//! Catalogue: the rules of a product, what shoppers see, what other contexts are told.

use merx_catalogue::{State, commands::create_product, domain::Product};
use merx_contracts::{
    catalogue::v1::{QuoteRequest, catalogue_client::CatalogueClient},
    common::v1::SkuQuantity,
};
use merx_kernel::ErrorKind;
use merx_platform::{
    Deps,
    rpc::{self, Peer},
};
use merx_testkit::TestPlatform;
use proptest::prelude::*;
use serde_json::{Value, json};

fn product(bits: u128) -> Value {
    let id: merx_contracts::ids::ProductId = merx_kernel::Id::from_bits(bits);
    json!({
        "id": id, "title": {"zh": "茶", "en": "Tea"}, "description": {"zh": "绿茶", "en": "Green tea"},
        "options": [{"name": {"zh": "净含量", "en": "Weight"}, "values": [{"zh": "100 克", "en": "100 g"}, {"zh": "250 克", "en": "250 g"}]}],
        "skus": [
            {"sku": format!("TEA-{bits}-100"), "choices": [0], "price": {"minor": 1990, "currency": "CNY"}, "weight_grams": 120},
            {"sku": format!("TEA-{bits}-250"), "choices": [1], "price": {"minor": 4500, "currency": "CNY"}, "weight_grams": 280}
        ]
    })
}
fn parsed(value: Value) -> Product {
    serde_json::from_value(value).expect("is a product")
}

async fn platform() -> (TestPlatform, State, CatalogueClient<Peer>) {
    let mut state = None;
    let mut peer = None;
    let platform = TestPlatform::start(&["catalogue"], 1, |deps: &mut Deps| {
        let wired = State::new(deps);
        let context = merx_catalogue::module(&wired);
        state = Some(wired);
        peer = context.module.rpc.clone().map(Peer::local);
        vec![context]
    })
    .await;
    (platform, state.expect("wired"), CatalogueClient::new(peer.expect("wired")))
}

#[test]
fn every_rule_of_a_product_names_the_property_it_refuses() {
    type Spoil = fn(&mut Value);
    let cases: &[(&str, Spoil)] = &[
        ("/skus", |p| p["skus"] = json!([])),
        ("/skus/1/sku", |p| p["skus"][1]["sku"] = p["skus"][0]["sku"].clone()),
        ("/skus/1/choices", |p| p["skus"][1]["choices"] = json!([0])),
        ("/skus/0/choices", |p| p["skus"][0]["choices"] = json!([2])),
        ("/skus/0/choices", |p| p["skus"][0]["choices"] = json!([])),
        ("/skus/0/price/minor", |p| p["skus"][0]["price"]["minor"] = json!(0)),
        ("/skus/1/price/currency", |p| p["skus"][1]["price"]["currency"] = json!("USD")),
        ("/skus/0/weight_grams", |p| p["skus"][0]["weight_grams"] = json!(1_000_001)),
        ("/options/0/values", |p| p["options"][0]["values"] = json!([])),
        ("/options", |p| p["options"] = Value::Array(vec![p["options"][0].clone(); 4])),
    ];
    assert!(parsed(product(1)).check().is_ok());
    for (pointer, spoil) in cases {
        let mut value = product(1);
        spoil(&mut value);
        let error = parsed(value).check().expect_err(pointer);
        assert!(error.fields().iter().any(|f| f.pointer == *pointer), "{pointer}: {error}");
    }
}

proptest! {
    #[test]
    fn a_product_that_passes_describes_each_sku_in_both_languages(choices in prop::collection::vec(0u16..4, 0..4)) {
        let mut value = product(1);
        value["skus"][0]["choices"] = json!(choices);
        let product = parsed(value);
        if product.check().is_ok() {
            for sku in &product.skus {
                let (zh, en) = Product::describe_choices(&product.options, &sku.choices);
                prop_assert!(zh.starts_with("净含量：") && en.starts_with("Weight: "));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn shoppers_page_through_what_is_on_sale() {
    let (platform, state, _) = platform().await;
    for bits in 1..=5 {
        create_product(&state, parsed(product(bits))).await.expect("creates");
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = platform.api.get(&format!("/v1/products?limit=2{cursor}")).await.expect(200).body;
        seen.extend(page["items"].as_array().expect("items").iter().map(|p| p["id"].clone()));
        assert_eq!(page["items"][0]["skus"][1]["choices"]["en"], "Weight: 250 g");
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|w| w[0].as_str() > w[1].as_str()), "newest first: {seen:?}");
    let one = platform.api.get(&format!("/v1/products/{}", seen[0].as_str().expect("id"))).await.expect(200);
    assert_eq!(one.body["skus"][0]["price"], json!({"minor": 1990, "currency": "CNY"}));
    platform.finish().await;
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_named() {
    let (platform, _, _) = platform().await;
    platform.api.get("/v1/products?limit=0").await.expect_problem(400, "request.invalid");
    platform.api.get("/v1/products?limit=101").await.expect_problem(400, "request.invalid");
    platform.api.get("/v1/products?cursor=x").await.expect_problem(400, "request.invalid");
    platform.api.get("/v1/products?page=2").await.expect_problem(400, "request.invalid");
    platform.api.get("/v1/products/nonsense").await.expect_problem(400, "request.invalid");
    let unknown: merx_contracts::ids::ProductId = merx_kernel::Id::from_bits(77);
    platform
        .api
        .get(&format!("/v1/products/{unknown}"))
        .await
        .expect_problem(404, "catalogue.product_not_found");
    platform.finish().await;
}

#[tokio::test(start_paused = true)]
async fn creating_again_changes_nothing_and_a_sku_belongs_to_one_product() {
    let (platform, state, _) = platform().await;
    create_product(&state, parsed(product(1))).await.expect("creates");
    let mut dearer = product(1);
    dearer["skus"][0]["price"]["minor"] = json!(9_999_999);
    create_product(&state, parsed(dearer)).await.expect("is there");
    let mut other = product(2);
    other["skus"][0]["sku"] = json!("TEA-1-100");
    let error = create_product(&state, parsed(other)).await.expect_err("taken");
    assert!(error.is("catalogue.sku_taken"), "{error}");
    let shown = platform.api.get("/v1/products").await.expect(200).body;
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["items"][0]["skus"][0]["price"]["minor"], 1990);
    platform.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_answers_in_the_order_asked_and_tells_unknown_skus() {
    let (platform, state, mut client) = platform().await;
    create_product(&state, parsed(product(1))).await.expect("creates");
    let line = |sku: &str| SkuQuantity { sku: sku.to_owned(), quantity: 2 };
    let request = QuoteRequest { lines: vec![line("NONE"), line("TEA-1-250"), line("TEA-1-100")] };
    let quote = rpc::ask(client.quote(request).await).expect("quotes");
    let told: Vec<(String, bool, String)> =
        quote.lines.iter().map(|l| (l.sku.clone(), l.sellable, l.reason.clone())).collect();
    assert_eq!(told[0], ("NONE".to_owned(), false, "catalogue.sku_unknown".to_owned()));
    assert_eq!(told[1], ("TEA-1-250".to_owned(), true, String::new()));
    assert_eq!(quote.lines[1].unit_price.as_ref().map(|p| p.minor), Some(4500));
    assert_eq!(quote.lines[2].weight_grams, 120);
    let too_many = QuoteRequest { lines: vec![line("TEA-1-100"); 101] };
    let error = rpc::ask(client.quote(too_many).await).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let none = QuoteRequest { lines: vec![SkuQuantity { sku: "TEA-1-100".to_owned(), quantity: 0 }] };
    assert!(rpc::ask(client.quote(none).await).is_err());
    platform.finish().await;
}

#[tokio::test(start_paused = true)]
async fn prices_are_read_once_and_a_change_is_seen_at_once() {
    let (platform, state, mut client) = platform().await;
    create_product(&state, parsed(product(1))).await.expect("creates");
    let ask = |sku: &str| QuoteRequest { lines: vec![SkuQuantity { sku: sku.to_owned(), quantity: 1 }] };
    let before = platform.deps.db.stats();
    for _ in 0..3 {
        assert!(rpc::ask(client.quote(ask("TEA-1-100")).await).expect("quotes").lines[0].sellable);
    }
    assert_eq!(platform.deps.db.stats().since(&before).total().statements(), 1);
    assert!(!rpc::ask(client.quote(ask("TEA-2-100")).await).expect("quotes").lines[0].sellable);
    create_product(&state, parsed(product(2))).await.expect("creates");
    assert!(rpc::ask(client.quote(ask("TEA-2-100")).await).expect("quotes").lines[0].sellable);
    platform.finish().await;
}
