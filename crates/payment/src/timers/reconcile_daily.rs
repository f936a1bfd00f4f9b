//! Reconciles the day before by itself, and the days before that were missed.

use std::time::Duration;

use merx_kernel::{Id, Result};
use merx_platform::{store::TimerId, timers::DueTimer};
use serde_json::json;

use crate::{
    context::Payments,
    domain::ProviderName,
    provider::BillDate,
    store::{
        alerts::{self, Resolved},
        bills,
    },
};

/// The kind of the timer.
pub(super) const KIND: &str = "reconcile";
/// There is one.
const TIMER: TimerId = TimerId::of(KIND, Id::<()>::from_bits(1));

/// When a day that did not come to its end is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1_800);
/// The most days that are caught up with; older ones are reconciled when somebody asks.
const DAYS_MAX: usize = 7;
/// A bill that is not there so long after its day was over raises an alert; it is still asked for.
const MISSED_AFTER: Duration = Duration::from_secs(36 * 3_600);
const MISSED: &str = "payment_bill_missed";
/// What settles that alert.
const RECONCILED: &str = "The day was reconciled.";

impl Payments {
    /// Sets the timer that reconciles every day, or takes it away where nothing is to be done by itself.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn reconcile_daily(&self) -> Result<()> {
        let has_bills = self.providers().alipay.is_some();
        let next = self.reconciliation().next_after(self.now()).filter(|_| has_bills);
        let timers = self.store().timers;
        self.db()
            .write("payment.reconcile_daily", move |tx| match next {
                None => timers.cancel(tx, TIMER),
                // One that is set may be overdue, or wait for a bill.
                Some(_) if timers.find(tx, TIMER)?.is_some() => Ok(()),
                Some(next) => timers.schedule(tx, TIMER, next),
            })
            .await
    }

    /// Judges again what was booked since its bill came, reconciles what is to be, the oldest day first, and sets the
    /// timer anew.
    ///
    /// # Errors
    /// What the database answers; a provider that does not answer is asked again later.
    pub(super) async fn reconcile_due(&self, due: DueTimer) -> Result<()> {
        let provider = ProviderName::Alipay;
        let mut again = None;
        self.judge_again(provider).await?;
        for date in self.days_due(provider).await? {
            let done = match self.reconcile(provider, date).await {
                Ok(view) => view.status == "done",
                Err(doubt) => {
                    tracing::warn!(%date, error = %doubt.chain(), "a day could not be reconciled yet");
                    false
                }
            };
            self.missed(provider, date, done).await?;
            if !done {
                // In their order: what is missing on one bill may be on the one before.
                again = Some(self.now().plus(AGAIN_AFTER));
                break;
            }
        }
        let (timers, next) = (self.store().timers, again.or(self.reconciliation().next_after(self.now())));
        self.db()
            .write("payment.reconcile_due", move |tx| match next {
                Some(next) if due.fired(tx)? => timers.schedule(tx, TIMER, next),
                Some(_) => Ok(()),
                None => due.fired(tx).map(drop),
            })
            .await
    }

    /// The days after the last that was done, up to yesterday; where none was, those since the first money came.
    async fn days_due(&self, provider: ProviderName) -> Result<Vec<BillDate>> {
        let name = provider.as_str();
        let look = move |q: &mut merx_sql::Reader<'_>| {
            Ok((bills::last_day(q, name)?, bills::first_money_at(q, name)?))
        };
        let (last, first) = self.db().read("payment.days_due", look).await?;
        let yesterday = BillDate::of(self.now()).before();
        let done = match last.and_then(|text| BillDate::parse(&text).ok()) {
            Some(last) => last,
            None => first.map_or(yesterday, BillDate::of).min(yesterday).before(),
        };
        let mut days: Vec<BillDate> = std::iter::successors(Some(yesterday), |day| Some(day.before()))
            .take_while(|day| *day > done)
            .take(DAYS_MAX)
            .collect();
        days.reverse();
        Ok(days)
    }

    async fn missed(&self, provider: ProviderName, date: BillDate, done: bool) -> Result<()> {
        let subject = format!("{}/{date}", provider.as_str());
        if !done {
            if self.now() < date.end().plus(MISSED_AFTER) {
                return Ok(());
            }
            let detail = json!({ "provider": provider.as_str(), "date": date.to_string() });
            return self.raise(self.alert(MISSED, None, detail).about(subject)).await;
        }
        let resolved = Resolved { at: self.now(), by: None, reason: RECONCILED.to_owned() };
        self.db()
            .write("payment.bill_found", move |tx| alerts::settle(tx, &[MISSED], &subject, &resolved))
            .await
    }
}
