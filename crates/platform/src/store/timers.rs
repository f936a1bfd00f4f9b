//! Durable timers: a row that says what is due when.

use merx_kernel::{Id, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, Value, params};

use super::table;

/// Names a timer: what kind, and for whom (usually the bits of an aggregate's id). There is one of a name at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId {
    /// What it is for, `order_deadline`.
    pub kind: &'static str,
    /// For whom.
    pub key: u128,
}

impl TimerId {
    /// The timer of `kind` for `id`.
    pub const fn of<K>(kind: &'static str, id: Id<K>) -> Self {
        Self { kind, key: id.bits() }
    }
}

/// A timer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerRow {
    /// What it is for.
    pub kind: String,
    /// For whom.
    pub key: u128,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it is tried next; later than `due_at` after a failure.
    pub next_at: Timestamp,
    /// How often it fired and failed.
    pub tries: i64,
}

/// The timers of one context.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    context: &'static str,
}

fn bits(key: u128) -> Value {
    Value::from(Id::<()>::from_bits(key))
}

fn read(row: &Row<'_>) -> Result<TimerRow> {
    Ok(TimerRow {
        kind: row.get(0)?,
        key: row.get::<Id<()>>(1)?.bits(),
        due_at: row.get(2)?,
        next_at: row.get(3)?,
        tries: row.get(4)?,
    })
}

impl Timers {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "timers",
            "CREATE TABLE {c}_timers (
                kind VARCHAR(64) NOT NULL,
                timer_key BINARY(16) NOT NULL,
                due_at BIGINT NOT NULL,
                next_at BIGINT NOT NULL,
                tries BIGINT NOT NULL,
                PRIMARY KEY (kind, timer_key)
            );
            CREATE INDEX {c}_timers_next_at ON {c}_timers (next_at)",
        )
    }

    /// The channel that is woken when a timer is set.
    pub fn channel(&self) -> String {
        format!("{}_timers", self.context)
    }

    /// Sets a timer, or sets it anew.
    ///
    /// # Errors
    /// What the database answers.
    pub fn schedule(&self, tx: &mut Tx<'_>, timer: TimerId, due_at: Timestamp) -> Result<()> {
        let inserted = tx.insert_new(
            &format!(
                "INSERT INTO {}_timers (kind, timer_key, due_at, next_at, tries) VALUES (?, ?, ?, ?, 0)",
                self.context
            ),
            params![timer.kind, bits(timer.key), due_at, due_at],
        )?;
        if inserted == Inserted::Exists {
            tx.execute(
                &format!(
                    "UPDATE {}_timers SET due_at = ?, next_at = ?, tries = 0 WHERE kind = ? AND timer_key = ?",
                    self.context
                ),
                params![due_at, due_at, timer.kind, bits(timer.key)],
            )?;
        }
        tx.wake(&self.channel());
        Ok(())
    }

    /// Takes a timer back; nothing happens when there is none.
    ///
    /// # Errors
    /// What the database answers.
    pub fn cancel(&self, tx: &mut Tx<'_>, timer: TimerId) -> Result<()> {
        tx.execute(
            &format!("DELETE FROM {}_timers WHERE kind = ? AND timer_key = ?", self.context),
            params![timer.kind, bits(timer.key)],
        )?;
        Ok(())
    }

    /// Removes a timer in the transaction of its effect; `false` when it was meanwhile taken back, set to another
    /// time, or has had its effect, and then there is to be none.
    ///
    /// # Errors
    /// What the database answers.
    pub fn fired(&self, tx: &mut Tx<'_>, kind: &str, key: u128, due_at: Timestamp) -> Result<bool> {
        tx.guarded(
            &format!("DELETE FROM {}_timers WHERE kind = ? AND timer_key = ? AND due_at = ?", self.context),
            params![kind, bits(key), due_at],
        )
    }

    /// Puts a timer off after a failure; nothing happens when it was meanwhile changed.
    ///
    /// # Errors
    /// What the database answers.
    pub fn put_off(&self, tx: &mut Tx<'_>, timer: &TimerRow, tries: i64, next_at: Timestamp) -> Result<()> {
        tx.execute(
            &format!(
                "UPDATE {}_timers SET tries = ?, next_at = ? WHERE kind = ? AND timer_key = ? AND due_at = ?",
                self.context
            ),
            params![tries, next_at, timer.kind.as_str(), bits(timer.key), timer.due_at],
        )?;
        Ok(())
    }

    /// At most `limit` timers of `kinds`, the next first.
    ///
    /// # Errors
    /// What the database answers.
    pub fn next(&self, q: &mut impl Query, kinds: &[&str], limit: i64) -> Result<Vec<TimerRow>> {
        let marks = vec!["?"; kinds.len()].join(", ");
        let mut values: Vec<Value> = kinds.iter().map(|kind| Value::from(*kind)).collect();
        values.push(limit.into());
        q.query(
            &format!(
                "SELECT kind, timer_key, due_at, next_at, tries FROM {}_timers WHERE kind IN ({marks})
                 ORDER BY next_at, kind, timer_key LIMIT ?",
                self.context
            ),
            values,
            read,
        )
    }

    /// At most `limit` timers of any kind, or of one, the next first: for operators.
    ///
    /// # Errors
    /// What the database answers.
    pub fn list(&self, q: &mut impl Query, kind: Option<&str>, limit: i64) -> Result<Vec<TimerRow>> {
        let sql = format!(
            "SELECT kind, timer_key, due_at, next_at, tries FROM {}_timers WHERE kind = COALESCE(?, kind)
             ORDER BY next_at, kind, timer_key LIMIT ?",
            self.context
        );
        q.query(&sql, params![kind, limit], read)
    }

    /// When a timer is due; `None` when it is not set.
    ///
    /// # Errors
    /// What the database answers.
    pub fn find(&self, q: &mut impl Query, timer: TimerId) -> Result<Option<TimerRow>> {
        q.query_opt(
            &format!(
                "SELECT kind, timer_key, due_at, next_at, tries FROM {}_timers WHERE kind = ? AND timer_key = ?",
                self.context
            ),
            params![timer.kind, bits(timer.key)],
            read,
        )
    }

    /// How many timers have failed at least `tries` times: what operators look at.
    ///
    /// # Errors
    /// What the database answers.
    pub fn failing(&self, q: &mut impl Query, tries: i64) -> Result<i64> {
        q.query_one(
            &format!("SELECT COUNT(*) FROM {}_timers WHERE tries >= ?", self.context),
            params![tries],
            |row| row.get(0),
        )
    }
}
