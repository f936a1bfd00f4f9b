//! `POST /v1/checkouts/{cart}/quote`

use http::StatusCode;
use serde_json::json;

use crate::paused;
use crate::shop::{STRANGER, Shop};

async fn a_quote_explains_itself_and_writes_nothing() {
    let shop = Shop::new().await;
    let before = shop.deps.db.stats().commits;
    let quote = shop.quote().await;
    assert_eq!(quote.status, StatusCode::OK, "{quote:?}");
    assert_eq!(quote.body["subtotal"], json!({"minor": 13_590, "currency": "CNY"}));
    assert_eq!(quote.body["total"]["minor"], 14_390);
    assert_eq!(quote.body["freight_options"][1]["total"]["minor"], 15_790);
    assert_eq!(quote.body["explanation"].as_array().unwrap().len(), 5);
    assert_eq!(shop.deps.db.stats().commits, before);
    assert!(!quote.text.contains("CANARY"), "personal data in a quote");
    shop.finish().await;
}

async fn what_cannot_be_quoted_says_why() {
    let shop = Shop::new().await;
    let address = Shop::address();
    let body = |method: &str| json!({"address_id": address, "shipping_method": method});
    let buyer = crate::given::BUYER;

    let drone = shop.quote_with(buyer, body("drone")).await;
    assert_eq!((drone.status, drone.code()), (StatusCode::CONFLICT, "ordering.shipping_method_unavailable"));
    let long = shop.quote_with(buyer, body(&"x".repeat(33))).await;
    assert_eq!((long.status, long.code()), (StatusCode::BAD_REQUEST, "request.invalid"));
    let unknown = shop.quote_with(buyer, json!({"address_id": address, "price": 1})).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "a property the server owns is refused");
    let foreign = shop.quote_with(STRANGER, json!({"address_id": address})).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);

    shop.neighbours.world().prices.remove("CUP");
    let gone = shop.quote().await;
    assert_eq!((gone.status, gone.code()), (StatusCode::CONFLICT, "ordering.line_unavailable"));
    assert_eq!(gone.body["errors"], json!([{"pointer": "/lines/CUP", "detail": "catalogue.sku_delisted"}]));

    shop.neighbours.world().cart.clear();
    assert_eq!(shop.quote().await.code(), "ordering.cart_empty");
    shop.neighbours.world().cart.push(("TEA".to_owned(), 1));
    shop.neighbours.world().freight.clear();
    assert_eq!(shop.quote().await.code(), "ordering.no_delivery");
    shop.neighbours.world().retired_addresses.insert(address);
    assert_eq!(shop.quote().await.code(), "ordering.address_retired");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["quote_checkout": a_quote_explains_itself_and_writes_nothing, what_cannot_be_quoted_says_why]
}
