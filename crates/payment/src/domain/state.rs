//! A payment as its events made it.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Money, Timestamp};
use merx_platform::{Snapshots, aggregate::Aggregate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{AttemptEnd, Method, PaymentEvent, ProviderName};

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Money came in time, and not as much as was asked: a person decides.
    Quarantined,
    /// It cannot be paid any more; money that comes all the same is late.
    Closed,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Absent, Self::Open, Self::Closing, Self::Captured, Self::Quarantined, Self::Closed];

    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Captured => "captured",
            Self::Quarantined => "quarantined",
            Self::Closed => "closed",
        }
    }
}

/// One try to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Whose cashier.
    pub provider: ProviderName,
    /// How.
    pub method: Method,
    /// How much was asked.
    pub amount: Money,
    /// When it began.
    pub started_at: Timestamp,
    /// The end that was sent to the provider.
    pub expires_at: Timestamp,
    /// The text of its QR code, once the provider made one.
    pub qr_code: Option<String>,
    /// The attempt that took its place.
    pub superseded_by: Option<AttemptId>,
    /// Why nothing more can come of it, once that is known.
    pub end: Option<AttemptEnd>,
}

impl Attempt {
    /// Whether nobody outside can know of it: a code that was not recorded was not handed out.
    pub const fn is_unoffered(&self) -> bool {
        matches!(self.method, Method::AlipayQr) && self.qr_code.is_none()
    }
}

/// What captured money is, compared with what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureKind {
    /// What was owed, in time.
    Owed,
    /// Less than was asked.
    Under,
    /// More than was asked.
    Over,
    /// Beside money that had come before.
    Double,
    /// For a payment that was closed before.
    Late,
}

impl CaptureKind {
    /// The stored and public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Under => "under",
            Self::Over => "over",
            Self::Double => "double",
            Self::Late => "late",
        }
    }
}

/// Money the provider has taken for us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// How much was asked.
    pub asked: Money,
    /// The provider's own number.
    pub provider_trade_no: String,
    /// The payment was closed before.
    pub late: bool,
    /// Other money had been captured before.
    pub duplicate: bool,
    /// Minor units of it that pay the order although they were not owed when they came.
    pub accepted_minor: i64,
}

impl Capture {
    /// Minor units of it that pay the order.
    pub const fn pays_minor(&self) -> i64 {
        match self.kind() {
            CaptureKind::Owed => self.amount.minor,
            _ => self.accepted_minor,
        }
    }
    /// What the money is.
    pub const fn kind(&self) -> CaptureKind {
        if self.late {
            CaptureKind::Late
        } else if self.duplicate {
            CaptureKind::Double
        } else if self.amount.minor < self.asked.minor {
            CaptureKind::Under
        } else if self.amount.minor > self.asked.minor {
            CaptureKind::Over
        } else {
            CaptureKind::Owed
        }
    }
}

/// How far a refund has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What it pays for.
    pub order_id: OrderId,
    /// Who may pay.
    pub buyer: AccountId,
    /// How much is owed.
    pub amount: Money,
    /// The part of it that is freight.
    pub freight: Money,
    /// No attempt outlives it.
    pub deadline: Timestamp,
    /// What the cashier shows.
    pub subject: String,
}

impl Terms {
    /// Whether the same is paid by the same buyer until the same moment. The words the cashier shows and the part that is
    /// freight are no part of it: a later program may say otherwise of a payment that an earlier one opened.
    pub fn is_same_deal(&self, other: &Self) -> bool {
        let of = |t: &Self| (t.order_id, t.buyer, t.amount, t.deadline);
        of(self) == of(other)
    }
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The captures and refunds whose fee the provider's bill has told.
    pub fees: BTreeSet<(AttemptId, Option<RefundId>)>,
}

impl Payment {
    /// Every attempt of which money may still come: the one that is offered, and those whose place it took.
    pub fn payable_attempts(&self) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        let payable = |id: &AttemptId, a: &Attempt| a.end.is_none() && self.capture_of(*id).is_none();
        self.attempts.iter().filter(move |(id, a)| payable(id, a)).map(|(id, a)| (*id, a))
    }

    /// The attempt that is offered to the buyer, if there is one.
    pub fn open_attempt(&self) -> Option<(AttemptId, &Attempt)> {
        self.payable_attempts().find(|(_, a)| a.superseded_by.is_none())
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

    /// Minor units of an attempt's money that went back.
    pub fn refunded_minor(&self, attempt_id: AttemptId) -> i64 {
        let back = self.refunds.values().filter(|r| r.attempt_id == attempt_id);
        back.filter(|r| r.state == RefundState::Succeeded).map(|r| r.amount.minor).sum()
    }

    /// Where the payment stands once this money is there too. Late money opens nothing again, and what was decided
    /// before stays.
    const fn status_with(&self, capture: &Capture) -> Status {
        match (self.status, capture.kind()) {
            (status @ (Status::Captured | Status::Quarantined), _) => status,
            (status, CaptureKind::Late) => status,
            (_, CaptureKind::Under | CaptureKind::Over) => Status::Quarantined,
            (_, CaptureKind::Owed | CaptureKind::Double) => Status::Captured,
        }
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
    /// Attempts and tries to refund may be many. A state that changes its shape, or is folded otherwise, is a new number.
    const SNAPSHOTS: Option<Snapshots<Self>> = Some(Snapshots::json(2));

    fn evolve(mut state: Self, event: &PaymentEvent) -> Self {
        match event.clone() {
            PaymentEvent::PaymentOpened { order_id, buyer, amount, freight, deadline, subject } => {
                state.status = Status::Open;
                state.terms = Some(Terms { order_id, buyer, amount, freight, deadline, subject });
            }
            PaymentEvent::AttemptStarted { attempt_id, provider, method, amount, started_at, expires_at } => {
                let (qr_code, superseded_by, end) = (None, None, None);
                let attempt =
                    Attempt { provider, method, amount, started_at, expires_at, qr_code, superseded_by, end };
                state.attempts.insert(attempt_id, attempt);
            }
            PaymentEvent::AttemptPrepared { attempt_id, qr_code } => {
                if let Some(attempt) = state.attempts.get_mut(&attempt_id) {
                    attempt.qr_code = Some(qr_code);
                }
            }
            PaymentEvent::AttemptSuperseded { attempt_id, by } => {
                if let Some(attempt) = state.attempts.get_mut(&attempt_id) {
                    attempt.superseded_by = Some(by);
                }
            }
            PaymentEvent::AttemptClosed { attempt_id, end } => {
                if let Some(attempt) = state.attempts.get_mut(&attempt_id) {
                    attempt.end = Some(end);
                }
            }
            PaymentEvent::PaymentCaptured {
                attempt_id, amount, provider_trade_no, late, duplicate, ..
            } => {
                let asked = state.attempts.get(&attempt_id).map_or(amount, |attempt| attempt.amount);
                let accepted_minor = 0;
                let capture =
                    Capture { attempt_id, amount, asked, provider_trade_no, late, duplicate, accepted_minor };
                state.status = state.status_with(&capture);
                state.captures.push(capture);
            }
            PaymentEvent::DepositAccepted { attempt_id, amount } => {
                let of = state.captures.iter_mut().find(|capture| capture.attempt_id == attempt_id);
                if let Some(capture) = of {
                    capture.accepted_minor = amount.minor;
                }
            }
            PaymentEvent::FeeCharged { attempt_id, refund_id, .. } => {
                state.fees.insert((attempt_id, refund_id));
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
