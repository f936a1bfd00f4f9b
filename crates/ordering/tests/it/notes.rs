//! Notes on orders.

use http::StatusCode;
use serde_json::{Value, json};

use crate::paused;
use crate::{
    given::{ATTEMPT, BUYER, total},
    shop::{SUPPORT, Shop},
};

fn texts(order: &Value) -> Vec<&str> {
    order["notes"]
        .as_array()
        .map(|notes| notes.iter().map(|n| n["text"].as_str().unwrap()).collect())
        .unwrap_or_default()
}

async fn the_shop_and_the_buyer_write_to_each_other() {
    let shop = Shop::new().await;
    let mut body = shop.acceptance().await;
    body["note"] = json!("please leave it with the neighbour");
    let placed = shop.post_as(BUYER, &Shop::checkout("orders"), "k", Some(body)).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    assert!(!placed.text.contains("neighbour"), "answers are kept");
    let order = placed.order();
    let path = format!("/v1/orders/{order}/notes");
    let internal = json!({"text": "asked twice already"});
    let visible = json!({"text": "will do", "visibility": "buyer"});
    assert_eq!(shop.post_as(SUPPORT, &path, "a", Some(internal)).await.status, StatusCode::CREATED);
    let written = shop.post_as(SUPPORT, &path, "b", Some(visible.clone())).await;
    assert_eq!((written.status, &written.body["author"]), (StatusCode::CREATED, &json!("staff")));
    let again = shop.post_as(SUPPORT, &path, "b", Some(visible)).await;
    assert!(again.replayed);
    assert_eq!(again.body, written.body);

    let seen = shop.order(order).await;
    assert_eq!(texts(&seen.body), ["please leave it with the neighbour", "will do"]);
    assert!(!seen.text.contains("twice") && !seen.text.contains(&SUPPORT.to_string()), "{seen:?}");
    let all = shop.get_as(SUPPORT, &format!("/v1/orders/{order}")).await;
    assert_eq!(texts(&all.body), ["please leave it with the neighbour", "asked twice already", "will do"]);
    assert_eq!(shop.data_of("ordering.staff_acted.v1").await.len(), 2);
    assert!(!shop.stored_texts().await.contains("neighbour"), "rows only");
    let listed = shop.get("/v1/orders").await;
    assert!(listed.body["items"][0]["notes"].is_null());
    shop.finish().await;
}

async fn notes_are_bounded_and_end_with_the_shipping() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let path = format!("/v1/orders/{order}/notes");
    for (text, why) in [("", "empty"), (&"x".repeat(1001), "long")] {
        let refused = shop.post_as(BUYER, &path, why, Some(json!({"text": text}))).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{why}");
    }
    let own = shop.post_as(BUYER, &path, "v", Some(json!({"text": "x", "visibility": "internal"}))).await;
    assert_eq!(own.status, StatusCode::BAD_REQUEST, "{own:?}");
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let writes = keys.iter().map(|key| shop.post_as(BUYER, &path, key, Some(json!({"text": "x"}))));
    let answers = futures_util::future::join_all(writes).await;
    assert_eq!(answers.iter().filter(|a| a.status == StatusCode::CREATED).count(), 10);
    assert!(answers.iter().filter(|a| !a.status.is_success()).all(|a| a.code() == "ordering.note_limit"));
    assert_eq!(
        shop.post_as(SUPPORT, &path, "s", Some(json!({"text": "x"}))).await.status,
        StatusCode::CREATED
    );

    let other = shop.placed().await;
    shop.capture(other, ATTEMPT, total(), false).await;
    shop.ship(other).await;
    let late =
        shop.post_as(BUYER, &format!("/v1/orders/{other}/notes"), "l", Some(json!({"text": "x"}))).await;
    assert_eq!((late.status, late.code()), (StatusCode::CONFLICT, "ordering.notes_closed"));
    shop.finish().await;
}

async fn what_was_written_is_erased_with_the_person() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let path = format!("/v1/orders/{order}/notes");
    shop.post_as(BUYER, &path, "a", Some(json!({"text": "ring at CANARY's"}))).await;
    shop.post_as(SUPPORT, &path, "b", Some(json!({"text": "CANARY called", "visibility": "buyer"}))).await;
    shop.erase(BUYER).await;
    let seen = shop.order(order).await;
    assert_eq!(texts(&seen.body), ["", ""]);
    assert!(seen.body["notes"].as_array().unwrap().iter().all(|note| note["erased"] == true), "{seen:?}");
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_notes WHERE body <> ''").await, 0);
    let replayed = shop.post_as(BUYER, &path, "a", Some(json!({"text": "ring at CANARY's"}))).await;
    assert!(!replayed.text.contains("CANARY"), "{replayed:?}");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["notes": the_shop_and_the_buyer_write_to_each_other, notes_are_bounded_and_end_with_the_shipping, what_was_written_is_erased_with_the_person]
}
