//! Looks around, by lists, filters, words and pages, with the tags of what was seen before; fills a cart and goes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::people::{Ask, Shopper, Town, town::GOODS};

/// Ways to look for something.
const LOOKS: &[&str] = &[
    "/v1/products?limit=2",
    "/v1/products?q=tea",
    "/v1/products?q=LAST&limit=1",
    "/v1/products?price_min=1000&price_max=20000",
    "/v1/products?sort=price",
    "/v1/products?category=tea",
    "/v1/categories",
    "/v1/brands",
    "/docs/errors/ordering.quote_changed",
    "/v1/cart",
    "/v1/orders?status=rejected,cancelled",
    "/v1/account",
    "/v1/me",
    "/v1/addresses",
];

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let dice = &shopper.client.dice;
    let mut wanted = BTreeMap::new();
    for _ in 0..dice.units(12) {
        match dice.below(4) {
            0 => pages(&shopper).await?,
            1 => one_product(&shopper).await?,
            2 => {
                let (sku, units) = (*dice.pick(GOODS)?, dice.units(4));
                let put = shopper.fill(sku, units).await?;
                if put.status == 204 {
                    wanted.insert(sku.to_owned(), units);
                }
            }
            _ => {
                let look = dice.pick(LOOKS)?;
                shopper
                    .client
                    .ask(Ask::get(*look).also(&["request.invalid", "catalogue.category_not_found"]))
                    .await?;
            }
        }
        shopper.think().await;
    }
    if let Some(sku) = wanted.keys().next().cloned().filter(|_| dice.one_in(3)) {
        shopper.client.ask(Ask::delete(format!("/v1/cart/lines/{sku}")).only(&["204"])).await?;
        wanted.remove(&sku);
    }
    let held: BTreeMap<String, i64> = shopper.cart().await?.into_iter().collect();
    assert_eq!(held, wanted, "{name}'s cart is not what was put into it");
    // Nobody touches it any more.
    shopper.client.was_promised("a cart", "/v1/cart", move |seen| {
        let line = |line: &Value| Some((line["sku"].as_str()?.to_owned(), line["quantity"].as_i64()?));
        let lines: Option<BTreeMap<_, _>> =
            seen.body["lines"].as_array().and_then(|lines| lines.iter().map(line).collect());
        lines.is_some_and(|lines| lines == wanted)
    });
    Some(())
}

/// Goes through the whole list, a page at a time: nothing comes twice.
async fn pages(shopper: &Shopper<'_>) -> Option<()> {
    let (mut path, mut seen) = ("/v1/products?limit=2".to_owned(), Vec::new());
    for _ in 0..20 {
        let page = shopper.client.ask(Ask::get(path).only(&["200"])).await?;
        seen.extend(page.body["items"].as_array()?.iter().map(|item| item["id"].to_string()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/products?limit=2&cursor={cursor}");
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "a product came twice");
    Some(())
}

/// A product, and again with its tag: it is the same, or it has changed.
async fn one_product(shopper: &Shopper<'_>) -> Option<()> {
    let list = shopper.client.get("/v1/products?limit=100").await?;
    let Some(product) = shopper.client.dice.pick(list.body["items"].as_array()?) else { return Some(()) };
    let path = format!("/v1/products/{}", product["id"].as_str()?);
    let first = shopper.client.ask(Ask::get(path.clone())).await?;
    let Some(tag) = first.headers.get("etag").and_then(|tag| tag.to_str().ok()) else { return Some(()) };
    shopper.think().await;
    let again = shopper.client.ask(Ask::get(path).header("if-none-match", tag)).await?;
    if again.status == 200 {
        assert_ne!(again.body, first.body, "what has not changed was sent again");
    }
    Some(())
}
