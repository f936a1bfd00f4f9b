//! A double click under one key and under two, the same order again after going back, the same cart from two windows.

use futures_util::future::join_all;
use serde_json::json;

use crate::people::{Ask, Shopper, Town, rules::how, town::PLENTY};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let dice = &shopper.client.dice;
    shopper.fill(PLENTY, dice.units(4)).await?;
    if dice.one_in(2) {
        // Changes the mind about how many, in two windows at once.
        join_all((1..=2).map(|units| shopper.fill(PLENTY, units))).await;
    }
    let quoted = shopper.quote().await?.ok()?;
    let answers = if dice.one_in(2) {
        let key = format!("{name}-twice").replace(' ', "-");
        join_all((0..2).map(|_| shopper.client.ask(shopper.placing(&quoted).key(&key)))).await
    } else {
        join_all((0..3).map(|_| shopper.client.ask(shopper.placing(&quoted)))).await
    };
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let mut bought = Vec::new();
    for answer in &answers {
        let id = answer.text_at("/id");
        if bought.iter().any(|known: &crate::people::town::Bought| known.id == id) {
            continue;
        }
        match shopper.placed(&quoted, answer).await {
            Some(one) => bought.push(one),
            None => town.tally.count(format!("double click: {}", how(answer)), 1),
        }
    }
    // One filling of a cart is one order, however often it is clicked.
    assert!(bought.len() <= 1, "{name} has {} orders of one cart: {answers:?}", bought.len());
    let bought = bought.pop()?;
    // Goes back, and orders the same quote again.
    town.pass(dice.span(5_000)).await;
    let again = shopper.client.ask(shopper.placing(&quoted)).await?;
    town.tally.count(format!("went back: {}", how(&again)), 1);
    if let Some(second) = shopper.placed(&quoted, &again).await {
        // Only what came to nothing can be ordered again.
        let first = shopper.look(&bought.id).await?.text_at("/axes/order");
        assert!(
            ["rejected", "cancelled"].contains(&first.as_str()),
            "{name} ordered one quote twice: {}",
            again.text
        );
        return pay_double(&shopper, &second).await;
    }
    pay_double(&shopper, &bought).await
}

/// Begins to pay twice at once under one key, and pays once.
async fn pay_double(shopper: &Shopper<'_>, bought: &crate::people::town::Bought) -> Option<()> {
    let path = format!("/v1/payments/{}/attempts", bought.payment_id);
    let method = if shopper.one_in(2) { "alipay_qr" } else { "alipay_page" };
    let key = format!("{}-pays", shopper.client.name.replace(' ', "-"));
    let begin = || shopper.client.ask(Ask::post(path.clone(), json!({"method": method})).key(&key));
    let (one, other) = tokio::join!(begin(), begin());
    let (one, other) = (one?, other?);
    if one.status == 201 && other.status == 201 {
        assert_eq!(one.text_at("/id"), other.text_at("/id"), "{}\n{}", one.text, other.text);
    }
    let begun = if one.status == 201 { one } else { other };
    if begun.status != 201 {
        return Some(());
    }
    let till = shopper.till(bought, &begun).await?;
    shopper.pays(&till).await;
    shopper.pays(&till).await;
    let asked = shopper.cancel(&bought.id);
    let again = shopper.cancel(&bought.id);
    if shopper.one_in(2) {
        tokio::join!(asked, again);
    }
    Some(())
}
