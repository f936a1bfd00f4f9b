//! Has something to say about the goods: wants money back, or sends them back, all or some, once or several times, thinks
//! better of it, or forgets; a clerk of the shop answers.

use merx_kernel::Role;
use serde_json::{Value, json};

use crate::people::{
    Client, Shopper, Town,
    town::{Bought, PLENTY},
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let dice = &shopper.client.dice;
    let bought = shopper.buy(&[(PLENTY, 1 + dice.units(3))]).await?;
    let till = shopper.at_a_till(&bought).await?;
    if !shopper.pays(&till).await {
        return Some(());
    }
    town.pass(dice.span(300_000)).await;
    let clerk = town.staff(Role::Operator, &format!("the clerk of {name}")).await;
    if !shopper.one_in(4) {
        hand_over(&clerk, &bought).await?;
    }
    for _ in 0..dice.units(3) {
        town.pass(dice.span(200_000)).await;
        let kind = *dice.pick(&["refund", "return", "return", "exchange"])?;
        ask(&shopper, &clerk, &bought, kind).await?;
    }
    Some(())
}

/// The parcel goes out and arrives, if nobody is faster.
async fn hand_over(clerk: &Client<'_>, bought: &Bought) -> Option<()> {
    let listed = clerk.get(format!("/v1/shipments?order_id={}", bought.id)).await?;
    for shipment in listed.body["items"].as_array()? {
        let path = format!("/v1/shipments/{}", shipment["id"].as_str()?);
        let by = json!({"carrier": "SF Express", "tracking_number": "SF7"});
        clerk.post(format!("{path}/dispatch"), by).await?;
        clerk.post(format!("{path}/delivery"), json!({})).await?;
    }
    Some(())
}

/// One case, from the request to wherever it comes.
async fn ask(shopper: &Shopper<'_>, clerk: &Client<'_>, bought: &Bought, kind: &str) -> Option<()> {
    let (client, dice) = (&shopper.client, &shopper.client.dice);
    let lines = json!([{"sku": PLENTY, "quantity": dice.units(2)}]);
    let body = json!({"kind": kind, "reason": "quality", "text": "not what I thought", "lines": lines});
    let asked = client.post(format!("/v1/orders/{}/after-sales", bought.id), body).await?;
    if asked.status != 201 {
        return Some(());
    }
    let case = asked.text_at("/id");
    let path = format!("/v1/after-sales/{case}");
    client.was_promised("a case", path.clone(), |seen| seen.body["history"][0]["name"] == "CaseRequested");
    shopper.think().await;
    if shopper.one_in(6) {
        let withdrawn = client.post(format!("{path}/withdrawal"), json!({})).await?;
        if withdrawn.status == 200 {
            client.was_promised("a withdrawal", path, |seen| seen.text_at("/status") == "withdrawn");
        }
        return Some(());
    }
    let staff = format!("/v1/admin/after-sales/{case}");
    if dice.one_in(6) {
        let refused = clerk.post(format!("{staff}/refusal"), json!({"reason": "it is as described"})).await?;
        if refused.status == 200 {
            client.was_promised("a refusal", path, |seen| seen.text_at("/status") == "refused");
        }
        return Some(());
    }
    let approved = clerk.post(format!("{staff}/approval"), json!({"text": "we are sorry"})).await?;
    if approved.status != 200 || kind == "refund" || shopper.one_in(6) {
        return Some(());
    }
    let by = json!({"carrier": "YTO", "tracking_number": "YT7"});
    client.post(format!("{path}/return-shipment"), by).await?;
    client.town.pass(dice.span(200_000)).await;
    come_back(clerk, &staff, asked.body["lines"][0]["asked"].as_i64()?).await
}

/// What came, and what became of it: some may be missing, some broken.
async fn come_back(clerk: &Client<'_>, staff: &str, asked: i64) -> Option<()> {
    let units = if clerk.dice.one_in(4) { 1 } else { asked };
    let came: Value = json!({"lines": [{"sku": PLENTY, "quantity": units}]});
    let received = clerk.post(format!("{staff}/receipt"), came).await?;
    if received.status != 200 || clerk.dice.one_in(8) {
        return Some(());
    }
    let broken = i64::from(clerk.dice.one_in(3));
    let found = json!({"lines": [{"sku": PLENTY, "restocked": units - broken, "written_off": broken}]});
    clerk.post(format!("{staff}/inspection"), found).await.map(drop)
}
