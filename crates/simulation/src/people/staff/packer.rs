//! Sends what is to be sent, in one parcel or in parts, tells what the carrier tells, and sets right what was mistyped.

use merx_testkit::Answer;
use serde_json::{Value, json};

use crate::people::{Ask, Client, promises::has};

pub async fn act(packer: &Client<'_>) -> Option<()> {
    let dice = &packer.dice;
    let status = if dice.one_in(2) { "open" } else { "dispatched,delivered" };
    let status = status.split(',').nth(dice.below(2) as usize).unwrap_or("open");
    let listed = packer.get(format!("/v1/shipments?limit=50&status={status}")).await?;
    let items = listed.body["items"].as_array()?.clone();
    for _ in 0..dice.units(3) {
        let Some(shipment) = dice.pick(&items) else { break };
        // On the way to the shelf the buyer may change his mind.
        packer.town.pass(dice.span(60_000)).await;
        one(packer, shipment).await?;
    }
    Some(())
}

/// Something with one of the parcels: most often it is sent.
async fn one(packer: &Client<'_>, shipment: &Value) -> Option<()> {
    let path = format!("/v1/shipments/{}", shipment["id"].as_str()?);
    match (shipment["status"].as_str()?, packer.dice.below(5)) {
        // The rest of every other order that was parted is not found before the day is over.
        ("open", _) if is_missing(shipment) => Some(()),
        ("open", 0) => split(packer, &path).await,
        ("open", _) => dispatch(packer, &path).await.map(drop),
        (_, 0) => {
            let body = json!({"carrier": "SF Express", "tracking_number": "SF999", "reason": "mistyped"});
            packer.post(format!("{path}/corrections"), body).await.map(drop)
        }
        (_, 1) => {
            let delivered = packer.post(format!("{path}/delivery"), json!({})).await?;
            promise_status(packer, &path, &delivered, &["delivered", "returned"]);
            Some(())
        }
        (_, 2) if packer.dice.one_in(4) => track(packer, &path, "returned").await,
        (_, 2) => track(packer, &path, "in_transit").await,
        _ => track(packer, &path, "delivered").await,
    }
}

fn is_missing(shipment: &Value) -> bool {
    let parted_from = shipment["split_from_id"].as_str().unwrap_or_default();
    parted_from.bytes().last().is_some_and(|letter| letter % 2 == 0)
}

async fn dispatch(packer: &Client<'_>, path: &str) -> Option<Answer> {
    let body = json!({"carrier": "SF Express", "tracking_number": format!("SF{}", packer.dice.below(3))});
    let sent = packer.post(format!("{path}/dispatch"), body).await?;
    promise_status(packer, path, &sent, &["dispatched", "delivered", "returned"]);
    Some(sent)
}

fn promise_status(packer: &Client<'_>, path: &str, answer: &Answer, later: &'static [&'static str]) {
    if answer.status == 200 {
        packer.was_promised("a parcel's way", path, |seen| later.contains(&seen.text_at("/status").as_str()));
    }
}

async fn split(packer: &Client<'_>, path: &str) -> Option<()> {
    let seen = packer.get(path).await?;
    let sku = seen.text_at("/lines/0/sku");
    let body = json!({"lines": [{"sku": sku, "quantity": packer.dice.units(2)}]});
    let split = packer.post(format!("{path}/split"), body).await?;
    if split.status == 201 {
        let part = format!("/v1/shipments/{}", split.text_at("/shipment/id"));
        packer.was_promised("a part", part, |seen| {
            seen.status == 200 && !seen.text_at("/split_from_id").is_empty()
        });
    }
    Some(())
}

async fn track(packer: &Client<'_>, path: &str, code: &'static str) -> Option<()> {
    let body = json!({"code": code, "at": packer.town.shops_time(), "place": "杭州", "text": "on its way"});
    // The carrier's clock and ours may differ for a while.
    let ask = Ask::post(format!("{path}/tracking-events"), body).also(&["request.invalid"]);
    let told = packer.ask(ask).await?;
    if told.status == 200 {
        let tracked = move |seen: &Answer| {
            let tracking = json!({"items": seen.body["tracking"]});
            has(&Answer { body: tracking, ..seen.clone() }, "code", code)
        };
        packer.was_promised("what the carrier told", path, tracked);
    }
    Some(())
}
