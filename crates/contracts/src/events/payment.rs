//! Facts of payment.

use merx_kernel::Money;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{AttemptId, OrderId, PaymentId, RefundId},
};

/// The provider has the buyer's money for us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// The attempt that brought the money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// `alipay`.
    pub provider: String,
    /// The provider's own number.
    pub provider_trade_no: String,
    /// The payment was closed before, or another attempt had already paid it: the money is not owed.
    pub late: bool,
}

/// The provider has given money back to the buyer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it had paid for.
    pub order_id: OrderId,
    /// The refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
}

impl Fact for PaymentCaptured {
    const TYPE: &'static str = "payment.captured.v1";
    fn subject(&self) -> String {
        self.payment_id.to_string()
    }
}
impl Fact for PaymentRefunded {
    const TYPE: &'static str = "payment.refunded.v1";
    fn subject(&self) -> String {
        self.payment_id.to_string()
    }
}
