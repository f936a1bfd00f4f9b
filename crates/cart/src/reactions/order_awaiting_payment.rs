//! What was ordered no longer lies in the cart.

use merx_contracts::{
    Fact as _,
    events::ordering::{OrderAwaitingPayment, OrderAwaitingPaymentV2},
    ids::{CartId, Sku},
};
use merx_kernel::{Quantity, Result};
use merx_platform::{Delivery, Handler};
use merx_sql::{Db, Tx};

use crate::store;

/// Takes the ordered quantities out; what was put in meanwhile stays.
pub struct TakeOrderedLines(pub Db);

#[tonic::async_trait]
impl Handler for TakeOrderedLines {
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        let (cart, lines) = ordered(&delivery)?;
        self.0
            .write("cart.take_ordered_lines", move |tx| {
                if !delivery.first_time(tx)? {
                    return Ok(());
                }
                take(tx, &delivery, cart, &lines)
            })
            .await
    }
}

/// The cart and the lines, whichever version of the fact it is.
fn ordered(delivery: &Delivery) -> Result<(CartId, Vec<(Sku, Quantity)>)> {
    if delivery.envelope().kind == OrderAwaitingPayment::TYPE {
        let fact: OrderAwaitingPayment = delivery.fact()?;
        return Ok((fact.cart_id, fact.lines.into_iter().map(|l| (l.sku, l.quantity)).collect()));
    }
    let fact: OrderAwaitingPaymentV2 = delivery.fact()?;
    Ok((fact.cart_id, fact.lines.into_iter().map(|l| (l.sku, l.quantity)).collect()))
}

fn take(tx: &mut Tx<'_>, delivery: &Delivery, cart: CartId, lines: &[(Sku, Quantity)]) -> Result<()> {
    let fresh = (delivery.envelope().id.cast(), delivery.received_at());
    let mut gone = Vec::new();
    for (sku, quantity) in lines {
        if !store::take(tx, cart, sku, *quantity, fresh)? {
            gone.push((sku, *quantity));
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    // Ordered as a guest who has logged in since: the lines lie in the member's cart by now.
    if let Some(member) = store::merged_into(tx, cart)? {
        for (sku, quantity) in gone {
            store::take(tx, member, sku, quantity, fresh)?;
        }
    }
    Ok(())
}
