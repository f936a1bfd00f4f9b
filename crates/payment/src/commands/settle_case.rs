//! Reconcile because a person asked, and settle what reconciliation found.

use http::StatusCode;
use merx_contracts::ids::AccountId;
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::Result;
use merx_platform::store::Saved;
use serde_json::json;

use super::resolve::{Reason, acted};
use crate::{
    context::Payments,
    domain::{ProviderName, Rejection},
    provider::BillDate,
    queries::CaseView,
    store::{
        alerts::{self, Resolved},
        bills::ReconciliationKind,
        cases::{self, CaseId, CaseKind},
    },
};

impl Payments {
    /// Reconciles a day for a member of the staff. What it finds is kept as it is found; the record of the staff, the
    /// answer and its key are one transaction after it.
    ///
    /// # Errors
    /// As [`Payments::reconcile`]; `request.idempotency_key_reused`.
    pub async fn reconcile_for(
        &self,
        actor: AccountId,
        provider: ProviderName,
        date: BillDate,
        key: IdempotencyKey,
    ) -> Result<(Begun<ReconciliationKind>, Option<Saved>)> {
        let view = self.reconcile(provider, date).await?;
        let (store, cause) = (self.store(), self.telling().of(actor));
        self.db()
            .write("payment.reconcile_for", move |tx| {
                let begun = key.begin(store.idempotency, tx, view.id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let detail = json!({ "provider": view.provider, "date": view.date, "status": view.status });
                let told = acted(&cause, actor, "payment.reconciled", view.id.to_string(), None, detail)?;
                store.outbox.publish(tx, &[told])?;
                let saved = merx_http::answer(StatusCode::OK, &view)?;
                key.complete(store.idempotency, tx, view.id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }

    /// Settles a case, and its alert. Money is neither booked nor moved by this.
    ///
    /// # Errors
    /// `payment.case_unknown`, `payment.alert_resolved`, `request.idempotency_key_reused`.
    pub async fn resolve_case(
        &self,
        actor: AccountId,
        case_id: CaseId,
        reason: Reason,
        key: IdempotencyKey,
    ) -> Result<(Begun<CaseKind>, Option<Saved>)> {
        let (store, cause) = (self.store(), self.telling().of(actor));
        let resolved = Resolved { at: cause.at, by: Some(actor), reason: reason.into_string() };
        self.db()
            .write("payment.resolve_case", move |tx| {
                let begun = key.begin(store.idempotency, tx, case_id, cause.at)?;
                if matches!(begun, Begun::Repeated { .. }) {
                    return Ok((begun, None));
                }
                let mut row = cases::find(tx, case_id)?.ok_or(Rejection::CaseUnknown)?;
                if !cases::resolve(tx, case_id, &resolved)? {
                    return Err(Rejection::AlertResolved.into());
                }
                alerts::resolve(tx, row.alert_id, &resolved)?;
                let detail = json!({ "kind": row.kind, "date": row.bill_date, "payment_id": row.payment_id });
                let (object, why) = (case_id.to_string(), Some(resolved.reason.clone()));
                let told = acted(&cause, actor, "payment.case_resolved", object, why, detail)?;
                store.outbox.publish(tx, &[told])?;
                row.resolved = Some(resolved.clone());
                let saved = merx_http::answer(StatusCode::OK, &CaseView::from(row))?;
                key.complete(store.idempotency, tx, case_id, &saved)?;
                Ok((begun, Some(saved)))
            })
            .await
    }
}
