//! One payment as its buyer sees it.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Money, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    commands::owned,
    context::Payments,
    domain::Refund,
    store::{self, AttemptRow, PaymentRow, RefundRow},
};

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// The payment.
    pub id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// `open`, `closing`, `captured` or `closed`.
    pub status: String,
    /// How much is owed.
    pub amount: Money,
    /// What has come in, late money included.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// Until when it can be paid.
    pub deadline: Timestamp,
    /// Every try to pay, oldest first.
    pub attempts: Vec<AttemptSummary>,
    /// Every refund, oldest first.
    pub refunds: Vec<RefundSummary>,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// It may still be paid.
    Open,
    /// Its money came.
    Captured,
    /// Nothing more can come of it.
    Closed,
}

/// A try to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptSummary {
    /// The attempt.
    pub id: AttemptId,
    /// Whose cashier.
    pub provider: String,
    /// Where it stands.
    pub state: AttemptState,
    /// When it began.
    pub started_at: Timestamp,
    /// When the cashier stops taking money.
    pub expires_at: Timestamp,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundSummary {
    /// The refund.
    pub id: RefundId,
    /// How much.
    pub amount: Money,
    /// `requested`, `succeeded` or `failed`.
    pub status: String,
    /// When it was asked for, the last time.
    pub requested_at: Timestamp,
}

impl RefundSummary {
    /// A refund as its events made it.
    pub(crate) fn of(id: RefundId, refund: &Refund) -> Self {
        let status = refund.state.as_str().to_owned();
        Self { id, amount: refund.amount, status, requested_at: refund.requested_at }
    }
}

impl Payments {
    /// A payment of the buyer.
    ///
    /// # Errors
    /// `payment.not_found`, the same for one that is another's.
    pub async fn view(&self, buyer: AccountId, payment_id: PaymentId) -> Result<PaymentView> {
        self.db()
            .read("payment.view", move |q| {
                let row = owned(store::payment(q, payment_id)?, buyer)?;
                Ok(viewed(row, store::attempts(q, payment_id)?, store::refunds(q, payment_id)?))
            })
            .await
    }
}

fn viewed(row: PaymentRow, attempts: Vec<AttemptRow>, refunds: Vec<RefundRow>) -> PaymentView {
    let attempts = attempts.into_iter().map(|a| AttemptSummary {
        id: a.attempt_id,
        provider: a.provider,
        state: match (a.captured_at, a.closed_at) {
            (Some(_), _) => AttemptState::Captured,
            (None, Some(_)) => AttemptState::Closed,
            (None, None) => AttemptState::Open,
        },
        started_at: a.started_at,
        expires_at: a.expires_at,
    });
    let refunds = refunds.into_iter().map(|r| RefundSummary {
        id: r.refund_id,
        amount: r.amount,
        status: r.status,
        requested_at: r.requested_at,
    });
    PaymentView {
        id: row.payment_id,
        order_id: row.order_id,
        status: row.status,
        amount: row.amount,
        captured: row.captured,
        refunded: row.refunded,
        deadline: row.deadline,
        attempts: attempts.collect(),
        refunds: refunds.collect(),
    }
}
