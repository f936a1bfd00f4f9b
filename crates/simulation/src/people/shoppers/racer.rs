//! A few people who want the last one at the same moment: so many have it as there are, and no more.

use futures_util::future::join_all;

use crate::people::{Shopper, Town, rules::how, town::LAST_ONE};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let dice = town.dice(&format!("{name} meet"));
    let mut racers = Vec::new();
    for number in 0..2 + dice.below(4) {
        racers.push(Shopper::member(town, &format!("{name} {number}")).await?);
    }
    let moment = town.now().plus(dice.span(60_000));
    join_all(racers.iter().map(async |racer| {
        let put = racer.fill(LAST_ONE, 1).await?;
        if put.status != 204 {
            return None;
        }
        let quoted = racer.quote().await?.ok()?;
        town.until(moment).await;
        let answer = racer.client.ask(racer.placing(&quoted)).await?;
        town.tally.count(format!("the last one: {}", how(&answer)), 1);
        let Some(bought) = racer.placed(&quoted, &answer).await else { return racer.empty().await };
        // Who has it may let it go again.
        if racer.one_in(2) {
            let till = racer.at_a_till(&bought).await?;
            racer.pays(&till).await;
        }
        Some(())
    }))
    .await;
    Some(())
}
