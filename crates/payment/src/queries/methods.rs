//! The ways to pay there are for a payment, and what was confirmed of money that staff sees.

use merx_contracts::ids::{AccountId, AttemptId, PaymentId};
use merx_kernel::{Money, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reader;
use crate::{
    context::Payments,
    domain::{Capture, CaptureKind, Method, Rejection, Status, attempt_expiry},
    store::offline::ReceiptId,
};

/// What the buyer is given by a way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// An address for his browser.
    Redirect,
    /// A code to scan.
    QrCode,
    /// A signed text for the provider's SDK in an app.
    AppOrder,
    /// What to do, in words; staff confirms the money.
    Instructions,
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodItem {
    /// What to ask for.
    pub method: Method,
    /// Whose it is.
    pub provider: String,
    /// What the buyer is given.
    pub kind: MethodKind,
}

/// The ways to pay there are for a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodsView {
    /// Whether it can be paid now: what is paid, closed or past its deadline cannot.
    pub payable: bool,
    /// The ways, the one the shop would have first first; none where it cannot be paid.
    pub methods: Vec<MethodItem>,
    /// Until when one may be begun.
    pub until: Timestamp,
}

impl From<Method> for MethodItem {
    fn from(method: Method) -> Self {
        let kind = match method {
            Method::AlipayPage | Method::AlipayWap => MethodKind::Redirect,
            Method::AlipayQr => MethodKind::QrCode,
            Method::AlipayApp => MethodKind::AppOrder,
            Method::BankTransfer | Method::CashOnDelivery => MethodKind::Instructions,
        };
        Self { method, provider: method.provider().as_str().to_owned(), kind }
    }
}

impl Payments {
    /// How a payment of the buyer's can be paid.
    ///
    /// # Errors
    /// `payment.not_found`, the same for one that is another's.
    pub async fn methods(&self, buyer: AccountId, payment_id: PaymentId) -> Result<MethodsView> {
        let payment = self.read(payment_id).await?;
        let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
        Reader::Buyer(buyer).check(terms.buyer)?;
        let until = attempt_expiry(terms.deadline);
        let payable = payment.status == Status::Open && self.now() < until;
        let offered = self.providers().offered.iter().copied().filter(|_| payable);
        Ok(MethodsView { payable, methods: offered.map(MethodItem::from).collect(), until })
    }
}

/// Money that a person confirmed. The reference is not told again: the answer is kept for repetitions, where words of people
/// do not belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationView {
    /// The number of the receipt.
    pub receipt_id: ReceiptId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The attempt it came by.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// What it is, compared with what was asked.
    pub kind: CaptureKind,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
}

impl ConfirmationView {
    pub(crate) fn of(
        payment_id: PaymentId,
        capture: &Capture,
        receipt_id: ReceiptId,
        confirmed_at: Timestamp,
    ) -> Self {
        Self {
            receipt_id,
            payment_id,
            attempt_id: capture.attempt_id,
            amount: capture.amount,
            kind: capture.kind(),
            confirmed_at,
        }
    }
}
