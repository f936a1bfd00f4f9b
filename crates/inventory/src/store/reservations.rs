//! The rows of reservations, and the alarms about those nobody ends.

use merx_contracts::ids::{ReservationId, Sku, WarehouseId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Tx, Value, params};

use super::{marks, sku_of};
use crate::domain::PlacedLine;

const INSERT_RESERVATION: &str = "INSERT INTO inventory_reservations
 (reservation, status, version, opened_at, changed_at) VALUES (?, ?, ?, ?, ?)";
const UPDATE_RESERVATION: &str =
    "UPDATE inventory_reservations SET status = ?, version = version + 1, changed_at = ?
 WHERE reservation = ? AND version = ?";
const NEW_ORPHANS: &str = "SELECT r.reservation, r.opened_at FROM inventory_reservations r
 LEFT JOIN inventory_orphans o ON o.reservation = r.reservation
 WHERE r.status = 'reserved' AND r.opened_at < ? AND o.reservation IS NULL
 ORDER BY r.opened_at, r.reservation LIMIT ?";
const INSERT_ORPHAN: &str = "INSERT INTO inventory_orphans (reservation, raised_at) VALUES (?, ?)";
const ENDED_ORPHANS: &str = "SELECT o.reservation FROM inventory_orphans o
 JOIN inventory_reservations r ON r.reservation = o.reservation
 WHERE o.ended_at IS NULL AND r.status <> 'reserved' ORDER BY o.reservation LIMIT ?";
const CLOSE_ORPHAN: &str =
    "UPDATE inventory_orphans SET ended_at = ? WHERE reservation = ? AND ended_at IS NULL";
const OPEN_ORPHANS: &str = "SELECT COUNT(*) FROM inventory_orphans o
 JOIN inventory_reservations r ON r.reservation = o.reservation WHERE r.status = 'reserved'";
const ORPHANS: &str = "SELECT o.reservation, r.opened_at, o.raised_at FROM inventory_orphans o
 JOIN inventory_reservations r ON r.reservation = o.reservation
 WHERE r.status = 'reserved' AND o.reservation > ? ORDER BY o.reservation LIMIT ?";

/// Makes the row of a reservation that nothing was heard of before.
pub fn insert_reservation(
    tx: &mut Tx<'_>,
    reservation: ReservationId,
    status: &str,
    at: Timestamp,
) -> Result<Inserted> {
    tx.insert_new(INSERT_RESERVATION, params![reservation, status, 1i64, at, at])
}

/// Moves a reservation on from `version`; `false` when it is no longer there.
pub fn update_reservation(
    tx: &mut Tx<'_>,
    reservation: ReservationId,
    version: i64,
    status: &str,
    at: Timestamp,
) -> Result<bool> {
    tx.guarded(UPDATE_RESERVATION, params![status, at, reservation, version])
}

/// Reservations made before `before`, still neither sold nor released, no alarm raised: oldest first.
pub fn new_orphans(
    q: &mut impl Query,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(ReservationId, Timestamp)>> {
    q.query(NEW_ORPHANS, params![before, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Notes that an alarm was raised.
pub fn insert_orphan(tx: &mut Tx<'_>, reservation: ReservationId, at: Timestamp) -> Result<Inserted> {
    tx.insert_new(INSERT_ORPHAN, params![reservation, at])
}

/// Ends the alarms about reservations that have ended; answers which.
pub fn close_orphans(tx: &mut Tx<'_>, at: Timestamp, limit: i64) -> Result<Vec<ReservationId>> {
    let ended: Vec<ReservationId> = tx.query(ENDED_ORPHANS, params![limit], |row| row.get(0))?;
    for reservation in &ended {
        tx.guarded(CLOSE_ORPHAN, params![at, *reservation])?;
    }
    Ok(ended)
}

/// How many alarms stand, and how many alarms stand about reservations that have ended.
pub fn open_orphans(q: &mut impl Query) -> Result<(i64, bool)> {
    let open = q.query_one(OPEN_ORPHANS, params![], |row| row.get(0))?;
    let ended: Vec<ReservationId> = q.query(ENDED_ORPHANS, params![1i64], |row| row.get(0))?;
    Ok((open, !ended.is_empty()))
}

/// A reservation that nobody ends.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    /// Which.
    pub reservation: ReservationId,
    /// When it was made.
    pub opened_at: Timestamp,
    /// When the alarm was raised.
    pub raised_at: Timestamp,
}

/// The alarms that stand, after `cursor`, by reservation, which is the order in which they were made.
pub fn orphans(q: &mut impl Query, cursor: ReservationId, limit: i64) -> Result<Vec<Orphan>> {
    q.query(ORPHANS, params![cursor, limit], |row| {
        Ok(Orphan { reservation: row.get(0)?, opened_at: row.get(1)?, raised_at: row.get(2)? })
    })
}

/// What reservations have set aside.
pub fn reserved_lines(
    q: &mut impl Query,
    reservations: &[ReservationId],
) -> Result<Vec<(ReservationId, PlacedLine)>> {
    if reservations.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT reference, sku, warehouse, quantity FROM inventory_movements
 WHERE kind = 'reserved' AND reference IN ({}) ORDER BY reference, sku, warehouse",
        marks(reservations.len())
    );
    let values = reservations.iter().map(|id| Value::from(*id)).collect();
    q.query(&sql, values, |row| {
        let sku: Sku = sku_of(row.get(1)?)?;
        let warehouse: WarehouseId = row.get(2)?;
        Ok((row.get(0)?, PlacedLine { sku, warehouse, quantity: row.get(3)? }))
    })
}
