//! Removes what nobody needs any more: sessions and refresh tokens that expired long ago, and guests who left nothing.

use std::time::Duration;

use merx_kernel::Result;

use crate::{
    State,
    store::{guests, sessions},
};

/// How long an expired session is still there to be looked at.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a guest who left nothing is kept, and after how long one with an open session is looked at again.
pub(crate) const GUESTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
const CHUNK: i64 = 500;

/// Removes them all, in small transactions of low priority; answers how many rows went.
///
/// # Errors
/// What the database answers.
pub async fn prune(state: &State) -> Result<u64> {
    let now = state.clock.now();
    let before = now.minus(KEPT);
    let mut total = 0;
    loop {
        let gone = state.db.write_low("accounts.prune", move |tx| sessions::prune(tx, before, CHUNK)).await?;
        if gone == 0 {
            break;
        }
        total += gone;
    }
    loop {
        let later = now.plus(GUESTS_KEPT);
        let swept = state
            .db
            .write_low("accounts.sweep_guests", move |tx| guests::sweep(tx, now, later, CHUNK))
            .await?;
        total += swept.gone;
        if swept.looked_at == 0 {
            return Ok(total);
        }
    }
}
