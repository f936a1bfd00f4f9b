//! Tells the shop of payments: old ones again, altered ones, and ones that Alipay has signed and that fit nothing. None
//! of it moves an order.

use crate::people::{Shopper, Town, town::PLENTY};

/// What a signed notification can be wrong in.
const WRONG: &[&[(&str, &str)]] = &[
    &[("trade_status", "TRADE_SUCCESS"), ("total_amount", "0.01")],
    &[("trade_status", "TRADE_SUCCESS"), ("seller_id", "2088999999999999")],
    &[("trade_status", "TRADE_SUCCESS"), ("app_id", "2021999999999999")],
];

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let forger = Shopper::member(town, name).await?;
    let dice = &forger.client.dice;
    let bought = forger.buy(&[(PLENTY, 1)]).await;
    let till = match &bought {
        Some(bought) => Some(forger.at_a_till(bought).await?),
        None => None,
    };
    if let Some(till) = &till {
        // A trade that nobody has begun cannot be told of.
        drop(town.world.sandbox.log_in(&till.code).await);
    }
    for _ in 0..dice.units(6) {
        match dice.below(3) {
            0 => replay(&forger).await,
            1 => alter(&forger).await,
            _ => sign(&forger).await,
        }
        forger.think().await;
    }
    let (Some(bought), Some(till)) = (bought, till) else { return Some(()) };
    let seen = forger.look(&bought.id).await?;
    let paid = seen.body.pointer("/amounts/paid/minor").and_then(serde_json::Value::as_i64);
    let taken = till.taken_minor(town).await;
    assert!(paid.is_some_and(|paid| paid <= taken), "a forged payment counted, {taken} were: {}", seen.text);
    Some(())
}

/// One that came before, word for word: it is known.
async fn replay(forger: &Shopper<'_>) {
    let town = forger.client.town;
    let told = town.world.line.notified();
    let Some(old) = forger.client.dice.pick(&told) else { return };
    let reply = town.world.line.post(old.form.clone()).await;
    town.tally.count(format!("replayed: {}", reply.body), 1);
    let known = old.reply.is_success();
    assert!(!known || reply.is_success() || reply.status >= 500, "{}: {}", old.form, reply.body);
}

/// One that came before with another sum or trade: the signature is not for it.
async fn alter(forger: &Shopper<'_>) {
    let town = forger.client.town;
    let told = town.world.line.notified();
    let Some(old) = forger.client.dice.pick(&told) else { return };
    let field =
        *forger.client.dice.pick(&["total_amount", "out_trade_no", "trade_no", "notify_id", "sign"]).unwrap();
    let spoil = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if name == field => {
            format!("{name}={}1", &value[..value.len().saturating_sub(1)])
        }
        _ => pair.to_owned(),
    };
    let form = old.form.split('&').map(spoil).collect::<Vec<_>>().join("&");
    if form == old.form {
        return;
    }
    let reply = town.world.line.post(form).await;
    town.tally.count(format!("altered: {}", reply.status), 1);
    assert!(!reply.is_success(), "{field} was altered and believed");
}

/// One that Alipay has signed, about somebody's trade, and that does not agree with it.
async fn sign(forger: &Shopper<'_>) {
    let (town, dice) = (forger.client.town, &forger.client.dice);
    let (trades, wrong) = (town.trades(), *dice.pick(WRONG).unwrap());
    let Some(trade) = dice.pick(&trades) else { return };
    let wrong: Vec<(String, String)> =
        wrong.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let Ok((_, form)) = town.world.sandbox.forge(trade, &wrong).await else { return };
    let reply = town.world.line.post(form).await;
    town.tally.count(format!("signed and wrong: {}", reply.status), 1);
    assert!(!reply.is_success(), "what does not fit was believed: {wrong:?}");
}
