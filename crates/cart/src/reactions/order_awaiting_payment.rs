//! What was ordered no longer lies in the cart.

use merx_contracts::events::ordering::OrderAwaitingPayment;
use merx_kernel::Result;
use merx_platform::{Delivery, Handler};
use merx_sql::Db;

use crate::store;

/// Takes the ordered quantities out; what was put in meanwhile stays.
pub struct TakeOrderedLines(pub Db);

#[tonic::async_trait]
impl Handler for TakeOrderedLines {
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        let fact: OrderAwaitingPayment = delivery.envelope().fact()?;
        self.0
            .write("cart.take_ordered_lines", move |tx| {
                if !delivery.first_time(tx)? {
                    return Ok(());
                }
                for line in &fact.lines {
                    let filling = delivery.envelope().id.cast();
                    store::take(tx, fact.cart_id, &line.sku, line.quantity, filling)?;
                }
                Ok(())
            })
            .await
    }
}
