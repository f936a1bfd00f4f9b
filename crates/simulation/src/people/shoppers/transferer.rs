//! Pays without a provider: by a transfer or in cash, in time, late, not at all, or with another sum; a clerk of the shop
//! sees the money and says so.

use merx_kernel::Role;
use serde_json::json;

use crate::people::{
    Shopper, Town,
    town::{Bought, PLENTY},
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let bought = shopper.buy(&[(PLENTY, shopper.client.dice.units(2))]).await?;
    let dice = &shopper.client.dice;
    let way = *dice.pick(&["bank_transfer", "cash_on_delivery"])?;
    let told = shopper.client.get(format!("/v1/payments/{}/methods", bought.payment_id)).await?;
    assert!(told.body["payable"] == false || told.text.contains(way), "{}", told.text);
    let path = format!("/v1/payments/{}/attempts", bought.payment_id);
    let begun = shopper.client.post(path, json!({ "method": way })).await?;
    if begun.status != 201 {
        return Some(());
    }
    assert!(begun.body["instructions"].is_string() && begun.body["pay_url"].is_null(), "{}", begun.text);
    match dice.below(6) {
        // Forgets it.
        0 => return Some(()),
        // Has no patience, and pays at Alipay; the transfer is on its way all the same.
        1 => {
            let till = shopper.at_a_till(&bought).await?;
            shopper.pays(&till).await;
        }
        _ => {}
    }
    // A transfer takes its time: the order may have run out of its own.
    town.pass(dice.span(2_400_000)).await;
    let minor = match dice.below(8) {
        0 => bought.total_minor - 1,
        1 => bought.total_minor + 1,
        _ => bought.total_minor,
    };
    confirm(town, name, &bought, &begun.text_at("/id"), minor).await
}

async fn confirm<'a>(
    town: &'a Town<'a>,
    name: &str,
    bought: &Bought,
    attempt: &str,
    minor: i64,
) -> Option<()> {
    town.has_handed_over(attempt.split_once('_')?.1, minor);
    let clerk = town.staff(Role::Operator, &format!("the clerk of {name}")).await;
    let path = format!("/v1/admin/payments/{}/attempts/{attempt}/confirmation", bought.payment_id);
    let amount = json!({ "minor": minor, "currency": "CNY" });
    let said = json!({ "amount": amount, "reference": name, "reason": "seen on the statement" });
    let confirmed = clerk.post(path, said).await?;
    if confirmed.status == 200 {
        let attempt = attempt.to_owned();
        let path = format!("/v1/payments/{}", bought.payment_id);
        clerk.was_promised("confirmed money", path, move |seen| {
            seen.body["captures"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|capture| capture["attempt_id"] == *attempt)
        });
    }
    Some(())
}
