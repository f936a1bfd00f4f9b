//! What the events of an order's after-sale add up to.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{AccountId, AfterSaleId, RefundId, ShipmentId, Sku};
use merx_kernel::{Money, Quantity, Timestamp};
use merx_platform::Aggregate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, GrantedRefund, InspectedLine, Kind, ReasonCode, RefundLine, RequestedLine};

/// Where a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Staff answer next.
    Requested,
    /// The buyer sends the goods next.
    Approved,
    /// The goods are on their way back.
    Sent,
    /// The goods are here; they are inspected next.
    Received,
    /// Money is on its way back.
    Refunding,
    /// A replacement is being packed.
    Replacing,
    /// Ended: the money is back.
    Refunded,
    /// Ended: a replacement is on its way.
    Exchanged,
    /// Ended: staff did not agree.
    Refused,
    /// Ended: the buyer thought better of it.
    Withdrawn,
    /// Ended: the goods were not sent in time.
    Expired,
    /// Ended: the order was cancelled.
    Cancelled,
}

/// The statuses in which a case has ended.
pub const ENDED: &[Status] = &[
    Status::Refunded,
    Status::Exchanged,
    Status::Refused,
    Status::Withdrawn,
    Status::Expired,
    Status::Cancelled,
];

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 12] = [
        Self::Requested,
        Self::Approved,
        Self::Sent,
        Self::Received,
        Self::Refunding,
        Self::Replacing,
        Self::Refunded,
        Self::Exchanged,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Cancelled,
    ];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Refunding => "refunding",
            Self::Replacing => "replacing",
            Self::Refunded => "refunded",
            Self::Exchanged => "exchanged",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
    /// Whether nothing more happens.
    pub fn is_ended(self) -> bool {
        ENDED.contains(&self)
    }
    /// Whether its units are asked for no more, or were given back: others may ask for them.
    const fn frees_units(self) -> bool {
        matches!(self, Self::Refused | Self::Withdrawn | Self::Expired | Self::Cancelled)
    }
}

/// Where all cases of an order stand together: the order's after-sale axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Something waits for an answer.
    Requested,
    /// Something may be sent back, or is on its way.
    Approved,
    /// What came back is being settled; or money goes back without goods.
    Returned,
    /// The last case ended with a replacement.
    Exchanged,
    /// The last case ended another way.
    Closed,
}

impl Standing {
    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Returned => "returned",
            Self::Exchanged => "exchanged",
            Self::Closed => "closed",
        }
    }
}

/// How one line of a case ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What goes back for each line.
    pub lines: Vec<RefundLine>,
    /// What goes back of the freight.
    pub freight_minor: i64,
    /// All that goes back.
    pub total: Option<Money>,
}

/// A shipment of a replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// The units that left with it; none before.
    pub units: i64,
    /// It came back.
    pub returned: bool,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The buyer.
    pub account_id: AccountId,
    /// What was asked.
    pub kind: Kind,
    /// Why.
    pub reason: ReasonCode,
    /// Where it stands.
    pub status: Status,
    /// Units asked for; once goods came, those that came.
    pub units: BTreeMap<Sku, i64>,
    /// The terms of the lines.
    pub lines: Vec<RequestedLine>,
    /// What was paid for sending the order.
    pub paid_freight: Money,
    /// What was agreed to give back of it.
    pub freight: Money,
    /// What became of what came back.
    pub inspected: Vec<InspectedLine>,
    /// What goes back in money.
    pub refund: Ended,
    /// Ordering has set the money aside.
    pub granted: Option<Vec<GrantedRefund>>,
    /// The refunds that went through.
    pub paid: BTreeSet<RefundId>,
    /// The shipments of the replacement. The warehouse may split them.
    pub replacement: BTreeMap<ShipmentId, Parcel>,
    /// Until when the next step is to happen.
    pub due_at: Option<Timestamp>,
    /// A deadline was missed since the last step.
    pub escalated: bool,
}

/// The cases of one order. The default is an order without any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AfterSales {
    /// By identity.
    pub cases: BTreeMap<AfterSaleId, Case>,
    /// The case that moved last.
    pub latest: Option<AfterSaleId>,
}

impl AfterSales {
    /// Units of a SKU that cases `count`, those that were freed left out.
    pub fn claimed(&self, sku: &Sku, counts: impl Fn(Kind) -> bool) -> i64 {
        let live = self.cases.values().filter(|case| !case.status.frees_units() && counts(case.kind));
        live.filter_map(|case| case.units.get(sku)).sum()
    }
    /// Units of a SKU whose money is back or on its way.
    pub fn refunded_units(&self, sku: &Sku) -> i64 {
        let live = self.cases.values().filter(|case| !case.status.frees_units());
        let lines = live.flat_map(|case| &case.refund.lines);
        lines.filter(|line| line.sku == *sku).map(|line| line.quantity.get()).sum()
    }
    /// What was promised back of the freight, in minor units. Where goods were replaced instead, none goes back.
    pub fn promised_freight(&self) -> i64 {
        let promised = |case: &&Case| !case.status.frees_units() && case.status != Status::Exchanged;
        let live = self.cases.values().filter(promised);
        live.map(|case| case.freight.minor).sum()
    }
    /// The case a refund belongs to.
    pub fn case_of_refund(&self, refund_id: RefundId) -> Option<AfterSaleId> {
        let has = |case: &Case| case.granted.iter().flatten().any(|refund| refund.refund_id == refund_id);
        self.cases.iter().find(|(_, case)| has(case)).map(|(id, _)| *id)
    }
    /// Where all cases stand together: the least advanced of the open ones, else how the last one ended. `None` without
    /// any case.
    pub fn standing(&self) -> Option<Standing> {
        let of = |case: &Case| match case.status {
            Status::Requested => Standing::Requested,
            Status::Approved | Status::Sent => Standing::Approved,
            Status::Received | Status::Refunding | Status::Replacing => Standing::Returned,
            Status::Exchanged => Standing::Exchanged,
            _ => Standing::Closed,
        };
        let open = self.cases.values().filter(|case| !case.status.is_ended()).map(of).min();
        open.or_else(|| self.latest.and_then(|id| self.cases.get(&id)).map(of))
    }

    fn step(&mut self, event: &Event) {
        let case_id = event.case_id();
        self.latest = Some(case_id);
        if let Event::CaseRequested { account_id, kind, reason, lines, freight, due_at, .. } = event {
            let units = lines.iter().map(|line| (line.sku.clone(), line.quantity.get())).collect();
            let case = Case {
                account_id: *account_id,
                kind: *kind,
                reason: *reason,
                status: Status::Requested,
                units,
                lines: lines.clone(),
                paid_freight: *freight,
                freight: Money::zero(freight.currency),
                inspected: Vec::new(),
                refund: Ended::default(),
                granted: None,
                paid: BTreeSet::new(),
                replacement: BTreeMap::new(),
                due_at: Some(*due_at),
                escalated: false,
            };
            self.cases.insert(case_id, case);
        } else if let Some(case) = self.cases.get_mut(&case_id) {
            case.step(event);
        }
    }
}

impl Case {
    /// Asked before: `sku` as it was bought.
    pub fn line(&self, sku: &Sku) -> Option<&RequestedLine> {
        self.lines.iter().find(|line| line.sku == *sku)
    }
    /// Whether all of the replacement left, and came back.
    pub fn replacement_is_back(&self) -> bool {
        let back: i64 =
            self.replacement.values().filter(|parcel| parcel.returned).map(|parcel| parcel.units).sum();
        back > 0 && back >= self.units.values().sum()
    }
    /// Units that go back into stock.
    pub fn restocked(&self) -> Vec<(Sku, Quantity)> {
        self.inspected_units(|line| line.restocked)
    }
    /// Units that came back and cannot be sold again.
    pub fn written_off(&self) -> Vec<(Sku, Quantity)> {
        self.inspected_units(|line| line.written_off)
    }
    fn inspected_units(&self, of: impl Fn(&InspectedLine) -> u32) -> Vec<(Sku, Quantity)> {
        let one = |line: &InspectedLine| {
            Quantity::new(i64::from(of(line))).ok().map(|units| (line.sku.clone(), units))
        };
        self.inspected.iter().filter_map(one).collect()
    }

    fn moved(&mut self, status: Status, due_at: Option<Timestamp>) {
        (self.status, self.due_at, self.escalated) = (status, due_at, false);
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::CaseRequested { .. } => {}
            Event::CaseApproved { freight, due_at, .. } => {
                self.freight = *freight;
                self.moved(Status::Approved, *due_at);
            }
            Event::CaseRefused { .. } => self.moved(Status::Refused, None),
            Event::CaseWithdrawn { .. } => self.moved(Status::Withdrawn, None),
            Event::CaseExpired { .. } => self.moved(Status::Expired, None),
            Event::CaseCancelled { .. } => self.moved(Status::Cancelled, None),
            Event::ReturnSent { due_at, .. } => self.moved(Status::Sent, Some(*due_at)),
            Event::ReturnReceived { lines, due_at, .. } => {
                self.units = lines.iter().map(|line| (line.sku.clone(), line.quantity.get())).collect();
                self.moved(Status::Received, Some(*due_at));
            }
            Event::ReturnInspected { lines, .. } => self.inspected.clone_from(lines),
            Event::RefundDue { lines, freight, total, due_at, .. } => {
                self.refund =
                    Ended { lines: lines.clone(), freight_minor: freight.minor, total: Some(*total) };
                self.moved(Status::Refunding, Some(*due_at));
            }
            Event::ReplacementDue { due_at, .. } => self.moved(Status::Replacing, Some(*due_at)),
            Event::ReplacementUnavailable { .. } => {}
            Event::RefundGranted { refunds, .. } => {
                self.granted = Some(refunds.clone());
                self.end_when_paid();
            }
            Event::RefundPaid { refund_id, .. } => {
                self.paid.insert(*refund_id);
                self.end_when_paid();
            }
            Event::ReplacementOpened { shipments, .. } => {
                for shipment in shipments {
                    self.replacement.entry(*shipment).or_default();
                }
            }
            Event::ReplacementSent { shipment_id, units, complete, .. } => {
                self.replacement.insert(*shipment_id, Parcel { units: *units, returned: false });
                if *complete {
                    self.moved(Status::Exchanged, None);
                }
            }
            Event::ReplacementReturned { shipment_id, .. } => {
                self.replacement.entry(*shipment_id).or_default().returned = true;
            }
            Event::DeadlineMissed { .. } => (self.due_at, self.escalated) = (None, true),
        }
    }

    fn end_when_paid(&mut self) {
        let granted = self.granted.iter().flatten();
        if self.status == Status::Refunding
            && granted.into_iter().all(|refund| self.paid.contains(&refund.refund_id))
        {
            self.moved(Status::Refunded, None);
        }
    }
}

impl Aggregate for AfterSales {
    type State = Self;
    type Event = Event;
    fn evolve(mut state: Self, event: &Event) -> Self {
        state.step(event);
        state
    }
}
