//! Reading orders, and the routes themselves.

use http::StatusCode;
use merx_http::{Limits, Route};

use crate::paused;
use crate::{
    given::{ATTEMPT, total},
    shop::Shop,
};

async fn the_list_is_newest_first_in_pages() {
    let shop = Shop::new().await;
    let mut placed = Vec::new();
    for _ in 0..3 {
        placed.insert(0, shop.placed().await.to_string());
    }
    shop.neighbours.world().stock.insert("TEA".to_owned(), 0);
    let refused = shop.place("sold-out").await;
    assert_eq!(refused.code(), "inventory.sold_out");
    shop.neighbours.world().stock.insert("TEA".to_owned(), 4);

    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = shop.get("/v1/orders?limit=2").await;
    assert_eq!(ids(&first.body), placed[..2]);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = shop.get(&format!("/v1/orders?limit=2&cursor={cursor}")).await;
    assert_eq!(ids(&second.body), placed[2..]);
    assert!(second.body["next_cursor"].is_null());
    let one = shop.get(&format!("/v1/orders/{}", placed[0])).await;
    assert_eq!(first.body["items"][0], one.body, "the list and the order say the same");

    for (query, pointer) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=x", "cursor"), ("sort=price", "sort")]
    {
        let refused = shop.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(refused.text.contains(pointer), "{refused:?}");
    }
    shop.finish().await;
}

async fn the_timeline_tells_what_happened_with_its_traces() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let timeline = shop.get(&format!("/v1/orders/{order}/timeline")).await;
    let items = timeline.body["items"].as_array().unwrap();
    let names: Vec<&str> = items
        .iter()
        .filter(|item| item["kind"] == "event")
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["OrderPlaced", "OrderAwaitingPayment", "OrderPaid", "FulfilmentOpened"]);
    let trace = items[0]["trace_id"].as_str().unwrap();
    assert_eq!(trace.len(), 32);
    let of = |name: &str| items.iter().find(|item| item["name"] == name).unwrap();
    assert_eq!(of("OrderAwaitingPayment")["trace_id"], trace, "the saga goes on in the trace of the request");
    assert_eq!(items[0]["context"], "ordering");
    shop.finish().await;
}

async fn every_route_is_whole() {
    let shop = Shop::new().await;
    let routes = merx_ordering::routes(shop.ordering.clone(), &Limits::default());
    assert_eq!(Route::check(&routes), Vec::<String>::new());
    assert_eq!(routes.len(), 10);
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in routes.iter().flat_map(Route::codes).filter(|code| code.starts_with("ordering.")) {
        assert!(docs.join(format!("{code}.md")).exists(), "docs/errors/{code}.md is missing");
    }
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["orders": the_list_is_newest_first_in_pages, the_timeline_tells_what_happened_with_its_traces, every_route_is_whole]
}
