//! The auditor: does what the database says add up, and does it agree with the payment provider's own ledger?
//!
//! It reads the tables and the ledger, not our API, and shares no rule with the contexts it judges, so that a shared mistake
//! does not pass. It tells a *violation* from what is *in flight* and younger than its limit. `merx audit` and every test's
//! end run the same code.

mod acknowledged;
mod after_sale;
mod identities;
mod messages;
mod money;
mod progress;
mod replay;
mod stock;

pub use stock::check as check_stock;

use std::{sync::Arc, time::Duration};

use merx_contracts::ids::OrderId;
use merx_kernel::{Clock, Money, Result, Timestamp, clock::BoxFuture};
use merx_platform::{Module, Projection, Store, Subscription};
use merx_sql::{Db, Migration};
use serde::Serialize;

/// How long a message, a saga's step or a due timer may be on its way.
pub const IN_FLIGHT_MAX: Duration = Duration::from_secs(5 * 60);
/// How long money may be known to the provider and not to us: the poller asks at least this often.
pub const PROVIDER_LAG_MAX: Duration = Duration::from_secs(45 * 60);
/// The most findings of one check that a report spells out; more are only counted.
pub const FINDINGS_MAX: usize = 50;

/// One movement in the provider's own books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEntry {
    /// Our number for the attempt, as the provider knows it.
    pub attempt_number: String,
    /// Our number for the refund; `None` for a capture.
    pub refund_number: Option<String>,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// The provider's own ledger. It is read after the shop's snapshot, so that what moves in between shows as on its way,
/// never as booked by us alone.
#[derive(Clone)]
pub struct ProviderLedger(Arc<dyn Fn() -> BoxFuture<Result<Vec<ProviderEntry>>> + Send + Sync>);

impl ProviderLedger {
    /// A ledger that is read by `read`.
    pub fn live(read: impl Fn() -> BoxFuture<Result<Vec<ProviderEntry>>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl From<Vec<ProviderEntry>> for ProviderLedger {
    /// The ledger of a provider that has come to rest.
    fn from(entries: Vec<ProviderEntry>) -> Self {
        Self::live(move || {
            let entries = entries.clone();
            Box::pin(async move { Ok(entries) })
        })
    }
}

/// A context as the auditor needs to know it.
#[derive(Clone)]
pub struct Context {
    /// Its store.
    pub store: Store,
    /// Its own migrations, to build a scratch copy.
    pub migrations: Vec<Migration>,
    /// Its projections.
    pub projections: Vec<Projection>,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscribed>,
}

/// A subscription as the auditor needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Subscribed {
    /// Its name.
    pub name: &'static str,
    /// The types it wants.
    pub types: &'static [&'static str],
    /// Those among them of which a fact may leave no row in the inbox.
    pub passes_over: &'static [&'static str],
}

impl Context {
    /// From the module the server wires.
    pub fn of(module: &Module) -> Self {
        Self {
            store: module.store.clone(),
            migrations: module.migrations.clone(),
            projections: module.projections.clone(),
            subscriptions: module.subscriptions.iter().map(subscribed).collect(),
        }
    }
}

fn subscribed(subscription: &Subscription) -> Subscribed {
    let Subscription { name, types, passes_over, .. } = *subscription;
    Subscribed { name, types, passes_over }
}

/// What to audit.
#[derive(Clone)]
pub struct Audit {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Every context.
    pub contexts: Vec<Context>,
    /// The provider's own ledger; `None` for a provider without one (exempt by name in the report).
    pub provider: Option<ProviderLedger>,
    /// Orders whose placing was answered 2xx, where somebody kept a list.
    pub acknowledged: Vec<OrderId>,
    /// How many messages somebody spoiled on purpose.
    pub poison_sent: u64,
    /// Nothing may be in flight either.
    pub drained: bool,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `A1` to `A8`.
    pub id: &'static str,
    /// What holds when it passes.
    pub title: &'static str,
    /// How many things were looked at; a check that looked at nothing proves nothing.
    pub examined: u64,
    /// What is wrong.
    pub violations: Vec<String>,
    /// What is unfinished and younger than its limit.
    pub in_flight: Vec<String>,
    /// What was left out, by name.
    pub exempt: Vec<String>,
    /// How many violations there are, listed or not.
    pub violations_count: u64,
    /// How many things are in flight, listed or not.
    pub in_flight_count: u64,
}

impl Check {
    pub(crate) const fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            examined: 0,
            violations: Vec::new(),
            in_flight: Vec::new(),
            exempt: Vec::new(),
            violations_count: 0,
            in_flight_count: 0,
        }
    }
    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        self.violations_count += 1;
        if self.violations.len() < FINDINGS_MAX {
            self.violations.push(what.into());
        }
    }
    /// Unfinished since `since`: in flight while younger than `limit`, a violation after.
    pub(crate) fn unfinished(&mut self, what: String, since: Timestamp, limit: Duration, now: Timestamp) {
        if now.since(since) > limit {
            self.violation(format!("{what}, since {since}"));
            return;
        }
        self.in_flight_count += 1;
        if self.in_flight.len() < FINDINGS_MAX {
            self.in_flight.push(what);
        }
    }
    /// Findings that are counted and not listed.
    fn unlisted(&self) -> u64 {
        self.violations_count + self.in_flight_count - (self.violations.len() + self.in_flight.len()) as u64
    }
}

/// The outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// Whether nothing may be in flight.
    pub drained: bool,
    /// The checks, A1 to A8.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether everything adds up.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|c| c.violations.is_empty() && (!self.drained || c.in_flight.is_empty()))
    }

    /// A line a check, and a line a finding.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for check in &self.checks {
            let broken = !check.violations.is_empty() || (self.drained && !check.in_flight.is_empty());
            let mark = if broken { "VIOLATED" } else { "ok" };
            out.push_str(&format!(
                "{} {mark:8} {} ({} examined, {} in flight)\n",
                check.id, check.title, check.examined, check.in_flight_count
            ));
            let findings = check.violations.iter().map(|v| ("violation", v));
            let findings = findings.chain(check.in_flight.iter().map(|f| ("in flight", f)));
            for (kind, finding) in findings.chain(check.exempt.iter().map(|e| ("exempt", e))) {
                out.push_str(&format!("     {kind}: {finding}\n"));
            }
            if check.unlisted() > 0 {
                out.push_str(&format!("     and {} more\n", check.unlisted()));
            }
        }
        out
    }
}

impl Audit {
    /// Runs every check: all but the replay in one snapshot, then the provider's ledger against it.
    ///
    /// # Errors
    /// What the database or the ledger answers.
    pub async fn run(self) -> Result<Report> {
        let replayed = replay::check(&self).await?;
        let now = self.clock.now();
        let (audit, drained) = (self.clone(), self.drained);
        let (mut checks, books) = self
            .db
            .read("audit", move |q| {
                let checks = vec![
                    money::orders_agree(q, now)?,
                    stock::check(q)?,
                    progress::check(q, &audit, now)?,
                    identities::check(q)?,
                    messages::check(q, &audit, now)?,
                    acknowledged::check(q, &audit)?,
                    money::totals_add_up(q)?,
                ];
                Ok((checks, money::Books::read(q)?))
            })
            .await?;
        match &self.provider {
            None => checks[0].exempt.push("the payment provider keeps no ledger we can read".to_owned()),
            Some(ledger) => {
                let entries = (ledger.0)().await?;
                books.compare(&mut checks[0], &entries, now);
                identities::provider_once(&mut checks[3], &entries);
            }
        }
        checks.insert(2, replayed);
        Ok(Report { at: now, drained, checks })
    }
}
