//! Raise an alert: a row that a person works off, a count that wakes the person, a line in the log.

use aws_lc_rs::digest::{SHA256, digest};
use merx_contracts::ids::PaymentId;
use merx_kernel::{Error, Result};
use merx_sql::Tx;

use crate::{
    context::Payments,
    store::{self, AlertId, AlertRow},
};

/// What a person must look at.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
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
        let alert_id: AlertId = self.ids().next();
        let detail = detail.to_string();
        Alert { row: AlertRow { alert_id, kind: kind.to_owned(), payment_id, detail, raised_at: self.now() } }
    }

    /// Counts and logs a kept alert. The same alert kept again is neither.
    pub(crate) fn announce(&self, kind: &'static str, payment_id: Option<PaymentId>, is_new: bool) {
        if is_new {
            self.metrics().alert(kind);
            let payment = payment_id.map(|id| id.to_string());
            tracing::error!(alert = kind, payment, "an alert was raised; see GET /v1/payment-alerts");
        }
    }

    /// Raises an alert by itself.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn raise(
        &self,
        kind: &'static str,
        payment_id: Option<PaymentId>,
        detail: serde_json::Value,
    ) -> Result<()> {
        let alert = self.alert(kind, payment_id, detail);
        let is_new = self.db().write("payment.alert", move |tx| alert.keep(tx)).await?;
        self.announce(kind, payment_id, is_new);
        Ok(())
    }
}

impl Alert {
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
        Ok(store::record_alert(tx, &self.row, hash)?.is_new())
    }
}
