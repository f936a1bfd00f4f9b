//! Idempotency keys of HTTP requests: one effect for a key, and the same answer to every repetition.

use std::time::Duration;

use merx_kernel::{Error, Guard, Result, Timestamp};
use merx_sql::{Inserted, Migration, Query, Tx, params};

use super::table;

/// The keys of one context's routes.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKeys {
    context: &'static str,
}

/// What a key says about the request that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Seen for the first time: have the effect, in this very transaction.
    Fresh,
    /// Seen before with the same body: answer `response`, or rebuild the answer from `effect`.
    Same {
        /// The identity the first request chose for its effect.
        effect: [u8; 16],
        /// What was answered, once it was.
        response: Option<Saved>,
    },
    /// Seen before with another body.
    Mismatch,
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The hash of the first request's body.
    pub body_hash: [u8; 32],
    /// The identity the first request chose for its effect.
    pub effect: [u8; 16],
    /// What was answered, once it was.
    pub response: Option<Saved>,
    /// When the key was first seen.
    pub created_at: Timestamp,
}

impl IdempotencyKeys {
    /// How long a key is kept.
    pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

    pub(super) fn new(context: &'static str) -> Self {
        Self { context }
    }

    pub(super) fn migration(&self, number: u32) -> Migration {
        table(
            self.context,
            number,
            "idempotency",
            "CREATE TABLE {c}_idempotency (
                scope BINARY(32) NOT NULL PRIMARY KEY,
                body_hash BINARY(32) NOT NULL,
                effect BINARY(16) NOT NULL,
                status BIGINT,
                body MEDIUMTEXT,
                created_at BIGINT NOT NULL
            );
            CREATE INDEX {c}_idempotency_created_at ON {c}_idempotency (created_at)",
        )
    }

    /// The channel that is woken when an answer is kept.
    pub fn channel(&self) -> String {
        format!("{}_idempotency", self.context)
    }

    /// Claims the key `scope` for the request with `body_hash`, whose effect will have the identity `effect`. One
    /// statement for a fresh key. A key older than [`Self::KEPT`] is fresh again, pruned or not.
    ///
    /// # Errors
    /// What the database answers.
    pub fn begin(
        &self,
        tx: &mut Tx<'_>,
        scope: [u8; 32],
        body_hash: [u8; 32],
        effect: [u8; 16],
        now: Timestamp,
    ) -> Result<Begin> {
        let inserted = tx.insert_new(
            &format!(
                "INSERT INTO {}_idempotency (scope, body_hash, effect, status, body, created_at)
                 VALUES (?, ?, ?, NULL, NULL, ?)",
                self.context
            ),
            params![scope, body_hash, effect, now],
        )?;
        if inserted == Inserted::New || !Guard::IdempotencyKey.on() {
            return Ok(Begin::Fresh);
        }
        let found = self.find(tx, scope)?;
        let found = found.ok_or_else(|| Error::internal("an idempotency key exists and cannot be read"))?;
        if found.created_at <= now.minus(Self::KEPT) {
            let sql = format!(
                "UPDATE {}_idempotency SET body_hash = ?, effect = ?, status = NULL, body = NULL, created_at = ?
                 WHERE scope = ? AND created_at = ?",
                self.context
            );
            let values = params![body_hash, effect, now, scope, found.created_at];
            if tx.guarded(&sql, values)? {
                return Ok(Begin::Fresh);
            }
            return Err(Error::conflict("request.in_flight", "The same request is being worked on."));
        }
        if found.body_hash != body_hash {
            return Ok(Begin::Mismatch);
        }
        Ok(Begin::Same { effect: found.effect, response: found.response })
    }

    /// Keeps the answer, best in the transaction of the last effect. The first answer stays. It is kept for `effect`
    /// only: whoever had it under a key that has meanwhile expired and begun another effect answers nothing.
    ///
    /// # Errors
    /// What the database answers.
    pub fn complete(
        &self,
        tx: &mut Tx<'_>,
        scope: [u8; 32],
        effect: [u8; 16],
        status: u16,
        body: &str,
    ) -> Result<()> {
        tx.execute(
            &format!(
                "UPDATE {}_idempotency SET status = ?, body = ? WHERE scope = ? AND effect = ? AND status IS NULL",
                self.context
            ),
            params![i64::from(status), body, scope, effect],
        )?;
        tx.wake(&self.channel());
        Ok(())
    }

    /// The key as it is kept.
    ///
    /// # Errors
    /// What the database answers.
    pub fn find(&self, q: &mut impl Query, scope: [u8; 32]) -> Result<Option<Found>> {
        q.query_opt(
            &format!(
                "SELECT body_hash, effect, status, body, created_at FROM {}_idempotency WHERE scope = ?",
                self.context
            ),
            params![scope],
            |row| {
                let response = match (row.get::<Option<i64>>(2)?, row.get::<Option<String>>(3)?) {
                    (Some(status), Some(body)) => {
                        let status = u16::try_from(status)
                            .map_err(|_| Error::internal("an idempotency key has a status out of range"))?;
                        Some(Saved { status, body })
                    }
                    _ => None,
                };
                Ok(Found { body_hash: row.get(0)?, effect: row.get(1)?, response, created_at: row.get(4)? })
            },
        )
    }

    /// Forgets at most about `limit` keys that are older than [`Self::KEPT`]; answers how many went.
    ///
    /// # Errors
    /// What the database answers.
    pub fn prune(&self, tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64> {
        let times: Vec<Timestamp> = tx.query(
            &format!(
                "SELECT created_at FROM {}_idempotency WHERE created_at <= ? ORDER BY created_at LIMIT ?",
                self.context
            ),
            params![now.minus(Self::KEPT), limit],
            |row| row.get(0),
        )?;
        let Some(last) = times.last() else { return Ok(0) };
        tx.execute(&format!("DELETE FROM {}_idempotency WHERE created_at <= ?", self.context), params![*last])
    }
}
