//! The alarm about orphans: reservations that no saga has ended in time. Inventory never lets them go by itself,
//! because the order may be paid at this very moment; the order's saga alone decides. The alarm ends when the
//! reservation does.

use std::time::Duration;

use merx_kernel::Result;

use crate::{State, store};

/// The most alarms one check raises, and ends; the next check goes on.
const ALARMS_MAX: i64 = 100;

/// Raises the alarm, once each, about reservations older than `limit`, and ends those about reservations that have
/// ended; answers how many were new.
///
/// # Errors
/// What the database answers.
pub async fn watch_orphans(state: &State, limit: Duration) -> Result<usize> {
    let now = state.clock.now();
    let before = now.minus(limit);
    let look = move |q: &mut merx_sql::Reader<'_>| {
        Ok((store::new_orphans(q, before, ALARMS_MAX)?, store::open_orphans(q)?))
    };
    let (found, (open, ended)) = state.db.read("inventory.orphans", look).await?;
    let new = i64::try_from(found.len()).unwrap_or(i64::MAX);
    state.orphans_open.set(open.saturating_add(new));
    if found.is_empty() && !ended {
        return Ok(0);
    }
    let noted = found.clone();
    let note = move |tx: &mut merx_sql::Tx<'_>| {
        for (reservation, _) in &noted {
            let _ = store::insert_orphan(tx, *reservation, now)?;
        }
        store::close_orphans(tx, now, ALARMS_MAX)
    };
    let ended = state.db.write("inventory.orphans", note).await?;
    for reservation in &ended {
        tracing::info!(%reservation, "an orphaned reservation has ended");
    }
    for (reservation, opened_at) in &found {
        state.metrics.alert("inventory_orphan");
        tracing::error!(%reservation, %opened_at, "a reservation is older than its limit and neither sold nor released");
    }
    Ok(found.len())
}
