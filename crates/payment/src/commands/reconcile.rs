//! Hold a day's bill against our record and our ledger, book its fees, and open a case for each difference, once.
//!
//! It may be done as often as one likes and end anywhere: lines, fees and cases are each kept once, and what was found
//! stands. A line counts by its number, whenever we booked it; money of ours counts as missing only in the reconciliation
//! of the day it was booked on, less what was booked in the last minutes before midnight, which the provider's clock may
//! have counted to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use merx_contracts::ids::{AttemptId, PaymentId, RefundId};
use merx_kernel::{Currency, Error, Result, Timestamp};
use merx_sql::Tx;
use serde_json::json;

use super::raise_alert::Alert;
use crate::{
    context::{Cause, Payments, load_payment, record},
    domain::{BillKind, BillLine, Command, Difference, DifferenceKind, Ours, ProviderName, decide, judge},
    provider::BillDate,
    queries::ReconciliationView,
    store::{
        alerts::{self, Resolved},
        bills::{self, ReconciliationRow, Sums, Unbilled},
        cases::{self, CaseFilter, CaseRow},
    },
};

/// Lines in one transaction.
const CHUNK: usize = 50;
/// The most of our own captures, and of our own refunds, that are looked for on a bill they are missing on.
const MISSING_MAX: i64 = 10_000;
/// The most open cases that are looked at to see whether they have settled themselves.
const OPEN_CASES_MAX: i64 = 10_000;
/// The most lines that are judged again at a time; more are judged the next time.
const AGAIN_MAX: i64 = 1_000;
/// How far the provider's clock may be from ours at midnight.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(300);

/// The alert of a case.
pub(crate) const DIFFERS: &str = "payment_reconciliation_differs";
/// What settles a case that has settled itself.
const AGREES: &str = "The bill and the books agree now.";

/// What a case is about: kind, number of the attempt, number of the refund.
type Key = (DifferenceKind, String, String);

/// What one run came to.
#[derive(Default)]
struct Run {
    sums: Sums,
    found: BTreeSet<Key>,
    billed: BTreeSet<(BillKind, String, String)>,
    opened: i64,
}

/// Something to open a case about.
struct Found {
    difference: Difference,
    order_number: String,
    request_number: String,
    trade_no: Option<String>,
    payment_id: Option<PaymentId>,
    currency: Currency,
}

impl Found {
    fn of_line(line: &BillLine, ours: Option<&Ours>, difference: Difference) -> Self {
        Self {
            difference,
            order_number: line.order_number.clone(),
            request_number: line.request_number.clone(),
            trade_no: Some(line.trade_no.clone()),
            payment_id: ours.map(|ours| ours.payment_id),
            currency: line.amount.currency,
        }
    }
    fn of_ours(ours: &Unbilled) -> Self {
        let kind = DifferenceKind::missing_there(ours.kind);
        Self {
            difference: Difference { kind, ours: Some(ours.amount.minor), theirs: None },
            order_number: ours.attempt_id.bare(),
            request_number: ours.refund_id.map(RefundId::bare).unwrap_or_default(),
            trade_no: ours.trade_no.clone(),
            payment_id: Some(ours.payment_id),
            currency: ours.amount.currency,
        }
    }
    fn key(&self) -> Key {
        (self.difference.kind, self.order_number.clone(), self.request_number.clone())
    }
}

impl Payments {
    /// Reconciles a day of Beijing time, which must be over.
    ///
    /// # Errors
    /// `payment.day_not_over`; `payment.provider_unavailable`, `payment.bill_unreadable`; what the database answers.
    pub async fn reconcile(&self, provider: ProviderName, date: BillDate) -> Result<ReconciliationView> {
        if date.end() > self.now() {
            let text = "Only a day that is over can be reconciled; a day is one of Beijing time.";
            return Err(Error::rejected("payment.day_not_over", text));
        }
        let bill = self.bill_of(provider, date).await?;
        let is_there = bill.is_some();
        let mut run = Run::default();
        for lines in bill.unwrap_or_default().chunks(CHUNK) {
            self.take_lines(provider, date, lines.to_vec(), &mut run).await?;
        }
        let missing = self.missing(provider, date).await?;
        let has_none = !is_there && !missing.is_empty();
        if !has_none {
            for ours in missing.chunks(CHUNK) {
                self.open_missing(provider, date, ours.to_vec(), &mut run).await?;
            }
            self.settle_what_agrees(provider, Some(date), &run).await?;
        }
        // A day without money has no bill, and none is missed.
        self.keep_run(provider, date, if has_none { "no_bill" } else { "done" }, run).await
    }

    /// Keeps lines, books their fees and opens cases about them.
    async fn take_lines(
        &self,
        provider: ProviderName,
        date: BillDate,
        lines: Vec<BillLine>,
        run: &mut Run,
    ) -> Result<()> {
        let (store, cause, rate) = (self.store(), self.cause(), self.reconciliation().fee_rate());
        // A line that comes twice on one bill is kept once; the second is a case.
        let mut repeated = BTreeSet::new();
        for (place, line) in lines.iter().enumerate() {
            let key = (line.kind, line.order_number.clone(), line.request_number.clone());
            match line.kind {
                BillKind::Capture => {
                    run.sums.captures += 1;
                    run.sums.captured_minor += line.amount.minor;
                }
                BillKind::Refund => {
                    run.sums.refunds += 1;
                    run.sums.refunded_minor += line.amount.minor;
                }
            }
            run.sums.fee_minor += line.fee.minor;
            if !run.billed.insert(key) {
                repeated.insert(place);
            }
        }
        // A line may bring five differences at most.
        let ids: Vec<_> = (0..lines.len() * 5).map(|_| (self.ids().next(), self.ids().next())).collect();
        let name = provider.as_str();
        let day = date.to_string();
        let taken = self
            .db()
            .write_low("payment.reconcile", move |tx| {
                let known = bills::ours(tx, name, &lines)?;
                let by_refund: BTreeMap<RefundId, &Ours> =
                    known.values().filter_map(|ours| Some((ours.refund_id?, ours))).collect();
                let mut found = Vec::new();
                for (place, line) in lines.iter().enumerate() {
                    let ours = match line.kind {
                        BillKind::Capture => bills::attempt_of(line).and_then(|id| known.get(&(id, None))),
                        BillKind::Refund => bills::refund_of(line)
                            .and_then(|id| by_refund.get(&id).copied())
                            .filter(|ours| bills::attempt_of(line) == Some(ours.attempt_id)),
                    };
                    if repeated.contains(&place) || !bills::keep_line(tx, name, &day, line)? {
                        let (kind, theirs) = (DifferenceKind::LineRepeated, Some(line.amount.minor));
                        found.push(Found::of_line(line, ours, Difference { kind, ours: None, theirs }));
                        continue;
                    }
                    found.extend(
                        judge(line, ours, rate).into_iter().map(|one| Found::of_line(line, ours, one)),
                    );
                    if let Some(ours) = ours.filter(|ours| ours.amount.is_some()) {
                        charge(&store, tx, ours, line, &day, &cause)?;
                    }
                }
                open_cases(tx, (name, &day), &found, &ids, cause.at)
            })
            .await?;
        self.told(taken, run);
        Ok(())
    }

    /// What we booked on the day and no bill has named.
    async fn missing(&self, provider: ProviderName, date: BillDate) -> Result<Vec<Unbilled>> {
        let (name, before) = (provider.as_str(), date.before());
        let span = (date.start().minus(CLOCKS_APART_MAX), date.end().minus(CLOCKS_APART_MAX));
        let look = move |q: &mut merx_sql::Reader<'_>| bills::unbilled(q, name, span, MISSING_MAX);
        let missing = self.db().read("payment.unbilled", look).await?;
        let day = before.to_string();
        let was_done = move |q: &mut merx_sql::Reader<'_>| bills::of_day(q, name, &day);
        if missing.is_empty() || self.db().read("payment.reconciled", was_done).await?.is_some() {
            return Ok(missing);
        }
        // What was paid before midnight and heard of after it is on the bill of the day before, which was never fetched.
        let Ok(Some(lines)) = self.bill_of(provider, before).await else { return Ok(missing) };
        let named: BTreeSet<(Option<AttemptId>, Option<RefundId>)> =
            lines.iter().map(|line| (bills::attempt_of(line), bills::refund_of(line))).collect();
        let is_named = |ours: &Unbilled| named.contains(&(Some(ours.attempt_id), ours.refund_id));
        Ok(missing.into_iter().filter(|ours| !is_named(ours)).collect())
    }

    async fn open_missing(
        &self,
        provider: ProviderName,
        date: BillDate,
        ours: Vec<Unbilled>,
        run: &mut Run,
    ) -> Result<()> {
        let ids: Vec<_> = ours.iter().map(|_| (self.ids().next(), self.ids().next())).collect();
        let (name, day, now) = (provider.as_str(), date.to_string(), self.now());
        let found: Vec<Found> = ours.iter().map(Found::of_ours).collect();
        let taken = self
            .db()
            .write_low("payment.reconcile", move |tx| open_cases(tx, (name, &day), &found, &ids, now))
            .await?;
        self.told(taken, run);
        Ok(())
    }

    fn told(&self, taken: Taken, run: &mut Run) {
        run.found.extend(taken.keys);
        run.opened += i64::try_from(taken.opened.len()).unwrap_or(i64::MAX);
        for payment_id in taken.opened {
            self.announce(DIFFERS, payment_id, true);
        }
    }

    /// Judges again what bills named before it was booked here: books its fee, and settles its case.
    ///
    /// # Errors
    /// What the database answers.
    pub(crate) async fn judge_again(&self, provider: ProviderName) -> Result<()> {
        let name = provider.as_str();
        let look = move |q: &mut merx_sql::Reader<'_>| bills::booked_since(q, name, AGAIN_MAX);
        let mut days: BTreeMap<String, Vec<BillLine>> = BTreeMap::new();
        for (day, line) in self.db().read("payment.booked_since", look).await? {
            days.entry(day).or_default().push(line);
        }
        for (day, lines) in days {
            let date = BillDate::parse(&day)?;
            let mut run = Run::default();
            for lines in lines.chunks(CHUNK) {
                self.take_lines(provider, date, lines.to_vec(), &mut run).await?;
            }
            self.settle_what_agrees(provider, None, &run).await?;
            let opened = run.opened;
            self.db()
                .write("payment.judged_again", move |tx| bills::count_opened(tx, name, &day, opened))
                .await?;
        }
        Ok(())
    }

    /// Cases about what this run's lines name, of differences they do not bring any more: a notification came late, or a
    /// bill was mended. Whether a line is repeated only the whole bill it is repeated on can say, which is of `date`.
    async fn settle_what_agrees(
        &self,
        provider: ProviderName,
        date: Option<BillDate>,
        run: &Run,
    ) -> Result<()> {
        let filter = CaseFilter {
            resolved: Some(false),
            provider: Some(provider.as_str().to_owned()),
            ..CaseFilter::default()
        };
        let look = move |q: &mut merx_sql::Reader<'_>| cases::list(q, &filter, None, OPEN_CASES_MAX);
        let open = self.db().read("payment.open_cases", look).await?;
        let is_billed = |case: &CaseRow| {
            [BillKind::Capture, BillKind::Refund].iter().any(|kind| {
                run.billed.contains(&(*kind, case.order_number.clone(), case.request_number.clone()))
            })
        };
        let day = date.map(|date| date.to_string());
        let agrees = |case: &CaseRow| {
            if case.kind == DifferenceKind::LineRepeated && day.as_ref() != Some(&case.bill_date) {
                return false;
            }
            let key = (case.kind, case.order_number.clone(), case.request_number.clone());
            is_billed(case) && !run.found.contains(&key)
        };
        let settled: Vec<CaseRow> = open.into_iter().filter(agrees).collect();
        if settled.is_empty() {
            return Ok(());
        }
        let resolved = Resolved { at: self.now(), by: None, reason: AGREES.to_owned() };
        self.db()
            .write("payment.settle_cases", move |tx| {
                settled.iter().try_for_each(|case| {
                    cases::resolve(tx, case.case_id, &resolved)?;
                    alerts::resolve(tx, case.alert_id, &resolved).map(drop)
                })
            })
            .await
    }

    async fn keep_run(
        &self,
        provider: ProviderName,
        date: BillDate,
        status: &str,
        run: Run,
    ) -> Result<ReconciliationView> {
        let row = ReconciliationRow {
            reconciliation_id: self.ids().next(),
            provider: provider.as_str().to_owned(),
            bill_date: date.to_string(),
            status: status.to_owned(),
            sums: run.sums,
            currency: Currency::CNY,
            cases_opened: run.opened,
            runs: 1,
            first_at: self.now(),
            last_at: self.now(),
        };
        self.db()
            .write("payment.reconciled", move |tx| {
                let kept = bills::keep(tx, &row)?;
                let open = cases::open_of_day(tx, &kept.provider, &kept.bill_date)?;
                Ok(ReconciliationView::of(kept, open))
            })
            .await
    }
}

/// What a transaction opened, by payment, and what was found in it.
struct Taken {
    keys: Vec<Key>,
    opened: Vec<Option<PaymentId>>,
}

fn open_cases(
    tx: &mut Tx<'_>,
    (provider, bill_date): (&'static str, &str),
    found: &[Found],
    ids: &[(cases::CaseId, alerts::AlertId)],
    at: Timestamp,
) -> Result<Taken> {
    let mut taken = Taken { keys: Vec::new(), opened: Vec::new() };
    for (one, (case_id, alert_id)) in found.iter().zip(ids) {
        taken.keys.push(one.key());
        let money = |minor: Option<i64>| minor.map(|minor| merx_kernel::Money::new(minor, one.currency));
        let case = CaseRow {
            case_id: *case_id,
            provider: provider.to_owned(),
            bill_date: bill_date.to_owned(),
            kind: one.difference.kind,
            order_number: one.order_number.clone(),
            request_number: one.request_number.clone(),
            trade_no: one.trade_no.clone(),
            payment_id: one.payment_id,
            ours: money(one.difference.ours),
            theirs: money(one.difference.theirs),
            currency: one.currency,
            alert_id: *alert_id,
            opened_at: at,
            resolved: None,
        };
        if !cases::open(tx, &case)? {
            continue;
        }
        let told = json!({
            "case_id": case.case_id,
            "provider": case.provider,
            "date": case.bill_date,
            "difference": case.kind,
            "ours": case.ours,
            "theirs": case.theirs,
        });
        Alert::new(*alert_id, DIFFERS, case.payment_id, &told, at).about(case.case_id).keep(tx)?;
        taken.opened.push(one.payment_id);
    }
    Ok(taken)
}

/// Books the fee of a line of ours, once.
fn charge(
    store: &merx_platform::Store,
    tx: &mut Tx<'_>,
    ours: &Ours,
    line: &BillLine,
    bill_day: &str,
    cause: &Cause,
) -> Result<()> {
    if line.fee.minor == 0 {
        return Ok(());
    }
    let loaded = load_payment(store, tx, ours.payment_id)?;
    let command = Command::ChargeFee {
        attempt_id: ours.attempt_id,
        refund_id: ours.refund_id,
        amount: line.fee,
        bill_day: bill_day.to_owned(),
    };
    let events = decide(&loaded.state, command)?;
    record(store, tx, ours.payment_id, loaded, &events, cause).map(drop)
}
