//! The provider's own account of what was paid and paid back, for the auditor.

use merx_kernel::{Currency, Money, Result, Timestamp};
use merx_sql::Db;
use serde::{Deserialize, Serialize};

use crate::store;

/// What a ledger entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Money went from the buyer to the merchant.
    Capture,
    /// Money went back.
    Refund,
}

/// One movement of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The merchant's number for the attempt.
    pub out_trade_no: String,
    /// Which way the money went.
    pub kind: EntryKind,
    /// The merchant's number for the refund; empty for a capture.
    pub out_request_no: String,
    /// Alipay's number for the trade.
    pub trade_no: String,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

impl Entry {
    pub(crate) fn new(kind: EntryKind, trade: &store::Trade, request: &str, fen: i64, at: Timestamp) -> Self {
        Self {
            out_trade_no: trade.out_trade_no.clone(),
            kind,
            out_request_no: request.to_owned(),
            trade_no: trade.trade_no.clone(),
            amount: Money::new(fen, Currency::CNY),
            at,
        }
    }
}

/// The whole ledger of the sandbox that keeps its data in `db`, which may be open for reading only; no sandbox need
/// run.
///
/// # Errors
/// What the database answered.
pub async fn ledger(db: &Db) -> Result<Vec<Entry>> {
    db.read("sandbox.ledger", store::ledger).await
}
