//! Take in a notification of Alipay: believed only where its signature and every field agree with our own record.

use aws_lc_rs::digest::{SHA256, digest};
use merx_alipay::{Expected, Notification, Notified};
use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Guard, Id, Result};
use serde_json::json;

use super::capture::{Captured, Report};
use crate::{
    context::Payments,
    domain::{Payment, ProviderName},
    store::{self, NotificationRow},
};

/// The alert of a notification that was signed, and yet does not agree with our record.
const QUARANTINE: &str = "payment_notification_quarantined";

/// Whether a notification counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable, by this call or an earlier one: the provider need not send it again.
    Taken,
    /// Alipay signed it, but it does not agree with our record: it is quarantined and an alert is raised.
    Quarantined,
    /// Alipay did not sign it. Nothing is kept, so that nobody can fill our disk.
    Unsigned,
}

impl Payments {
    /// Takes in the form of a notification.
    ///
    /// # Errors
    /// What the database answers, or the provider where the notification leaves a doubt: it did not count, and will
    /// be sent again.
    pub async fn take_notification(&self, form: &[u8]) -> Result<Verdict> {
        let notification = match self.alipay().notification(form) {
            Ok(notification) => notification,
            Err(error) if error.is("alipay.notification_invalid") => {
                // Signed, but not to be read: the hash tells one from another and finds it in Alipay's records.
                let detail = json!({ "problem": error.message(), "form_sha256": sha256_hex(form) });
                return self.quarantine(None, detail).await;
            }
            Err(error) => {
                if let Some(count) = self.unsigned().counted(self.now()) {
                    tracing::warn!(count, error = %error.chain(), "a notification that Alipay did not sign was refused");
                }
                return Ok(Verdict::Unsigned);
            }
        };
        let row = row_of(&notification);
        let sought = row.clone();
        let known = self.db().read("payment.notified", move |q| store::known_attempt(q, &sought)).await?;
        let Some(known) = known else {
            return self
                .quarantine(None, described(&notification, json!("the order number is not ours")))
                .await;
        };
        let expected = Expected {
            app_id: self.alipay().app_id(),
            seller_id: self.alipay().seller_id(),
            out_trade_no: &notification.out_trade_no,
            amount: known.amount,
        };
        let mismatches = notification.mismatches(&expected);
        if !mismatches.is_empty() {
            let fields: Vec<_> = mismatches
                .iter()
                .map(|m| json!({ "field": m.field, "expected": m.expected, "found": m.found }))
                .collect();
            return self.quarantine(Some(known.payment_id), described(&notification, json!(fields))).await;
        }
        if known.recorded && Guard::CaptureOnce.on() {
            return Ok(Verdict::Taken);
        }
        match notification.notified() {
            Notified::Paid => self.take_paid(known.payment_id, &notification, row).await,
            other => self.take_other(known.payment_id, &notification, other, row).await,
        }
    }

    async fn take_paid(
        &self,
        payment_id: PaymentId,
        notification: &Notification,
        row: NotificationRow,
    ) -> Result<Verdict> {
        let report = Report {
            attempt_id: row.attempt_id,
            amount: notification.total_amount,
            provider_trade_no: notification.trade_no.clone(),
        };
        Ok(match self.capture(payment_id, report, Some(row)).await? {
            Captured::Now | Captured::Before => Verdict::Taken,
            Captured::Refused(_) => Verdict::Quarantined,
        })
    }

    /// A notification that brings no money is not decided on: it must agree with what we know, if need be after
    /// asking Alipay.
    async fn take_other(
        &self,
        payment_id: PaymentId,
        notification: &Notification,
        notified: Notified,
        row: NotificationRow,
    ) -> Result<Verdict> {
        let mut payment = self.read(payment_id).await?;
        if !agrees(&payment, row.attempt_id, notified) && notified != Notified::Waiting {
            self.settle_attempt(payment_id, row.attempt_id, false).await?;
            payment = self.read(payment_id).await?;
        }
        if !agrees(&payment, row.attempt_id, notified) {
            let detail =
                described(notification, json!("the status does not agree with our record and Alipay's"));
            return self.quarantine(Some(payment_id), detail).await;
        }
        let now = self.now();
        let keep = move |tx: &mut merx_sql::Tx<'_>| store::record_notification(tx, &row, now);
        let _ = self.db().write("payment.notification", keep).await?;
        Ok(Verdict::Taken)
    }

    async fn quarantine(&self, payment_id: Option<PaymentId>, detail: serde_json::Value) -> Result<Verdict> {
        self.raise(QUARANTINE, payment_id, detail).await?;
        Ok(Verdict::Quarantined)
    }
}

/// Whether what we know already says what the notification says.
fn agrees(payment: &Payment, attempt_id: AttemptId, notified: Notified) -> bool {
    let ended = payment.attempts.get(&attempt_id).is_some_and(|attempt| attempt.end.is_some());
    let capture = payment.capture_of(attempt_id);
    let back = payment.refunding_minor(attempt_id);
    match (notified, capture) {
        (Notified::Paid, capture) => capture.is_some(),
        // A trade whose money all went back reads as closed; so does one that was closed before its money came late.
        (Notified::Closed, Some(capture)) => capture.late || back == capture.amount.minor,
        (Notified::Refunded(sum), Some(_)) => sum.minor <= back,
        (Notified::Closed | Notified::Refunded(_), None) => ended,
        (Notified::Waiting, _) => false,
    }
}

fn row_of(notification: &Notification) -> NotificationRow {
    let status = match notification.notified() {
        Notified::Refunded(sum) => format!("{}+refunded:{}", notification.trade_status.name(), sum.minor),
        _ => notification.trade_status.name().to_owned(),
    };
    NotificationRow {
        provider: ProviderName::Alipay.as_str(),
        trade_no: notification.trade_no.clone(),
        status,
        // A number that is not of our making names no attempt; zero names none either.
        attempt_id: Id::parse_bare(notification.out_trade_no.as_str()).unwrap_or(Id::from_bits(0)),
        notify_id: notification.notify_id.clone(),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a person needs to look into it; nothing about the buyer.
fn described(notification: &Notification, problem: serde_json::Value) -> serde_json::Value {
    json!({
        "problem": problem,
        "notify_id": notification.notify_id,
        "app_id": notification.app_id,
        "seller_id": notification.seller_id,
        "out_trade_no": notification.out_trade_no,
        "trade_no": notification.trade_no,
        "trade_status": notification.trade_status,
        "total_amount": notification.total_amount,
    })
}
