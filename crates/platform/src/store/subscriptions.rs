//! How far each subscription has read each publisher's outbox.

use std::collections::BTreeMap;

use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Tx, params};

use super::table;

/// The cursors of one context's subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct Cursors {
    context: &'static str,
}

impl Cursors {
    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "subscriptions",
            "CREATE TABLE {c}_subscriptions (
                subscription VARCHAR(100) NOT NULL,
                publisher VARCHAR(32) NOT NULL,
                position BIGINT NOT NULL,
                moved_at BIGINT NOT NULL,
                PRIMARY KEY (subscription, publisher)
            )",
        )
    }

    /// Every cursor, by (subscription, publisher). A subscription without one has read nothing.
    ///
    /// # Errors
    /// What the database answers.
    pub fn all(&self, q: &mut impl Query) -> Result<BTreeMap<(String, String), i64>> {
        let rows = q.query(
            &format!("SELECT subscription, publisher, position FROM {}_subscriptions", self.context),
            params![],
            |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// Moves a cursor on; never back.
    ///
    /// # Errors
    /// What the database answers.
    pub fn advance(
        &self,
        tx: &mut Tx<'_>,
        subscription: &str,
        publisher: &str,
        position: i64,
        now: Timestamp,
    ) -> Result<()> {
        let update = format!(
            "UPDATE {}_subscriptions SET position = ?, moved_at = ?
             WHERE subscription = ? AND publisher = ? AND position <= ?",
            self.context
        );
        let moved =
            |tx: &mut Tx<'_>| tx.guarded(&update, params![position, now, subscription, publisher, position]);
        if moved(tx)? {
            return Ok(());
        }
        let insert = format!(
            "INSERT INTO {}_subscriptions (subscription, publisher, position, moved_at) VALUES (?, ?, ?, ?)",
            self.context
        );
        match tx.insert_new(&insert, params![subscription, publisher, position, now])? {
            Inserted::New => Ok(()),
            // It stands further on: another process moved it.
            Inserted::Exists => Ok(()),
        }
    }
}
