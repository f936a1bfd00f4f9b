//! Messages that failed. A row here is the durable form of a lane that is held up: the first row of a key waits for
//! its next try, the others wait behind it in the order of the outbox, and dead letters wait for somebody.

use std::collections::BTreeSet;

use merx_contracts::ids::MessageId;
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Row, Tx, params};

use super::table;

/// What a row waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Its next try, or its turn behind one that waits for its next try.
    Waiting,
    /// Somebody: it failed too often, or can never succeed.
    Dead,
    /// Nothing: somebody gave it up, with a reason.
    Dropped,
}

impl DeliveryState {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }
    fn from_name(name: &str) -> Result<Self> {
        match name {
            "waiting" => Ok(Self::Waiting),
            "dead" => Ok(Self::Dead),
            "dropped" => Ok(Self::Dropped),
            other => Err(Error::internal(format!("`{other}` is not a state of a delivery"))),
        }
    }
}

/// One message held up on its way to one subscription.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// The subscription.
    pub subscription: String,
    /// The message.
    pub message: MessageId,
    /// The context that published it.
    pub publisher: String,
    /// Where it stood in the publisher's outbox.
    pub position: i64,
    /// The type of the fact.
    pub kind: String,
    /// The key of order.
    pub subject: String,
    /// The envelope as JSON.
    pub envelope: String,
    /// What it waits for.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: i64,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// The code of the last error; the log has the rest.
    pub problem: String,
}

/// A dead letter that somebody gave up. It stays, so that it can be told what was not done.
#[derive(Clone, Debug)]
pub struct DroppedLetter {
    /// The letter.
    pub letter: DeliveryRow,
    /// Why, in the words of who did it.
    pub reason: String,
    /// When.
    pub dropped_at: Timestamp,
}

/// How many messages of one publisher are held up on their way to one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCount {
    /// The subscription.
    pub subscription: String,
    /// The publisher.
    pub publisher: String,
    /// What they wait for.
    pub state: DeliveryState,
    /// How many.
    pub messages: i64,
}

/// The deliveries held up in one context.
#[derive(Clone, Copy, Debug)]
pub struct Deliveries {
    context: &'static str,
}

const COLUMNS: &str =
    "subscription, message, publisher, position, type, subject, envelope, state, tries, next_at, problem";

fn read(row: &Row<'_>) -> Result<DeliveryRow> {
    Ok(DeliveryRow {
        subscription: row.get(0)?,
        message: row.get(1)?,
        publisher: row.get(2)?,
        position: row.get(3)?,
        kind: row.get(4)?,
        subject: row.get(5)?,
        envelope: row.get(6)?,
        state: DeliveryState::from_name(&row.get::<String>(7)?)?,
        tries: row.get(8)?,
        next_at: row.get(9)?,
        problem: row.get(10)?,
    })
}

impl Deliveries {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "deliveries",
            "CREATE TABLE {c}_deliveries (
                subscription VARCHAR(100) NOT NULL,
                message BINARY(16) NOT NULL,
                publisher VARCHAR(32) NOT NULL,
                position BIGINT NOT NULL,
                type VARCHAR(100) NOT NULL,
                subject VARCHAR(64) NOT NULL,
                envelope MEDIUMTEXT NOT NULL,
                state VARCHAR(8) NOT NULL,
                tries BIGINT NOT NULL,
                next_at BIGINT NOT NULL,
                problem VARCHAR(100) NOT NULL,
                PRIMARY KEY (subscription, message)
            );
            CREATE INDEX {c}_deliveries_lane ON {c}_deliveries (subscription, publisher, state, subject, position)",
        )
    }

    pub(super) fn migration_dropped(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "dropped_letters",
            "ALTER TABLE {c}_deliveries ADD COLUMN drop_reason VARCHAR(500) NULL;
            ALTER TABLE {c}_deliveries ADD COLUMN dropped_at BIGINT NULL",
        )
    }

    /// The channel that is woken when a dead letter is to be driven again.
    pub fn channel(&self) -> String {
        format!("{}_deliveries", self.context)
    }

    /// Keeps a message that is held up, or says anew how it stands.
    ///
    /// # Errors
    /// What the database answers.
    pub fn put(&self, tx: &mut Tx<'_>, row: &DeliveryRow) -> Result<()> {
        let inserted = tx.insert_new(
            &format!(
                "INSERT INTO {}_deliveries ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self.context
            ),
            params![
                row.subscription.as_str(),
                row.message,
                row.publisher.as_str(),
                row.position,
                row.kind.as_str(),
                row.subject.as_str(),
                row.envelope.as_str(),
                row.state.name(),
                row.tries,
                row.next_at,
                row.problem.as_str()
            ],
        )?;
        if inserted == Inserted::New {
            return Ok(());
        }
        tx.execute(
            &format!(
                "UPDATE {}_deliveries SET state = ?, tries = ?, next_at = ?, problem = ?
                 WHERE subscription = ? AND message = ?",
                self.context
            ),
            params![
                row.state.name(),
                row.tries,
                row.next_at,
                row.problem.as_str(),
                row.subscription.as_str(),
                row.message
            ],
        )?;
        Ok(())
    }

    /// Removes a message that was handled at last.
    ///
    /// # Errors
    /// What the database answers.
    pub fn remove(&self, tx: &mut Tx<'_>, subscription: &str, message: MessageId) -> Result<()> {
        tx.execute(
            &format!("DELETE FROM {}_deliveries WHERE subscription = ? AND message = ?", self.context),
            params![subscription, message],
        )?;
        Ok(())
    }

    /// The message of a key whose turn it is.
    ///
    /// # Errors
    /// What the database answers.
    pub fn first_waiting(
        &self,
        q: &mut impl Query,
        subscription: &str,
        publisher: &str,
        subject: &str,
    ) -> Result<Option<DeliveryRow>> {
        q.query_opt(
            &format!(
                "SELECT {COLUMNS} FROM {}_deliveries
                 WHERE subscription = ? AND publisher = ? AND state = 'waiting' AND subject = ?
                 ORDER BY position LIMIT 1",
                self.context
            ),
            params![subscription, publisher, subject],
            read,
        )
    }

    /// The keys of a subscription that are held up, in order, with the time of the next try of each.
    ///
    /// # Errors
    /// What the database answers.
    pub fn waiting_keys(
        &self,
        q: &mut impl Query,
        subscription: &str,
        publisher: &str,
    ) -> Result<Vec<(String, Timestamp)>> {
        q.query(
            &format!(
                "SELECT d.subject, d.next_at FROM {c}_deliveries d
                 JOIN (SELECT subject, MIN(position) AS first FROM {c}_deliveries
                       WHERE subscription = ? AND publisher = ? AND state = 'waiting' GROUP BY subject) f
                   ON f.subject = d.subject AND f.first = d.position
                 WHERE d.subscription = ? AND d.publisher = ? AND d.state = 'waiting'
                 ORDER BY d.subject",
                c = self.context
            ),
            params![subscription, publisher, subscription, publisher],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Where the messages stand that are kept here and lie after `position`: a cursor that was not moved past them in
    /// time must not deliver them a second time.
    ///
    /// # Errors
    /// What the database answers.
    pub fn positions_after(
        &self,
        q: &mut impl Query,
        subscription: &str,
        publisher: &str,
        position: i64,
    ) -> Result<BTreeSet<i64>> {
        let rows = q.query(
            &format!(
                "SELECT position FROM {}_deliveries
                 WHERE subscription = ? AND publisher = ? AND position > ?",
                self.context
            ),
            params![subscription, publisher, position],
            |row| row.get(0),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// At most `limit` rows in `state`, oldest first.
    ///
    /// # Errors
    /// What the database answers.
    pub fn list(&self, q: &mut impl Query, state: DeliveryState, limit: i64) -> Result<Vec<DeliveryRow>> {
        q.query(
            &format!(
                "SELECT {COLUMNS} FROM {}_deliveries WHERE state = ?
                 ORDER BY subscription, publisher, position LIMIT ?",
                self.context
            ),
            params![state.name(), limit],
            read,
        )
    }

    /// At most `limit` dead letters, oldest first; of one subscription only, where it is named.
    ///
    /// # Errors
    /// What the database answers.
    pub fn dead(
        &self,
        q: &mut impl Query,
        subscription: Option<&str>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {}_deliveries WHERE state = 'dead' AND subscription = COALESCE(?, subscription)
             ORDER BY subscription, publisher, position LIMIT ?",
            self.context
        );
        q.query(&sql, params![subscription, limit], read)
    }

    /// At most `limit` letters that were given up, the latest first.
    ///
    /// # Errors
    /// What the database answers.
    pub fn dropped(
        &self,
        q: &mut impl Query,
        subscription: Option<&str>,
        limit: i64,
    ) -> Result<Vec<DroppedLetter>> {
        let sql = format!(
            "SELECT {COLUMNS}, drop_reason, dropped_at FROM {}_deliveries
             WHERE state = 'dropped' AND subscription = COALESCE(?, subscription)
             ORDER BY dropped_at DESC, subscription, position LIMIT ?",
            self.context
        );
        q.query(&sql, params![subscription, limit], |row| {
            Ok(DroppedLetter { letter: read(row)?, reason: row.get(11)?, dropped_at: row.get(12)? })
        })
    }

    /// One message held up, dead or given up.
    ///
    /// # Errors
    /// What the database answers.
    pub fn find(
        &self,
        q: &mut impl Query,
        subscription: &str,
        message: MessageId,
    ) -> Result<Option<DeliveryRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {}_deliveries WHERE subscription = ? AND message = ?",
            self.context
        );
        q.query_opt(&sql, params![subscription, message], read)
    }

    /// Gives a dead letter up: its subscription never has its effect. `false` when there is no such dead letter. The row
    /// stays, with the reason.
    ///
    /// # Errors
    /// What the database answers.
    pub fn give_up(
        &self,
        tx: &mut Tx<'_>,
        subscription: &str,
        message: MessageId,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = format!(
            "UPDATE {}_deliveries SET state = 'dropped', drop_reason = ?, dropped_at = ?
             WHERE subscription = ? AND message = ? AND state = 'dead'",
            self.context
        );
        tx.guarded(&sql, params![reason, now, subscription, message])
    }

    /// How many messages are held up, dead or given up, by subscription and publisher.
    ///
    /// # Errors
    /// What the database answers.
    pub fn counts(&self, q: &mut impl Query) -> Result<Vec<HeldCount>> {
        let sql = format!(
            "SELECT subscription, publisher, state, COUNT(*) FROM {}_deliveries
             GROUP BY subscription, publisher, state ORDER BY subscription, publisher, state",
            self.context
        );
        q.query(&sql, params![], |row| {
            let state = DeliveryState::from_name(&row.get::<String>(2)?)?;
            Ok(HeldCount { subscription: row.get(0)?, publisher: row.get(1)?, state, messages: row.get(3)? })
        })
    }

    /// How many rows are in `state`.
    ///
    /// # Errors
    /// What the database answers.
    pub fn count(&self, q: &mut impl Query, state: DeliveryState) -> Result<i64> {
        q.query_one(
            &format!("SELECT COUNT(*) FROM {}_deliveries WHERE state = ?", self.context),
            params![state.name()],
            |row| row.get(0),
        )
    }

    /// Sends a dead letter on its way again, with all its tries; `false` when there is no such dead letter.
    ///
    /// # Errors
    /// What the database answers.
    pub fn redrive(
        &self,
        tx: &mut Tx<'_>,
        subscription: &str,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool> {
        let found = tx.guarded(
            &format!(
                "UPDATE {}_deliveries SET state = 'waiting', tries = 0, next_at = ?
                 WHERE subscription = ? AND message = ? AND state = 'dead'",
                self.context
            ),
            params![now, subscription, message],
        )?;
        tx.wake(&self.channel());
        Ok(found)
    }
}
