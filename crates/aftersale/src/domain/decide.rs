//! The rules: what a command makes happen, or why it does not.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{AfterSaleId, RefundId, ShipmentId, Sku, WarehouseId};
use merx_kernel::{Error, Money, Quantity, Result as KernelResult, Timestamp};

use super::{
    case::{AfterSales, Case, Status},
    event::{Event, GrantedRefund, InspectedLine, Kind, ReasonCode, RefundLine, RequestedLine, UnitLine},
    policy::{Policy, after},
    refund::{Terms, share},
};

/// The most cases an order may ever have; a refusal may be followed by another try, not by endless ones.
pub const CASES_MAX: usize = 50;

/// What is known from outside when a command is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The present moment.
    pub now: Timestamp,
    /// The times of the shop.
    pub policy: Policy,
}

/// What somebody wants of a case.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "what each has is said by its type")]
pub enum Command {
    /// The buyer asks.
    Request { kind: Kind, reason: ReasonCode, lines: Vec<UnitLine>, terms: Terms },
    /// Staff agree, and give so much of the freight back.
    Approve { freight: Option<Money> },
    /// Staff do not agree: with what was asked, or with what came.
    Refuse,
    /// The buyer thought better of it.
    Withdraw,
    /// The buyer has sent the goods.
    MarkSent,
    /// These goods came.
    Receive { warehouse_id: Option<WarehouseId>, lines: Vec<UnitLine> },
    /// What became of them.
    Inspect { lines: Vec<InspectedLine> },
    /// Ordering set the money aside.
    Grant { refunds: Vec<GrantedRefund> },
    /// A refund went through.
    RecordRefund { refund_id: RefundId },
    /// The warehouses are asked for these shipments.
    OpenReplacement { shipments: Vec<ShipmentId> },
    /// There is nothing to replace it with.
    RefundInstead,
    /// A shipment of the replacement left.
    RecordDispatch { shipment_id: ShipmentId, lines: Vec<UnitLine> },
    /// A shipment of the replacement came back.
    RecordReturn { shipment_id: ShipmentId },
    /// All of the replacement came back: staff give the money back instead.
    RefundReplaced,
    /// A time has passed.
    Deadline,
    /// The order was cancelled. What is being settled already waits for ordering's word: [`Self::Abandon`].
    Cancel,
    /// Ordering grants nothing any more.
    Abandon,
}

/// Why a command does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such case.
    CaseUnknown,
    /// A line names what the order does not have, or names it twice: which line.
    NotBought(usize),
    /// More is asked than can still be asked for: which line, and how many can.
    UnitsClaimed(usize, i64),
    /// More is asked to go back than the buyer has: which line, and how many can.
    NotArrived(usize, i64),
    /// The time for it is over.
    WindowClosed,
    /// The order has had as many cases as it may.
    CaseLimit,
    /// More freight than was paid and is not given back yet.
    FreightExceeded,
    /// The counts are not those of the case: which line.
    CountsDiffer(usize),
    /// The replacement has not come back.
    ReplacementOut,
    /// From where it stands the case cannot do this.
    NotInThisState(Status),
}

impl Rejection {
    /// The stable code; that of bad input is the API's.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CaseUnknown => "aftersale.case_not_found",
            Self::NotBought(_) | Self::CountsDiffer(_) => "request.invalid",
            Self::UnitsClaimed(..) => "aftersale.units_claimed",
            Self::NotArrived(..) => "aftersale.not_arrived",
            Self::WindowClosed => "aftersale.window_closed",
            Self::CaseLimit => "aftersale.case_limit",
            Self::FreightExceeded => "aftersale.freight_exceeded",
            Self::ReplacementOut => "aftersale.replacement_out",
            Self::NotInThisState(_) => "aftersale.not_in_this_state",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let code = rejection.code();
        match rejection {
            Rejection::CaseUnknown => Self::not_found(code, "There is no such after-sale case."),
            Rejection::NotBought(index) => {
                Self::invalid(format!("/lines/{index}/sku"), "must be a SKU of the order, named once")
            }
            Rejection::CountsDiffer(index) => {
                let text = "must be a SKU of the case, named once, with the units that it has";
                Self::invalid(format!("/lines/{index}"), text)
            }
            Rejection::UnitsClaimed(index, left) => {
                Self::rejected(code, format!("Of these units {left} can still be asked for."))
                    .with_field(format!("/lines/{index}/quantity"), format!("must be at most {left}"))
            }
            Rejection::NotArrived(index, left) => {
                Self::rejected(code, format!("Of these units {left} have arrived and can go back."))
                    .with_field(format!("/lines/{index}/quantity"), format!("must be at most {left}"))
            }
            Rejection::WindowClosed => Self::rejected(code, "The time in which this can be asked is over."),
            Rejection::CaseLimit => {
                Self::rejected(code, format!("An order has at most {CASES_MAX} after-sale cases."))
            }
            Rejection::FreightExceeded => {
                Self::rejected(code, "So much was not paid for sending, or has been given back.")
                    .with_field("/freight", "must be at most what is left of the freight")
            }
            Rejection::ReplacementOut => {
                Self::rejected(code, "Not all that was sent in replacement has come back.")
            }
            Rejection::NotInThisState(status) => {
                Self::rejected(code, format!("The case is {} and cannot do this.", status.name()))
            }
        }
    }
}

/// The events of `command` on one case; none when it has already happened.
///
/// # Errors
/// The rule that says no, as [`Rejection`]; `Internal` where the books do not add up.
pub fn decide(
    all: &AfterSales,
    case_id: AfterSaleId,
    command: &Command,
    facts: &Facts,
) -> KernelResult<Vec<Event>> {
    if let Command::Request { kind, reason, lines, terms } = command {
        return request(all, case_id, (*kind, *reason), lines, terms, facts);
    }
    let case = all.cases.get(&case_id).ok_or(Rejection::CaseUnknown)?;
    let one = |event| Ok(vec![event]);
    let due = |seconds| after(facts.now, seconds);
    match (command, case.status) {
        (Command::Approve { freight }, Status::Requested) => approve(all, case_id, case, *freight, facts),
        (Command::Refuse, Status::Requested | Status::Received) => one(Event::CaseRefused { case_id }),
        // It never came, so far as anybody can tell.
        (Command::Refuse, Status::Sent) if case.escalated => one(Event::CaseRefused { case_id }),
        (Command::Withdraw, Status::Requested | Status::Approved) => one(Event::CaseWithdrawn { case_id }),
        (Command::MarkSent, Status::Approved) => {
            one(Event::ReturnSent { case_id, due_at: due(facts.policy.arrive_within_s) })
        }
        // The carrier or the number was mistyped: words, and no event.
        (Command::MarkSent, Status::Sent) => Ok(Vec::new()),
        (Command::Receive { warehouse_id, lines }, Status::Approved | Status::Sent) => {
            counted(case, lines.iter().map(|line| (&line.sku, line.quantity.get())), i64::le)?;
            received(case_id, *warehouse_id, lines, facts)
        }
        // The goods were on their way when the time was over: the shop has them now.
        (Command::Receive { warehouse_id, lines }, Status::Expired) => {
            counted(case, lines.iter().map(|line| (&line.sku, line.quantity.get())), i64::le)?;
            for (index, UnitLine { sku, quantity }) in lines.iter().enumerate() {
                let bought = case.line(sku).map_or(0, |line| line.bought.get());
                let left = bought - all.claimed(sku, |_| true);
                if quantity.get() > left {
                    return Err(Rejection::UnitsClaimed(index, left.max(0)).into());
                }
            }
            received(case_id, *warehouse_id, lines, facts)
        }
        (Command::Inspect { lines }, Status::Received) => {
            let units = |line: &InspectedLine| i64::from(line.restocked) + i64::from(line.written_off);
            counted(case, lines.iter().map(|line| (&line.sku, units(line))), i64::eq)?;
            if lines.len() != case.units.len() {
                return Err(Rejection::CountsDiffer(lines.len()).into());
            }
            let next = match case.kind {
                Kind::Exchange => {
                    Event::ReplacementDue { case_id, due_at: due(facts.policy.settle_within_s) }
                }
                Kind::Refund | Kind::Return => refund_due(all, case_id, case, case.freight, facts)?,
            };
            Ok(vec![Event::ReturnInspected { case_id, lines: lines.clone() }, next])
        }
        (Command::Deadline, _) => Ok(deadline(case_id, case, facts.now)),
        (Command::Cancel, Status::Requested | Status::Approved | Status::Sent | Status::Received) => {
            one(Event::CaseCancelled { case_id })
        }
        (Command::Abandon, Status::Refunding) if case.granted.is_none() => {
            one(Event::CaseCancelled { case_id })
        }
        (Command::Abandon, Status::Replacing) if case.replacement.is_empty() => {
            one(Event::CaseCancelled { case_id })
        }
        (Command::Refuse, Status::Refused)
        | (Command::Withdraw, Status::Withdrawn)
        | (Command::Cancel | Command::Abandon, _) => Ok(Vec::new()),
        _ => settle(all, case_id, case, command, facts),
    }
}

/// What sagas and the facts of others make of a case.
fn settle(
    all: &AfterSales,
    case_id: AfterSaleId,
    case: &Case,
    command: &Command,
    facts: &Facts,
) -> KernelResult<Vec<Event>> {
    let one = |event| Ok(vec![event]);
    match (command, case.status) {
        (Command::Grant { refunds }, Status::Refunding) if case.granted.is_none() => {
            one(Event::RefundGranted { case_id, refunds: refunds.clone() })
        }
        (Command::Grant { .. }, Status::Refunding | Status::Refunded) => Ok(Vec::new()),
        (Command::RecordRefund { refund_id }, _) => Ok(record_refund(case_id, case, *refund_id)),
        (Command::OpenReplacement { shipments }, Status::Replacing) if case.replacement.is_empty() => {
            one(Event::ReplacementOpened { case_id, shipments: shipments.clone() })
        }
        (Command::OpenReplacement { .. }, Status::Replacing | Status::Exchanged) => Ok(Vec::new()),
        (Command::RefundInstead, Status::Replacing) if case.replacement.is_empty() => {
            let due = refund_due(all, case_id, case, case.freight, facts)?;
            Ok(vec![Event::ReplacementUnavailable { case_id }, due])
        }
        (Command::RefundInstead, Status::Refunding | Status::Refunded) => Ok(Vec::new()),
        (Command::RecordDispatch { shipment_id, lines }, Status::Replacing) => {
            if case.replacement.get(shipment_id).is_some_and(|parcel| parcel.units > 0) {
                return Ok(Vec::new());
            }
            let units: i64 = lines.iter().map(|line| line.quantity.get()).sum();
            let left = units + case.replacement.values().map(|parcel| parcel.units).sum::<i64>();
            let complete = left >= case.units.values().sum();
            one(Event::ReplacementSent { case_id, shipment_id: *shipment_id, units, complete })
        }
        (Command::RecordDispatch { .. }, Status::Exchanged) => Ok(Vec::new()),
        (Command::RecordReturn { shipment_id }, _) => {
            let left =
                case.replacement.get(shipment_id).is_some_and(|parcel| parcel.units > 0 && !parcel.returned);
            let event = Event::ReplacementReturned { case_id, shipment_id: *shipment_id };
            Ok(left.then_some(event).into_iter().collect())
        }
        (Command::RefundReplaced, Status::Exchanged) => {
            if !case.replacement_is_back() {
                return Err(Rejection::ReplacementOut.into());
            }
            // Another case may have been promised the freight meanwhile.
            let left = case.paid_freight.minor - all.promised_freight();
            let freight = Money::new(case.freight.minor.min(left).max(0), case.freight.currency);
            one(refund_due(all, case_id, case, freight, facts)?)
        }
        (Command::RefundReplaced, Status::Refunding | Status::Refunded) if !case.replacement.is_empty() => {
            Ok(Vec::new())
        }
        (_, status) => Err(Rejection::NotInThisState(status).into()),
    }
}

fn received(
    case_id: AfterSaleId,
    warehouse_id: Option<WarehouseId>,
    lines: &[UnitLine],
    facts: &Facts,
) -> KernelResult<Vec<Event>> {
    let due_at = after(facts.now, facts.policy.inspect_within_s);
    Ok(vec![Event::ReturnReceived { case_id, warehouse_id, lines: lines.to_vec(), due_at }])
}

fn request(
    all: &AfterSales,
    case_id: AfterSaleId,
    (kind, reason): (Kind, ReasonCode),
    lines: &[UnitLine],
    terms: &Terms,
    facts: &Facts,
) -> KernelResult<Vec<Event>> {
    if all.cases.contains_key(&case_id) {
        return Ok(Vec::new());
    }
    if all.cases.len() >= CASES_MAX {
        return Err(Rejection::CaseLimit.into());
    }
    let mut asked = Vec::with_capacity(lines.len());
    let mut seen = BTreeSet::new();
    for (index, UnitLine { sku, quantity }) in lines.iter().enumerate() {
        let line = terms.lines.get(sku).filter(|_| seen.insert(sku)).ok_or(Rejection::NotBought(index))?;
        let left = line.bought - all.claimed(sku, |_| true);
        if quantity.get() > left {
            return Err(Rejection::UnitsClaimed(index, left.max(0)).into());
        }
        let back = line.arrived - all.claimed(sku, |other| other != Kind::Refund);
        if kind != Kind::Refund && quantity.get() > back {
            return Err(Rejection::NotArrived(index, back.max(0)).into());
        }
        let bought = Quantity::new(line.bought)?;
        asked.push(RequestedLine { sku: sku.clone(), quantity: *quantity, bought, paid: line.paid });
    }
    if closes_at(kind, terms, &facts.policy).is_some_and(|closes_at| facts.now > closes_at) {
        return Err(Rejection::WindowClosed.into());
    }
    Ok(vec![Event::CaseRequested {
        case_id,
        account_id: terms.account_id,
        kind,
        reason,
        lines: asked,
        freight: terms.freight,
        due_at: after(facts.now, facts.policy.answer_within_s),
    }])
}

/// Until when something may be asked; `None` for as long as nothing was received.
fn closes_at(kind: Kind, terms: &Terms, policy: &Policy) -> Option<Timestamp> {
    match kind {
        Kind::Refund => terms.received_at.map(|at| after(at, policy.refund_window_s)),
        Kind::Return | Kind::Exchange => {
            terms.delivered_at.max(terms.received_at).map(|at| after(at, policy.return_window_s))
        }
    }
}

fn approve(
    all: &AfterSales,
    case_id: AfterSaleId,
    case: &Case,
    freight: Option<Money>,
    facts: &Facts,
) -> KernelResult<Vec<Event>> {
    let freight = freight.unwrap_or(Money::zero(case.freight.currency));
    let left = case.paid_freight.minus(Money::new(all.promised_freight(), case.freight.currency))?;
    if freight.currency != left.currency || freight.minor < 0 || freight.minor > left.minor {
        return Err(Rejection::FreightExceeded.into());
    }
    let sends = case.kind != Kind::Refund;
    let due_at = sends.then(|| after(facts.now, facts.policy.send_within_s));
    let mut events = vec![Event::CaseApproved { case_id, freight, due_at }];
    if !sends {
        events.push(refund_due(all, case_id, case, freight, facts)?);
    }
    Ok(events)
}

/// What goes back for the units of a case: each line's share of what was paid for it, after what went back before.
fn refund_due(
    all: &AfterSales,
    case_id: AfterSaleId,
    case: &Case,
    freight: Money,
    facts: &Facts,
) -> KernelResult<Event> {
    let mut lines = Vec::with_capacity(case.units.len());
    let mut total = freight;
    for (sku, units) in &case.units {
        let Some(line) = case.line(sku) else {
            return Err(Error::internal("a case has units without a line"));
        };
        let amount = share(line.paid, line.bought.get(), all.refunded_units(sku), *units)?;
        total = total.plus(amount)?;
        lines.push(RefundLine { sku: sku.clone(), quantity: Quantity::new(*units)?, amount });
    }
    let due_at = after(facts.now, facts.policy.settle_within_s);
    Ok(Event::RefundDue { case_id, lines, freight, total, due_at })
}

/// Checks that each line is one of the case and its units are `fits` for those the case has.
fn counted<'a>(
    case: &Case,
    lines: impl Iterator<Item = (&'a Sku, i64)>,
    fits: fn(&i64, &i64) -> bool,
) -> Result<(), Rejection> {
    let mut seen = BTreeMap::new();
    for (index, (sku, units)) in lines.enumerate() {
        let has = case.units.get(sku);
        if seen.insert(sku, ()).is_some() || !has.is_some_and(|has| fits(&units, has)) {
            return Err(Rejection::CountsDiffer(index));
        }
    }
    if seen.is_empty() { Err(Rejection::CountsDiffer(0)) } else { Ok(()) }
}

fn record_refund(case_id: AfterSaleId, case: &Case, refund_id: RefundId) -> Vec<Event> {
    let granted = case.granted.iter().flatten().any(|refund| refund.refund_id == refund_id);
    let paid = granted && !case.paid.contains(&refund_id);
    paid.then_some(Event::RefundPaid { case_id, refund_id }).into_iter().collect()
}

/// The buyer who does not send the goods lets the case go; whoever else is late is told of.
fn deadline(case_id: AfterSaleId, case: &Case, now: Timestamp) -> Vec<Event> {
    if case.due_at.is_none_or(|due_at| now < due_at) {
        return Vec::new();
    }
    vec![match case.status {
        Status::Approved => Event::CaseExpired { case_id },
        _ => Event::DeadlineMissed { case_id },
    }]
}
