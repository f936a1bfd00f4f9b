//! The payment deadline passed: whatever is still unpaid is closed.

use merx_kernel::{Error, Id, Result};
use merx_platform::{DueTimer, TimerHandler};

use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::{CancelReason, Command, Rejection},
    sagas::close_order::CloseOrder,
    store,
};

/// The timer's kind; its key is the order.
pub const KIND: &str = "order_deadline";

/// The handler.
pub fn handler(ordering: Ordering) -> TimerHandler {
    TimerHandler::new(KIND, move |timer| fire(ordering.clone(), timer))
}

async fn fire(ordering: Ordering, timer: DueTimer) -> Result<()> {
    let order_id = Id::from_bits(timer.key());
    let cause = ordering.tools.cause(order_id, CausedBy::timer(KIND));
    let saga = CloseOrder::of(order_id, cause.facts.now)?;
    let (store, new_saga) = (ordering.tools.store.clone(), saga.clone());
    let begun = ordering
        .tools
        .db
        .write("ordering.deadline", move |tx| {
            if !timer.fired(tx)? {
                return Ok(false);
            }
            let loaded = store::load(&store, tx, order_id)?;
            let command = Command::RequestCancellation(CancelReason::Expired);
            let changed = match store::change(&store, tx, loaded, &command, &cause) {
                Err(error) if is_settled(&error) => return Ok(false),
                other => other?,
            };
            if changed.events.is_empty() {
                return Ok(false);
            }
            store.sagas.start(tx, &new_saga)?;
            Ok(true)
        })
        .await?;
    if begun {
        drop(ordering.engine.run(&saga));
    }
    Ok(())
}

/// The order was paid, has ended, or waits for a person: the deadline has nothing to say any more. Deciding
/// writes nothing, so the transaction goes on and removes the timer.
fn is_settled(error: &Error) -> bool {
    [Rejection::AlreadyPaid, Rejection::AlreadyShipped, Rejection::OrderEnded, Rejection::PaymentInReview]
        .iter()
        .any(|settled| error.is(settled.code()))
}
