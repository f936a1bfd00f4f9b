//! The read side: one payment and its timeline from its events, as of any moment; lists from the projection and from
//! the records.

mod alerts;
mod history;
pub mod ledger;
mod methods;
mod payment;
mod payments;
mod quarantine;
mod reconciliation;
mod timeline;

use merx_contracts::ids::AccountId;
use merx_kernel::{Error, Guard, Id, IdKind, Page, PageRequest, Permission, Principal, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alerts::{AlertState, AlertView, AlertsRequest};
pub use history::{AttemptState, AttemptSummary, CaptureSummary, PaymentView, RefundSummary};
pub use ledger::{
    AccountBalance, PostingView, PostingsRequest, TrialBalance, UnbalancedBooking, postings, trial_balance,
};
pub use methods::{ConfirmationView, MethodItem, MethodKind, MethodsView};
pub use payments::{PaymentItem, PaymentsRequest};
pub use quarantine::{QuarantineRequest, QuarantineView};
pub use reconciliation::{CaseView, CasesRequest, ReconciliationView, date_of};

use crate::{domain::Rejection, store::alerts::Resolved};

/// Whose payments a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// This account's.
    Buyer(AccountId),
    /// Everybody's.
    Staff,
}

impl Reader {
    /// Staff with the permission see every payment, all others their own.
    pub fn of(principal: &Principal) -> Self {
        if principal.may(Permission::PaymentsRead) { Self::Staff } else { Self::Buyer(principal.account) }
    }

    /// A foreign payment is the same as none.
    ///
    /// # Errors
    /// `payment.not_found`.
    pub(crate) fn check(self, owner: AccountId) -> Result<()> {
        match self {
            Self::Buyer(account) if account != owner && Guard::Owner.on() => {
                Err(Rejection::PaymentUnknown.into())
            }
            _ => Ok(()),
        }
    }
}

/// That something was looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolutionView {
    /// When.
    pub at: Timestamp,
    /// By whom; absent where it settled itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Why.
    pub reason: String,
}

impl From<Resolved> for ResolutionView {
    fn from(resolved: Resolved) -> Self {
        Self { at: resolved.at, account_id: resolved.by, reason: resolved.reason }
    }
}

/// The rows of a page and one more, by which it is seen whether there is another page.
struct Wanted<K> {
    before: Option<Id<K>>,
    limit: i64,
}

impl<K: IdKind> Wanted<K> {
    /// Reads limit and cursor, which is the id the last page ended with.
    fn of(page: &PageRequest) -> Result<Self> {
        let limit = page.checked_limit()?;
        let before =
            page.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| no_cursor())).transpose()?;
        Ok(Self { before, limit })
    }
}

fn no_cursor() -> Error {
    Error::invalid("cursor", "is not a cursor of this list")
}

/// A page of at most `limit` of `rows`, of which there may be one more.
fn page_of<R, T>(
    mut rows: Vec<R>,
    limit: i64,
    cursor: impl Fn(&R) -> String,
    view: impl Fn(R) -> Result<T>,
) -> Result<Page<T>> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor = if more { rows.last().map(cursor) } else { None };
    let items = rows.into_iter().map(view).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor })
}

/// JSON that we wrote.
fn json_of(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::internal("inconsistent row: the particulars are not JSON").with_source(e))
}
