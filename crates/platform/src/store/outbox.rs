//! Facts, written in the transaction that made them and read by position.

use merx_contracts::{Envelope, ids::MessageId};
use merx_kernel::{Guard, Result, Timestamp};
use merx_sql::{Db, Migration, Query, SequencedTable, Tx, Value, params};

use super::{table, unsent};

/// The outbox of one context.
#[derive(Clone, Copy, Debug)]
pub struct Outbox {
    context: &'static str,
}

/// A fact as it lies in the outbox.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Where it stands; given after the commit.
    pub position: i64,
    /// The message.
    pub id: MessageId,
    /// The type of the fact.
    pub kind: String,
    /// The key of order.
    pub subject: String,
    /// The envelope as JSON; it is read where it is handled, so that one that cannot be read harms only its
    /// subscribers.
    pub envelope: String,
    /// When it was made.
    pub published_at: Timestamp,
}

impl Outbox {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "outbox",
            "CREATE TABLE {c}_outbox (
                id BINARY(16) NOT NULL PRIMARY KEY,
                position BIGINT,
                type VARCHAR(100) NOT NULL,
                subject VARCHAR(64) NOT NULL,
                envelope MEDIUMTEXT NOT NULL,
                published_at BIGINT NOT NULL
            );
            CREATE UNIQUE INDEX {c}_outbox_position ON {c}_outbox (position)",
        )
    }

    pub(super) fn sequenced_table(&self) -> SequencedTable {
        SequencedTable::new(self.channel(), self.channel())
    }

    /// The channel that is woken when facts can be read.
    pub fn channel(&self) -> String {
        format!("{}_outbox", self.context)
    }

    /// Writes facts with the transaction that made them: one statement, however many. Their ids are made outside
    /// the closure, for it may run again.
    ///
    /// # Errors
    /// What the database answers.
    pub fn publish(&self, tx: &mut Tx<'_>, facts: &[Envelope]) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        if !Guard::Outbox.on() {
            unsent::put(self.context, facts);
            tx.wake(&self.channel());
            return Ok(());
        }
        self.insert(tx, facts)
    }

    fn insert(&self, tx: &mut Tx<'_>, facts: &[Envelope]) -> Result<()> {
        let mut rows = Vec::with_capacity(facts.len());
        for fact in facts {
            rows.push(vec![
                fact.id.into(),
                tx.next_position().into(),
                fact.kind.as_str().into(),
                fact.subject.as_str().into(),
                fact.to_json()?.into(),
                fact.time.into(),
            ]);
        }
        let head = format!(
            "INSERT INTO {}_outbox (id, position, type, subject, envelope, published_at) VALUES",
            self.context
        );
        tx.insert_rows(&head, 6, rows)?;
        tx.wake(&self.channel());
        Ok(())
    }

    /// Without [`Guard::Outbox`]: forgets what a dead process had not sent.
    pub(crate) fn forget_unsent(&self) {
        drop(unsent::take(self.context));
    }

    /// Without [`Guard::Outbox`]: sends what was to be published, outside the transactions that made it.
    pub(crate) async fn send_unsent(&self, db: &Db) -> Result<()> {
        let (outbox, facts) = (*self, unsent::take(self.context));
        if facts.is_empty() {
            return Ok(());
        }
        db.write("outbox.send_unsent", move |tx| outbox.insert(tx, &facts)).await
    }

    /// The facts after `position`, in order.
    ///
    /// # Errors
    /// What the database answers.
    pub fn read_after(&self, q: &mut impl Query, position: i64, limit: i64) -> Result<Vec<OutboxRow>> {
        q.query(
            &format!(
                "SELECT position, id, type, subject, envelope, published_at FROM {}_outbox
                 WHERE position > ? ORDER BY position LIMIT ?",
                self.context
            ),
            params![position, limit],
            |row| {
                Ok(OutboxRow {
                    position: row.get(0)?,
                    id: row.get(1)?,
                    kind: row.get(2)?,
                    subject: row.get(3)?,
                    envelope: row.get(4)?,
                    published_at: row.get(5)?,
                })
            },
        )
    }

    /// The last position given; 0 for an empty outbox. Rows committed but not yet numbered do not count.
    ///
    /// # Errors
    /// What the database answers.
    pub fn last_position(&self, q: &mut impl Query) -> Result<i64> {
        let last: Option<i64> =
            q.query_one(&format!("SELECT MAX(position) FROM {}_outbox", self.context), params![], |row| {
                row.get(0)
            })?;
        Ok(last.unwrap_or(0))
    }

    /// How many rows still wait for their position; only ever above 0 where positions come after the commit.
    ///
    /// # Errors
    /// What the database answers.
    pub fn unnumbered(&self, q: &mut impl Query) -> Result<i64> {
        q.query_one(
            &format!("SELECT COUNT(*) FROM {}_outbox WHERE position IS NULL", self.context),
            params![],
            |row| row.get(0),
        )
    }

    /// How many facts of `kinds` come after `position`, and when the oldest of them was made: the lag.
    ///
    /// # Errors
    /// What the database answers.
    pub fn waiting_after(
        &self,
        q: &mut impl Query,
        position: i64,
        kinds: &[&str],
    ) -> Result<(i64, Option<Timestamp>)> {
        let marks = vec!["?"; kinds.len()].join(", ");
        let mut values: Vec<Value> = params![position];
        values.extend(kinds.iter().map(|kind| Value::from(*kind)));
        q.query_one(
            &format!(
                "SELECT COUNT(*), MIN(published_at) FROM {}_outbox WHERE position > ? AND type IN ({marks})",
                self.context
            ),
            values,
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// How many facts lie in it, and how many of them come after `position`.
    ///
    /// # Errors
    /// What the database answers.
    pub fn count(&self, q: &mut impl Query, position: i64) -> Result<(i64, i64)> {
        let sql =
            format!("SELECT COUNT(*), COUNT(CASE WHEN position > ? THEN 1 END) FROM {}_outbox", self.context);
        q.query_one(&sql, params![position], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Removes at most `limit` facts that every subscription has passed (`up_to`) and that are older than
    /// `before`; answers how many went.
    ///
    /// # Errors
    /// What the database answers.
    pub fn prune(&self, tx: &mut Tx<'_>, up_to: i64, before: Timestamp, limit: i64) -> Result<u64> {
        let last: Vec<i64> = tx.query(
            &format!(
                "SELECT position FROM {}_outbox WHERE position <= ? AND published_at < ? ORDER BY position LIMIT ?",
                self.context
            ),
            params![up_to, before, limit],
            |row| row.get(0),
        )?;
        let Some(last) = last.last() else { return Ok(0) };
        tx.execute(
            &format!("DELETE FROM {}_outbox WHERE position <= ? AND published_at < ?", self.context),
            params![*last, before],
        )
    }
}
