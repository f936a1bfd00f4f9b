//! Waiting for the answer of a request that is still being worked on.

use std::time::Duration;

use merx_kernel::{Clock, Result};
use merx_sql::Db;

use crate::store::{Found, IdempotencyKeys, Saved};

/// How often a waiter looks by itself, in case the answer is kept by another process.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl IdempotencyKeys {
    /// The answer of the request under `scope`, waiting at most `limit` for it. `None` when there is none by then:
    /// it is still worked on, or the process died before it could be kept.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn wait(
        &self,
        db: &Db,
        clock: &dyn Clock,
        scope: [u8; 32],
        limit: Duration,
    ) -> Result<Option<Saved>> {
        let until = clock.now().plus(limit);
        // Listening begins before the first look, so an answer kept in between is not missed.
        let mut kept = db.listen(&self.channel());
        loop {
            let found = self.look(db, scope).await?;
            let left = until.since(clock.now());
            match found {
                Some(Found { response: Some(saved), .. }) => return Ok(Some(saved)),
                Some(_) if left > Duration::ZERO => {}
                _ => return Ok(None),
            }
            tokio::select! {
                biased;
                () = kept.changed() => {}
                () = clock.sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }

    /// The key as it is kept, read in a transaction of its own.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn look(&self, db: &Db, scope: [u8; 32]) -> Result<Option<Found>> {
        let keys = *self;
        db.read("idempotency.find", move |q| keys.find(q, scope)).await
    }

    /// Forgets every key older than a day, in small transactions of low priority; answers how many went.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn prune_all(&self, db: &Db, clock: &dyn Clock) -> Result<u64> {
        const CHUNK: i64 = 500;
        let keys = *self;
        let now = clock.now();
        let mut total = 0;
        loop {
            let gone = db.write_low("idempotency.prune", move |tx| keys.prune(tx, now, CHUNK)).await?;
            if gone == 0 {
                return Ok(total);
            }
            total += gone;
        }
    }
}
