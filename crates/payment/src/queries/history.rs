//! A payment folded from its events, with the times they give it: as it is, or as it was at a moment.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Money, Result, Timestamp};
use merx_platform::aggregate::{Aggregate as _, DomainEvent as _};
use merx_sql::RecordedEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Attempt, AttemptEnd, Capture, CaptureKind, Method, Payment, PaymentEvent, Refund, RefundState,
};

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// The payment.
    pub id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// `open`, `closing`, `captured`, `quarantined` (money came that is not what was asked; a person decides) or
    /// `closed`.
    pub status: String,
    /// How much is owed.
    pub amount: Money,
    /// What has come in, late and double money included.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Until when it can be paid.
    pub deadline: Timestamp,
    /// Every try to pay, oldest first.
    pub attempts: Vec<AttemptSummary>,
    /// All money that came, in the order it came.
    pub captures: Vec<CaptureSummary>,
    /// Every refund, oldest first.
    pub refunds: Vec<RefundSummary>,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// It may be paid.
    Open,
    /// Another way was chosen. Until it ends for certain, money may still come of it, and would go back.
    Superseded,
    /// Its money came.
    Captured,
    /// Nothing more can come of it.
    Closed,
}

/// A try to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptSummary {
    /// The attempt; without its prefix it is the order number at the provider.
    pub id: AttemptId,
    /// Whose cashier.
    pub provider: String,
    /// How it is paid.
    pub method: Method,
    /// Where it stands.
    pub state: AttemptState,
    /// When it began.
    pub started_at: Timestamp,
    /// When the cashier stops taking money.
    pub expires_at: Timestamp,
    /// When its money came, or it was known that none will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why nothing can come of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<AttemptEnd>,
    /// The attempt that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<AttemptId>,
}

/// Money that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureSummary {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// What it is, compared with what was asked.
    pub kind: CaptureKind,
    /// How much.
    pub amount: Money,
    /// The provider's own number.
    pub provider_trade_no: String,
    /// When it was known.
    pub captured_at: Timestamp,
    /// How much of it went back.
    pub refunded: Money,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundSummary {
    /// The refund.
    pub id: RefundId,
    /// Whose money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// `requested`, `succeeded` or `failed`.
    pub status: String,
    /// Why, in a word for the provider.
    pub reason: String,
    /// When it was asked for, the last time.
    pub requested_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The provider's code, where it refused for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
}

impl RefundSummary {
    /// A refund that is under way.
    pub(crate) fn under_way(id: RefundId, refund: &Refund) -> Self {
        Self::of(id, refund, None)
    }

    /// A refund that ended at that moment.
    pub(crate) fn settled(id: RefundId, refund: &Refund, at: Timestamp) -> Self {
        Self::of(id, refund, Some(at))
    }

    fn of(id: RefundId, refund: &Refund, settled_at: Option<Timestamp>) -> Self {
        let failure_code = match &refund.state {
            RefundState::Failed { code } => Some(code.clone()),
            RefundState::Requested | RefundState::Succeeded => None,
        };
        Self {
            id,
            attempt_id: refund.attempt_id,
            amount: refund.amount,
            status: refund.state.as_str().to_owned(),
            reason: refund.reason.clone(),
            requested_at: refund.requested_at,
            settled_at,
            failure_code,
        }
    }
}

/// A payment and when what happened to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The state.
    pub payment: Payment,
    opened_at: Option<Timestamp>,
    ended: BTreeMap<AttemptId, Timestamp>,
    captured: BTreeMap<AttemptId, Timestamp>,
    settled: BTreeMap<RefundId, Timestamp>,
}

impl History {
    /// Folds the events up to and including `until`.
    ///
    /// # Errors
    /// `Internal` for an event that cannot be read.
    pub(crate) fn of(events: &[RecordedEvent], until: Option<Timestamp>) -> Result<Self> {
        let mut history = Self::default();
        for recorded in events.iter().filter(|event| until.is_none_or(|until| event.recorded_at <= until)) {
            let event = PaymentEvent::decode(&recorded.name, recorded.schema, &recorded.body)?;
            history.note(&event, recorded.recorded_at);
            history.payment = Payment::evolve(history.payment, &event);
        }
        Ok(history)
    }

    fn note(&mut self, event: &PaymentEvent, at: Timestamp) {
        match event {
            PaymentEvent::PaymentOpened { .. } => self.opened_at = Some(at),
            PaymentEvent::AttemptClosed { attempt_id, .. } => drop(self.ended.insert(*attempt_id, at)),
            PaymentEvent::PaymentCaptured { attempt_id, .. } => {
                self.captured.insert(*attempt_id, at);
            }
            PaymentEvent::RefundSucceeded { refund_id, .. }
            | PaymentEvent::RefundFailed { refund_id, .. } => {
                self.settled.insert(*refund_id, at);
            }
            PaymentEvent::RefundRetried { refund_id, .. } => drop(self.settled.remove(refund_id)),
            PaymentEvent::AttemptStarted { .. }
            | PaymentEvent::AttemptPrepared { .. }
            | PaymentEvent::AttemptSuperseded { .. }
            | PaymentEvent::DepositAccepted { .. }
            | PaymentEvent::FeeCharged { .. }
            | PaymentEvent::CloseRequested {}
            | PaymentEvent::PaymentClosed {}
            | PaymentEvent::RefundRequested { .. } => {}
        }
    }

    /// Whose payment it is; `None` where it was not opened yet.
    pub(crate) fn buyer(&self) -> Option<AccountId> {
        self.payment.terms.as_ref().map(|terms| terms.buyer)
    }

    /// A refund of it.
    pub(crate) fn refund(&self, refund_id: RefundId) -> Option<RefundSummary> {
        let refund = self.payment.refunds.get(&refund_id)?;
        Some(RefundSummary::of(refund_id, refund, self.settled.get(&refund_id).copied()))
    }

    /// What readers see; `None` where it was not opened yet.
    pub(crate) fn view(&self, id: PaymentId) -> Option<PaymentView> {
        let (terms, opened_at) = (self.payment.terms.as_ref()?, self.opened_at?);
        let sum = |minors: &mut dyn Iterator<Item = i64>| Money::new(minors.sum(), terms.amount.currency);
        let captures: Vec<_> = self.payment.captures.iter().map(|c| self.capture(c)).collect();
        let mut refunds: Vec<_> =
            self.payment.refunds.keys().filter_map(|refund_id| self.refund(*refund_id)).collect();
        refunds.sort_by_key(|refund| (refund.requested_at, refund.id));
        Some(PaymentView {
            id,
            order_id: terms.order_id,
            status: self.payment.status.as_str().to_owned(),
            amount: terms.amount,
            captured: sum(&mut captures.iter().map(|c| c.amount.minor)),
            refunded: sum(&mut captures.iter().map(|c| c.refunded.minor)),
            opened_at,
            deadline: terms.deadline,
            attempts: self.payment.attempts.iter().map(|(id, a)| self.attempt(*id, a)).collect(),
            captures,
            refunds,
        })
    }

    fn attempt(&self, id: AttemptId, attempt: &Attempt) -> AttemptSummary {
        let captured_at = self.captured.get(&id).copied();
        let state = match (captured_at, attempt.end, attempt.superseded_by) {
            (Some(_), ..) => AttemptState::Captured,
            (None, Some(_), _) => AttemptState::Closed,
            (None, None, Some(_)) => AttemptState::Superseded,
            (None, None, None) => AttemptState::Open,
        };
        AttemptSummary {
            id,
            provider: attempt.provider.as_str().to_owned(),
            method: attempt.method,
            state,
            started_at: attempt.started_at,
            expires_at: attempt.expires_at,
            ended_at: captured_at.or_else(|| self.ended.get(&id).copied()),
            end: attempt.end,
            superseded_by: attempt.superseded_by,
        }
    }

    fn capture(&self, capture: &Capture) -> CaptureSummary {
        let Capture { attempt_id, amount, provider_trade_no, .. } = capture;
        let captured_at = self.captured.get(attempt_id).copied().unwrap_or_default();
        CaptureSummary {
            attempt_id: *attempt_id,
            kind: capture.kind(),
            amount: *amount,
            provider_trade_no: provider_trade_no.clone(),
            captured_at,
            refunded: Money::new(self.payment.refunded_minor(*attempt_id), amount.currency),
        }
    }
}
