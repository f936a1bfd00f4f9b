//! The order as its rows show it, folded from its events: what the projection writes, and what is read of a past moment.

use merx_contracts::ids::{AccountId, AddressId, CartId, OrderId, PaymentId, ReservationId, ShipmentId};
use merx_kernel::{Error, Money, Result, Timestamp};

use crate::{
    domain::{Axes, CancelReason, Event, OrderLine, OrderNumber, OrderPlaced, PackedLine, transitions},
    view::Rejected,
};

/// One line, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedLine {
    pub agreed: OrderLine,
    pub shipped: i64,
    pub delivered: i64,
}

/// One shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedShipment {
    pub shipment_id: ShipmentId,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub lines: Vec<PackedLine>,
    pub opened_at: Timestamp,
    pub dispatched_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub returned_at: Option<Timestamp>,
}

/// The rows of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub order_id: OrderId,
    pub version: i64,
    pub account_id: AccountId,
    pub guest: bool,
    pub cart_id: CartId,
    pub address_id: AddressId,
    pub shipping_method: String,
    pub quote_id: String,
    pub subtotal: Money,
    pub freight: Money,
    pub total: Money,
    pub paid: Money,
    pub refunded: Money,
    pub axes: Axes,
    pub payment_id: Option<PaymentId>,
    /// What the stock is set aside under since late money revives the order.
    pub reservation_id: Option<ReservationId>,
    pub revived_at: Option<Timestamp>,
    pub payment_deadline: Timestamp,
    pub cancel_reason: Option<CancelReason>,
    pub cancel_requested_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub cancel_refused_at: Option<Timestamp>,
    pub cancel_refusal: Option<String>,
    pub rejected: Option<Rejected>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub lines: Vec<RecordedLine>,
    /// In the order in which they were first heard of.
    pub shipments: Vec<RecordedShipment>,
}

impl Record {
    /// The order to which nothing has happened yet but that it was placed.
    pub(crate) fn placed(order_id: OrderId, terms: &OrderPlaced, at: Timestamp) -> Self {
        let line = |agreed: &OrderLine| RecordedLine { agreed: agreed.clone(), shipped: 0, delivered: 0 };
        Self {
            order_id,
            version: 1,
            account_id: terms.account_id,
            guest: terms.guest,
            cart_id: terms.cart_id,
            address_id: terms.address_id,
            shipping_method: terms.shipping_method.clone(),
            quote_id: terms.quote_id.clone(),
            subtotal: terms.subtotal,
            freight: terms.freight,
            total: terms.total,
            paid: Money::zero(terms.total.currency),
            refunded: Money::zero(terms.total.currency),
            axes: Axes::INITIAL,
            payment_id: None,
            reservation_id: None,
            revived_at: None,
            payment_deadline: terms.payment_deadline,
            cancel_reason: None,
            cancel_requested_at: None,
            cancelled_at: None,
            cancel_refused_at: None,
            cancel_refusal: None,
            rejected: None,
            created_at: terms.placed_at,
            updated_at: at,
            lines: terms.lines.iter().map(line).collect(),
            shipments: Vec::new(),
        }
    }

    /// The record after one more event.
    ///
    /// # Errors
    /// `Internal` for an event the table does not allow, or one before the order was placed.
    pub(crate) fn after(
        before: Option<Self>,
        order_id: OrderId,
        event: &Event,
        version: i64,
        at: Timestamp,
    ) -> Result<Self> {
        let axes = transitions::next(before.as_ref().map(|record| record.axes), event.step());
        let axes = axes.ok_or_else(|| {
            let name = event.name();
            Error::internal(format!(
                "the table does not allow the {name} that is version {version} of order {order_id}"
            ))
        })?;
        let mut record = match (before, event) {
            (_, Event::OrderPlaced(terms)) => Self::placed(order_id, terms, at),
            (Some(record), _) => record,
            (None, _) => return Err(Error::internal(format!("order {order_id} was never placed"))),
        };
        record.axes = axes;
        record.version = version;
        record.updated_at = at;
        record.apply(event, at);
        Ok(record)
    }

    fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::OrderPlaced(_)
            | Event::ReceiptConfirmed(_)
            | Event::OrderCompleted(_)
            | Event::AfterSaleRefundGranted(_)
            | Event::ReplacementGranted(_)
            | Event::AfterSaleMoved(_) => {}
            Event::AfterSaleRefunded(refund) => {
                self.paid.minor -= refund.amount.minor;
                self.refunded.minor += refund.amount.minor;
            }
            Event::OrderRejected(refusal) => {
                let (code, message) = (cut(&refusal.code, 100), cut(&refusal.message, 500));
                self.rejected = Some(Rejected { code, message });
            }
            Event::OrderAwaitingPayment(awaiting) => self.payment_id = Some(awaiting.payment_id),
            Event::CancellationRequested(requested) => {
                self.cancel_reason = Some(requested.reason);
                self.cancel_requested_at = Some(at);
                self.cancel_refused_at = None;
                self.cancel_refusal = None;
            }
            Event::CancellationRefused(refused) => self.refuse(&refused.code, at),
            Event::OrderCancelled(cancelled) => {
                self.cancel_reason = Some(cancelled.reason);
                self.cancelled_at = Some(at);
            }
            Event::OrderPaid(money) => {
                self.paid.minor += money.amount.minor;
                self.overtaken(at);
            }
            Event::QuarantineAccepted(_) => self.overtaken(at),
            Event::RevivalBegun(begun) => self.reservation_id = Some(begun.reservation_id),
            Event::RevivalRefused(_) => self.reservation_id = None,
            Event::OrderRevived(_) => {
                (self.cancel_reason, self.cancel_requested_at, self.cancelled_at) = (None, None, None);
                self.revived_at = Some(at);
            }
            Event::PaymentQuarantined(money) => self.paid.minor += money.amount.minor,
            Event::LatePaymentReceived(surplus) | Event::OverpaymentReceived(surplus) => {
                self.paid.minor += surplus.amount.minor;
            }
            Event::LatePaymentRefunded(refund)
            | Event::OverpaymentRefunded(refund)
            | Event::OrderRefunded(refund) => {
                self.paid.minor -= refund.amount.minor;
                self.refunded.minor += refund.amount.minor;
            }
            Event::FulfilmentOpened(_)
            | Event::OrderShipped(_)
            | Event::OrderDelivered(_)
            | Event::ParcelReturned(_)
            | Event::ParcelCorrected(_) => self.apply_to_shipments(event, at),
        }
    }

    fn apply_to_shipments(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::FulfilmentOpened(opened) => {
                for shipment in &opened.shipments {
                    let lines = self.everything_unless(&shipment.lines);
                    self.shipment(shipment.shipment_id, at, |known, new| {
                        if new {
                            known.lines = lines;
                        }
                    });
                }
            }
            Event::OrderShipped(shipped) => {
                let lines = self.everything_unless(&shipped.lines);
                self.count(&lines, |line| &mut line.shipped);
                self.shipment(shipped.shipment_id, at, |shipment, _| {
                    shipment.carrier = Some(cut(&shipped.carrier, 100));
                    shipment.tracking_number = Some(cut(&shipped.tracking_number, 100));
                    shipment.lines = lines;
                    shipment.dispatched_at = Some(at);
                });
            }
            Event::OrderDelivered(delivered) => {
                let lines = self.everything_unless(&delivered.lines);
                self.count(&lines, |line| &mut line.delivered);
                self.shipment(delivered.shipment_id, at, |shipment, _| shipment.delivered_at = Some(at));
            }
            Event::ParcelReturned(returned) => {
                self.shipment(returned.shipment_id, at, |shipment, _| shipment.returned_at = Some(at));
            }
            Event::ParcelCorrected(corrected) => self.shipment(corrected.shipment_id, at, |shipment, _| {
                shipment.carrier = Some(cut(&corrected.carrier, 100));
                shipment.tracking_number = Some(cut(&corrected.tracking_number, 100));
            }),
            _ => {}
        }
    }

    /// The money came before a cancellation took effect.
    fn overtaken(&mut self, at: Timestamp) {
        if self.cancel_requested_at.is_some() {
            self.refuse(crate::domain::Rejection::AlreadyPaid.code(), at);
        }
    }

    fn refuse(&mut self, code: &str, at: Timestamp) {
        self.cancel_refused_at = Some(at);
        self.cancel_refusal = Some(cut(code, 100));
    }

    fn shipment(
        &mut self,
        shipment_id: ShipmentId,
        at: Timestamp,
        change: impl FnOnce(&mut RecordedShipment, bool),
    ) {
        if let Some(known) = self.shipments.iter_mut().find(|known| known.shipment_id == shipment_id) {
            return change(known, false);
        }
        let mut new = RecordedShipment {
            shipment_id,
            carrier: None,
            tracking_number: None,
            lines: Vec::new(),
            opened_at: at,
            dispatched_at: None,
            delivered_at: None,
            returned_at: None,
        };
        change(&mut new, true);
        self.shipments.push(new);
    }

    fn count(&mut self, lines: &[PackedLine], figure: fn(&mut RecordedLine) -> &mut i64) {
        for packed in lines {
            if let Some(line) = self.lines.iter_mut().find(|line| line.agreed.sku == packed.sku) {
                *figure(line) += packed.quantity.get();
            }
        }
    }

    fn everything_unless(&self, lines: &[PackedLine]) -> Vec<PackedLine> {
        if lines.is_empty() {
            let all = self.lines.iter();
            return all
                .map(|line| PackedLine { sku: line.agreed.sku.clone(), quantity: line.agreed.quantity })
                .collect();
        }
        lines.to_vec()
    }

    /// The readable number.
    pub(crate) fn number(&self) -> OrderNumber {
        OrderNumber::of(self.order_id)
    }
}

/// Columns have a length on MySQL; other contexts limit these texts themselves, and below this.
fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
