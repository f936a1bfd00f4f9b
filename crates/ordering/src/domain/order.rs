//! The state an order's events add up to.

use std::collections::BTreeMap;

use merx_contracts::ids::{AttemptId, RefundId, ShipmentId};
use merx_kernel::{Currency, Money};

use super::{
    axes::Axes,
    event::{CancelReason, Event, OrderPlaced, SurplusReceived, SurplusRefunded},
    transitions,
};

/// Money that is not owed, and whether it went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// It went back.
    pub refunded: bool,
}

/// One order. The default is the order that does not exist yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Where it stands; `None` before it was placed.
    pub axes: Option<Axes>,
    /// What was agreed.
    pub terms: Option<Box<OrderPlaced>>,
    /// The attempt that brought the money for it, or the money in quarantine.
    pub paid: Option<(AttemptId, Money)>,
    /// Somebody wanted it ended.
    pub cancellation: Option<CancelReason>,
    /// Money not owed, by the refund it goes back under.
    pub surplus: BTreeMap<RefundId, Surplus>,
    /// Its shipment, once the warehouse knows of it.
    pub shipment_id: Option<ShipmentId>,
    /// Events so far seen that the table did not allow; always 0 for a stream this code wrote.
    pub illegal_events: u32,
}

impl Order {
    /// The state after `event`. An event the table does not allow leaves the axes as they are and is counted:
    /// what was recorded cannot be refused any more.
    #[must_use]
    pub fn evolve(mut self, event: &Event) -> Self {
        match transitions::next(self.axes, event.step()) {
            Some(axes) => self.axes = Some(axes),
            None => self.illegal_events += 1,
        }
        match event {
            Event::OrderPlaced(placed) => self.terms = Some(placed.clone()),
            Event::CancellationRequested(requested) => self.cancellation = Some(requested.reason),
            Event::OrderPaid(money) | Event::PaymentQuarantined(money) => {
                self.paid = Some((money.attempt_id, money.amount));
            }
            Event::LatePaymentReceived(surplus) | Event::OverpaymentReceived(surplus) => {
                self.add_surplus(surplus);
            }
            Event::LatePaymentRefunded(refund) | Event::OverpaymentRefunded(refund) => {
                self.settle_surplus(refund);
            }
            Event::FulfilmentOpened(opened) => self.shipment_id = Some(opened.shipment_id),
            Event::OrderShipped(shipped) => self.shipment_id = Some(shipped.shipment_id),
            Event::OrderRejected(_)
            | Event::OrderAwaitingPayment(_)
            | Event::OrderCancelled(_)
            | Event::OrderDelivered(_)
            | Event::ReceiptConfirmed(_)
            | Event::OrderCompleted(_) => {}
        }
        self
    }

    fn add_surplus(&mut self, event: &SurplusReceived) {
        let surplus = Surplus { attempt_id: event.attempt_id, amount: event.amount, refunded: false };
        self.surplus.insert(event.refund_id, surplus);
    }

    fn settle_surplus(&mut self, event: &SurplusRefunded) {
        if let Some(surplus) = self.surplus.get_mut(&event.refund_id) {
            surplus.refunded = true;
        }
    }

    /// How many surpluses are still to go back, `except` not counted.
    pub fn outstanding_surpluses(&self, except: RefundId) -> u32 {
        let open = self.surplus.iter().filter(|(id, surplus)| **id != except && !surplus.refunded).count();
        u32::try_from(open).unwrap_or(u32::MAX)
    }

    /// Whether this attempt's money has been counted.
    pub fn knows_attempt(&self, attempt: AttemptId) -> bool {
        self.paid.is_some_and(|(paid, _)| paid == attempt)
            || self.surplus.values().any(|surplus| surplus.attempt_id == attempt)
    }

    /// What is held of the buyer's money now: all that came minus all that went back, in minor units.
    pub fn held_minor(&self) -> i64 {
        let surplus = self.surplus.values().filter(|surplus| !surplus.refunded);
        self.paid.map_or(0, |(_, amount)| amount.minor) + surplus.map(|s| s.amount.minor).sum::<i64>()
    }

    /// The currency agreed on.
    pub fn currency(&self) -> Option<Currency> {
        self.terms.as_ref().map(|terms| terms.total.currency)
    }
}
