//! Messages taken in: what makes at-least-once delivery have one effect.

use merx_contracts::ids::MessageId;
use merx_kernel::{Guard, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Tx, params};

use super::table;

/// The inbox of one context.
#[derive(Clone, Copy, Debug)]
pub struct Inbox {
    context: &'static str,
}

impl Inbox {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "inbox",
            "CREATE TABLE {c}_inbox (
                subscription VARCHAR(100) NOT NULL,
                message BINARY(16) NOT NULL,
                taken_at BIGINT NOT NULL,
                PRIMARY KEY (subscription, message)
            );
            CREATE INDEX {c}_inbox_taken_at ON {c}_inbox (taken_at)",
        )
    }

    /// Takes a message in, in the transaction of its effect; `false` when it was taken in before, and then there is
    /// to be no effect. The one statement a message costs above its effect.
    ///
    /// # Errors
    /// What the database answers.
    pub fn first_time(
        &self,
        tx: &mut Tx<'_>,
        subscription: &str,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool> {
        let inserted = tx.insert_new(
            &format!("INSERT INTO {}_inbox (subscription, message, taken_at) VALUES (?, ?, ?)", self.context),
            params![subscription, message, now],
        )?;
        Ok(inserted == Inserted::New || !Guard::Inbox.on())
    }

    /// Forgets at most `limit` messages taken in before `before`. That must be longer ago than any message can be
    /// read again from an outbox; what is held up or dead is remembered for as long as it is.
    ///
    /// # Errors
    /// What the database answers.
    pub fn prune(&self, tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
        let times: Vec<Timestamp> = tx.query(
            &format!(
                "SELECT taken_at FROM {}_inbox WHERE taken_at < ? ORDER BY taken_at LIMIT ?",
                self.context
            ),
            params![before, limit],
            |row| row.get(0),
        )?;
        let Some(last) = times.last() else { return Ok(0) };
        tx.execute(
            &format!(
                "DELETE FROM {c}_inbox WHERE taken_at <= ? AND NOT EXISTS (
                    SELECT 1 FROM {c}_deliveries d
                    WHERE d.subscription = {c}_inbox.subscription AND d.message = {c}_inbox.message)",
                c = self.context
            ),
            params![*last],
        )
    }
}
