//! Wants more than one may have: in one cart, by several orders at once, and as somebody else.

use futures_util::future::join_all;
use serde_json::json;

use crate::people::{
    Ask, Shopper, Town,
    town::{FIRST_FLUSH, LIMIT},
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let hoarder = Shopper::member(town, name).await?;
    let path = format!("/v1/cart/lines/{FIRST_FLUSH}");
    let too_many = json!({"quantity": LIMIT + 1});
    let refused = ["cart.limit_exceeded", "cart.sku_not_sellable"];
    let answer = hoarder.client.ask(Ask::put(path, too_many)).await?;
    assert!(refused.contains(&answer.code()), "{}", answer.text);
    take(&hoarder).await?;
    // As others: another account, and a guest.
    let other = Shopper::member(town, &format!("{name} as another")).await?;
    take(&other).await?;
    let (guest, _) = Shopper::guest(town, &format!("{name} as a guest")).await?;
    take(&guest).await?;
    take(&hoarder).await
}

/// Quotes for one and for all, accepted at once.
async fn take(who: &Shopper<'_>) -> Option<()> {
    let mut quotes = Vec::new();
    for units in [1, i64::from(LIMIT)] {
        if who.fill(FIRST_FLUSH, units).await?.status == 204 {
            quotes.extend(who.quote().await?);
        }
    }
    let placing =
        quotes.iter().map(|quoted| async move { Some((quoted, who.client.ask(who.placing(quoted)).await?)) });
    let answers: Vec<_> = join_all(placing).await.into_iter().flatten().collect();
    for (quoted, answer) in &answers {
        let Some(bought) = who.placed(quoted, answer).await else { continue };
        match who.client.dice.below(3) {
            0 => drop(who.cancel(&bought.id).await?),
            1 => {}
            _ => {
                let till = who.at_a_till(&bought).await?;
                who.pays(&till).await;
            }
        }
    }
    who.empty().await
}
