//! Comes once or a few times: buys, pays at once, late or never, writes, and says that the goods arrived or leaves that to
//! the clock.

use std::time::Duration;

use crate::people::{
    Shopper, Town,
    town::{Bought, FIRST_FLUSH, GOODS},
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    for _ in 0..shopper.client.dice.units(3) {
        if shopper.one_in(4) {
            shopper.move_in().await?;
        }
        if let Some(bought) = shopper.buy(&basket(&shopper)).await {
            settle_up(&shopper, &bought).await?;
        }
        if town.now() > town.closes {
            break;
        }
    }
    Some(())
}

/// One thing, or two.
fn basket(shopper: &Shopper<'_>) -> Vec<(&'static str, i64)> {
    let dice = &shopper.client.dice;
    let mut basket = Vec::new();
    for _ in 0..dice.units(2) {
        let sku = *dice.pick(GOODS).unwrap();
        basket.push((sku, dice.units(if sku == FIRST_FLUSH { 2 } else { 3 })));
    }
    basket
}

/// Pays, or does not; then waits for the goods.
async fn settle_up(shopper: &Shopper<'_>, bought: &Bought) -> Option<()> {
    let dice = &shopper.client.dice;
    match dice.below(8) {
        // Forgets it.
        0 => return Some(()),
        // Thinks better of it.
        1 => {
            shopper.think().await;
            return shopper.cancel(&bought.id).await.map(drop);
        }
        // Pays after a while: the cashier may be closed by then.
        2 => shopper.client.town.pass(dice.span(2_400_000)).await,
        _ => {}
    }
    let till = shopper.at_a_till(bought).await?;
    shopper.think().await;
    let paid = shopper.pays(&till).await;
    if shopper.one_in(4) {
        shopper.note(&bought.id, "is it on its way?").await?;
    }
    if !paid || shopper.one_in(3) {
        return Some(());
    }
    for _ in 0..dice.units(3) {
        shopper.client.town.pass(Duration::from_secs(300) + dice.span(1_500_000)).await;
        look_on(shopper, bought).await?;
        if shopper.receive(&bought.id).await?.status == 200 {
            break;
        }
    }
    Some(())
}

/// Looks where it is.
async fn look_on(shopper: &Shopper<'_>, bought: &Bought) -> Option<()> {
    let parts = ["", "/timeline", "/shipments"];
    let part = shopper.client.dice.pick(&parts)?;
    shopper.client.get(format!("/v1/orders/{}{part}", bought.id)).await?;
    let listed = shopper.client.get("/v1/orders?limit=100&sort=newest").await;
    let listed = listed?;
    let ids = listed.body["items"].as_array()?.iter().any(|order| order["id"] == *bought.id);
    assert!(ids, "{} is not in the list of its buyer: {}", bought.id, listed.text);
    Some(())
}
