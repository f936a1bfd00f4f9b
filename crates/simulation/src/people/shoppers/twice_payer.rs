//! Pays twice: by the page and by the code, in two windows, or once more after the time is over.

use merx_alipay_sandbox::Fault;

use crate::people::{
    Shopper, Town,
    town::{Bought, PLENTY},
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let bought = shopper.buy(&[(PLENTY, shopper.client.dice.units(2))]).await?;
    if shopper.one_in(3) {
        return late(&shopper, &bought).await;
    }
    let ways = if shopper.one_in(2) { ["alipay_page", "alipay_qr"] } else { ["alipay_qr", "alipay_page"] };
    let mut tills = Vec::new();
    for way in ways {
        match shopper.attempt(&bought, way).await? {
            Ok(till) => tills.push(till),
            Err(refused) => town.tally.answered("a second way", &refused),
        }
        if shopper.one_in(3) {
            shopper.think().await;
        }
    }
    if shopper.one_in(2) {
        futures_util::future::join_all(tills.iter().map(|till| shopper.pays(till))).await;
    } else {
        for till in tills.iter().rev() {
            shopper.pays(till).await;
            shopper.think().await;
        }
    }
    // In another window the same page is still open.
    if let Some(till) = tills.first() {
        shopper.pays(till).await;
    }
    let begun = shopper.attempt(&bought, "alipay_page").await?;
    if let Ok(till) = begun {
        shopper.pays(&till).await;
    }
    Some(())
}

/// Pays when the order has run out of time, and Alipay takes it.
async fn late(shopper: &Shopper<'_>, bought: &Bought) -> Option<()> {
    let (town, dice) = (shopper.client.town, &shopper.client.dice);
    let till = shopper.at_a_till(bought).await?;
    let seen = shopper.look(&bought.id).await?;
    let deadline = serde_json::from_value(seen.body["payment_deadline"].clone()).ok()?;
    town.pass(merx_kernel::Timestamp::since(deadline, town.shops_time())).await;
    town.pass(dice.span(900_000)).await;
    // Were what tells of it wrong too, it would be found by the reconciliation of the next day only.
    if !town.world.faults.plan().active.contains("provider.wrong_notification") {
        let _ = town.world.try_arm(Fault::PayAfterExpiry, 1);
    }
    shopper.pays(&till).await;
    Some(())
}
