//! What ordering does when something has happened elsewhere, or when a time has come. Each effect once per message.

pub mod order_deadline;
pub mod payment_captured;
pub mod payment_refunded;
pub mod shipment_delivered;
pub mod shipment_shipped;

use merx_contracts::ids::OrderId;
use merx_kernel::Result;
use merx_platform::Delivery;

use crate::{context::Ordering, domain::Command, store};

/// A fact whose whole effect is one command on its order.
async fn record(
    ordering: &Ordering,
    label: &'static str,
    delivery: Delivery,
    order_id: OrderId,
    command: Command,
) -> Result<()> {
    let store = ordering.tools.store.clone();
    let cause = ordering.tools.cause(order_id);
    ordering
        .tools
        .db
        .write(label, move |tx| {
            if !delivery.first_time(tx)? {
                return Ok(());
            }
            let loaded = store::load(&store, tx, order_id)?;
            store::change(&store, tx, loaded, &command, &cause).map(drop)
        })
        .await
}
