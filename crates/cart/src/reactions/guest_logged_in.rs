//! A guest has logged in as a member: what the guest meant to buy, the member means to buy.

use std::collections::BTreeMap;

use merx_contracts::{
    catalogue::v1::QuoteRequest,
    common::v1::SkuQuantity,
    events::accounts::GuestLoggedIn,
    ids::{CartId, Sku},
};
use merx_kernel::Result;
use merx_platform::{Delivery, Handler, rpc};
use merx_sql::{Reader, Tx};

use crate::{
    State,
    commands::LINES_MAX,
    domain::{self, Limit, LineHad},
    store::{self, CartLine},
};

/// Merges the guest's cart into the member's and empties it.
pub struct MergeGuestCart(pub State);

#[tonic::async_trait]
impl Handler for MergeGuestCart {
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        let fact: GuestLoggedIn = delivery.fact()?;
        let (guest, member): (CartId, CartId) = (fact.guest_id.cast(), fact.account_id.cast());
        if guest == member {
            return Ok(());
        }
        let read = move |q: &mut Reader<'_>| store::lines(q, guest);
        let lines = self.0.db.read("cart.guest_lines", read).await?;
        let limits = limits(&self.0, &lines).await?;
        let write = move |tx: &mut Tx<'_>| {
            if !delivery.first_time(tx)? {
                return Ok(());
            }
            let at = delivery.received_at();
            let Some([theirs, mine]) = store::taken_for_merge(tx, guest, member, at)? else {
                return Ok(());
            };
            if theirs.iter().any(|line| !limits.contains_key(&line.line.sku)) {
                // The guest's other window put something in since the catalogue was asked; the message comes again.
                return Err(merx_sql::contention("the guest's cart changed while it was merged"));
            }
            let had = |lines: Vec<CartLine>| lines.into_iter().map(|l| l.line).collect::<Vec<LineHad>>();
            let lines_max = usize::try_from(LINES_MAX).unwrap_or(usize::MAX);
            let merged = domain::merge(&had(mine), &had(theirs), &limits, lines_max)?;
            store::merge(tx, guest, member, &merged, delivery.envelope().id, at)
        };
        self.0.db.write("cart.merge_guest_cart", write).await
    }
}

/// What the catalogue limits, of every line.
async fn limits(state: &State, lines: &[CartLine]) -> Result<BTreeMap<Sku, Limit>> {
    if lines.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked = lines.iter().map(|l| SkuQuantity::new(&l.line.sku, l.line.quantity)).collect();
    let quote = rpc::ask(state.catalogue.clone().quote(QuoteRequest { lines: asked }).await)?;
    let limits = quote.lines.iter().map(Limit::of);
    Ok(lines.iter().map(|l| l.line.sku.clone()).zip(limits).collect())
}
