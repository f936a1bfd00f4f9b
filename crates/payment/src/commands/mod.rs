//! One use case a file: load, decide, append, project and publish in one transaction.

mod capture;
mod close;
mod open;
mod raise_alert;
mod refund;
mod retry_refund;
mod settle_attempt;
mod start_attempt;
mod take_notification;

pub(crate) use settle_attempt::over_at;
pub(crate) use start_attempt::{FIRST_LOOK_AFTER, owned};

pub use capture::{Captured, Report};
pub use close::Closing;
pub use refund::RefundTerms;
pub use settle_attempt::Settled;
pub use start_attempt::{AttemptView, Method, StartAttempt, Started};
pub use take_notification::Verdict;
