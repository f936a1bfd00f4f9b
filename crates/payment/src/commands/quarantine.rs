//! Keep apart what does not fit: news that a provider signed and that disagree with our record, and money that is not
//! what was asked. Nothing of it is lost, and where a person must decide an alert says so.

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Money, Result, Timestamp};
use merx_sql::Tx;
use serde_json::{Value, json};

use super::{capture::Report, raise_alert::Alert};
use crate::{
    context::Payments,
    domain::{Capture, CaptureKind, ProviderName},
    provider::Notice,
    store::{
        alerts::AlertId,
        quarantine::{self, QuarantineId, QuarantineRow},
    },
};

/// The alert of a notification that was signed, and yet does not agree with our record.
const QUARANTINED: &str = "payment_notification_quarantined";
/// The alert of money that contradicts what we know so much that it cannot be booked.
const REFUSED: &str = "payment_capture_refused";
/// The alert of money beside money.
pub(crate) const DOUBLE: &str = "payment_duplicate";
/// The alert of money that is less or more than was asked.
pub(crate) const DIFFERS: &str = "payment_amount_differs";

/// What is wrong with something in quarantine, where it is not the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Of another shop, application, order number or currency.
    Foreign,
    /// It contradicts what we and the provider know of the trade.
    Contradiction,
    /// It is signed and cannot be read.
    Unreadable,
    /// Of our own order, with another amount.
    Amount(CaptureKind),
}

impl Misfit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Contradiction => "contradiction",
            Self::Unreadable => "unreadable",
            Self::Amount(kind) => kind.as_str(),
        }
    }

    /// What fields that differ make of a notification.
    pub(crate) fn of(notice: &Notice, asked: Money) -> Self {
        let found = notice.amount;
        match found.minor.cmp(&asked.minor) {
            _ if !notice.foreign.is_empty() || asked.currency != found.currency => Self::Foreign,
            std::cmp::Ordering::Less => Self::Amount(CaptureKind::Under),
            _ => Self::Amount(CaptureKind::Over),
        }
    }
}

/// Something to be kept in quarantine, with its alert.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    row: QuarantineRow,
    alert: Option<Alert>,
}

impl Kept {
    /// Keeps it, unless its alert is kept already; answers the kind of a new alert.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>) -> Result<Option<&'static str>> {
        let Some(alert) = &self.alert else {
            quarantine::record(tx, &self.row)?;
            return Ok(None);
        };
        if !alert.keep(tx)? {
            return Ok(None);
        }
        quarantine::record(tx, &self.row)?;
        Ok(Some(alert.kind()))
    }

    fn new(
        item_id: QuarantineId,
        source: &str,
        provider: ProviderName,
        misfit: Misfit,
        why: &Value,
        at: Timestamp,
    ) -> Self {
        let row = QuarantineRow {
            item_id,
            source: source.to_owned(),
            kind: misfit.as_str().to_owned(),
            payment_id: None,
            attempt_id: None,
            provider: provider.as_str().to_owned(),
            order_number: None,
            trade_no: None,
            trade_status: None,
            asked: None,
            found: None,
            why: why.to_string(),
            alert_id: None,
            recorded_at: at,
            resolved: None,
            returned_minor: 0,
        };
        Self { row, alert: None }
    }

    fn alarmed(mut self, alert: Alert) -> Self {
        self.row.alert_id = Some(alert.id());
        self.alert = Some(alert);
        self
    }
}

/// Money that may turn out not to be what was owed; whether, only the decision says.
#[derive(Clone, Debug)]
pub(crate) struct OddMoney {
    item_id: QuarantineId,
    alert_id: AlertId,
    payment_id: PaymentId,
    report: Report,
    at: Timestamp,
}

impl OddMoney {
    /// Keeps the capture where it is not what was owed; answers the kind of a new alert.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>, capture: &Capture) -> Result<Option<&'static str>> {
        let (why, alert) = match capture.kind() {
            CaptureKind::Owed => return Ok(None),
            CaptureKind::Double => ("the payment had been paid before", Some(DOUBLE)),
            CaptureKind::Under => ("it is less than was asked", Some(DIFFERS)),
            CaptureKind::Over => ("it is more than was asked", Some(DIFFERS)),
            CaptureKind::Late => ("the payment was closed before", None),
        };
        // It may be booked as another attempt than it was reported for.
        let mut odd = self.clone();
        odd.report.attempt_id = capture.attempt_id;
        let mut kept = odd.kept(Misfit::Amount(capture.kind()), why, alert);
        kept.row.asked = Some(capture.asked);
        kept.keep(tx)
    }

    /// Keeps money that cannot be booked.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) fn refuse(&self, tx: &mut Tx<'_>) -> Result<Option<&'static str>> {
        let why = "the trade or its currency contradicts what is booked for this order number";
        self.kept(Misfit::Contradiction, why, Some(REFUSED)).keep(tx)
    }

    fn kept(&self, misfit: Misfit, why: &str, alert: Option<&'static str>) -> Kept {
        let Report { attempt_id, amount, provider_trade_no, .. } = &self.report;
        let mut kept = Kept::new(self.item_id, "capture", self.report.provider, misfit, &json!(why), self.at);
        (kept.row.payment_id, kept.row.attempt_id) = (Some(self.payment_id), Some(*attempt_id));
        kept.row.order_number = Some(attempt_id.bare());
        kept.row.trade_no = Some(cut(provider_trade_no));
        kept.row.found = Some(*amount);
        let Some(kind) = alert else { return kept };
        let told =
            json!({ "attempt_id": attempt_id, "amount": amount, "provider_trade_no": provider_trade_no });
        let alert = Alert::new(self.alert_id, kind, Some(self.payment_id), &told, self.at);
        kept.alarmed(alert.about(attempt_id))
    }
}

impl Payments {
    /// Quarantines a notification that can be read. `known` is the attempt it names, where there is one.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn quarantine(
        &self,
        misfit: Misfit,
        from: ProviderName,
        notice: &Notice,
        known: Option<(PaymentId, AttemptId, Money)>,
        problem: Value,
    ) -> Result<()> {
        let payment_id = known.map(|(payment_id, ..)| payment_id);
        let alert = self.alert(QUARANTINED, payment_id, described(notice, &problem));
        let kept = Kept::new(self.ids().next(), "notification", from, misfit, &problem, self.now());
        let mut kept = kept.alarmed(alert);
        kept.row.payment_id = payment_id;
        kept.row.attempt_id = known.map(|(_, attempt_id, _)| attempt_id);
        kept.row.asked = known.map(|(.., asked)| asked);
        kept.row.found = Some(notice.amount);
        kept.row.order_number = Some(notice.order_number.clone());
        kept.row.trade_no = Some(cut(&notice.trade_no));
        kept.row.trade_status = Some(notice.trade_status.to_owned());
        self.keep_apart(kept, payment_id).await
    }

    /// Quarantines a notification that is signed and cannot be read.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn quarantine_unreadable(&self, from: ProviderName, detail: Value) -> Result<()> {
        let alert = self.alert(QUARANTINED, None, detail.clone());
        let id = self.ids().next();
        let kept = Kept::new(id, "notification", from, Misfit::Unreadable, &detail, self.now());
        self.keep_apart(kept.alarmed(alert), None).await
    }

    async fn keep_apart(&self, kept: Kept, payment_id: Option<PaymentId>) -> Result<()> {
        let alerted = self.db().write("payment.quarantine", move |tx| kept.keep(tx)).await?;
        if let Some(kind) = alerted {
            self.announce(kind, payment_id, true);
        }
        Ok(())
    }

    /// Money of which it is not known yet whether it is what was owed.
    pub(crate) fn odd_money(&self, payment_id: PaymentId, report: Report) -> OddMoney {
        let (item_id, alert_id) = (self.ids().next(), self.ids().next());
        OddMoney { item_id, alert_id, payment_id, report, at: self.now() }
    }
}

/// The most characters of a provider's number that are kept.
const TRADE_NO_CHARS_MAX: usize = 64;

fn cut(trade_no: &str) -> String {
    trade_no.chars().take(TRADE_NO_CHARS_MAX).collect()
}

/// What a person needs to look into it; nothing about the buyer.
fn described(notice: &Notice, problem: &Value) -> Value {
    let mut told = json!({
        "problem": problem,
        "notify_id": notice.notify_id,
        "out_trade_no": notice.order_number,
        "trade_no": notice.trade_no,
        "trade_status": notice.trade_status,
        "total_amount": notice.amount,
    });
    for (name, value) in &notice.addressed_to {
        told[*name] = json!(value);
    }
    told
}
