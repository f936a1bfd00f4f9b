//! The read side, from the projection only.

mod alerts;
mod payment;

pub use alerts::AlertView;
pub use payment::{AttemptState, AttemptSummary, PaymentView, RefundSummary};
