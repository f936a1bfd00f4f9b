//! Removes sessions and refresh tokens that expired long ago.

use std::time::Duration;

use merx_kernel::Result;

use crate::{State, store};

/// How long an expired session is still there to be looked at.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
const CHUNK: i64 = 500;

/// Removes them all, in small transactions of low priority; answers how many rows went.
///
/// # Errors
/// What the database answers.
pub async fn prune(state: &State) -> Result<u64> {
    let before = state.clock.now().minus(KEPT);
    let mut total = 0;
    loop {
        let gone = state.db.write_low("accounts.prune", move |tx| store::prune(tx, before, CHUNK)).await?;
        if gone == 0 {
            return Ok(total);
        }
        total += gone;
    }
}
