//! The state an order's events add up to.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{
    AfterSaleId, AttemptId, OrderId, RefundId, ReservationId, ReservationKind, ShipmentId, Sku,
};
use merx_kernel::{Currency, Money, Quantity};

use super::{
    axes::{Axes, OrderAxis},
    event::{
        CancelReason, Event, OrderCancelled, OrderPlaced, OrderRevived, OrderShipped, PackedLine,
        QuarantineAccepted, RevivalBegun, SurplusReceived,
    },
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
    /// The after-sale case it goes back for; `None` for money that was never owed, or that a cancellation gives back.
    pub case_id: Option<AfterSaleId>,
}

/// Late money that pays for the order after all, or is to if stock can still be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revival {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// What the stock is set aside under.
    pub reservation_id: ReservationId,
    /// It came to life; otherwise that is under way.
    pub done: bool,
}

/// One shipment of the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// What is in it; before it left, what was planned.
    pub lines: Vec<PackedLine>,
    /// Who carries it; empty before it left.
    pub carrier: String,
    /// The carrier's number; empty before it left.
    pub tracking_number: String,
    /// It left the warehouse.
    pub dispatched: bool,
    /// It arrived.
    pub delivered: bool,
    /// It came back, whether it had arrived or not.
    pub returned: bool,
}

/// What a person decided about quarantined money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It pays the order.
    Accepted,
    /// It goes back.
    Refunded,
}

/// One order. The default is the order that does not exist yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Where it stands; `None` before it was placed.
    pub axes: Option<Axes>,
    /// What was agreed.
    pub terms: Option<Box<OrderPlaced>>,
    /// The money that pays for it, by the attempt that brought it.
    pub paid: BTreeMap<AttemptId, Money>,
    /// Money a person must look at, by the attempt that brought it.
    pub quarantined: BTreeMap<AttemptId, Money>,
    /// What a person decided of quarantined money, or of the money for goods that came back.
    pub settled: Option<Settled>,
    /// Somebody wants it ended, or has ended it.
    pub cancellation: Option<CancelReason>,
    /// How often that was wanted.
    pub cancellations_asked: u32,
    /// Money not owed, by the refund it goes back under.
    pub surplus: BTreeMap<RefundId, Surplus>,
    /// Money paid for it once, whatever became of that.
    pub was_paid: bool,
    /// How it comes to life again; `None` too when that was refused.
    pub revival: Option<Revival>,
    /// The warehouses know of it.
    pub opened: bool,
    /// Its shipments.
    pub parcels: BTreeMap<ShipmentId, Parcel>,
    /// Its after-sale cases, and where each stands in after-sale's word.
    pub cases: BTreeMap<AfterSaleId, String>,
    /// The after-sale cases whose goods are replaced.
    pub replacements: BTreeSet<AfterSaleId>,
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
            Event::CancellationRequested(requested) => {
                self.cancellation = Some(requested.reason);
                self.cancellations_asked += 1;
            }
            Event::CancellationRefused(_) => self.cancellation = None,
            Event::OrderCancelled(cancelled) => self.cancel(cancelled),
            Event::OrderPaid(money) => {
                self.pay(money.attempt_id, money.amount);
            }
            Event::PaymentQuarantined(money) => {
                self.quarantined.insert(money.attempt_id, money.amount);
            }
            Event::QuarantineAccepted(accepted) => self.accept(accepted),
            Event::LatePaymentReceived(surplus) | Event::OverpaymentReceived(surplus) => {
                self.add_surplus(surplus);
            }
            Event::LatePaymentRefunded(refund)
            | Event::OverpaymentRefunded(refund)
            | Event::OrderRefunded(refund) => self.settle_surplus(refund.refund_id),
            Event::RevivalBegun(RevivalBegun { attempt_id, reservation_id }) => {
                let (attempt_id, reservation_id) = (*attempt_id, *reservation_id);
                self.revival = Some(Revival { attempt_id, reservation_id, done: false });
            }
            Event::OrderRevived(revived) => self.revive(revived),
            Event::RevivalRefused(_) => self.revival = None,
            Event::FulfilmentOpened(opened) => {
                self.opened = true;
                for shipment in &opened.shipments {
                    let lines = self.everything_unless(&shipment.lines);
                    let parcel = Parcel { lines, ..Parcel::default() };
                    self.parcels.entry(shipment.shipment_id).or_insert(parcel);
                }
            }
            Event::OrderShipped(shipped) => self.ship(shipped),
            Event::OrderDelivered(delivered) => {
                self.parcel(delivered.shipment_id, |parcel| parcel.delivered = true);
            }
            Event::ParcelReturned(returned) => {
                self.parcel(returned.shipment_id, |parcel| parcel.returned = true);
            }
            Event::ParcelCorrected(corrected) => self.parcel(corrected.shipment_id, |parcel| {
                parcel.carrier.clone_from(&corrected.carrier);
                parcel.tracking_number.clone_from(&corrected.tracking_number);
            }),
            Event::AfterSaleRefundGranted(granted) => {
                for part in &granted.refunds {
                    self.set_aside(part, granted.case_id);
                }
            }
            Event::AfterSaleRefunded(refund) => self.settle_surplus(refund.refund_id),
            Event::ReplacementGranted(granted) => {
                self.replacements.insert(granted.case_id);
            }
            Event::AfterSaleMoved(moved) => {
                self.cases.insert(moved.case_id, moved.status.clone());
            }
            Event::OrderRejected(_)
            | Event::OrderAwaitingPayment(_)
            | Event::ReceiptConfirmed(_)
            | Event::OrderCompleted(_) => {}
        }
        self
    }

    fn pay(&mut self, attempt_id: AttemptId, amount: Money) {
        self.paid.insert(attempt_id, amount);
        self.was_paid = true;
        self.cancellation = None;
    }

    /// What was to go back of the attempt's money pays.
    fn revive(&mut self, event: &OrderRevived) {
        self.surplus.retain(|_, surplus| surplus.refunded || surplus.attempt_id != event.attempt_id);
        if let Some(revival) = &mut self.revival {
            revival.done = true;
        }
        self.pay(event.attempt_id, event.amount);
    }

    fn cancel(&mut self, event: &OrderCancelled) {
        self.cancellation = Some(event.reason);
        if !self.quarantined.is_empty() || self.has_returns() {
            self.settled = Some(Settled::Refunded);
        }
        // Nothing was paid, or all of it was set aside for cases before.
        if event.refunds.is_empty() {
            return;
        }
        self.paid.clear();
        self.quarantined.clear();
        event.refunds.iter().for_each(|refund| self.add_surplus(refund));
    }

    fn accept(&mut self, event: &QuarantineAccepted) {
        self.quarantined.clear();
        self.settled = Some(Settled::Accepted);
        (self.cancellation, self.was_paid) = (None, true);
        event.kept.iter().for_each(|money| self.pay(money.attempt_id, money.amount));
        event.surplus.iter().for_each(|surplus| self.add_surplus(surplus));
    }

    fn ship(&mut self, event: &OrderShipped) {
        let lines = self.everything_unless(&event.lines);
        let (carrier, tracking_number) = (event.carrier.clone(), event.tracking_number.clone());
        let parcel = Parcel { lines, carrier, tracking_number, dispatched: true, ..Parcel::default() };
        self.parcels.insert(event.shipment_id, parcel);
    }

    fn parcel(&mut self, shipment_id: ShipmentId, change: impl FnOnce(&mut Parcel)) {
        if let Some(parcel) = self.parcels.get_mut(&shipment_id) {
            change(parcel);
        }
    }

    fn add_surplus(&mut self, event: &SurplusReceived) {
        let SurplusReceived { attempt_id, amount, refund_id } = *event;
        self.surplus.insert(refund_id, Surplus { attempt_id, amount, refunded: false, case_id: None });
    }

    /// What paid the order pays it no more, and goes back.
    fn set_aside(&mut self, part: &SurplusReceived, case_id: AfterSaleId) {
        if let Some(paid) = self.paid.get_mut(&part.attempt_id) {
            paid.minor -= part.amount.minor;
        }
        self.paid.retain(|_, amount| amount.minor != 0);
        self.add_surplus(part);
        if let Some(surplus) = self.surplus.get_mut(&part.refund_id) {
            surplus.case_id = Some(case_id);
        }
    }

    fn settle_surplus(&mut self, refund_id: RefundId) {
        if let Some(surplus) = self.surplus.get_mut(&refund_id) {
            surplus.refunded = true;
        }
    }

    /// What was set aside for an after-sale case, by the refunds it goes back under.
    pub fn granted(&self, case_id: AfterSaleId) -> impl Iterator<Item = (RefundId, &Surplus)> {
        let of_case = self.surplus.iter().filter(move |(_, surplus)| surplus.case_id == Some(case_id));
        of_case.map(|(id, surplus)| (*id, surplus))
    }

    /// The lines, or all of the order where an old event names none.
    fn everything_unless(&self, lines: &[PackedLine]) -> Vec<PackedLine> {
        if !lines.is_empty() {
            return lines.to_vec();
        }
        self.terms.as_deref().map(everything).unwrap_or_default()
    }

    /// How many surpluses are still to go back, `except` not counted.
    pub fn outstanding_surpluses(&self, except: RefundId) -> u32 {
        let open = self.surplus.iter().filter(|(id, surplus)| **id != except && !surplus.refunded).count();
        u32::try_from(open).unwrap_or(u32::MAX)
    }

    /// What is still to go back, by refund.
    pub fn to_refund(&self) -> impl Iterator<Item = (RefundId, &Surplus)> {
        self.surplus.iter().filter(|(_, surplus)| !surplus.refunded).map(|(id, surplus)| (*id, surplus))
    }

    /// Whether this attempt's money has been counted.
    pub fn knows_attempt(&self, attempt: AttemptId) -> bool {
        self.paid.contains_key(&attempt)
            || self.quarantined.contains_key(&attempt)
            || self.surplus.values().any(|surplus| surplus.attempt_id == attempt)
    }

    /// What is held of the buyer's money now: all that came minus all that went back, in minor units.
    pub fn held_minor(&self) -> i64 {
        let surplus = self.to_refund().map(|(_, surplus)| surplus.amount.minor);
        let held = self.paid.values().chain(self.quarantined.values()).map(|amount| amount.minor);
        held.chain(surplus).sum()
    }

    /// Units per SKU of the parcels that `counts`.
    pub fn units(&self, counts: fn(&Parcel) -> bool) -> BTreeMap<&Sku, i64> {
        let mut units = BTreeMap::new();
        for line in self.parcels.values().filter(|parcel| counts(parcel)).flat_map(|parcel| &parcel.lines) {
            *units.entry(&line.sku).or_insert(0) += line.quantity.get();
        }
        units
    }

    /// What has not left a warehouse.
    pub fn unshipped(&self) -> Vec<PackedLine> {
        let shipped = self.units(|parcel| parcel.dispatched);
        let lines = self.terms.as_deref().map(everything).unwrap_or_default();
        let left = lines.into_iter().filter_map(|line| {
            let gone = shipped.get(&line.sku).copied().unwrap_or(0);
            let quantity = Quantity::new(line.quantity.get() - gone).ok()?;
            Some(PackedLine { sku: line.sku, quantity })
        });
        left.collect()
    }

    /// Under which reservation its goods are held or sold: the first, which has its bits, unless it was revived.
    pub fn reservation_id(&self, order_id: OrderId) -> ReservationId {
        let revived = self.revival.filter(|revival| revival.done);
        revived.map_or_else(|| order_id.cast::<ReservationKind>(), |revival| revival.reservation_id)
    }

    /// Whether a parcel came back.
    pub fn has_returns(&self) -> bool {
        self.parcels.values().any(|parcel| parcel.returned)
    }

    /// Whether the shop has everything again that was sold: it was all shipped, and every parcel came back.
    pub fn came_back(&self) -> bool {
        let confirmed = self.axes.is_some_and(|axes| axes.order == OrderAxis::Confirmed);
        let mut sent = self.parcels.values().filter(|parcel| parcel.dispatched);
        confirmed && self.has_returns() && sent.all(|parcel| parcel.returned) && self.unshipped().is_empty()
    }

    /// The currency agreed on.
    pub fn currency(&self) -> Option<Currency> {
        self.terms.as_ref().map(|terms| terms.total.currency)
    }
}

/// All that was ordered.
pub fn everything(terms: &OrderPlaced) -> Vec<PackedLine> {
    terms.lines.iter().map(|line| PackedLine { sku: line.sku.clone(), quantity: line.quantity }).collect()
}
