//! Money came: the order is paid, or revived if its goods can still be had, or the money goes back.

use merx_contracts::events::payment::PaymentCaptured;
use merx_kernel::Result;
use merx_platform::{Delivery, saga::NewSaga, store::TimerId};

use super::order_deadline;
use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::{Command, Event},
    sagas::{fulfil_order::FulfilOrder, refund_late::RefundLate, revive_order::ReviveOrder},
    store,
};

/// What is to be carried on after the commit.
enum Next {
    Nothing,
    Saga(NewSaga),
    Alert,
}

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let captured: PaymentCaptured = delivery.fact()?;
    let PaymentCaptured { order_id, attempt_id, amount, late, .. } = captured;
    let cause = ordering.tools.cause(order_id, CausedBy::message(&delivery));
    let fulfil = FulfilOrder::of(order_id, cause.facts.now)?;
    let refund = RefundLate::of(order_id, attempt_id, amount, cause.facts.now)?;
    let store = ordering.tools.store.clone();
    let next = ordering
        .tools
        .db
        .write("ordering.payment_captured", move |tx| {
            if !delivery.first_time(tx)? {
                return Ok(Next::Nothing);
            }
            let loaded = store::load(&store, tx, order_id)?;
            let command = Command::RecordCapture { attempt_id, amount, late };
            let changed = store::change(&store, tx, loaded, &command, &cause)?;
            match changed.events.last() {
                Some(Event::OrderPaid(_)) => {
                    store.timers.cancel(tx, TimerId::of(order_deadline::KIND, order_id))?;
                    store.sagas.start(tx, &fulfil)?;
                    Ok(Next::Saga(fulfil.clone()))
                }
                Some(Event::RevivalBegun(begun)) => {
                    let revive = ReviveOrder::of(order_id, begun, amount, cause.facts.now)?;
                    let revive = NewSaga { traceparent: refund.traceparent.clone(), ..revive };
                    store.sagas.start(tx, &revive)?;
                    Ok(Next::Saga(revive))
                }
                Some(Event::LatePaymentReceived(_) | Event::OverpaymentReceived(_)) => {
                    store.sagas.start(tx, &refund)?;
                    Ok(Next::Saga(refund.clone()))
                }
                Some(Event::PaymentQuarantined(_)) => Ok(Next::Alert),
                _ => Ok(Next::Nothing),
            }
        })
        .await?;
    match next {
        Next::Nothing => {}
        Next::Saga(saga) => drop(ordering.engine.run(&saga)),
        Next::Alert => {
            ordering.tools.metrics.alert("order_payment_quarantined");
            tracing::error!(%order_id, %attempt_id, "an amount was captured that is not the order's total");
        }
    }
    Ok(())
}
