//! The buyer, or the shop for the buyer, wants an order ended. Of an unpaid order the payment decides whether it can be,
//! of a paid one the warehouse.

use std::future::Future;

use merx_contracts::{Envelope, ids::OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Error, Result};
use merx_platform::saga::{NewSaga, Progress};
use serde_json::json;

use super::{Acting, Earlier, Reason, Who, staff_acted};
use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::{CancelReason, Command, Order, OrderAxis, Rejection},
    sagas::{cancel_paid::CancelPaid, close_order::CloseOrder},
    store::{
        self,
        notes::{self, NewNote},
    },
};

/// What became of the request.
#[derive(Debug)]
pub enum Cancelling {
    /// The order is closing; this request or an earlier one asked for it.
    Asked(NewSaga),
    /// Nothing was to be done: the order had ended.
    Settled,
    /// The same request was made before.
    Repeated(Earlier),
}

/// Asks for the end of an order.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.already_shipped`, `ordering.still_placing`, `ordering.order_ended`,
/// `ordering.payment_in_review`, `request.forbidden`, `request.idempotency_key_reused`; `Invalid` for staff who give no
/// reason.
pub async fn cancel_order(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    who: Who,
    reason: Option<Reason>,
) -> Result<Cancelling> {
    let tools = &ordering.tools;
    let owner = tools.db.read("ordering.owner", move |q| store::rows::owner_of(q, order_id)).await?;
    let acting = who.acting(owner.ok_or(Rejection::OrderUnknown)?.0)?;
    let by = CausedBy::request("cancelOrder", acting.account(), acting.is_staff());
    let cause = tools.cause(order_id, by);
    let now = cause.facts.now;
    let (close, cancel) = (CloseOrder::of(order_id, now)?, CancelPaid::of(order_id, now)?);
    let (note, acted) = told(ordering, order_id, acting, reason.as_ref())?;
    let why = if acting.is_staff() { CancelReason::Staff } else { CancelReason::Buyer };
    let store = tools.store.clone();
    tools
        .db
        .write("ordering.request_cancellation", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok(Cancelling::Repeated(Earlier { order_id, saved }));
            }
            let loaded = store::load(&store, tx, order_id)?;
            let command = Command::RequestCancellation(why);
            let changed = store::change(&store, tx, loaded, &command, &cause)?;
            let saga = saga_of(&changed.order, &close, &cancel)?;
            if !changed.events.is_empty() {
                if let Some(saga) = &saga {
                    store.sagas.start(tx, saga)?;
                }
                if let Some(note) = &note {
                    notes::insert(tx, note)?;
                }
                store.outbox.publish(tx, acted.as_slice())?;
            }
            Ok(saga.map_or(Cancelling::Settled, Cancelling::Asked))
        })
        .await
}

/// The saga that ends the order as it stands.
fn saga_of(order: &Order, close: &NewSaga, cancel: &NewSaga) -> Result<Option<NewSaga>> {
    Ok(match order.axes.map(|axes| axes.order) {
        Some(OrderAxis::AwaitingPayment) => Some(close.clone()),
        Some(OrderAxis::Confirmed) => Some(CancelPaid::request(cancel, order.cancellations_asked)?),
        _ => None,
    })
}

/// The reason as a note, and what staff did for the record.
fn told(
    ordering: &Ordering,
    order_id: OrderId,
    acting: Acting,
    reason: Option<&Reason>,
) -> Result<(Option<NewNote>, Vec<Envelope>)> {
    let tools = &ordering.tools;
    let now = tools.clock.now();
    if acting.is_staff() && reason.is_none() {
        return Err(Error::invalid("/reason", "must say why an order of somebody else is cancelled"));
    }
    let note = reason.map(|reason| NewNote {
        note_id: tools.ids.next(),
        order_id,
        author: acting.account(),
        by_staff: acting.is_staff(),
        for_buyer: !acting.is_staff(),
        about: "cancellation",
        text: reason.as_str().to_owned(),
        at: now,
    });
    let mut acted = Vec::new();
    if let Acting::Staff(actor) = acting {
        let reason = reason.map(Reason::as_str);
        let trace = merx_platform::trace::current_traceparent();
        let (action, id) = ("ordering.cancellation_requested", tools.ids.next());
        acted.push(staff_acted(actor, action, order_id, reason, json!({}), (id, now), trace)?);
    }
    Ok((note, acted))
}

/// Carries the end of the order on, and waits for it as long as a request may.
pub async fn closed(ordering: &Ordering, saga: &NewSaga) -> Option<Progress> {
    // An earlier request's saga may be parked until the provider can say more; the log knows.
    within(ordering, ordering.engine.resume(saga.id)).await
}

/// The answer of `work` unless it takes longer than a request waits.
pub(super) async fn within<T>(ordering: &Ordering, work: impl Future<Output = T>) -> Option<T> {
    let limit = ordering.tools.clock.sleep(ordering.tools.settings.answer_wait());
    tokio::select! {
        biased;
        done = work => Some(done),
        () = limit => None,
    }
}
