//! One use case a file: load, decide, append, project and publish in one transaction.

mod accept_deposit;
mod capture;
mod close;
mod confirm_offline;
mod daily_bill;
mod open;
mod prepare_attempt;
mod quarantine;
mod raise_alert;
mod reconcile;
mod refund;
mod resolve;
mod retry_refund;
mod settle_attempt;
mod settle_case;
mod start_attempt;
mod take_notification;

pub(crate) use refund::retry_after;
pub(crate) use settle_attempt::{Settled, over_at};
pub(crate) use start_attempt::first_look_after;

pub use capture::{Captured, Report};
pub use close::Closing;
pub use confirm_offline::{MoneyCame, MoneyPaidBack, Reference};
pub use refund::RefundTerms;
pub use resolve::{Reason, Resolution};
pub use start_attempt::{AttemptView, StartAttempt, Started};
pub use take_notification::Verdict;
