//! The books: the trial balance, the postings of an account, and all of them as CSV.

use merx_contracts::ids::{AttemptId, OrderId, PaymentId, RefundId};
use merx_kernel::{Error, ErrorKind, Money, Page, PageRequest, Result, Timestamp};
use merx_sql::{Db, Reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{no_cursor, page_of};
use crate::{
    context::Payments,
    domain::ledger::{Account, Nature},
    projections,
    store::{
        self,
        ledger::{Balance, PostingCursor, PostingFilter, PostingRow},
    },
};

/// The most bookings that do not balance a trial balance names.
const UNBALANCED_MAX: i64 = 20;

/// What an account stands at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountBalance {
    /// `clearing:alipay`, `receivable`, `revenue`, `freight`, `refunds`, `deposits`, `fees`.
    pub account: String,
    /// `asset`, `liability`, `income`, `contra_income`, `expense`; `unknown` for an account that is in no chart.
    pub nature: String,
    /// All debits.
    pub debit: Money,
    /// All credits.
    pub credit: Money,
    /// Debits less credits: below zero for a credit balance.
    pub balance: Money,
    /// How many postings there are.
    pub postings: i64,
}

/// A booking whose postings do not sum to zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbalancedBooking {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The version of the event that made it.
    pub version: i64,
}

/// Every account, and whether the books balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialBalance {
    /// Of what was posted up to this moment; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Whether debits are credits, in every currency and in every booking.
    pub is_balanced: bool,
    /// The accounts, by name and currency.
    pub accounts: Vec<AccountBalance>,
    /// The first bookings that do not balance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unbalanced: Vec<UnbalancedBooking>,
}

impl From<Balance> for AccountBalance {
    fn from(balance: Balance) -> Self {
        let Balance { account, currency, debit, credit, postings } = balance;
        let money = |minor| Money::new(minor, currency);
        let nature = Account::nature_of(&account).map_or("unknown", Nature::as_str).to_owned();
        let balance = money(debit - credit);
        Self { account, nature, debit: money(debit), credit: money(credit), balance, postings }
    }
}

impl TrialBalance {
    fn of(q: &mut Reader<'_>, as_of: Option<Timestamp>) -> Result<Self> {
        if store::shape(q, projections::PAYMENTS.name)? < projections::SHAPE {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "payment.ledger_not_built",
                "The ledger of this shop is not built yet.",
            ));
        }
        let accounts: Vec<AccountBalance> =
            store::ledger::balances(q, as_of)?.into_iter().map(AccountBalance::from).collect();
        let unbalanced = store::ledger::unbalanced(q, UNBALANCED_MAX)?
            .into_iter()
            .map(|(payment_id, version)| UnbalancedBooking { payment_id, version })
            .collect::<Vec<_>>();
        let sums_to_zero = accounts.iter().all(|one| {
            let currency = one.balance.currency;
            let same = accounts.iter().filter(|other| other.balance.currency == currency);
            same.map(|other| i128::from(other.balance.minor)).sum::<i128>() == 0
        });
        let is_known = accounts.iter().all(|one| Account::nature_of(&one.account).is_some());
        let is_balanced = unbalanced.is_empty() && sums_to_zero && is_known;
        Ok(Self { as_of, is_balanced, accounts, unbalanced })
    }
}

/// The trial balance of the shop whose data are in `db`, which may be open for reading only; no shop need run.
///
/// # Errors
/// `payment.ledger_not_built` for a shop that was not started since its tables were brought up to date; what the database
/// answers.
pub async fn trial_balance(db: &Db, as_of: Option<Timestamp>) -> Result<TrialBalance> {
    db.read("payment.trial_balance", move |q| TrialBalance::of(q, as_of)).await
}

/// One side of a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostingView {
    /// When.
    pub posted_at: Timestamp,
    /// Where.
    pub account: String,
    /// A debit above zero, a credit below.
    pub amount: Money,
    /// What it is of: `sale`, `write_off`, `capture`, `acceptance`, `refund`, `fee`.
    pub kind: String,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The version of the payment's event that made it; postings with the same payment and version are one booking.
    pub version: i64,
    /// Of which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// By which attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// By which refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<RefundId>,
    /// The provider's number, of a capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_trade_no: Option<String>,
}

impl From<PostingRow> for PostingView {
    fn from(row: PostingRow) -> Self {
        Self {
            posted_at: row.posted_at,
            account: row.account,
            amount: row.amount,
            kind: row.kind,
            payment_id: row.payment_id,
            version: row.version,
            order_id: row.order_id,
            attempt_id: row.about.attempt_id,
            refund_id: row.about.refund_id,
            provider_trade_no: row.about.provider_trade_no,
        }
    }
}

impl PostingView {
    /// Where a list goes on after it.
    pub fn cursor(&self) -> PostingCursor {
        PostingCursor {
            posted_at: self.posted_at,
            payment_id: self.payment_id,
            version: self.version,
            account: self.account.clone(),
        }
    }
}

/// At most `limit` postings after `cursor`, the oldest first, of the shop whose data are in `db`.
///
/// # Errors
/// What the database answers.
pub async fn postings(
    db: &Db,
    filter: PostingFilter,
    cursor: Option<PostingCursor>,
    limit: i64,
) -> Result<Vec<PostingView>> {
    let read = move |q: &mut Reader<'_>| store::ledger::postings(q, &filter, cursor.as_ref(), limit);
    Ok(db.read("payment.postings", read).await?.into_iter().map(PostingView::from).collect())
}

/// What a list of postings is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostingsRequest {
    /// Posted at this moment or later.
    pub from: Option<Timestamp>,
    /// Posted before this moment.
    pub to: Option<Timestamp>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

fn cursor_of(text: &str) -> Result<PostingCursor> {
    let mut parts = text.splitn(4, '.');
    let mut next = || parts.next().ok_or_else(no_cursor);
    let at: i64 = next()?.parse().map_err(|_| no_cursor())?;
    let payment_id = next()?.parse().map_err(|_| no_cursor())?;
    let version = next()?.parse().map_err(|_| no_cursor())?;
    let posted_at = Timestamp::from_millis(at);
    Ok(PostingCursor { posted_at, payment_id, version, account: next()?.to_owned() })
}

impl Payments {
    /// The trial balance.
    ///
    /// # Errors
    /// As [`trial_balance`].
    pub async fn trial_balance(&self, as_of: Option<Timestamp>) -> Result<TrialBalance> {
        trial_balance(self.db(), as_of).await
    }

    /// A page of the postings of an account, the oldest first.
    ///
    /// # Errors
    /// `payment.account_unknown` for a name that is in no chart; `Invalid` naming the limit or the cursor.
    pub async fn postings_of(&self, account: &str, asked: PostingsRequest) -> Result<Page<PostingView>> {
        known_account(account)?;
        let limit = PageRequest { limit: asked.limit, cursor: None }.checked_limit()?;
        let cursor = asked.cursor.as_deref().map(cursor_of).transpose()?;
        let filter = PostingFilter { account: Some(account.to_owned()), from: asked.from, to: asked.to };
        let rows = postings(self.db(), filter, cursor, limit + 1).await?;
        let ended = |row: &PostingView| {
            let PostingCursor { posted_at, payment_id, version, account } = row.cursor();
            format!("{}.{payment_id}.{version}.{account}", posted_at.as_millis())
        };
        page_of(rows, limit, ended, Ok)
    }

    /// Some of the postings there are, for an export that is sent as it is read.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn some_postings(
        &self,
        filter: PostingFilter,
        cursor: Option<PostingCursor>,
        limit: i64,
    ) -> Result<Vec<PostingView>> {
        postings(self.db(), filter, cursor, limit).await
    }
}

/// Refuses a name that is in no chart of accounts.
///
/// # Errors
/// `payment.account_unknown`.
pub fn known_account(account: &str) -> Result<()> {
    if Account::nature_of(account).is_some() {
        return Ok(());
    }
    let text = "There is no such account; GET /v1/admin/ledger/trial-balance names those with postings.";
    Err(Error::not_found("payment.account_unknown", text))
}

/// The first line of the export.
pub const CSV_HEAD: &str = "posted_at,account,debit,credit,currency,kind,payment_id,version,order_id,attempt_id,refund_id,provider_trade_no\n";

impl PostingView {
    /// A line of the export.
    pub fn to_csv(&self) -> String {
        let decimal = |minor: i64| Money::new(minor, self.amount.currency).to_decimal();
        let (debit, credit) = match self.amount.minor {
            minor @ 0.. => (decimal(minor), String::new()),
            minor => (String::new(), decimal(-minor)),
        };
        let id = |id: Option<String>| id.unwrap_or_default();
        let cells = [
            self.posted_at.to_string(),
            self.account.clone(),
            debit,
            credit,
            self.amount.currency.code().to_owned(),
            self.kind.clone(),
            self.payment_id.to_string(),
            self.version.to_string(),
            id(self.order_id.map(|id| id.to_string())),
            id(self.attempt_id.map(|id| id.to_string())),
            id(self.refund_id.map(|id| id.to_string())),
            id(self.provider_trade_no.clone()),
        ];
        let mut line = cells.map(|cell| csv_cell(&cell)).join(",");
        line.push('\n');
        line
    }
}

/// A text as a cell. One that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection);
/// amounts are ours and stay numbers.
pub fn csv_cell(text: &str) -> String {
    let is_number = !text.is_empty() && text.parse::<f64>().is_ok() && !text.contains(['i', 'n', 'e', 'E']);
    let guarded = if !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", guarded.replace('"', "\"\""));
    }
    guarded
}
