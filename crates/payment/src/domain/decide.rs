//! What may happen to a payment.

use merx_contracts::ids::{AttemptId, RefundId};
use merx_kernel::{Guard, Money, Timestamp};

use super::{
    ATTEMPTS_MAX, attempt_expiry,
    event::{AttemptEnd, Method, PaymentEvent, ProviderName},
    is_payable,
    rejection::Rejection,
    state::{Capture, CaptureKind, Payment, RefundState, Status, Terms},
};

/// What somebody wants of a payment. Each may be given again: what is already so makes no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let the buyer pay.
    Open(Terms),
    /// Send the buyer to a cashier, or give out a code. While an attempt of the same method is open it makes no event:
    /// there is one open attempt at most. One of another method must have ended, or be named as replaced.
    StartAttempt {
        /// The identity of the attempt, if it is begun.
        attempt_id: AttemptId,
        /// How.
        method: Method,
        /// The attempt whose place it takes: one that the provider does not know yet, so that it cannot be closed.
        replaces: Option<AttemptId>,
        /// Now.
        at: Timestamp,
    },
    /// The provider made the QR code of an attempt.
    PrepareAttempt {
        /// Which.
        attempt_id: AttemptId,
        /// The text of the code.
        qr_code: String,
    },
    /// The provider says that nothing more can come of an attempt.
    CloseAttempt {
        /// Which.
        attempt_id: AttemptId,
        /// Why.
        end: AttemptEnd,
    },
    /// The provider says that it has the buyer's money.
    Capture {
        /// For which attempt.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// The provider's own number.
        provider_trade_no: String,
    },
    /// Staff saw more money for an attempt that had brought some: a bank takes as many transfers as are sent.
    CaptureBeside {
        /// The attempt that the buyer paid once more.
        beside: AttemptId,
        /// The identity of the attempt this money is kept as.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// The number of its receipt.
        provider_trade_no: String,
        /// Now.
        at: Timestamp,
    },
    /// Let money that lay as a deposit pay the order.
    AcceptDeposit {
        /// The attempt that brought it.
        attempt_id: AttemptId,
        /// How much of it.
        amount: Money,
    },
    /// The provider's bill tells the fee of a capture or a refund.
    ChargeFee {
        /// Whose money.
        attempt_id: AttemptId,
        /// The refund; none for the fee of the capture.
        refund_id: Option<RefundId>,
        /// How much; below zero where it was given back.
        amount: Money,
        /// The Beijing day of the bill, `2026-11-20`.
        bill_day: String,
    },
    /// Want no money any more, while the provider still has an attempt open.
    RequestClose,
    /// Nothing can be paid any more.
    Close,
    /// Give money back.
    RequestRefund {
        /// The identity of the refund.
        refund_id: RefundId,
        /// Whose money.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// A word for the provider's record.
        reason: String,
        /// Now.
        at: Timestamp,
    },
    /// The provider says how a refund ended.
    SettleRefund {
        /// Which.
        refund_id: RefundId,
        /// `Succeeded` or `Failed`.
        state: RefundState,
    },
    /// Try a refund again that failed for good.
    RetryRefund {
        /// Which.
        refund_id: RefundId,
        /// Now.
        at: Timestamp,
    },
}

type Decision = Result<Vec<PaymentEvent>, Rejection>;

/// The events a command makes of a payment, or why it may not.
///
/// # Errors
/// The [`Rejection`].
pub fn decide(payment: &Payment, command: Command) -> Decision {
    match command {
        Command::Open(terms) => open(payment, terms),
        Command::StartAttempt { attempt_id, method, replaces, at } => {
            start_attempt(payment, attempt_id, method, replaces, at)
        }
        Command::PrepareAttempt { attempt_id, qr_code } => prepare_attempt(payment, attempt_id, qr_code),
        Command::CloseAttempt { attempt_id, end } => close_attempt(payment, attempt_id, end),
        Command::Capture { attempt_id, amount, provider_trade_no } => {
            capture(payment, attempt_id, amount, provider_trade_no)
        }
        Command::CaptureBeside { beside, attempt_id, amount, provider_trade_no, at } => {
            capture_beside(payment, beside, attempt_id, amount, provider_trade_no, at)
        }
        Command::AcceptDeposit { attempt_id, amount } => accept_deposit(payment, attempt_id, amount),
        Command::ChargeFee { attempt_id, refund_id, amount, bill_day } => {
            charge_fee(payment, attempt_id, refund_id, amount, bill_day)
        }
        Command::RequestClose => request_close(payment),
        Command::Close => close(payment),
        Command::RequestRefund { refund_id, attempt_id, amount, reason, at } => {
            let refund =
                PaymentEvent::RefundRequested { refund_id, attempt_id, amount, reason, requested_at: at };
            request_refund(payment, refund_id, attempt_id, amount, refund)
        }
        Command::SettleRefund { refund_id, state } => settle_refund(payment, refund_id, state),
        Command::RetryRefund { refund_id, at } => retry_refund(payment, refund_id, at),
    }
}

fn open(payment: &Payment, terms: Terms) -> Decision {
    match (&payment.terms, payment.status) {
        (Some(agreed), _) if !agreed.is_same_deal(&terms) => Err(Rejection::PaymentReused),
        (Some(_), Status::Closed | Status::Closing) | (None, Status::Closed) => Err(Rejection::PaymentClosed),
        (Some(_), _) => Ok(Vec::new()),
        (None, _) if !is_payable(terms.amount) => Err(Rejection::AmountNotPayable),
        (None, _) => {
            let Terms { order_id, buyer, amount, freight, deadline, subject } = terms;
            Ok(vec![PaymentEvent::PaymentOpened { order_id, buyer, amount, freight, deadline, subject }])
        }
    }
}

fn start_attempt(
    payment: &Payment,
    attempt_id: AttemptId,
    method: Method,
    replaces: Option<AttemptId>,
    at: Timestamp,
) -> Decision {
    let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
    match payment.status {
        Status::Absent => return Err(Rejection::PaymentUnknown),
        Status::Captured => return Err(Rejection::AlreadyCaptured),
        Status::Quarantined => return Err(Rejection::InReview),
        Status::Closing | Status::Closed => return Err(Rejection::PaymentClosed),
        Status::Open => {}
    }
    let expires_at = attempt_expiry(terms.deadline);
    if at >= expires_at {
        return Err(Rejection::DeadlinePassed);
    }
    let mut events = Vec::new();
    match payment.open_attempt() {
        _ if payment.attempts.contains_key(&attempt_id) => return Ok(events),
        Some((_, open)) if open.method == method => return Ok(events),
        Some((open, _)) if replaces == Some(open) => {
            events.push(PaymentEvent::AttemptSuperseded { attempt_id: open, by: attempt_id });
        }
        Some(_) => return Err(Rejection::AttemptOpen),
        None => {}
    }
    if payment.attempts.len() >= ATTEMPTS_MAX {
        return Err(Rejection::AttemptsTooMany);
    }
    let (provider, amount) = (method.provider(), terms.amount);
    let started_at = at;
    events.push(PaymentEvent::AttemptStarted {
        attempt_id,
        provider,
        method,
        amount,
        started_at,
        expires_at,
    });
    Ok(events)
}

fn prepare_attempt(payment: &Payment, attempt_id: AttemptId, qr_code: String) -> Decision {
    let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
    if attempt.qr_code.is_some() {
        return Ok(Vec::new());
    }
    if payment.capture_of(attempt_id).is_some() {
        return Err(Rejection::AlreadyCaptured);
    }
    if attempt.end.is_some() || attempt.method != Method::AlipayQr {
        return Err(Rejection::AttemptEnded);
    }
    Ok(vec![PaymentEvent::AttemptPrepared { attempt_id, qr_code }])
}

fn close_attempt(payment: &Payment, attempt_id: AttemptId, end: AttemptEnd) -> Decision {
    let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
    // A captured attempt stays captured: a trade that is fully refunded reads as closed at the provider.
    if attempt.end.is_some() || payment.capture_of(attempt_id).is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![PaymentEvent::AttemptClosed { attempt_id, end }])
}

fn capture(payment: &Payment, attempt_id: AttemptId, amount: Money, provider_trade_no: String) -> Decision {
    let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
    // Another amount is money all the same and is recorded as what it is; another currency is not comparable.
    if amount.currency != attempt.amount.currency {
        return Err(Rejection::AmountDiffers);
    }
    match payment.capture_of(attempt_id) {
        Some(known) if Guard::CaptureOnce.on() => {
            return if known.provider_trade_no == provider_trade_no {
                Ok(Vec::new())
            } else {
                Err(Rejection::TradeDiffers)
            };
        }
        _ => {}
    }
    Ok(vec![PaymentEvent::PaymentCaptured {
        attempt_id,
        amount,
        provider: attempt.provider,
        provider_trade_no,
        late: payment.status == Status::Closed,
        duplicate: !payment.captures.is_empty(),
    }])
}

/// Money beside money of the same attempt, which a provider would not have taken: an attempt of its own that begins and is
/// captured at once. The limit of attempts is the buyer's; this money is there.
fn capture_beside(
    payment: &Payment,
    beside: AttemptId,
    attempt_id: AttemptId,
    amount: Money,
    provider_trade_no: String,
    at: Timestamp,
) -> Decision {
    let paid = payment.attempts.get(&beside).ok_or(Rejection::AttemptUnknown)?;
    if paid.provider != ProviderName::Offline {
        return Err(Rejection::NotOffline);
    }
    if amount.currency != paid.amount.currency {
        return Err(Rejection::AmountDiffers);
    }
    if payment.attempts.contains_key(&attempt_id) || payment.capture_of(beside).is_none() {
        return Err(Rejection::TradeDiffers);
    }
    Ok(vec![
        PaymentEvent::AttemptStarted {
            attempt_id,
            provider: paid.provider,
            method: paid.method,
            amount: paid.amount,
            started_at: at,
            expires_at: paid.expires_at,
        },
        PaymentEvent::PaymentCaptured {
            attempt_id,
            amount,
            provider: paid.provider,
            provider_trade_no,
            late: payment.status == Status::Closed,
            duplicate: true,
        },
    ])
}

/// What was owed when it came needs no acceptance. What is accepted never comes to more than the order owes, nor to more
/// than is left of the money.
fn accept_deposit(payment: &Payment, attempt_id: AttemptId, amount: Money) -> Decision {
    let due = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?.amount;
    let capture = payment.capture_of(attempt_id).ok_or(Rejection::NotADeposit)?;
    if capture.kind() == CaptureKind::Owed || capture.accepted_minor > 0 {
        let pays = if capture.accepted_minor > 0 { capture.accepted_minor } else { capture.amount.minor };
        let is_so = Money::new(pays, due.currency) == amount;
        return if is_so { Ok(Vec::new()) } else { Err(Rejection::NotADeposit) };
    }
    let left = capture.amount.minor - payment.refunding_minor(attempt_id);
    let open = due.minor - payment.captures.iter().map(Capture::pays_minor).sum::<i64>();
    if amount.currency != due.currency || amount.minor < 1 || amount.minor > left.min(open) {
        return Err(Rejection::NotADeposit);
    }
    Ok(vec![PaymentEvent::DepositAccepted { attempt_id, amount }])
}

/// Once for each capture and each refund, whatever bill names it again.
fn charge_fee(
    payment: &Payment,
    attempt_id: AttemptId,
    refund_id: Option<RefundId>,
    amount: Money,
    bill_day: String,
) -> Decision {
    let capture = payment.capture_of(attempt_id).ok_or(Rejection::AttemptUnknown)?;
    if refund_id.is_some_and(|id| payment.refunds.get(&id).is_none_or(|r| r.attempt_id != attempt_id)) {
        return Err(Rejection::RefundUnknown);
    }
    if amount.currency != capture.amount.currency {
        return Err(Rejection::AmountDiffers);
    }
    if amount.minor == 0 || payment.fees.contains(&(attempt_id, refund_id)) {
        return Ok(Vec::new());
    }
    let provider = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?.provider;
    Ok(vec![PaymentEvent::FeeCharged { attempt_id, refund_id, amount, provider, bill_day }])
}

fn is_payable_still(payment: &Payment) -> bool {
    payment.payable_attempts().next().is_some()
}

fn request_close(payment: &Payment) -> Decision {
    match payment.status {
        Status::Open if is_payable_still(payment) => Ok(vec![PaymentEvent::CloseRequested {}]),
        _ => Ok(Vec::new()),
    }
}

fn close(payment: &Payment) -> Decision {
    match payment.status {
        Status::Captured | Status::Quarantined | Status::Closed => Ok(Vec::new()),
        Status::Open | Status::Closing if is_payable_still(payment) && Guard::CloseBeforeRelease.on() => {
            Err(Rejection::AttemptOpen)
        }
        Status::Absent | Status::Open | Status::Closing => Ok(vec![PaymentEvent::PaymentClosed {}]),
    }
}

fn request_refund(
    payment: &Payment,
    refund_id: RefundId,
    attempt_id: AttemptId,
    amount: Money,
    refund: PaymentEvent,
) -> Decision {
    if let Some(known) = payment.refunds.get(&refund_id) {
        let same = known.attempt_id == attempt_id && known.amount == amount;
        return if same { Ok(Vec::new()) } else { Err(Rejection::RefundReused) };
    }
    if payment.terms.is_none() {
        return Err(Rejection::PaymentUnknown);
    }
    within_capture(payment, attempt_id, amount)?;
    Ok(vec![refund])
}

/// Whether so much of an attempt's money is neither back nor on its way.
fn within_capture(payment: &Payment, attempt_id: AttemptId, amount: Money) -> Result<(), Rejection> {
    let captured = payment.capture_of(attempt_id).ok_or(Rejection::RefundAboveCaptured)?.amount;
    let left = captured.minor - payment.refunding_minor(attempt_id);
    if amount.currency != captured.currency || amount.minor < 1 || amount.minor > left {
        return Err(Rejection::RefundAboveCaptured);
    }
    Ok(())
}

fn retry_refund(payment: &Payment, refund_id: RefundId, at: Timestamp) -> Decision {
    let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
    match refund.state {
        RefundState::Requested => Ok(Vec::new()),
        RefundState::Succeeded => Err(Rejection::RefundSettled),
        RefundState::Failed { .. } => {
            // Since it failed its money may have been promised to another refund.
            within_capture(payment, refund.attempt_id, refund.amount)?;
            Ok(vec![PaymentEvent::RefundRetried { refund_id, requested_at: at }])
        }
    }
}

fn settle_refund(payment: &Payment, refund_id: RefundId, state: RefundState) -> Decision {
    let refund = payment.refunds.get(&refund_id).ok_or(Rejection::RefundUnknown)?;
    match (&refund.state, state) {
        (RefundState::Requested, RefundState::Succeeded) => {
            let (attempt_id, amount) = (refund.attempt_id, refund.amount);
            let provider = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?.provider;
            Ok(vec![PaymentEvent::RefundSucceeded { refund_id, attempt_id, amount, provider }])
        }
        (RefundState::Requested, RefundState::Failed { code }) => {
            Ok(vec![PaymentEvent::RefundFailed { refund_id, code }])
        }
        (known, next) if *known == next => Ok(Vec::new()),
        _ => Err(Rejection::RefundSettled),
    }
}
