//! Take in a notification of a provider: believed only where its signature and every field agree with our own record.

use aws_lc_rs::digest::{SHA256, digest};
use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Guard, Id, Money, Result};
use merx_platform::trace;
use serde_json::json;

use super::{
    capture::{Captured, Report},
    quarantine::Misfit,
};
use crate::{
    context::Payments,
    domain::{Payment, ProviderName},
    provider::{News, Notice},
    store::{self, NotificationRow},
};

/// Whether a notification counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable, by this call or an earlier one: the provider need not send it again.
    Taken,
    /// The provider signed it, but it does not agree with our record: it is quarantined and an alert is raised.
    Quarantined,
    /// The provider did not sign it. Nothing is kept, so that nobody can fill our disk.
    Unsigned,
}

impl Payments {
    /// Takes in the form of a notification of `from`.
    ///
    /// # Errors
    /// What the database answers, or the provider where the notification leaves a doubt: it did not count, and will
    /// be sent again.
    pub async fn take_notification(&self, from: ProviderName, form: &[u8]) -> Result<Verdict> {
        let read = self.provider_of(from).and_then(|provider| provider.notification(form, self.now()));
        let notice = match read {
            Ok(notice) => notice,
            Err(error) if error.is("payment.notification_unreadable") => {
                // Signed, but not to be read: the hash tells one from another and finds it in the provider's records.
                let detail = json!({ "problem": error.message(), "form_sha256": sha256_hex(form) });
                self.quarantine_unreadable(from, detail).await?;
                return Ok(Verdict::Quarantined);
            }
            Err(error) => {
                if let Some(count) = self.unsigned().counted(self.now()) {
                    tracing::warn!(count, error = %error.chain(), "a notification that no provider signed was refused");
                }
                return Ok(Verdict::Unsigned);
            }
        };
        let row = row_of(from, &notice);
        let sought = row.clone();
        let known = self.db().read("payment.notified", move |q| store::known_attempt(q, &sought)).await?;
        let Some(known) = known else {
            let problem = json!("the order number is not ours");
            self.quarantine(Misfit::Foreign, from, &notice, None, problem).await?;
            return Ok(Verdict::Quarantined);
        };
        let of = (known.payment_id, row.attempt_id, known.amount);
        let misfits = notice.misfits(known.amount);
        if !misfits.is_empty() {
            let fields: Vec<_> = misfits
                .iter()
                .map(|m| json!({ "field": m.field, "expected": m.expected, "found": m.found }))
                .collect();
            let misfit = Misfit::of(&notice, known.amount);
            self.quarantine(misfit, from, &notice, Some(of), json!(fields)).await?;
            return Ok(Verdict::Quarantined);
        }
        if known.recorded && Guard::CaptureOnce.on() {
            return Ok(Verdict::Taken);
        }
        match notice.news {
            News::Paid => self.take_paid(known.payment_id, from, &notice, row).await,
            _ => self.take_other(of, from, &notice, row).await,
        }
    }

    async fn take_paid(
        &self,
        payment_id: PaymentId,
        from: ProviderName,
        notice: &Notice,
        row: NotificationRow,
    ) -> Result<Verdict> {
        let report = Report {
            attempt_id: row.attempt_id,
            amount: notice.amount,
            provider: from,
            provider_trade_no: notice.trade_no.clone(),
        };
        let by = row.entry();
        Ok(match self.capture(payment_id, report, Some(row), Some(by)).await? {
            Captured::Now | Captured::Before => Verdict::Taken,
            Captured::Refused(_) => Verdict::Quarantined,
        })
    }

    /// A notification that brings no money is not decided on: it must agree with what we know, if need be after
    /// asking the provider.
    async fn take_other(
        &self,
        of: (PaymentId, AttemptId, Money),
        from: ProviderName,
        notice: &Notice,
        row: NotificationRow,
    ) -> Result<Verdict> {
        let (payment_id, attempt_id, _) = of;
        let (mut payment, book) = (self.read(payment_id).await?, self.book());
        if !agrees(&payment, attempt_id, notice.news) && notice.news != News::Waiting {
            let settled = self.settle_attempt(payment_id, attempt_id, false, &book).await;
            if let Err(doubt) = settled {
                self.keep_calls(payment_id, &book).await?;
                return Err(doubt);
            }
            payment = self.read(payment_id).await?;
        }
        if !agrees(&payment, attempt_id, notice.news) {
            self.keep_calls(payment_id, &book).await?;
            let problem = json!("the status does not agree with our record and the provider's");
            self.quarantine(Misfit::Contradiction, from, notice, Some(of), problem).await?;
            return Ok(Verdict::Quarantined);
        }
        let (now, calls) = (self.now(), book.take());
        let keep = move |tx: &mut merx_sql::Tx<'_>| {
            store::calls::record(tx, payment_id, &calls)?;
            store::record_notification(tx, &row, now)
        };
        let _ = self.db().write("payment.notification", keep).await?;
        Ok(Verdict::Taken)
    }
}

/// Whether what we know already says what the notification says.
fn agrees(payment: &Payment, attempt_id: AttemptId, news: News) -> bool {
    let ended = payment.attempts.get(&attempt_id).is_some_and(|attempt| attempt.end.is_some());
    let capture = payment.capture_of(attempt_id);
    let back = payment.refunding_minor(attempt_id);
    match (news, capture) {
        (News::Paid, capture) => capture.is_some(),
        // A trade whose money all went back reads as closed; so does one that was closed before its money came late.
        (News::Closed, Some(capture)) => capture.late || back == capture.amount.minor,
        (News::Refunded(sum), Some(_)) => sum.minor <= back,
        (News::Closed | News::Refunded(_), None) => ended,
        (News::Waiting, _) => false,
    }
}

fn row_of(from: ProviderName, notice: &Notice) -> NotificationRow {
    let status = match notice.news {
        News::Refunded(sum) => format!("{}+refunded:{}", notice.trade_status, sum.minor),
        _ => notice.trade_status.to_owned(),
    };
    NotificationRow {
        provider: from.as_str(),
        trade_no: notice.trade_no.clone(),
        status,
        // A number that is not of our making names no attempt; zero names none either.
        attempt_id: Id::parse_bare(&notice.order_number).unwrap_or(Id::from_bits(0)),
        notify_id: notice.notify_id.clone(),
        trace_id: trace::current().map(|trace| trace.trace_id()),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
