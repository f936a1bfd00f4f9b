//! The rules of after-sale, pure: what may be asked, what follows, and how much money goes back.

mod case;
mod decide;
mod event;
mod policy;
pub mod refund;

pub use case::{AfterSales, Case, ENDED, Ended, Standing, Status};
pub use decide::{CASES_MAX, Command, Facts, Rejection, decide};
pub use event::{Event, GrantedRefund, InspectedLine, Kind, ReasonCode, RefundLine, RequestedLine, UnitLine};
pub use policy::Policy;
pub use refund::Terms;
