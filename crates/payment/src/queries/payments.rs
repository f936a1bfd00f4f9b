//! All payments, for the staff.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, PaymentId};
use merx_kernel::{Error, Id, Money, Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{no_cursor, page_of};
use crate::{
    context::Payments,
    domain::Status,
    store::{self, PaymentCursor, PaymentFilter, PaymentRow},
};

/// A payment in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentItem {
    /// The payment.
    pub id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// Who may pay.
    pub account_id: AccountId,
    /// `open`, `closing`, `captured`, `quarantined` or `closed`.
    pub status: String,
    /// How much is owed.
    pub amount: Money,
    /// What has come in, late and double money included.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Until when it can be paid.
    pub deadline: Timestamp,
}

impl From<PaymentRow> for PaymentItem {
    fn from(row: PaymentRow) -> Self {
        Self {
            id: row.payment_id,
            order_id: row.order_id,
            account_id: row.buyer,
            status: row.status,
            amount: row.amount,
            captured: row.captured,
            refunded: row.refunded,
            opened_at: row.opened_at,
            deadline: row.deadline,
        }
    }
}

/// What a list of payments is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentsRequest {
    /// Only in this state: `open`, `closing`, `captured`, `quarantined` or `closed`.
    #[schemars(extend("enum" = ["open", "closing", "captured", "quarantined", "closed"]))]
    pub status: Option<String>,
    /// Only of this order.
    pub order_id: Option<OrderId>,
    /// Only with this attempt, by its id or its order number at the provider.
    #[schemars(regex(pattern = r"^(att_)?[0-7][0-9a-hjkmnp-tv-z]{25}$"))]
    pub attempt: Option<String>,
    /// Only paid by this trade of the provider.
    #[schemars(length(max = TRADE_NO_CHARS_MAX))]
    pub provider_trade_no: Option<String>,
    /// Only those opened at this moment or later.
    pub from: Option<Timestamp>,
    /// Only those opened before this moment.
    pub to: Option<Timestamp>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

impl PaymentsRequest {
    fn filter(self) -> Result<PaymentFilter> {
        let known = |status: &str| {
            *status != *Status::Absent.as_str() && Status::ALL.iter().any(|s| s.as_str() == status)
        };
        if self.status.as_deref().is_some_and(|status| !known(status)) {
            return Err(Error::invalid("status", "must be open, closing, captured, quarantined or closed"));
        }
        let attempt_id = self.attempt.as_deref().map(attempt_of).transpose()?;
        if self.provider_trade_no.as_deref().is_some_and(|no| no.chars().count() > TRADE_NO_CHARS_MAX) {
            return Err(Error::invalid("provider_trade_no", "is longer than any trade number"));
        }
        Ok(PaymentFilter {
            status: self.status,
            order_id: self.order_id,
            attempt_id,
            trade_no: self.provider_trade_no,
            from: self.from,
            to: self.to,
        })
    }
}

/// The longest trade number.
const TRADE_NO_CHARS_MAX: usize = 64;

fn attempt_of(text: &str) -> Result<AttemptId> {
    let read = text.parse().or_else(|_| Id::parse_bare(text));
    read.map_err(|_| Error::invalid("attempt", "must be the id of an attempt or its order number"))
}

/// When the last payment of a page was opened, and which it was.
fn cursor_of(text: &str) -> Result<PaymentCursor> {
    let (at, id) = text.split_once('.').ok_or_else(no_cursor)?;
    let at = at.parse().map_err(|_| no_cursor())?;
    Ok((Timestamp::from_millis(at), id.parse().map_err(|_| no_cursor())?))
}

impl Payments {
    /// A page of payments, the newest first.
    ///
    /// # Errors
    /// `Invalid` naming the filter, the limit or the cursor.
    pub async fn list(&self, asked: PaymentsRequest) -> Result<Page<PaymentItem>> {
        let page = PageRequest { limit: asked.limit, cursor: asked.cursor.clone() };
        let limit = page.checked_limit()?;
        let cursor = page.cursor.as_deref().map(cursor_of).transpose()?;
        let filter = asked.filter()?;
        let read = move |q: &mut merx_sql::Reader<'_>| store::payments(q, &filter, cursor, limit + 1);
        let rows = self.db().read("payment.list", read).await?;
        let ended = |row: &PaymentRow| format!("{}.{}", row.opened_at.as_millis(), row.payment_id);
        page_of(rows, limit, ended, |row| Ok(PaymentItem::from(row)))
    }
}
