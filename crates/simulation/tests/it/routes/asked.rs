//! What a buyer asks after the sale, so that there is a case with a picture.

use std::collections::BTreeMap;

use axum::{body::Body, http::Request};
use merx_testkit::request;
use serde_json::json;

use merx_simulation::world::{Buyer, Order, TEA};

/// What the victim asks of the order that is paid, and shows.
pub async fn after_sale(victim: &Buyer, order: &Order) -> BTreeMap<&'static str, String> {
    let lines = json!([{"sku": TEA, "quantity": 1}]);
    let asked = json!({"kind": "refund", "reason": "other", "text": "for reasons of my own", "lines": lines});
    let case = victim.api.post(&format!("/v1/orders/{}/after-sales", order.id), asked).await.expect(201);
    let case = case.text_at("/id");
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(4, 4).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let upload = Request::post(format!("/v1/after-sales/{case}/pictures"))
        .header("authorization", format!("Bearer {}", victim.api.token().unwrap()))
        .header("content-type", "image/png")
        .header("idempotency-key", "evidence")
        .body(Body::from(bytes.into_inner()))
        .unwrap();
    let evidence = request(victim.api.router(), upload).await.expect(201).text_at("/id");
    BTreeMap::from([("after_sale", case), ("evidence", evidence)])
}
