//! Raise an alert: a row that a person works off, a count that wakes the person, a line in the log.

use aws_lc_rs::digest::{SHA256, digest};
use merx_contracts::ids::PaymentId;
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::Tx;

use crate::{
    context::Payments,
    store::alerts::{self, AlertId, AlertRow},
};

/// What a person must look at.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    kind: &'static str,
    row: AlertRow,
}

impl Payments {
    /// An alert of `kind`; `detail` must be free of personal data. It is raised by [`Alert::keep`] within the
    /// transaction of what it is about, and announced after the commit.
    pub(crate) fn alert(
        &self,
        kind: &'static str,
        payment_id: Option<PaymentId>,
        detail: serde_json::Value,
    ) -> Alert {
        Alert::new(self.ids().next(), kind, payment_id, &detail, self.now())
    }

    /// Counts and logs a kept alert. The same alert kept again is neither.
    pub(crate) fn announce(&self, kind: &'static str, payment_id: Option<PaymentId>, is_new: bool) {
        if is_new {
            self.metrics().alert(kind);
            let payment = payment_id.map(|id| id.to_string());
            tracing::error!(alert = kind, payment, "an alert was raised; see GET /v1/admin/payments/alerts");
        }
    }

    /// Raises an alert by itself.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn raise(&self, alert: Alert) -> Result<()> {
        let (kind, payment_id) = (alert.kind, alert.row.payment_id);
        let is_new = self.db().write("payment.alert", move |tx| alert.keep(tx)).await?;
        self.announce(kind, payment_id, is_new);
        Ok(())
    }
}

impl Alert {
    /// An alert under an identity chosen before.
    pub(crate) fn new(
        alert_id: AlertId,
        kind: &'static str,
        payment_id: Option<PaymentId>,
        detail: &serde_json::Value,
        raised_at: Timestamp,
    ) -> Self {
        let (detail, subject, resolved) = (detail.to_string(), None, None);
        let kept = kind.to_owned();
        Self {
            kind,
            row: AlertRow { alert_id, kind: kept, payment_id, subject, detail, raised_at, resolved },
        }
    }
    /// Whatever settles the attempt or refund `subject` settles the alert.
    #[must_use]
    pub(crate) fn about(mut self, subject: impl std::fmt::Display) -> Self {
        self.row.subject = Some(subject.to_string());
        self
    }
    /// Which.
    pub(crate) const fn id(&self) -> AlertId {
        self.row.alert_id
    }
    /// What kind.
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Keeps the alert; `false` when one with the same content is kept already.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let AlertRow { kind, payment_id, detail, .. } = &self.row;
        let about = payment_id.map(|id| id.bare()).unwrap_or_default();
        let hash = digest(&SHA256, format!("{kind}\n{about}\n{detail}").as_bytes());
        let hash =
            <[u8; 32]>::try_from(hash.as_ref()).map_err(|_| Error::internal("SHA-256 has 32 bytes"))?;
        Ok(alerts::record(tx, &self.row, hash)?.is_new())
    }
}
