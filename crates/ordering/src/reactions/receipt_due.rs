//! The time to say that the goods arrived is over: they count as received.

use merx_kernel::{Id, Result};
use merx_platform::{DueTimer, TimerHandler};

use crate::{
    cause::CausedBy, commands::confirm_receipt::complete, context::Ordering, domain::ReceivedBy, store,
};

/// The timer's kind; its key is the order.
pub const KIND: &str = "receipt_due";

/// The handler.
pub fn handler(ordering: Ordering) -> TimerHandler {
    TimerHandler::new(KIND, move |timer| fire(ordering.clone(), timer))
}

async fn fire(ordering: Ordering, timer: DueTimer) -> Result<()> {
    let order_id = Id::from_bits(timer.key());
    let (store, cause) =
        (ordering.tools.store.clone(), ordering.tools.cause(order_id, CausedBy::timer(KIND)));
    ordering
        .tools
        .db
        .write("ordering.receipt_due", move |tx| {
            if !timer.fired(tx)? {
                return Ok(());
            }
            let loaded = store::load(&store, tx, order_id)?;
            complete(&store, tx, loaded, ReceivedBy::Timer, &cause).map(drop)
        })
        .await
}
