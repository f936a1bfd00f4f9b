//! Keeps the stock: brings in, corrects, moves between warehouses, counts, and says below what it is little.

use merx_testkit::Answer;
use serde_json::json;

use super::replace;
use crate::people::{
    Ask, Client,
    promises::has,
    town::{GOODS, LAST_ONE},
};

pub async fn act(keeper: &Client<'_>) -> Option<()> {
    let dice = &keeper.dice;
    let sku = *dice.pick(GOODS)?;
    let place = dice.below(2) as usize;
    match dice.below(8) {
        0 | 1 if sku == LAST_ONE => bring_in(keeper, sku, 0, 1).await,
        0 | 1 => bring_in(keeper, sku, place, dice.units(6)).await,
        2 => adjust(keeper, sku, place).await,
        3 | 4 => transfer(keeper, sku, place).await,
        5 | 6 => count(keeper, sku, place).await,
        _ => little(keeper, sku, place).await,
    }
}

fn warehouse(keeper: &Client<'_>, place: usize) -> String {
    keeper.town.warehouses.borrow()[place].clone()
}

/// Units come in.
pub async fn bring_in(keeper: &Client<'_>, sku: &str, place: usize, units: i64) -> Option<()> {
    let body = json!({"quantity": units, "warehouse_id": warehouse(keeper, place), "reason": "a delivery"});
    let made = keeper.post(format!("/v1/inventory/{sku}/receipts"), body).await?;
    promise_entry(keeper, sku, &made);
    Some(())
}

async fn adjust(keeper: &Client<'_>, sku: &str, place: usize) -> Option<()> {
    let delta = keeper.dice.units(5) - 3;
    let body = json!({"delta": delta, "warehouse_id": warehouse(keeper, place), "reason": "one was broken"});
    let ask = Ask::post(format!("/v1/inventory/{sku}/adjustments"), body);
    // Nothing is no correction.
    let made = keeper.ask(if delta == 0 { ask.only(&["request.invalid"]) } else { ask }).await?;
    promise_entry(keeper, sku, &made);
    Some(())
}

/// What was entered is in the ledger for good.
fn promise_entry(keeper: &Client<'_>, sku: &str, made: &Answer) {
    if made.status == 201 {
        let id = made.text_at("/id");
        let path = format!("/v1/inventory/{sku}/movements?limit=100");
        keeper.was_promised("an entry", path, move |seen| {
            // The list is cut at a hundred.
            has(seen, "entry_id", &id) || seen.body["next_cursor"].is_string()
        });
    }
}

/// Sent; then it arrives whole, in part, or is called back.
async fn transfer(keeper: &Client<'_>, sku: &str, place: usize) -> Option<()> {
    let units = keeper.dice.units(3);
    let body = json!({
        "from_warehouse_id": warehouse(keeper, place), "to_warehouse_id": warehouse(keeper, 1 - place),
        "lines": [{"sku": sku, "quantity": units}], "reason": "nearer to the buyers"
    });
    let sent = keeper.post("/v1/transfers", body).await?;
    if sent.status != 201 {
        return Some(());
    }
    keeper.town.pass(keeper.dice.span(300_000)).await;
    let path = format!("/v1/transfers/{}", sent.text_at("/id"));
    let ended = match keeper.dice.below(4) {
        0 => keeper.post(format!("{path}/recall"), json!({"reason": "wrong warehouse"})).await?,
        1 => {
            let lines = json!([{"sku": sku, "quantity": units - 1}]);
            let ask = Ask::post(format!("{path}/receipt"), json!({"lines": lines, "reason": "one was lost"}));
            keeper.ask(ask.also(&["request.invalid"])).await?
        }
        _ => keeper.post(format!("{path}/receipt"), json!({})).await?,
    };
    if ended.status == 201 {
        let status = ended.text_at("/status");
        keeper.was_promised("a transfer's end", path, move |seen| seen.text_at("/status") == status);
    }
    Some(())
}

/// Counted while people buy; closed, or given up.
async fn count(keeper: &Client<'_>, sku: &str, place: usize) -> Option<()> {
    let body = json!({"warehouse_id": warehouse(keeper, place), "skus": [sku], "reason": "yearly"});
    let opened = keeper.post("/v1/stock-counts", body).await?;
    if opened.status != 201 {
        return Some(());
    }
    let path = format!("/v1/stock-counts/{}", opened.text_at("/id"));
    let seen = keeper.get(format!("/v1/inventory/{sku}")).await?;
    let here =
        seen.body["warehouses"].as_array()?.iter().find(|w| w["warehouse_id"] == *warehouse(keeper, place));
    let books =
        here.map_or(0, |w| w["available"].as_i64().unwrap_or(0) + w["reserved"].as_i64().unwrap_or(0));
    let counted = (books + keeper.dice.units(3) - 2).max(0);
    if !keeper.dice.one_in(8) {
        keeper.post(format!("{path}/entries"), json!({"sku": sku, "counted": counted})).await?;
    }
    keeper.town.pass(keeper.dice.span(120_000)).await;
    let end = if keeper.dice.one_in(4) { "abandonment" } else { "closing" };
    let ended = keeper.post(format!("{path}/{end}"), json!({"reason": "done"})).await?;
    if ended.status == 201 {
        let status = ended.text_at("/status");
        keeper.was_promised("a count's end", path, move |seen| seen.text_at("/status") == status);
    }
    Some(())
}

async fn little(keeper: &Client<'_>, sku: &str, place: usize) -> Option<()> {
    let path = format!("/v1/inventory/{sku}/thresholds/{}", warehouse(keeper, place));
    let ask = Ask::put(path.clone(), json!({"threshold": keeper.dice.below(6)}));
    replace(keeper, &path, ask).await?;
    keeper.get("/v1/inventory?low=true").await.map(drop)
}
