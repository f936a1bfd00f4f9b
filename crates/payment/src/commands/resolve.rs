//! A person has looked into an alert, or into something in quarantine, and says what it was. The two belong together:
//! whichever is resolved, the other is too.

use http::StatusCode;
use merx_contracts::{Envelope, events::staff::StaffActed, ids::AccountId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{BoundedText, Result};
use merx_platform::store::Saved;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    NAME,
    context::{Cause, Payments},
    domain::Rejection,
    queries::{AlertView, QuarantineView},
    store::{
        alerts::{self, AlertId, AlertKind, Resolved},
        cases,
        quarantine::{self, QuarantineId, QuarantineKind},
    },
};

/// Why a person did something; no personal data.
pub type Reason = BoundedText<1, 500>;

/// What a person says of what was looked into.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// What it was and what was done about it; no personal data.
    pub reason: Reason,
}

impl Payments {
    /// Resolves an alert, and what is in quarantine under it, or the case it is of.
    ///
    /// # Errors
    /// `payment.alert_unknown`, `payment.alert_resolved`, `request.idempotency_key_reused`.
    pub async fn resolve_alert(
        &self,
        actor: AccountId,
        alert_id: AlertId,
        reason: Reason,
        key: IdempotencyKey,
    ) -> Result<(Begun<AlertKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        let resolved = Resolved { at: cause.at, by: Some(actor), reason: reason.into_string() };
        self.db()
            .write("payment.resolve_alert", move |tx| {
                let begun = key.begin(store.idempotency, tx, alert_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let mut row = alerts::find(tx, alert_id)?.ok_or(Rejection::AlertUnknown)?;
                if !alerts::resolve(tx, alert_id, &resolved)? {
                    return Err(Rejection::AlertResolved.into());
                }
                quarantine::resolve_with(tx, alert_id, &resolved)?;
                cases::resolve_with(tx, alert_id, &resolved)?;
                let detail = json!({ "kind": row.kind, "payment_id": row.payment_id });
                let (object, why) = (alert_id.to_string(), Some(resolved.reason.clone()));
                let told = acted(&cause, actor, "payment.alert_resolved", object, why, detail)?;
                store.outbox.publish(tx, &[told])?;
                row.resolved = Some(resolved.clone());
                let saved = merx_http::answer(StatusCode::OK, &AlertView::of(row)?)?;
                key.complete(store.idempotency, tx, alert_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }

    /// Resolves something in quarantine, and its alert. It stays what it is: money is neither booked nor given back by
    /// this.
    ///
    /// # Errors
    /// `payment.quarantine_unknown`, `payment.alert_resolved`, `request.idempotency_key_reused`.
    pub async fn resolve_quarantined(
        &self,
        actor: AccountId,
        item_id: QuarantineId,
        reason: Reason,
        key: IdempotencyKey,
    ) -> Result<(Begun<QuarantineKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        let resolved = Resolved { at: cause.at, by: Some(actor), reason: reason.into_string() };
        self.db()
            .write("payment.resolve_quarantined", move |tx| {
                let begun = key.begin(store.idempotency, tx, item_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let mut row = quarantine::find(tx, item_id)?.ok_or(Rejection::QuarantineUnknown)?;
                if !quarantine::resolve(tx, item_id, &resolved)? {
                    return Err(Rejection::AlertResolved.into());
                }
                if let Some(alert_id) = row.alert_id {
                    alerts::resolve(tx, alert_id, &resolved)?;
                }
                let detail = json!({ "kind": row.kind, "source": row.source, "payment_id": row.payment_id });
                let (object, why) = (item_id.to_string(), Some(resolved.reason.clone()));
                let told = acted(&cause, actor, "payment.quarantine_resolved", object, why, detail)?;
                store.outbox.publish(tx, &[told])?;
                row.resolved = Some(resolved.clone());
                let saved = merx_http::answer(StatusCode::OK, &QuarantineView::of(row)?)?;
                key.complete(store.idempotency, tx, item_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }
}

/// What a member of the staff did, for the outbox.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub(super) fn acted(
    cause: &Cause,
    actor: AccountId,
    action: &str,
    object: String,
    reason: Option<String>,
    detail: Value,
) -> Result<Envelope> {
    let fact = StaffActed { actor, action: action.to_owned(), object, reason, detail };
    fact.envelope(NAME, cause.message()?, cause.at, cause.traceparent.clone())
}
