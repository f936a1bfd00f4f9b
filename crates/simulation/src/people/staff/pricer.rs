//! Prices for now and for later, takes prices back, takes products off sale and puts them back, and edits what they are
//! called.

use std::time::Duration;

use serde_json::json;

use super::replace;
use crate::{
    people::{Ask, Client, promises::has, town::GOODS},
    world::TEA,
};

pub async fn act(pricer: &Client<'_>) -> Option<()> {
    match pricer.dice.below(8) {
        0..3 => price(pricer).await,
        3 => take_back(pricer).await,
        4 => off_and_on(pricer).await,
        5 => plan(pricer).await,
        6 => edit(pricer).await,
        _ => pricer.get("/v1/admin/catalogue/history?limit=20").await.map(drop),
    }
}

/// Now, or from a moment on, or between two.
async fn price(pricer: &Client<'_>) -> Option<()> {
    let dice = &pricer.dice;
    let sku = if dice.one_in(2) { TEA } else { *dice.pick(GOODS)? };
    let minor = 1_000 + 100 * dice.units(170);
    let mut body = json!({"price": {"minor": minor, "currency": "CNY"}, "reason": "a better harvest"});
    if dice.one_in(3) {
        let from = pricer.town.shops_time().plus(Duration::from_secs(60) + dice.span(1_200_000));
        body["effective_from"] = json!(from);
        if dice.one_in(2) {
            body["effective_until"] = json!(from.plus(Duration::from_secs(60) + dice.span(1_200_000)));
        }
    }
    // The moment may have passed while the request was on its way.
    let ask = Ask::post(format!("/v1/admin/skus/{sku}/prices"), body).also(&["request.invalid"]);
    let made = pricer.ask(ask).await?;
    if made.status == 201 {
        let id = made.text_at("/id");
        let path = format!("/v1/admin/skus/{sku}/prices?limit=100");
        pricer.was_promised("a price", path, move |seen| has(seen, "id", &id));
    }
    Some(())
}

async fn take_back(pricer: &Client<'_>) -> Option<()> {
    let sku = *pricer.dice.pick(GOODS)?;
    let listed = pricer.get(format!("/v1/admin/skus/{sku}/prices?limit=20")).await?;
    let Some(price) = pricer.dice.pick(listed.body["items"].as_array()?) else { return Some(()) };
    let path = format!("/v1/admin/skus/{sku}/prices/{}?reason=a+mistake", price["id"].as_str()?);
    pricer.ask(Ask::delete(path)).await.map(drop)
}

/// The path of some product.
async fn some_product(pricer: &Client<'_>) -> Option<String> {
    let listed = pricer.get("/v1/admin/products?limit=100").await?;
    let product = pricer.dice.pick(listed.body["items"].as_array()?)?;
    Some(format!("/v1/admin/products/{}", product["id"].as_str()?))
}

async fn off_and_on(pricer: &Client<'_>) -> Option<()> {
    let path = some_product(pricer).await?;
    pricer.post(format!("{path}/delisting"), json!({"reason": "a recall"})).await?;
    pricer.town.pass(pricer.dice.span(240_000)).await;
    let listed = pricer.post(format!("{path}/listing"), json!({"reason": "it was nothing"})).await?;
    if listed.status == 201 {
        let shown = path.replace("/admin", "");
        let seen = pricer.get(shown).await?;
        pricer.town.tally.answered("a product that was listed again", &seen);
    }
    Some(())
}

/// Off sale at a moment, on sale at a moment; now and then it is thought better of.
async fn plan(pricer: &Client<'_>) -> Option<()> {
    let path = some_product(pricer).await?;
    let at = pricer.town.shops_time().plus(Duration::from_secs(120) + pricer.dice.span(600_000));
    let ask = Ask::post(format!("{path}/delisting"), json!({"delist_at": at, "reason": "the season ends"}));
    pricer.ask(ask.also(&["request.invalid"])).await?;
    pricer.town.pass(pricer.dice.span(700_000)).await;
    if pricer.dice.one_in(2) {
        pricer.ask(Ask::delete(format!("{path}/schedule?reason=it+goes+on"))).await?;
    }
    let at = pricer.town.shops_time().plus(pricer.dice.span(200_000));
    let ask = Ask::post(format!("{path}/listing"), json!({"list_at": at, "reason": "the next season"}));
    pricer.ask(ask.also(&["request.invalid"])).await.map(drop)
}

/// Another title: nobody sees it before it is published.
async fn edit(pricer: &Client<'_>) -> Option<()> {
    let path = some_product(pricer).await?;
    let seen = pricer.get(path.clone()).await?;
    let mut content =
        if seen.body["draft"].is_object() { &seen.body["draft"] } else { &seen.body["live"] }.clone();
    content["title"]["en"] =
        format!("{} of {}", seen.text_at("/live/skus/0/sku"), pricer.town.shops_time()).into();
    let title = content["title"]["en"].clone();
    let ask = Ask::put(path.clone(), json!({"content": content, "reason": "a better name"}));
    let edited = pricer.ask(ask.seen(&seen).also(&["request.version_stale"])).await?;
    if edited.status != 200 {
        return Some(());
    }
    let shown = path.replace("/admin", "");
    let before = pricer.ask(Ask::get(shown.clone())).await?;
    assert_ne!(before.body["title"]["en"], title, "a draft is shown to buyers");
    if pricer.dice.one_in(3) {
        let ask = Ask::delete(format!("{path}/draft?reason=no"));
        return replace(pricer, &path, ask).await.map(drop);
    }
    let ask = Ask::post(format!("{path}/publication"), json!({"reason": "a better name"}));
    replace(pricer, &path, ask).await.map(drop)
}
