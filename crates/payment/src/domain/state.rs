//! A payment as its events made it.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Money, Timestamp};
use merx_platform::aggregate::Aggregate;

use super::event::{AttemptEnd, PaymentEvent, ProviderName};

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Status {
    /// Nothing is known of it.
    #[default]
    Absent,
    /// It may be paid.
    Open,
    /// It shall not be paid any more, but an attempt at the provider may still be.
    Closing,
    /// It was paid in time.
    Captured,
    /// It cannot be paid any more; money that comes all the same is late.
    Closed,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] = &[Self::Absent, Self::Open, Self::Closing, Self::Captured, Self::Closed];

    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Captured => "captured",
            Self::Closed => "closed",
        }
    }
}

/// One try to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whose cashier.
    pub provider: ProviderName,
    /// How much was asked.
    pub amount: Money,
    /// When it began.
    pub started_at: Timestamp,
    /// The end that was sent to the provider.
    pub expires_at: Timestamp,
    /// Why nothing more can come of it, once that is known.
    pub end: Option<AttemptEnd>,
}

/// Money the provider has taken for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// The provider's own number.
    pub provider_trade_no: String,
    /// The payment was closed before.
    pub late: bool,
    /// Other money had been captured before.
    pub duplicate: bool,
}

/// How far a refund has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// The provider has not confirmed yet.
    Requested,
    /// The money went back.
    Succeeded,
    /// The provider refuses for good.
    Failed {
        /// The provider's code.
        code: String,
    },
}

impl RefundState {
    /// The stored and public name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Money that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Whose money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// A word for the provider's record.
    pub reason: String,
    /// When it was asked for, the last time: its tries are counted from then.
    pub requested_at: Timestamp,
    /// How far it has come.
    pub state: RefundState,
}

/// What was agreed when the payment was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What it pays for.
    pub order_id: OrderId,
    /// Who may pay.
    pub buyer: AccountId,
    /// How much is owed.
    pub amount: Money,
    /// No attempt outlives it.
    pub deadline: Timestamp,
    /// What the cashier shows.
    pub subject: String,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Payment {
    /// Where it stands.
    pub status: Status,
    /// What was agreed; `None` before the open, and for good when a close came first.
    pub terms: Option<Terms>,
    /// Every try to pay.
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Every capture, in the order they came.
    pub captures: Vec<Capture>,
    /// Every refund.
    pub refunds: BTreeMap<RefundId, Refund>,
}

impl Payment {
    /// The attempt the buyer may still pay, if there is one.
    pub fn open_attempt(&self) -> Option<(AttemptId, &Attempt)> {
        self.attempts
            .iter()
            .find(|(id, a)| a.end.is_none() && self.capture_of(**id).is_none())
            .map(|(id, a)| (*id, a))
    }

    /// The money an attempt brought.
    pub fn capture_of(&self, attempt_id: AttemptId) -> Option<&Capture> {
        self.captures.iter().find(|c| c.attempt_id == attempt_id)
    }

    /// Minor units of an attempt's money that went back or are on the way.
    pub fn refunding_minor(&self, attempt_id: AttemptId) -> i64 {
        self.refunds
            .values()
            .filter(|r| r.attempt_id == attempt_id && !matches!(r.state, RefundState::Failed { .. }))
            .map(|r| r.amount.minor)
            .sum()
    }

    fn settle(&mut self, refund_id: RefundId, state: RefundState) {
        if let Some(refund) = self.refunds.get_mut(&refund_id) {
            refund.state = state;
        }
    }
}

impl Aggregate for Payment {
    type State = Self;
    type Event = PaymentEvent;

    fn evolve(mut state: Self, event: &PaymentEvent) -> Self {
        match event.clone() {
            PaymentEvent::PaymentOpened { order_id, buyer, amount, deadline, subject } => {
                state.status = Status::Open;
                state.terms = Some(Terms { order_id, buyer, amount, deadline, subject });
            }
            PaymentEvent::AttemptStarted { attempt_id, provider, amount, started_at, expires_at } => {
                state
                    .attempts
                    .insert(attempt_id, Attempt { provider, amount, started_at, expires_at, end: None });
            }
            PaymentEvent::AttemptClosed { attempt_id, end } => {
                if let Some(attempt) = state.attempts.get_mut(&attempt_id) {
                    attempt.end = Some(end);
                }
            }
            PaymentEvent::PaymentCaptured {
                attempt_id, amount, provider_trade_no, late, duplicate, ..
            } => {
                state.captures.push(Capture { attempt_id, amount, provider_trade_no, late, duplicate });
                if !late {
                    state.status = Status::Captured;
                }
            }
            PaymentEvent::CloseRequested {} => state.status = Status::Closing,
            PaymentEvent::PaymentClosed {} => state.status = Status::Closed,
            PaymentEvent::RefundRequested { refund_id, attempt_id, amount, reason, requested_at } => {
                let refund =
                    Refund { attempt_id, amount, reason, requested_at, state: RefundState::Requested };
                state.refunds.insert(refund_id, refund);
            }
            PaymentEvent::RefundSucceeded { refund_id, .. } => {
                state.settle(refund_id, RefundState::Succeeded)
            }
            PaymentEvent::RefundFailed { refund_id, code } => {
                state.settle(refund_id, RefundState::Failed { code })
            }
            PaymentEvent::RefundRetried { refund_id, requested_at } => {
                if let Some(refund) = state.refunds.get_mut(&refund_id) {
                    (refund.state, refund.requested_at) = (RefundState::Requested, requested_at);
                }
            }
        }
        state
    }
}
