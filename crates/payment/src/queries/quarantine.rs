//! What is in quarantine.

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Money, Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlertState, ResolutionView, Wanted, json_of, page_of};
use crate::{
    context::Payments,
    store::{
        alerts::AlertId,
        quarantine::{self, QuarantineFilter, QuarantineId, QuarantineRow},
    },
};

/// News of the provider that do not agree with our record, or money that is not what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineView {
    /// Which.
    pub id: QuarantineId,
    /// `notification`: the provider said so, and it was not believed. `capture`: the money is there and booked, or,
    /// as a `contradiction`, cannot be booked.
    pub source: String,
    /// `under`, `over`: another amount than was asked. `double`: beside money that had come before. `late`: for a
    /// payment that was closed. `foreign`: of another shop, application, order number or currency. `contradiction`:
    /// not what we and the provider know of the trade. `unreadable`: signed, and not to be read.
    pub kind: String,
    /// Whether somebody has looked into it, or it has settled itself.
    pub state: AlertState,
    /// The payment, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The attempt, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// Who told of it.
    pub provider: String,
    /// The order number it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// The provider's number of the trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_trade_no: Option<String>,
    /// What the provider said of the trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_status: Option<String>,
    /// How much was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Money>,
    /// How much the provider speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Money>,
    /// How much of a capture went back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<Money>,
    /// Why it is here; no personal data.
    pub why: serde_json::Value,
    /// The alert that was raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<AlertId>,
    /// When it came.
    pub recorded_at: Timestamp,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
}

impl QuarantineView {
    /// As it is kept.
    ///
    /// # Errors
    /// `Internal` for a row that is not ours.
    pub(crate) fn of(row: QuarantineRow) -> Result<Self> {
        let is_capture = row.source == "capture";
        let returned = row.found.filter(|_| is_capture);
        Ok(Self {
            id: row.item_id,
            source: row.source,
            kind: row.kind,
            state: AlertState::of(row.resolved.is_some()),
            payment_id: row.payment_id,
            attempt_id: row.attempt_id,
            provider: row.provider,
            order_number: row.order_number,
            provider_trade_no: row.trade_no,
            trade_status: row.trade_status,
            asked: row.asked,
            found: row.found,
            returned: returned.map(|found| Money::new(row.returned_minor, found.currency)),
            why: json_of(&row.why)?,
            alert_id: row.alert_id,
            recorded_at: row.recorded_at,
            resolution: row.resolved.map(ResolutionView::from),
        })
    }
}

/// What a list of the quarantine is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRequest {
    /// Only what is in this state.
    pub state: Option<AlertState>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only about this payment.
    pub payment_id: Option<PaymentId>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

impl Payments {
    /// A page of the quarantine, the newest first.
    ///
    /// # Errors
    /// `Invalid` for a limit out of range or a cursor that is none.
    pub async fn quarantined(&self, asked: QuarantineRequest) -> Result<Page<QuarantineView>> {
        let QuarantineRequest { state, kind, payment_id, limit, cursor } = asked;
        let Wanted { before, limit } = Wanted::of(&PageRequest { limit, cursor })?;
        let filter = QuarantineFilter { resolved: state.map(AlertState::is_resolved), kind, payment_id };
        let read = move |q: &mut merx_sql::Reader<'_>| quarantine::list(q, &filter, before, limit + 1);
        let rows = self.db().read("payment.quarantined", read).await?;
        page_of(rows, limit, |row| row.item_id.to_string(), QuarantineView::of)
    }
}
