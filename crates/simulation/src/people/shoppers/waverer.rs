//! Cancels while paying: at the same moment, a little before, a little after, and more than once.

use merx_alipay_sandbox::Fault;

use crate::people::{Shopper, Town, town::PLENTY};
use crate::world::TEA;

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let dice = &shopper.client.dice;
    let sku = if dice.one_in(2) { TEA } else { PLENTY };
    let bought = shopper.buy(&[(sku, dice.units(2))]).await?;
    let till = shopper.at_a_till(&bought).await?;
    let last_moment = shopper.one_in(3);
    if last_moment && shopper.one_in(2) {
        // The money is on its way when the trade is closed.
        let after_ms = dice.below(60_000);
        // Alipay has only so many switches.
        let _ = town.world.try_arm(Fault::PayAfterClose { after_ms }, 1);
    }
    let near = if last_moment { 40 } else { 1_500_000 };
    let (pays_after, cancels_after) = (dice.span(near), dice.span(near));
    let pays = async {
        town.pass(pays_after).await;
        shopper.pays(&till).await
    };
    let cancels = async {
        town.pass(cancels_after).await;
        shopper.cancel(&bought.id).await
    };
    let (_, cancelled) = tokio::join!(pays, cancels);
    if cancelled?.status != 200 && shopper.one_in(2) {
        shopper.think().await;
        shopper.cancel(&bought.id).await?;
    }
    Some(())
}
