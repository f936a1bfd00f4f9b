//! The alarm about orphans: reservations that no saga has ended in time. Inventory never lets them go by itself,
//! because the order may be paid at this very moment; the order's saga alone decides.

use std::time::Duration;

use merx_kernel::Result;

use crate::{State, store};

/// The most alarms of one check; the next check goes on.
const ALARMS_MAX: i64 = 100;

/// Raises the alarm, once each, about reservations older than `limit`; answers how many were new.
///
/// # Errors
/// What the database answers.
pub async fn watch_orphans(state: &State, limit: Duration) -> Result<usize> {
    let now = state.clock.now();
    let before = now.minus(limit);
    let found =
        state.db.read("inventory.orphans", move |q| store::new_orphans(q, before, ALARMS_MAX)).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let noted = found.clone();
    let note = move |tx: &mut merx_sql::Tx<'_>| {
        for (reservation, _) in &noted {
            let _ = store::insert_orphan(tx, *reservation, now)?;
        }
        Ok(())
    };
    state.db.write("inventory.orphans", note).await?;
    for (reservation, opened_at) in &found {
        state.metrics.alert("inventory_orphan");
        tracing::error!(%reservation, %opened_at, "a reservation is older than its limit and neither sold nor released");
    }
    Ok(found.len())
}
