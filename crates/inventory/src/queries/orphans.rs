//! The alarms that stand.

use std::collections::BTreeMap;

use merx_contracts::ids::ReservationId;
use merx_kernel::{PageRequest, Result};
use merx_sql::Reader;

use super::{cut, id_cursor};
use crate::{
    State,
    domain::PlacedLine,
    store::{self, Orphan},
};

/// One page of reservations under alarm with what they hold, oldest first, and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn orphans(
    state: &State,
    page: &PageRequest,
) -> Result<(Vec<(Orphan, Vec<PlacedLine>)>, Option<String>)> {
    let limit = page.checked_limit()?;
    let cursor: ReservationId = id_cursor(page, 0)?;
    let read = move |q: &mut Reader<'_>| {
        let found = store::orphans(q, cursor, limit + 1)?;
        let ids: Vec<ReservationId> = found.iter().map(|orphan| orphan.reservation).collect();
        Ok((found, store::reserved_lines(q, &ids)?))
    };
    let (found, lines) = state.db.read("inventory.list_orphans", read).await?;
    let mut held: BTreeMap<ReservationId, Vec<PlacedLine>> = BTreeMap::new();
    for (reservation, line) in lines {
        held.entry(reservation).or_default().push(line);
    }
    let (found, more) = cut(found, limit);
    let next = found.last().filter(|_| more).map(|orphan| orphan.reservation.bare());
    let with_lines = |orphan: Orphan| (orphan, held.remove(&orphan.reservation).unwrap_or_default());
    Ok((found.into_iter().map(with_lines).collect(), next))
}
