//! A person decides what becomes of quarantined money: it pays the order, or all of it goes back and the order ends. Of an
//! order that was shipped and came back as a whole, the money goes back the same way.

use merx_contracts::ids::{AccountId, OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::{
    saga::NewSaga,
    store::{Saved, TimerId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Earlier, Reason, staff_acted};
use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::{Command, Event, Rejection},
    queries::orders::{self, Reader},
    reactions::order_deadline,
    sagas::{
        accept_deposits::AcceptDeposits, fulfil_order::FulfilOrder, refund_late::RefundLate,
        refund_quarantined::RefundQuarantined, refund_returned::RefundReturned,
    },
    store::{
        self,
        notes::{self, NewNote},
    },
};

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The money pays the order; what is above its total goes back.
    Accept,
    /// All of it goes back and the order ends.
    Refund,
}

/// What became of the request.
#[derive(Debug)]
pub enum Settlement {
    /// The answer: the order.
    Answer(Saved),
    /// The same request was made before.
    Repeated(Earlier),
}

/// Settles the quarantined money of an order, or the money of one that came back; key, events, rows, messages, sagas and answer in one transaction.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_quarantined`, `ordering.goods_replaced`,
/// `ordering.captured_too_little`,
/// `request.idempotency_key_reused`.
pub async fn settle_payment(
    ordering: &Ordering,
    key: IdempotencyKey,
    order_id: OrderId,
    actor: AccountId,
    (decision, reason): (Decision, Reason),
) -> Result<Settlement> {
    let tools = &ordering.tools;
    let cause = tools.cause(order_id, CausedBy::request("settleOrder", actor, true));
    let now = cause.facts.now;
    let (fulfil, quarantined) = (FulfilOrder::of(order_id, now)?, RefundQuarantined::of(order_id, now)?);
    let returned = RefundReturned::of(order_id, now)?;
    let detail = json!({ "decision": decision });
    let (action, told) = ("ordering.payment_settled", (tools.ids.next(), now));
    let text = Some(reason.as_str());
    let acted = staff_acted(actor, action, order_id, text, detail, told, cause.traceparent())?;
    let note = NewNote {
        note_id: tools.ids.next(),
        order_id,
        author: actor,
        by_staff: true,
        for_buyer: false,
        about: "settlement",
        text: reason.into_string(),
        at: now,
    };
    let store = tools.store.clone();
    let (settlement, sagas) = tools
        .db
        .write("ordering.settle", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok((Settlement::Repeated(Earlier { order_id, saved }), Vec::new()));
            }
            let loaded = store::load(&store, tx, order_id)?;
            if loaded.version == 0 {
                return Err(Rejection::OrderUnknown.into());
            }
            let (command, refund) = match decision {
                Decision::Accept => (Command::AcceptQuarantine, &quarantined),
                Decision::Refund if loaded.state.came_back() => (Command::RefundReturned, &returned),
                Decision::Refund => (Command::RefundQuarantine, &quarantined),
            };
            let changed = store::change(&store, tx, loaded, &command, &cause)?;
            let sagas = follow(order_id, changed.events.first(), &fulfil, refund)?;
            for saga in &sagas {
                store.sagas.start(tx, saga)?;
            }
            if !changed.events.is_empty() {
                store.timers.cancel(tx, TimerId::of(order_deadline::KIND, order_id))?;
                notes::insert(tx, &note)?;
                store.outbox.publish(tx, std::slice::from_ref(&acted))?;
            }
            let view = orders::view(tx, order_id, Reader::Staff)?;
            let answer = merx_http::answer(http::StatusCode::OK, &view)?;
            key.complete(store.idempotency, tx, order_id, &answer)?;
            Ok((Settlement::Answer(answer), sagas))
        })
        .await?;
    for saga in &sagas {
        drop(ordering.engine.run(saga));
    }
    Ok(settlement)
}

/// What is carried on after the decision.
fn follow(
    order_id: OrderId,
    event: Option<&Event>,
    fulfil: &NewSaga,
    refund: &NewSaga,
) -> Result<Vec<NewSaga>> {
    match event {
        Some(Event::QuarantineAccepted(accepted)) => {
            let deposits = AcceptDeposits::of(order_id, &accepted.kept, fulfil.started_at)?;
            let deposits = NewSaga { traceparent: fulfil.traceparent.clone(), ..deposits };
            let mut sagas = vec![fulfil.clone(), deposits];
            for surplus in &accepted.surplus {
                let back = RefundLate::of_surplus(order_id, surplus, fulfil.started_at)?;
                sagas.push(NewSaga { traceparent: fulfil.traceparent.clone(), ..back });
            }
            Ok(sagas)
        }
        Some(Event::OrderCancelled(_)) => Ok(vec![refund.clone()]),
        _ => Ok(Vec::new()),
    }
}
