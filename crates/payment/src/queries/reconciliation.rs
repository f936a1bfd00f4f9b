//! What reconciliation found.

use merx_contracts::ids::PaymentId;
use merx_kernel::{Error, Money, Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlertState, ResolutionView, Wanted, page_of};
use crate::{
    context::Payments,
    domain::DifferenceKind,
    provider::BillDate,
    store::{
        bills::{self, ReconciliationId, ReconciliationRow},
        cases::{self, CaseFilter, CaseId, CaseRow},
    },
};

/// A day that was held against the bill of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconciliationView {
    /// The reconciliation.
    pub id: ReconciliationId,
    /// Whose bill, `alipay`.
    pub provider: String,
    /// The day of Beijing time, `2026-11-20`.
    pub date: String,
    /// `done`; `no_bill` while the provider has none of a day on which money moved.
    pub status: String,
    /// How many captures the bill has.
    pub captures: i64,
    /// What they come to.
    pub captured: Money,
    /// How many refunds the bill has.
    pub refunds: i64,
    /// What they come to.
    pub refunded: Money,
    /// What the provider kept, less what it gave back.
    pub fees: Money,
    /// How many cases it has opened, in all its runs.
    pub cases_opened: i64,
    /// How many cases of the day wait for a person.
    pub cases_open: i64,
    /// How often it was done.
    pub runs: i64,
    /// The last time.
    pub last_at: Timestamp,
}

impl ReconciliationView {
    /// From the row, and how many of its cases are open.
    pub(crate) fn of(row: ReconciliationRow, cases_open: i64) -> Self {
        let money = |minor| Money::new(minor, row.currency);
        Self {
            id: row.reconciliation_id,
            captures: row.sums.captures,
            captured: money(row.sums.captured_minor),
            refunds: row.sums.refunds,
            refunded: money(row.sums.refunded_minor),
            fees: money(row.sums.fee_minor),
            cases_opened: row.cases_opened,
            cases_open,
            runs: row.runs,
            last_at: row.last_at,
            provider: row.provider,
            date: row.bill_date,
            status: row.status,
        }
    }
}

/// Something on a bill and in the books that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseView {
    /// The case.
    pub id: CaseId,
    /// What does not agree.
    pub kind: DifferenceKind,
    /// Whether it is settled.
    pub state: AlertState,
    /// On whose bill.
    pub provider: String,
    /// Of which day of Beijing time.
    pub date: String,
    /// Our number for the attempt, as the bill or our books have it.
    pub order_number: String,
    /// Our number for the refund, of a case about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_number: Option<String>,
    /// The provider's number of the trade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_trade_no: Option<String>,
    /// The payment, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// What we have; of a fee, what was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Money>,
    /// What the provider has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Money>,
    /// When it was found.
    pub opened_at: Timestamp,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
}

impl From<CaseRow> for CaseView {
    fn from(row: CaseRow) -> Self {
        Self {
            id: row.case_id,
            kind: row.kind,
            state: AlertState::of(row.resolved.is_some()),
            provider: row.provider,
            date: row.bill_date,
            order_number: row.order_number,
            request_number: Some(row.request_number).filter(|number| !number.is_empty()),
            provider_trade_no: row.trade_no,
            payment_id: row.payment_id,
            ours: row.ours,
            theirs: row.theirs,
            opened_at: row.opened_at,
            resolution: row.resolved.map(ResolutionView::from),
        }
    }
}

/// What a list of cases is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CasesRequest {
    /// Only those in this state.
    pub state: Option<AlertState>,
    /// Only this kind.
    pub kind: Option<DifferenceKind>,
    /// Only on the bill of this day of Beijing time, `2026-11-20`.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"), extend("example" = "2026-01-01"))]
    pub date: Option<String>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

/// Reads a day of Beijing time.
///
/// # Errors
/// `Invalid` naming `pointer`.
pub fn date_of(pointer: &str, text: &str) -> Result<BillDate> {
    let date = BillDate::parse(text).ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| Error::invalid(pointer, "must be a day such as 2026-11-20"))
}

impl Payments {
    /// A page of reconciliations, the newest first.
    ///
    /// # Errors
    /// `Invalid` for a limit out of range or a cursor that is none.
    pub async fn reconciliations(&self, page: PageRequest) -> Result<Page<ReconciliationView>> {
        let Wanted { before, limit } = Wanted::of(&page)?;
        let read = move |q: &mut merx_sql::Reader<'_>| {
            let rows = bills::list(q, before, limit + 1)?;
            rows.into_iter()
                .map(|row| {
                    let open = cases::open_of_day(q, &row.provider, &row.bill_date)?;
                    Ok(ReconciliationView::of(row, open))
                })
                .collect::<Result<Vec<_>>>()
        };
        let rows = self.db().read("payment.reconciliations", read).await?;
        page_of(rows, limit, |row| row.id.to_string(), Ok)
    }

    /// A page of cases, the newest first.
    ///
    /// # Errors
    /// `Invalid` for a day, a limit or a cursor that is none.
    pub async fn cases(&self, asked: CasesRequest) -> Result<Page<CaseView>> {
        let CasesRequest { state, kind, date, limit, cursor } = asked;
        let bill_date = date.as_deref().map(|text| date_of("date", text)).transpose()?;
        let Wanted { before, limit } = Wanted::of(&PageRequest { limit, cursor })?;
        let filter = CaseFilter {
            resolved: state.map(AlertState::is_resolved),
            kind,
            bill_date: bill_date.map(|date| date.to_string()),
            provider: None,
        };
        let read = move |q: &mut merx_sql::Reader<'_>| cases::list(q, &filter, before, limit + 1);
        let rows = self.db().read("payment.cases", read).await?;
        page_of(rows, limit, |row| row.case_id.to_string(), |row| Ok(CaseView::from(row)))
    }
}
