//! What needs a person.

use merx_contracts::ids::PaymentId;
use merx_kernel::{Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ResolutionView, Wanted, json_of, page_of};
use crate::{
    context::Payments,
    store::alerts::{self, AlertFilter, AlertId, AlertRow},
};

/// Whether somebody has looked into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It waits for a person.
    Open,
    /// It was looked into, or has settled itself.
    Resolved,
}

impl AlertState {
    pub(super) const fn of(is_resolved: bool) -> Self {
        if is_resolved { Self::Resolved } else { Self::Open }
    }
    pub(super) fn is_resolved(self) -> bool {
        self == Self::Resolved
    }
}

/// Something that does not agree, or does not come to an end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertView {
    /// The alert.
    pub id: AlertId,
    /// What kind: `payment_notification_quarantined`, `payment_duplicate`, …
    pub kind: String,
    /// Whether somebody has looked into it.
    pub state: AlertState,
    /// About which payment, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The particulars; no personal data.
    pub detail: serde_json::Value,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionView>,
}

impl AlertView {
    /// As it is kept.
    ///
    /// # Errors
    /// `Internal` for a row that is not ours.
    pub(crate) fn of(row: AlertRow) -> Result<Self> {
        Ok(Self {
            id: row.alert_id,
            kind: row.kind,
            state: AlertState::of(row.resolved.is_some()),
            payment_id: row.payment_id,
            detail: json_of(&row.detail)?,
            raised_at: row.raised_at,
            resolution: row.resolved.map(ResolutionView::from),
        })
    }
}

/// What a list of alerts is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsRequest {
    /// Only those in this state.
    pub state: Option<AlertState>,
    /// Only this kind.
    pub kind: Option<String>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

impl Payments {
    /// A page of alerts, the newest first.
    ///
    /// # Errors
    /// `Invalid` for a limit out of range or a cursor that is none.
    pub async fn alerts(&self, asked: AlertsRequest) -> Result<Page<AlertView>> {
        let AlertsRequest { state, kind, limit, cursor } = asked;
        let Wanted { before, limit } = Wanted::of(&PageRequest { limit, cursor })?;
        let filter = AlertFilter { resolved: state.map(AlertState::is_resolved), kind };
        let read = move |q: &mut merx_sql::Reader<'_>| alerts::list(q, &filter, before, limit + 1);
        let rows = self.db().read("payment.alerts", read).await?;
        page_of(rows, limit, |row| row.alert_id.to_string(), AlertView::of)
    }
}
