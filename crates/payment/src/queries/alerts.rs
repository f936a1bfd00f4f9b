//! What needs a person.

use merx_contracts::ids::PaymentId;
use merx_kernel::{Error, Page, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    context::Payments,
    store::{self, AlertId, AlertRow},
};

/// Something that does not agree, or does not come to an end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertView {
    /// The alert.
    pub id: AlertId,
    /// What kind: `payment_notification_quarantined`, `payment_duplicate`, …
    pub kind: String,
    /// About which payment, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The particulars; no personal data.
    pub detail: serde_json::Value,
    /// When it was raised.
    pub raised_at: Timestamp,
}

impl Payments {
    /// A page of alerts, the newest first.
    ///
    /// # Errors
    /// `Invalid` for a limit out of range or a cursor that is none.
    pub async fn alerts(&self, page: &PageRequest) -> Result<Page<AlertView>> {
        let limit = page.checked_limit()?;
        let before: Option<AlertId> = match &page.cursor {
            Some(cursor) => {
                Some(cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?)
            }
            None => None,
        };
        let mut rows = self.db().read("payment.alerts", move |q| store::alerts(q, before, limit + 1)).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let next_cursor = if more { rows.last().map(|row| row.alert_id.to_string()) } else { None };
        let items = rows.into_iter().map(viewed).collect::<Result<_>>()?;
        Ok(Page { items, next_cursor })
    }
}

fn viewed(row: AlertRow) -> Result<AlertView> {
    let detail = serde_json::from_str(&row.detail).map_err(|e| {
        Error::internal("inconsistent row: the detail of an alert is not JSON").with_source(e)
    })?;
    Ok(AlertView {
        id: row.alert_id,
        kind: row.kind,
        payment_id: row.payment_id,
        detail,
        raised_at: row.raised_at,
    })
}
