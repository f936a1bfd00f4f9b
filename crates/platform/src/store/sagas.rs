//! The saga log: start, pivot, refusal and end of each saga, and what it waits for.

use merx_contracts::ids::SagaId;
use merx_kernel::{Error, Guard, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, Value, params};

use super::table;

/// The longest problem text that is kept.
const PROBLEM_LENGTH_MAX: usize = 500;

/// How a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SagaStatus {
    /// Going through its steps.
    Running,
    /// Refused; undoing what was done.
    Compensating,
    /// Parked until its next attempt, in either direction.
    Waiting,
    /// Failed too often, or something only a person can mend; an alert was raised.
    Stuck,
    /// Ended by its own end.
    Done,
    /// Given up by an operator.
    Abandoned,
}

impl SagaStatus {
    /// Every status.
    pub const ALL: &'static [Self] =
        &[Self::Running, Self::Compensating, Self::Waiting, Self::Stuck, Self::Done, Self::Abandoned];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Waiting => "waiting",
            Self::Stuck => "stuck",
            Self::Done => "done",
            Self::Abandoned => "abandoned",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
    /// Whether somebody should be at it now.
    pub fn is_going(self) -> bool {
        matches!(self, Self::Running | Self::Compensating)
    }
    /// Whether there is still something to do.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Done | Self::Abandoned)
    }
}

/// Why a saga turned back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The step that refused.
    pub step: String,
    /// The refusal's stable code.
    pub code: String,
    /// The refusal's sentence.
    pub message: String,
}

/// A saga to be started in the transaction of its cause; made by `NewSaga::of`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSaga {
    /// Its identity, chosen before the first attempt.
    pub id: SagaId,
    /// The saga's name.
    pub name: &'static str,
    /// The saga's version.
    pub version: i64,
    /// What its steps need to know, as JSON: ids and amounts only.
    pub data: String,
    /// The trace it belongs to.
    pub traceparent: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
}

/// A saga as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaRow {
    /// Its identity.
    pub id: SagaId,
    /// The saga's name.
    pub name: String,
    /// The version it was started with.
    pub version: i64,
    /// How it stands.
    pub status: SagaStatus,
    /// What its steps need to know, as JSON.
    pub data: String,
    /// Whether the pivot is behind it: nothing is undone any more.
    pub pivot_passed: bool,
    /// Why it turned back, if it did.
    pub refusal: Option<Refusal>,
    /// Failures in a row.
    pub failures: i64,
    /// When it is tried next, if it is parked.
    pub next_attempt_at: Option<Timestamp>,
    /// What it failed on last.
    pub problem: Option<String>,
    /// The trace it belongs to.
    pub traceparent: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which sagas are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// In one of these; empty for all.
    pub statuses: Vec<SagaStatus>,
    /// Of this name only.
    pub name: Option<String>,
}

/// What parks a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parking<'a> {
    /// `Waiting` or `Stuck`.
    pub status: SagaStatus,
    /// Failures in a row so far.
    pub failures: i64,
    /// When it is tried next; `None` leaves it to the next start or an operator.
    pub next_attempt_at: Option<Timestamp>,
    /// What it failed on.
    pub problem: &'a str,
}

const COLUMNS: &str = "id, name, version, status, data, pivot_passed, refused_step, refused_code, refused_message, \
                       failures, next_attempt_at, problem, traceparent, created_at, updated_at";

fn read(row: &Row<'_>) -> Result<SagaRow> {
    let status: String = row.get(3)?;
    let status = SagaStatus::from_name(&status)
        .ok_or_else(|| Error::internal(format!("inconsistent row: `{status}` is no status of a saga")))?;
    let refusal = match row.get::<Option<String>>(6)? {
        None => None,
        Some(step) => Some(Refusal { step, code: row.get(7)?, message: row.get(8)? }),
    };
    Ok(SagaRow {
        id: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        status,
        data: row.get(4)?,
        pivot_passed: row.get(5)?,
        refusal,
        failures: row.get(9)?,
        next_attempt_at: row.get(10)?,
        problem: row.get(11)?,
        traceparent: row.get(12)?,
        created_at: row.get(13)?,
        updated_at: row.get(14)?,
    })
}

fn shortened(text: &str, length_max: usize) -> String {
    text.chars().take(length_max).collect()
}

/// The saga log of one context.
#[derive(Clone, Copy, Debug)]
pub struct SagaLog {
    context: &'static str,
}

impl SagaLog {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "sagas",
            "CREATE TABLE {c}_sagas (
                id BINARY(16) NOT NULL PRIMARY KEY,
                name VARCHAR(64) NOT NULL,
                version BIGINT NOT NULL,
                status VARCHAR(16) NOT NULL,
                data MEDIUMTEXT NOT NULL,
                pivot_passed BIGINT NOT NULL,
                refused_step VARCHAR(64),
                refused_code VARCHAR(100),
                refused_message VARCHAR(500),
                failures BIGINT NOT NULL,
                next_attempt_at BIGINT,
                problem VARCHAR(500),
                traceparent VARCHAR(64),
                created_at BIGINT NOT NULL,
                updated_at BIGINT NOT NULL
            );
            CREATE INDEX {c}_sagas_status ON {c}_sagas (status, next_attempt_at, id)",
        )
    }

    /// The context whose log it is.
    pub const fn context(&self) -> &'static str {
        self.context
    }

    /// Writes the start, in the transaction of the saga's cause. Nothing happens when it was started before.
    ///
    /// # Errors
    /// What the database answers.
    pub fn start(&self, tx: &mut Tx<'_>, saga: &NewSaga) -> Result<()> {
        if !Guard::SagaLog.on() {
            return Ok(());
        }
        let _: Inserted = tx.insert_new(
            &format!(
                "INSERT INTO {}_sagas (id, name, version, status, data, pivot_passed, failures, traceparent, \
                 created_at, updated_at) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?)",
                self.context
            ),
            params![
                saga.id,
                saga.name,
                saga.version,
                SagaStatus::Running.name(),
                saga.data.as_str(),
                saga.traceparent.clone(),
                saga.started_at,
                saga.started_at
            ],
        )?;
        Ok(())
    }

    /// Writes that the pivot is behind the saga: from here on it goes forward only.
    ///
    /// # Errors
    /// What the database answers.
    pub fn pivot(&self, tx: &mut Tx<'_>, id: SagaId, now: Timestamp) -> Result<()> {
        tx.execute(
            &format!("UPDATE {}_sagas SET pivot_passed = 1, updated_at = ? WHERE id = ?", self.context),
            params![now, id],
        )?;
        Ok(())
    }

    /// Writes that a step refused, so that a restart goes on undoing.
    ///
    /// # Errors
    /// What the database answers.
    pub fn refused(&self, tx: &mut Tx<'_>, id: SagaId, refusal: &Refusal, now: Timestamp) -> Result<()> {
        tx.execute(
            &format!(
                "UPDATE {}_sagas SET status = ?, refused_step = ?, refused_code = ?, refused_message = ?, \
                 failures = 0, next_attempt_at = NULL, problem = NULL, updated_at = ? WHERE id = ?",
                self.context
            ),
            params![
                SagaStatus::Compensating.name(),
                refusal.step.as_str(),
                shortened(&refusal.code, 100),
                shortened(&refusal.message, PROBLEM_LENGTH_MAX),
                now,
                id
            ],
        )?;
        Ok(())
    }

    /// Writes the end, in the transaction of the saga's outcome; `false` when it had ended before, and then the
    /// outcome is there already and nothing else is to be written.
    ///
    /// # Errors
    /// What the database answers.
    pub fn end(&self, tx: &mut Tx<'_>, id: SagaId, now: Timestamp) -> Result<bool> {
        if !Guard::SagaLog.on() {
            return Ok(true);
        }
        self.close(tx, id, SagaStatus::Done, now)
    }

    /// Gives an open saga up; `false` when it had ended. What it did stays done: an operator who abandons it
    /// settles the rest by hand.
    ///
    /// # Errors
    /// What the database answers.
    pub fn abandon(&self, tx: &mut Tx<'_>, id: SagaId, now: Timestamp) -> Result<bool> {
        self.close(tx, id, SagaStatus::Abandoned, now)
    }

    fn close(&self, tx: &mut Tx<'_>, id: SagaId, status: SagaStatus, now: Timestamp) -> Result<bool> {
        tx.guarded(
            &format!(
                "UPDATE {}_sagas SET status = ?, next_attempt_at = NULL, updated_at = ? \
                 WHERE id = ? AND status NOT IN ('done', 'abandoned')",
                self.context
            ),
            params![status.name(), now, id],
        )
    }

    /// Parks an open saga until its next attempt.
    ///
    /// # Errors
    /// What the database answers.
    pub fn park(&self, tx: &mut Tx<'_>, id: SagaId, parking: &Parking<'_>, now: Timestamp) -> Result<()> {
        tx.execute(
            &format!(
                "UPDATE {}_sagas SET status = ?, failures = ?, next_attempt_at = ?, problem = ?, updated_at = ? \
                 WHERE id = ? AND status NOT IN ('done', 'abandoned')",
                self.context
            ),
            params![
                parking.status.name(),
                parking.failures,
                parking.next_attempt_at,
                shortened(parking.problem, PROBLEM_LENGTH_MAX),
                now,
                id
            ],
        )?;
        Ok(())
    }

    /// Makes a parked saga due at once, with its failures forgotten; `false` when it had ended.
    ///
    /// # Errors
    /// What the database answers.
    pub fn retry(&self, tx: &mut Tx<'_>, id: SagaId, now: Timestamp) -> Result<bool> {
        tx.guarded(
            &format!(
                "UPDATE {}_sagas SET status = ?, failures = 0, next_attempt_at = ?, updated_at = ? \
                 WHERE id = ? AND status NOT IN ('done', 'abandoned')",
                self.context
            ),
            params![SagaStatus::Waiting.name(), now, now, id],
        )
    }

    /// One saga.
    ///
    /// # Errors
    /// What the database answers.
    pub fn find(&self, q: &mut impl Query, id: SagaId) -> Result<Option<SagaRow>> {
        q.query_opt(&format!("SELECT {COLUMNS} FROM {}_sagas WHERE id = ?", self.context), params![id], read)
    }

    /// At most `limit` open sagas with ids after `after`, in order of id: what a start takes up again.
    ///
    /// # Errors
    /// What the database answers.
    pub fn open(&self, q: &mut impl Query, after: Option<SagaId>, limit: i64) -> Result<Vec<SagaRow>> {
        q.query(
            &format!(
                "SELECT {COLUMNS} FROM {}_sagas WHERE status IN ('running', 'compensating', 'waiting', 'stuck') \
                 AND id > ? ORDER BY id LIMIT ?",
                self.context
            ),
            params![after.unwrap_or(SagaId::from_bits(0)), limit],
            read,
        )
    }

    /// At most `limit` parked sagas that are due, the longest due first.
    ///
    /// # Errors
    /// What the database answers.
    pub fn due(&self, q: &mut impl Query, now: Timestamp, limit: i64) -> Result<Vec<SagaRow>> {
        q.query(
            &format!(
                "SELECT {COLUMNS} FROM {}_sagas WHERE status IN ('waiting', 'stuck') AND next_attempt_at <= ? \
                 ORDER BY next_attempt_at, id LIMIT ?",
                self.context
            ),
            params![now, limit],
            read,
        )
    }

    /// At most `limit` sagas that should be going but have not changed since `before`: their process forgot them.
    ///
    /// # Errors
    /// What the database answers.
    pub fn forgotten(&self, q: &mut impl Query, before: Timestamp, limit: i64) -> Result<Vec<SagaRow>> {
        q.query(
            &format!(
                "SELECT {COLUMNS} FROM {}_sagas WHERE status IN ('running', 'compensating') AND updated_at < ? \
                 ORDER BY updated_at, id LIMIT ?",
                self.context
            ),
            params![before, limit],
            read,
        )
    }

    /// When, after `now`, a parked saga is due next.
    ///
    /// # Errors
    /// What the database answers.
    pub fn next_due(&self, q: &mut impl Query, now: Timestamp) -> Result<Option<Timestamp>> {
        q.query_one(
            &format!(
                "SELECT MIN(next_attempt_at) FROM {}_sagas WHERE status IN ('waiting', 'stuck') \
                 AND next_attempt_at > ?",
                self.context
            ),
            params![now],
            |row| row.get(0),
        )
    }

    /// At most `limit` sagas that `filter` wants with ids before `before`, the newest first: for operators.
    ///
    /// # Errors
    /// What the database answers.
    pub fn search(
        &self,
        q: &mut impl Query,
        filter: &SagaFilter,
        before: Option<SagaId>,
        limit: i64,
    ) -> Result<Vec<SagaRow>> {
        let mut sql = format!("SELECT {COLUMNS} FROM {}_sagas WHERE id < ?", self.context);
        let mut values = params![before.unwrap_or(SagaId::from_bits(u128::MAX))];
        if !filter.statuses.is_empty() {
            sql.push_str(&format!(" AND status IN ({})", vec!["?"; filter.statuses.len()].join(", ")));
            values.extend(filter.statuses.iter().map(|status| Value::from(status.name())));
        }
        if let Some(name) = &filter.name {
            sql.push_str(" AND name = ?");
            values.push(name.into());
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(limit.into());
        q.query(&sql, values, read)
    }

    /// As [`Self::search`], by status alone.
    ///
    /// # Errors
    /// What the database answers.
    pub fn list(
        &self,
        q: &mut impl Query,
        status: Option<SagaStatus>,
        before: Option<SagaId>,
        limit: i64,
    ) -> Result<Vec<SagaRow>> {
        let filter = SagaFilter { statuses: status.into_iter().collect(), name: None };
        self.search(q, &filter, before, limit)
    }

    /// How many sagas are in `status`.
    ///
    /// # Errors
    /// What the database answers.
    pub fn count(&self, q: &mut impl Query, status: SagaStatus) -> Result<i64> {
        q.query_one(
            &format!("SELECT COUNT(*) FROM {}_sagas WHERE status = ?", self.context),
            params![status.name()],
            |row| row.get(0),
        )
    }

    /// Forgets at most `limit` sagas that ended before `before`.
    ///
    /// # Errors
    /// What the database answers.
    pub fn prune(&self, tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
        let ids: Vec<SagaId> = tx.query(
            &format!(
                "SELECT id FROM {}_sagas WHERE status = ? AND updated_at < ? ORDER BY id LIMIT ?",
                self.context
            ),
            params![SagaStatus::Done.name(), before, limit],
            |row| row.get(0),
        )?;
        for id in &ids {
            tx.execute(&format!("DELETE FROM {}_sagas WHERE id = ?", self.context), params![*id])?;
        }
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }
}
