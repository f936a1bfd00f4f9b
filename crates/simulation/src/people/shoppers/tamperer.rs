//! Says in bodies what only the shop can say, and numbers that are none.

use serde_json::{Value, json};

use crate::{
    people::{Ask, Shopper, Town, town::PLENTY},
    world::TEA,
};

const INVALID: &[&str] = &["request.invalid", "request.malformed_json"];

/// What is put beside what one may say.
fn extra(which: u64) -> (&'static str, Value) {
    let one = json!({"minor": 1, "currency": "CNY"});
    match which {
        0 => ("price", one),
        1 => ("total", one),
        2 => ("unit_price", one),
        3 => ("account_id", json!("acc_00000000000000000000000001")),
        4 => ("status", json!("paid")),
        5 => ("discount", json!({"minor": 100_000, "currency": "CNY"})),
        _ => ("paid", json!(true)),
    }
}

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let dice = &shopper.client.dice;
    for _ in 0..dice.units(4) {
        let line = format!("/v1/cart/lines/{TEA}");
        let quantity =
            dice.pick(&[json!(0), json!(-1), json!(10_000), json!(1.5), json!("1"), json!(null)])?.clone();
        shopper.client.ask(Ask::put(line.clone(), json!({"quantity": quantity})).only(INVALID)).await?;
        let (name, value) = extra(dice.below(7));
        shopper.client.ask(Ask::put(line, json!({"quantity": 1, name: value})).only(INVALID)).await?;
    }
    let unknown = Ask::put("/v1/cart/lines/NO-SUCH-THING", json!({"quantity": 1}));
    shopper.client.ask(unknown.only(&["cart.sku_not_sellable"])).await?;
    shopper.fill(PLENTY, 2).await?;
    let mut quoted = shopper.quote().await?.ok()?;
    let accepted = quoted.accepted.clone();
    let (field, value) = extra(dice.below(7));
    quoted.accepted[field] = value;
    shopper.client.ask(shopper.placing(&quoted).only(INVALID)).await?;
    // A quote of one's own making.
    quoted.accepted = accepted.clone();
    quoted.accepted["quote_id"] = format!("{:064x}", dice.below(u64::MAX)).into();
    shopper.client.ask(shopper.placing(&quoted).only(&["ordering.quote_changed"])).await?;
    quoted.accepted = accepted;
    let fewer = shopper.fill(PLENTY, 1).await?;
    if fewer.status == 204 {
        // The quote was for two.
        shopper.client.ask(shopper.placing(&quoted).only(&["ordering.quote_changed"])).await?;
    }
    let bought = shopper.buy(&[(PLENTY, 1)]).await?;
    let path = format!("/v1/payments/{}/attempts", bought.payment_id);
    let cheap = json!({"method": "alipay_page", "amount": {"minor": 1, "currency": "CNY"}});
    shopper.client.ask(Ask::post(path.clone(), cheap).only(INVALID)).await?;
    shopper.client.ask(Ask::post(path, json!({"method": "free"})).only(INVALID)).await?;
    let till = shopper.at_a_till(&bought).await?;
    shopper.pays(&till).await;
    Some(())
}
