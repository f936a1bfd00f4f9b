//! Somebody writes a note on an order.

use merx_contracts::ids::{NoteId, OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{BoundedText, Error, Result};
use merx_platform::store::Saved;
use serde_json::json;

use super::{Acting, Who, staff_acted};
use crate::{
    context::Ordering,
    domain::{Axis as _, BuyerStatus, Rejection},
    store::{
        self,
        notes::{self, NewNote},
    },
    view::{NoteView, NoteVisibility},
};

/// What is written.
pub type NoteText = BoundedText<1, 1000>;

/// Until when a buyer may write: what is on its way cannot be packed otherwise any more.
const BUYER_MAY_WRITE: &[BuyerStatus] = &[
    BuyerStatus::Placing,
    BuyerStatus::AwaitingPayment,
    BuyerStatus::PaymentInReview,
    BuyerStatus::Paid,
    BuyerStatus::PartShipped,
];

/// What became of the request.
#[derive(Debug)]
pub enum Written {
    /// The note.
    Note(NoteView),
    /// The same request was made before: its note, and its answer where that is kept.
    Repeated(NoteId, Option<Saved>),
}

/// Writes the note; key, note and what is told of it in one transaction. The answer is not kept with the key, for it is
/// what somebody wrote: a repetition reads the note.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.note_limit`, `ordering.notes_closed`, `request.forbidden`,
/// `request.idempotency_key_reused`; `Invalid` for a buyer who says who may read it.
pub async fn write_note(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    who: Who,
    text: NoteText,
    visibility: Option<NoteVisibility>,
) -> Result<Written> {
    let tools = &ordering.tools;
    let (store, now) = (tools.store.clone(), tools.clock.now());
    let (note_id, message_id): (NoteId, _) = (tools.ids.next(), tools.ids.next());
    let trace = merx_platform::trace::current_traceparent();
    tools
        .db
        .write("ordering.write_note", move |tx| {
            let begun = key.begin(store.idempotency, tx, note_id, now)?;
            if let Begun::Repeated { effect, saved } = begun {
                return Ok(Written::Repeated(effect, saved));
            }
            let (owner, status) = store::rows::owner_of(tx, order_id)?.ok_or(Rejection::OrderUnknown)?;
            let acting = who.acting(owner)?;
            let for_buyer = match acting {
                Acting::Buyer(_) => {
                    check_buyer(&status, visibility)?;
                    true
                }
                Acting::Staff(actor) => {
                    let detail = json!({ "note_id": note_id, "visibility": visibility });
                    let (action, told) = ("ordering.note_written", (message_id, now));
                    let acted = staff_acted(actor, action, order_id, None, detail, told, trace.clone())?;
                    store.outbox.publish(tx, &[acted])?;
                    visibility == Some(NoteVisibility::Buyer)
                }
            };
            let note = NewNote {
                note_id,
                order_id,
                author: acting.account(),
                by_staff: acting.is_staff(),
                for_buyer,
                about: "note",
                text: text.as_str().to_owned(),
                at: now,
            };
            notes::write(tx, &note)?;
            Ok(Written::Note(note.view()))
        })
        .await
}

fn check_buyer(status: &str, visibility: Option<NoteVisibility>) -> Result<()> {
    if visibility.is_some() {
        return Err(Error::invalid("/visibility", "is for the shop to say; leave it out"));
    }
    if BUYER_MAY_WRITE.contains(&BuyerStatus::from_name(status)?) {
        return Ok(());
    }
    let text = "The order is on its way or has ended; a note would come too late.";
    Err(Error::rejected("ordering.notes_closed", text))
}
