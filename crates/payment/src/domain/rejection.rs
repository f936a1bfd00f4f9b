//! Why a command was refused.

use merx_kernel::{Error, ErrorKind};

/// A refusal is a state of affairs; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No such payment was opened.
    PaymentUnknown,
    /// The payment is closed, or being closed.
    PaymentClosed,
    /// The payment is already paid.
    AlreadyCaptured,
    /// Too little time is left for an attempt.
    DeadlinePassed,
    /// No provider takes this amount or currency.
    AmountNotPayable,
    /// The id was used for another payment.
    PaymentReused,
    /// No such attempt.
    AttemptUnknown,
    /// An attempt is still open at the provider.
    AttemptOpen,
    /// The provider speaks of another amount than the attempt asked.
    AmountDiffers,
    /// Another trade of the provider has already paid this attempt.
    TradeDiffers,
    /// The refunds would come to more than was captured.
    RefundAboveCaptured,
    /// The refund id was used for another refund.
    RefundReused,
    /// No such refund.
    RefundUnknown,
    /// The refund has already ended, and not this way.
    RefundSettled,
}

impl Rejection {
    /// Every refusal.
    pub const ALL: &'static [Self] = &[
        Self::PaymentUnknown,
        Self::PaymentClosed,
        Self::AlreadyCaptured,
        Self::DeadlinePassed,
        Self::AmountNotPayable,
        Self::PaymentReused,
        Self::AttemptUnknown,
        Self::AttemptOpen,
        Self::AmountDiffers,
        Self::TradeDiffers,
        Self::RefundAboveCaptured,
        Self::RefundReused,
        Self::RefundUnknown,
        Self::RefundSettled,
    ];

    /// The stable code, documented in `docs/errors`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PaymentUnknown => "payment.not_found",
            Self::PaymentClosed => "payment.closed",
            Self::AlreadyCaptured => "payment.already_captured",
            Self::DeadlinePassed => "payment.deadline_passed",
            Self::AmountNotPayable => "payment.amount_not_payable",
            Self::PaymentReused => "payment.id_reused",
            Self::AttemptUnknown => "payment.attempt_unknown",
            Self::AttemptOpen => "payment.attempt_open",
            Self::AmountDiffers => "payment.amount_differs",
            Self::TradeDiffers => "payment.trade_differs",
            Self::RefundAboveCaptured => "payment.refund_above_captured",
            Self::RefundReused => "payment.refund_id_reused",
            Self::RefundUnknown => "payment.refund_unknown",
            Self::RefundSettled => "payment.refund_settled",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::PaymentUnknown => "There is no such payment.",
            Self::PaymentClosed => "The payment is closed or being closed; no new way to pay it is begun.",
            Self::AlreadyCaptured => "The payment is already paid.",
            Self::DeadlinePassed => "The time to pay is over.",
            Self::AmountNotPayable => "The amount must be from 0.01 to 100000000.00 CNY.",
            Self::PaymentReused => "The payment id was used for another payment.",
            Self::AttemptUnknown => "There is no such attempt to pay.",
            Self::AttemptOpen => "An attempt to pay is still open at the provider.",
            Self::AmountDiffers => "The amount is another than was asked.",
            Self::TradeDiffers => "Another trade of the provider has paid this attempt.",
            Self::RefundAboveCaptured => "The refunds would come to more than was captured.",
            Self::RefundReused => "The refund id was used for another refund.",
            Self::RefundUnknown => "There is no such refund.",
            Self::RefundSettled => "The refund has already ended, and not this way.",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let kind = match rejection {
            Rejection::PaymentUnknown | Rejection::AttemptUnknown | Rejection::RefundUnknown => {
                ErrorKind::NotFound
            }
            _ => ErrorKind::Rejected,
        };
        Self::new(kind, rejection.code(), rejection.message())
    }
}
