//! Helps buyers: looks for their orders, writes to them, ends orders for them; looks into alerts, and decides about money
//! that does not fit and about parcels that came back.

use serde_json::{Value, json};

use crate::people::{Ask, Client, promises::has, shopper::cancel};

pub async fn act(support: &Client<'_>) -> Option<()> {
    let dice = &support.dice;
    let bought = support.town.bought();
    let Some(order) = dice.pick(&bought).map(|bought| bought.id.clone()) else { return Some(()) };
    match dice.below(10) {
        0 | 1 => cancel(support, &order, json!({"reason": "the buyer called"})).await.map(drop),
        2 => note(support, &order).await,
        3 => {
            let seen = support.get("/v1/admin/orders?limit=50&q=tea").await?;
            assert!(seen.body["items"].is_array(), "{}", seen.text);
            support.get(format!("/v1/orders/{order}?as_of={}", support.town.shops_time())).await.map(drop)
        }
        4 => settle(support, &order).await,
        5 => alerts(support).await,
        6 => quarantine(support).await,
        7 => mails(support).await,
        8 => pay_back_all(support).await,
        _ => support.get(format!("/v1/orders/{order}/timeline")).await.map(drop),
    }
}

/// For the shop, or for the buyer to read.
async fn note(support: &Client<'_>, order: &str) -> Option<()> {
    let visibility = if support.dice.one_in(2) { "internal" } else { "buyer" };
    let body = json!({"text": "called back", "visibility": visibility});
    let made =
        support.ask(Ask::post(format!("/v1/orders/{order}/notes"), body).also(&["request.invalid"])).await?;
    if made.status == 201 {
        let id = made.text_at("/id");
        support.was_promised("a note of the staff", format!("/v1/orders/{order}"), move |seen| {
            has(seen, "id", &id)
        });
    }
    Some(())
}

/// Decides about the money of an order, if there is anything to decide.
async fn settle(support: &Client<'_>, order: &str) -> Option<()> {
    let mut decision = if support.dice.one_in(2) { "accept" } else { "refund" };
    let decided = |decision: &str| json!({"decision": decision, "reason": "looked into"});
    let path = format!("/v1/orders/{order}/settlement");
    let mut settled = support.post(path.clone(), decided(decision)).await?;
    if settled.code() == "ordering.captured_too_little" {
        // It cannot be let pass.
        decision = "refund";
        settled = support.post(path, decided(decision)).await?;
    }
    if settled.status == 200 && decision == "refund" {
        support.was_promised("money back", format!("/v1/orders/{order}"), |seen| {
            seen.text_at("/axes/order") == "cancelled" && seen.body["amounts"]["paid"]["minor"] == 0
        });
    }
    Some(())
}

async fn alerts(support: &Client<'_>) -> Option<()> {
    let listed = support.get("/v1/admin/payments/alerts?state=open&limit=20").await?;
    let Some(alert) = support.dice.pick(listed.body["items"].as_array()?) else { return Some(()) };
    let id = alert["id"].as_str()?.to_owned();
    let path = format!("/v1/admin/payments/alerts/{id}/resolution");
    let resolved = support.post(path, json!({"reason": "looked into"})).await?;
    if resolved.status == 200 {
        let path = "/v1/admin/payments/alerts?state=resolved&limit=100";
        support.was_promised("a resolved alert", path, move |seen| has(seen, "id", &id));
    }
    Some(())
}

async fn quarantine(support: &Client<'_>) -> Option<()> {
    let listed = support.get("/v1/admin/payments/quarantine?state=open&limit=20").await?;
    let Some(item) = support.dice.pick(listed.body["items"].as_array()?) else { return Some(()) };
    let path = format!("/v1/admin/payments/quarantine/{}/resolution", item["id"].as_str()?);
    support.post(path, json!({"reason": "nobody's money"})).await.map(drop)
}

async fn mails(support: &Client<'_>) -> Option<()> {
    let listed = support.get("/v1/admin/mails?limit=20").await?;
    let Some(mail) = support.dice.pick(listed.body["items"].as_array()?) else { return Some(()) };
    let path = format!("/v1/admin/mails/{}", mail["id"].as_str()?);
    let seen = support.get(path.clone()).await?;
    assert_eq!(seen.body["id"], mail["id"], "{}", seen.text);
    if support.dice.one_in(2) {
        support.post(format!("{path}/redelivery"), json!({"reason": "it did not come"})).await?;
    }
    Some(())
}

/// Every refund that is to be paid back by hand is.
pub async fn pay_back_all(support: &Client<'_>) -> Option<()> {
    let listed = support.get("/v1/admin/payments/alerts?limit=100").await?;
    for alert in listed.body["items"].as_array()?.iter().filter(|a| a["kind"] == "payment_refund_by_hand") {
        let refund = alert["detail"]["refund_id"].as_str()?;
        let body = json!({"reference": "a transfer", "reason": "paid back by the bank"});
        support.post(format!("/v1/payment-refunds/{refund}/confirmation"), body).await?;
    }
    Some(())
}

/// Everything that waits for a decision.
pub async fn settle_all(support: &Client<'_>) -> Option<()> {
    let listed = support.get("/v1/admin/orders?status=payment_in_review&limit=100").await?;
    let waiting: Vec<Value> = listed.body["items"].as_array()?.clone();
    for order in waiting {
        settle(support, order["id"].as_str()?).await?;
    }
    Some(())
}
