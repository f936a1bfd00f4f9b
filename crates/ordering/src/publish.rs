//! Which event tells the others what: the one place where ordering's facts are made.

use merx_contracts::{Envelope, Fact as _, events as contract, events::ordering as facts};
use merx_kernel::Result;

use crate::{
    cause::Cause,
    domain::{AfterSaleAxis, Event, LocalText, PackedLine, PaymentAxis},
    record::{Record, RecordedLine},
};

/// The type of the fact that tells of `event`; `None` for what nobody else needs to know.
pub(crate) const fn fact_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::OrderAwaitingPayment(_) => Some(facts::OrderAwaitingPaymentV2::TYPE),
        Event::OrderPaid(_) | Event::OrderRevived(_) | Event::QuarantineAccepted(_) => {
            Some(facts::OrderPaidV2::TYPE)
        }
        Event::OrderShipped(_) => Some(facts::OrderShippedV2::TYPE),
        Event::OrderCancelled(_) => Some(facts::OrderCancelledV2::TYPE),
        Event::LatePaymentRefunded(_)
        | Event::OverpaymentRefunded(_)
        | Event::OrderRefunded(_)
        | Event::AfterSaleRefunded(_) => Some(facts::OrderRefunded::TYPE),
        Event::OrderCompleted(_) => Some(facts::OrderCompletedV2::TYPE),
        _ => None,
    }
}

/// The message that tells of `event`, after which the order is `record`.
pub(crate) fn message(cause: &Cause, event: &Event, record: &Record) -> Result<Option<Envelope>> {
    let (order_id, account_id) = (record.order_id, record.account_id);
    let number = record.number().to_string();
    match event {
        Event::OrderAwaitingPayment(_) => cause.envelope(&facts::OrderAwaitingPaymentV2 {
            order_id,
            number,
            account_id,
            cart_id: record.cart_id,
            lines: record.lines.iter().map(agreed).collect(),
            freight: record.freight,
            total: record.total,
            payment_deadline: record.payment_deadline,
        }),
        Event::OrderPaid(_) | Event::OrderRevived(_) | Event::QuarantineAccepted(_) => {
            cause.envelope(&facts::OrderPaidV2 { order_id, number, account_id, amount: record.total })
        }
        Event::OrderShipped(shipped) => {
            let shipment = record.shipments.iter().find(|known| known.shipment_id == shipped.shipment_id);
            cause.envelope(&facts::OrderShippedV2 {
                order_id,
                number,
                account_id,
                shipment_id: shipped.shipment_id,
                carrier: shipped.carrier.clone(),
                tracking_number: shipped.tracking_number.clone(),
                lines: shipment.map(|s| titled(&s.lines, record)).unwrap_or_default(),
                complete: shipped.complete,
            })
        }
        Event::OrderCancelled(cancelled) => cause.envelope(&facts::OrderCancelledV2 {
            order_id,
            number,
            account_id,
            reason: cancelled.reason.name().to_owned(),
            paid: !cancelled.refunds.is_empty() || gave_back_before(record),
        }),
        Event::LatePaymentRefunded(refund)
        | Event::OverpaymentRefunded(refund)
        | Event::OrderRefunded(refund) => cause.envelope(&facts::OrderRefunded {
            order_id,
            number,
            account_id,
            refund_id: refund.refund_id,
            amount: refund.amount,
        }),
        Event::AfterSaleRefunded(refund) => cause.envelope(&facts::OrderRefunded {
            order_id,
            number,
            account_id,
            refund_id: refund.refund_id,
            amount: refund.amount,
        }),
        Event::OrderCompleted(_) => cause.envelope(&facts::OrderCompletedV2 { order_id, number, account_id }),
        _ => return Ok(None),
    }
    .map(Some)
}

fn agreed(line: &RecordedLine) -> facts::AgreedLine {
    let line = &line.agreed;
    facts::AgreedLine {
        sku: line.sku.clone(),
        product_id: line.product_id,
        title: text(&line.title),
        options: text(&line.options),
        quantity: line.quantity,
        amount: line.amount,
    }
}

fn text(text: &LocalText) -> contract::LocalText {
    contract::LocalText { zh: text.zh.clone(), en: text.en.clone() }
}

/// What was packed, as it was called when it was ordered.
fn titled(packed: &[PackedLine], record: &Record) -> Vec<facts::TitledLine> {
    let line = |packed: &PackedLine| {
        let agreed = record.lines.iter().map(|line| &line.agreed).find(|agreed| agreed.sku == packed.sku)?;
        let (title, options) = (text(&agreed.title), text(&agreed.options));
        Some(facts::TitledLine { sku: packed.sku.clone(), title, options, quantity: packed.quantity })
    };
    packed.iter().filter_map(line).collect()
}

/// Whether nothing goes back with a cancellation because cases gave, or give, it all back: only what was paid has cases.
fn gave_back_before(record: &Record) -> bool {
    let held = matches!(record.axes.payment, PaymentAxis::Captured | PaymentAxis::PartRefunded);
    held || record.axes.after_sale != AfterSaleAxis::None
}
