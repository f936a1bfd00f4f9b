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
    /// Money came that is not what was asked; a person decides.
    InReview,
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
    /// The attempt has ended.
    AttemptEnded,
    /// The payment was tried too often.
    AttemptsTooMany,
    /// The provider does not let the shop take money this way.
    MethodRefused,
    /// The shop does not take money this way, or not for this payment.
    MethodNotOffered,
    /// A provider moves this money; nobody of the staff can say that it came or went.
    NotOffline,
    /// The attempt has no QR code that can be paid.
    QrUnavailable,
    /// The provider speaks of another amount than the attempt asked.
    AmountDiffers,
    /// Another trade of the provider has already paid this attempt.
    TradeDiffers,
    /// The refunds would come to more than was captured.
    RefundAboveCaptured,
    /// The refund id was used for another refund.
    RefundReused,
    /// So much of the attempt's money is no deposit that could pay the order.
    NotADeposit,
    /// No such refund.
    RefundUnknown,
    /// The refund has already ended, and not this way.
    RefundSettled,
    /// No such alert.
    AlertUnknown,
    /// The alert was resolved before.
    AlertResolved,
    /// Nothing of this id is in quarantine.
    QuarantineUnknown,
    /// No such case of reconciliation.
    CaseUnknown,
}

impl Rejection {
    /// Every refusal.
    pub const ALL: &'static [Self] = &[
        Self::PaymentUnknown,
        Self::PaymentClosed,
        Self::AlreadyCaptured,
        Self::InReview,
        Self::DeadlinePassed,
        Self::AmountNotPayable,
        Self::PaymentReused,
        Self::AttemptUnknown,
        Self::AttemptOpen,
        Self::AttemptEnded,
        Self::AttemptsTooMany,
        Self::MethodRefused,
        Self::MethodNotOffered,
        Self::NotOffline,
        Self::QrUnavailable,
        Self::AmountDiffers,
        Self::TradeDiffers,
        Self::RefundAboveCaptured,
        Self::RefundReused,
        Self::NotADeposit,
        Self::RefundUnknown,
        Self::RefundSettled,
        Self::AlertUnknown,
        Self::AlertResolved,
        Self::QuarantineUnknown,
        Self::CaseUnknown,
    ];

    /// The stable code, documented in `docs/errors`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PaymentUnknown => "payment.not_found",
            Self::PaymentClosed => "payment.closed",
            Self::AlreadyCaptured => "payment.already_captured",
            Self::InReview => "payment.in_review",
            Self::DeadlinePassed => "payment.deadline_passed",
            Self::AmountNotPayable => "payment.amount_not_payable",
            Self::PaymentReused => "payment.id_reused",
            Self::AttemptUnknown => "payment.attempt_unknown",
            Self::AttemptOpen => "payment.attempt_open",
            Self::AttemptEnded => "payment.attempt_ended",
            Self::AttemptsTooMany => "payment.too_many_attempts",
            Self::MethodRefused => "payment.method_refused",
            Self::MethodNotOffered => "payment.method_not_offered",
            Self::NotOffline => "payment.not_offline",
            Self::QrUnavailable => "payment.qr_unavailable",
            Self::AmountDiffers => "payment.amount_differs",
            Self::TradeDiffers => "payment.trade_differs",
            Self::RefundAboveCaptured => "payment.refund_above_captured",
            Self::RefundReused => "payment.refund_id_reused",
            Self::NotADeposit => "payment.not_a_deposit",
            Self::RefundUnknown => "payment.refund_unknown",
            Self::RefundSettled => "payment.refund_settled",
            Self::AlertUnknown => "payment.alert_unknown",
            Self::AlertResolved => "payment.alert_resolved",
            Self::QuarantineUnknown => "payment.quarantine_unknown",
            Self::CaseUnknown => "payment.case_unknown",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::PaymentUnknown => "There is no such payment.",
            Self::PaymentClosed => "The payment is closed or being closed; no new way to pay it is begun.",
            Self::AlreadyCaptured => "The payment is already paid.",
            Self::InReview => "Money came that is not what was asked; a person looks into it.",
            Self::DeadlinePassed => "The time to pay is over.",
            Self::AmountNotPayable => "The amount must be from 0.01 to 100000000.00 CNY.",
            Self::PaymentReused => "The payment id was used for another payment.",
            Self::AttemptUnknown => "There is no such attempt to pay.",
            Self::AttemptOpen => "An attempt to pay is still open at the provider.",
            Self::AttemptEnded => "The attempt has ended; begin another.",
            Self::AttemptsTooMany => "There were too many attempts to pay; use one of them.",
            Self::MethodRefused => "The provider refuses this way to pay; choose another.",
            Self::MethodNotOffered => "The shop does not take money this way; choose another.",
            Self::NotOffline => "A provider moves this money and says so itself.",
            Self::QrUnavailable => "There is no QR code to pay here.",
            Self::AmountDiffers => "The amount is another than was asked.",
            Self::TradeDiffers => "Another trade of the provider has paid this attempt.",
            Self::RefundAboveCaptured => "The refunds would come to more than was captured.",
            Self::RefundReused => "The refund id was used for another refund.",
            Self::NotADeposit => "So much of this attempt's money is no deposit that could pay the order.",
            Self::RefundUnknown => "There is no such refund.",
            Self::RefundSettled => "The refund has already ended, and not this way.",
            Self::AlertUnknown => "There is no such alert.",
            Self::AlertResolved => "It was resolved before.",
            Self::QuarantineUnknown => "Nothing of this id is in quarantine.",
            Self::CaseUnknown => "There is no such case.",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let kind = match rejection {
            Rejection::PaymentUnknown
            | Rejection::AttemptUnknown
            | Rejection::RefundUnknown
            | Rejection::QrUnavailable
            | Rejection::AlertUnknown
            | Rejection::QuarantineUnknown
            | Rejection::CaseUnknown => ErrorKind::NotFound,
            _ => ErrorKind::Rejected,
        };
        Self::new(kind, rejection.code(), rejection.message())
    }
}
