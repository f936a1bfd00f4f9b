//! The rules of a payment, pure: what may happen ([`decide`]), what has happened ([`PaymentEvent`]) and what
//! that makes of it ([`Payment`]). Time and the provider's answers come in with the command.

mod decide;
mod event;
pub mod ledger;
mod matching;
mod rejection;
mod state;

pub use decide::{Command, decide};
pub use event::{AttemptEnd, Method, PaymentEvent, ProviderName};
pub use matching::{BillKind, BillLine, Difference, DifferenceKind, FeeRate, Ours, judge};
pub use rejection::Rejection;
pub use state::{Attempt, Capture, CaptureKind, Payment, Refund, RefundState, Status, Terms};

use std::time::Duration;

use merx_kernel::{Currency, Money, Timestamp};

/// An attempt ends this long before the payment's deadline, so that the close at the deadline finds nothing that
/// can still be paid.
pub const ATTEMPT_MARGIN: Duration = Duration::from_secs(60);

/// The most one payment may ask for, 100,000,000.00: the limit of `alipay.trade.page.pay`.
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000_000;

/// The most attempts of one payment, so that its stream stays short.
pub const ATTEMPTS_MAX: usize = 20;

/// When an attempt of a payment due at `deadline` ends: whole seconds, because the provider counts in them.
pub fn attempt_expiry(deadline: Timestamp) -> Timestamp {
    Timestamp::from_millis(deadline.minus(ATTEMPT_MARGIN).as_secs() * 1000)
}

/// Whether some provider can take the amount.
pub fn is_payable(amount: Money) -> bool {
    amount.currency == Currency::CNY && (1..=AMOUNT_MINOR_MAX).contains(&amount.minor)
}
