//! The rules of money: what pays the order, what waits for a person, what goes back.

use merx_contracts::ids::{AfterSaleId, AttemptId, OrderId, RefundId};
use merx_kernel::Money;

use super::{
    axes::{Axes, OrderAxis, PaymentAxis},
    decide::{Facts, Rejection},
    event::{
        AfterSaleRefundGranted, AfterSaleRefunded, CancelReason, Event, MoneyReceived, OrderCancelled,
        OrderRevived, QuarantineAccepted, RevivalBegun, RevivalRefused, SurplusReceived, SurplusRefunded,
    },
    identity::{after_sale_refund_of, refund_of, reservation_of, surplus_refund_of},
    order::{Order, Settled},
};

pub(super) fn record_capture(
    order: &Order,
    attempt_id: AttemptId,
    amount: Money,
    late: bool,
    facts: &Facts,
) -> Result<Vec<Event>, Rejection> {
    let (Some(axes), Some(terms)) = (order.axes, order.terms.as_ref()) else {
        return Err(Rejection::OrderUnknown);
    };
    if order.knows_attempt(attempt_id) {
        return Ok(Vec::new());
    }
    let money = MoneyReceived { attempt_id, amount };
    let refund_id = refund_of(facts.order_id, attempt_id);
    let surplus = SurplusReceived { attempt_id, amount, refund_id };
    let event = match axes.order {
        OrderAxis::Placed => return Err(Rejection::StillPlacing),
        OrderAxis::Rejected | OrderAxis::Cancelled => Event::LatePaymentReceived(surplus),
        OrderAxis::Confirmed | OrderAxis::Completed => Event::OverpaymentReceived(surplus),
        // Whoever looks into the first money looks into this too.
        OrderAxis::AwaitingPayment if axes.payment == PaymentAxis::Quarantined => {
            Event::PaymentQuarantined(money)
        }
        OrderAxis::AwaitingPayment if axes.payment != PaymentAxis::Pending || late => {
            Event::LatePaymentReceived(surplus)
        }
        OrderAxis::AwaitingPayment if amount == terms.total => Event::OrderPaid(money),
        OrderAxis::AwaitingPayment => Event::PaymentQuarantined(money),
    };
    if matches!(event, Event::LatePaymentReceived(_)) && may_revive(order, axes, amount) {
        let reservation_id = reservation_of(facts.order_id, attempt_id);
        return Ok(vec![event, Event::RevivalBegun(RevivalBegun { attempt_id, reservation_id })]);
    }
    Ok(vec![event])
}

/// Whether late money is what the order would have cost, and nothing stands against its going on: it ended, or is about
/// to, for no other reason than that the money was not there, or the buyer's own. What was paid once goes back with its
/// cancellation; and it comes to life at most once, by one attempt's money at a time.
fn may_revive(order: &Order, axes: Axes, amount: Money) -> bool {
    let ended = matches!(axes.order, OrderAxis::Cancelled | OrderAxis::AwaitingPayment);
    let willing = matches!(order.cancellation, Some(CancelReason::Buyer | CancelReason::Expired));
    let total = order.terms.as_ref().map(|terms| terms.total);
    ended && willing && !order.was_paid && order.revival.is_none() && Some(amount) == total
}

/// The money must be there still, whoever may have given it back.
pub(super) fn revive(order: &Order, axes: Axes, attempt_id: AttemptId) -> Result<Vec<Event>, Rejection> {
    let revival = order.revival.filter(|revival| revival.attempt_id == attempt_id);
    if revival.ok_or(Rejection::NotReviving)?.done {
        return Ok(Vec::new());
    }
    if axes.order == OrderAxis::AwaitingPayment {
        return Err(Rejection::StillClosing);
    }
    let held = order.to_refund().find(|(_, surplus)| surplus.attempt_id == attempt_id);
    let (refund_id, surplus) = held.ok_or(Rejection::NotReviving)?;
    let outstanding = order.outstanding_surpluses(refund_id);
    Ok(vec![Event::OrderRevived(OrderRevived { attempt_id, amount: surplus.amount, outstanding })])
}

pub(super) fn refuse_revival(order: &Order, attempt_id: AttemptId, code: &str) -> Vec<Event> {
    let open = order.revival.is_some_and(|revival| revival.attempt_id == attempt_id && !revival.done);
    let refused = || Event::RevivalRefused(RevivalRefused { attempt_id, code: code.to_owned() });
    open.then(refused).into_iter().collect()
}

pub(super) fn record_refund(
    order: &Order,
    refund_id: RefundId,
    amount: Money,
) -> Result<Vec<Event>, Rejection> {
    let surplus = order.surplus.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
    if surplus.amount != amount {
        return Err(Rejection::RefundDiffers);
    }
    if surplus.refunded {
        return Ok(Vec::new());
    }
    let Some(axes) = order.axes else { return Err(Rejection::OrderUnknown) };
    if surplus.case_id.is_some() {
        let everything = order.held_minor() == amount.minor;
        return Ok(vec![Event::AfterSaleRefunded(AfterSaleRefunded { refund_id, amount, everything })]);
    }
    let refund = SurplusRefunded { refund_id, amount, outstanding: order.outstanding_surpluses(refund_id) };
    Ok(vec![match (axes.order, axes.payment) {
        (OrderAxis::Confirmed | OrderAxis::Completed, _) => Event::OverpaymentRefunded(refund),
        (_, PaymentAxis::Captured | PaymentAxis::PartRefunded) => Event::OrderRefunded(refund),
        _ => Event::LatePaymentRefunded(refund),
    }])
}

/// Sets money of a paid order aside for an after-sale case: from then on no cancellation gives it back.
pub(super) fn grant_refund(
    order: &Order,
    case_id: AfterSaleId,
    amount: Money,
) -> Result<Vec<Event>, Rejection> {
    if order.granted(case_id).next().is_some() {
        let granted: i64 = order.granted(case_id).map(|(_, part)| part.amount.minor).sum();
        return if granted == amount.minor { Ok(Vec::new()) } else { Err(Rejection::RefundDiffers) };
    }
    sold(order)?;
    let mut owed = amount.minor;
    let mut refunds = Vec::new();
    for (attempt_id, paid) in &order.paid {
        let taken = if paid.currency == amount.currency { paid.minor.min(owed) } else { 0 };
        if taken > 0 {
            owed -= taken;
            refunds.push(SurplusReceived {
                attempt_id: *attempt_id,
                amount: Money::new(taken, paid.currency),
                refund_id: after_sale_refund_of(case_id, *attempt_id),
            });
        }
    }
    if owed != 0 || refunds.is_empty() {
        return Err(Rejection::RefundAbovePaid);
    }
    Ok(vec![Event::AfterSaleRefundGranted(AfterSaleRefundGranted { case_id, refunds })])
}

/// Whether an order is paid and goes on.
pub(super) fn sold(order: &Order) -> Result<(), Rejection> {
    match order.axes.map(|axes| axes.order) {
        None => Err(Rejection::OrderUnknown),
        Some(OrderAxis::Placed | OrderAxis::AwaitingPayment) => Err(Rejection::NotPaid),
        Some(OrderAxis::Rejected | OrderAxis::Cancelled) => Err(Rejection::OrderEnded),
        Some(OrderAxis::Confirmed | OrderAxis::Completed) => Ok(()),
    }
}

/// Everything that was paid for the order, as it goes back.
pub(super) fn all_back(order: &Order, order_id: OrderId) -> Vec<SurplusReceived> {
    let held = order.paid.iter().chain(&order.quarantined);
    held.map(|(attempt_id, amount)| SurplusReceived {
        attempt_id: *attempt_id,
        amount: *amount,
        refund_id: refund_of(order_id, *attempt_id),
    })
    .collect()
}

/// The shop has all of its goods again: all the money goes back and the order ends.
pub(super) fn refund_returned(order: &Order, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    if order.settled == Some(Settled::Refunded) {
        return Ok(Vec::new());
    }
    if !order.came_back() {
        return Err(Rejection::NotQuarantined);
    }
    // The buyer has others for them, or will.
    if !order.replacements.is_empty() {
        return Err(Rejection::GoodsReplaced);
    }
    let refunds = all_back(order, facts.order_id);
    Ok(vec![Event::OrderCancelled(OrderCancelled { reason: CancelReason::Staff, refunds })])
}

/// Whether there is quarantined money to decide on; `Ok(false)` when that was decided this way before.
fn undecided(order: &Order, decision: Settled) -> Result<bool, Rejection> {
    let Some(axes) = order.axes else { return Err(Rejection::OrderUnknown) };
    if order.settled == Some(decision) {
        return Ok(false);
    }
    let waits = axes.order == OrderAxis::AwaitingPayment && axes.payment == PaymentAxis::Quarantined;
    if waits { Ok(true) } else { Err(Rejection::NotQuarantined) }
}

/// The quarantined money pays the order. What came first is kept first; what is above the total, or in another currency,
/// goes back.
pub(super) fn accept_quarantine(order: &Order, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    if !undecided(order, Settled::Accepted)? {
        return Ok(Vec::new());
    }
    let total = order.terms.as_ref().ok_or(Rejection::OrderUnknown)?.total;
    let mut owed = total.minor;
    let (mut kept, mut surplus) = (Vec::new(), Vec::new());
    for (attempt_id, amount) in &order.quarantined {
        let taken = if amount.currency == total.currency { amount.minor.clamp(0, owed) } else { 0 };
        owed -= taken;
        let part = |minor| Money::new(minor, amount.currency);
        if taken > 0 {
            kept.push(MoneyReceived { attempt_id: *attempt_id, amount: part(taken) });
        }
        if taken < amount.minor {
            let identity = if taken > 0 { surplus_refund_of } else { refund_of };
            surplus.push(SurplusReceived {
                attempt_id: *attempt_id,
                amount: part(amount.minor - taken),
                refund_id: identity(facts.order_id, *attempt_id),
            });
        }
    }
    if owed > 0 {
        return Err(Rejection::CapturedTooLittle);
    }
    Ok(vec![Event::QuarantineAccepted(QuarantineAccepted { kept, surplus })])
}

/// The quarantined money goes back and the order ends.
pub(super) fn refund_quarantine(order: &Order, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    if !undecided(order, Settled::Refunded)? {
        return Ok(Vec::new());
    }
    let refunds = all_back(order, facts.order_id);
    Ok(vec![Event::OrderCancelled(OrderCancelled { reason: CancelReason::Staff, refunds })])
}
