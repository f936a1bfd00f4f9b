//! The movement ledger.

use merx_contracts::ids::{AccountId, ReservationId, Sku, WarehouseId};
use merx_kernel::{Error, Id, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use crate::domain::{Movement, MovementKind};

const INSERT_MOVEMENT: &str = "INSERT INTO inventory_movements
 (reference, kind, sku, warehouse, quantity, reason, account, moved_at, reservation) VALUES";
const MOVEMENTS: &str = "SELECT reference, kind, warehouse, quantity, reason, account, moved_at, reservation
 FROM inventory_movements WHERE sku = ?";
const AFTER: &str = " AND (moved_at < ? OR (moved_at = ? AND (reference < ? OR (reference = ? AND (kind < ?
 OR (kind = ? AND warehouse < ?))))))";
const NEWEST_FIRST: &str = " ORDER BY moved_at DESC, reference DESC, kind DESC, warehouse DESC LIMIT ?";
const SUMS_UNTIL: &str = "SELECT warehouse, kind, SUM(quantity) FROM inventory_movements
 WHERE sku = ? AND moved_at <= ? GROUP BY warehouse, kind";

/// What moved units: the bits of a reservation, receipt, adjustment, return, transfer or count.
pub type Reference = Id<()>;

/// One effect in the ledger.
#[derive(Clone, Copy)]
pub struct Effect {
    /// Its identity.
    pub reference: Reference,
    /// The reservation it belongs to, if one.
    pub reservation: Option<ReservationId>,
    /// When.
    pub at: Timestamp,
}

impl Effect {
    /// Of a reservation itself.
    pub fn of_reservation(id: ReservationId, at: Timestamp) -> Self {
        Self { reference: id.cast(), reservation: Some(id), at }
    }
    /// Of what staff did.
    pub fn of_staff<K>(id: Id<K>, at: Timestamp) -> Self {
        Self { reference: id.cast(), reservation: None, at }
    }
}

fn movement_values(effect: Effect, movement: &Movement) -> Vec<Value> {
    params![
        effect.reference,
        movement.kind.name(),
        movement.sku.as_str(),
        movement.warehouse,
        movement.quantity,
        movement.reason.as_deref(),
        movement.by,
        effect.at,
        effect.reservation
    ]
}

/// Writes movements of one effect to the ledger, one statement. The key is (reference, kind, SKU, warehouse): an
/// effect cannot be entered twice.
pub fn insert_movements(tx: &mut Tx<'_>, effect: Effect, movements: &[Movement]) -> Result<()> {
    let rows = movements.iter().map(|m| movement_values(effect, m)).collect();
    tx.insert_rows(INSERT_MOVEMENT, 9, rows)
}

/// Writes one movement that may have been written before.
pub fn insert_movement(tx: &mut Tx<'_>, effect: Effect, movement: &Movement) -> Result<Inserted> {
    let sql = format!("{INSERT_MOVEMENT} (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    tx.insert_new(&sql, movement_values(effect, movement))
}

/// A line of the ledger.
#[derive(Clone)]
pub struct LedgerLine {
    /// What moved the units.
    pub reference: Reference,
    /// Why.
    pub kind: MovementKind,
    /// Where.
    pub warehouse: WarehouseId,
    /// Units; negative for what was adjusted or counted downwards.
    pub quantity: i64,
    /// Somebody's words.
    pub reason: Option<String>,
    /// The member of staff.
    pub by: Option<AccountId>,
    /// When.
    pub at: Timestamp,
    /// The reservation it belongs to.
    pub reservation: Option<ReservationId>,
}

/// Where a page of the ledger ended.
#[derive(Clone)]
pub struct LedgerCursor {
    /// When the last line moved.
    pub at: Timestamp,
    /// Its reference.
    pub reference: Reference,
    /// Its kind.
    pub kind: String,
    /// Its warehouse.
    pub warehouse: WarehouseId,
}

/// Which lines of the ledger.
#[derive(Clone, Debug, Default)]
pub struct LedgerFilter {
    /// Of this kind only.
    pub kind: Option<MovementKind>,
    /// In this warehouse only.
    pub warehouse: Option<WarehouseId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

fn kind_of(name: &str) -> Result<MovementKind> {
    MovementKind::from_name(name).ok_or_else(|| Error::internal("a movement has a kind that is none"))
}

fn line_of(row: &Row<'_>) -> Result<LedgerLine> {
    Ok(LedgerLine {
        reference: row.get(0)?,
        kind: kind_of(&row.get::<String>(1)?)?,
        warehouse: row.get(2)?,
        quantity: row.get(3)?,
        reason: row.get(4)?,
        by: row.get(5)?,
        at: row.get(6)?,
        reservation: row.get(7)?,
    })
}

/// The ledger of a SKU, newest first, after `cursor`.
pub fn movements(
    q: &mut impl Query,
    sku: &Sku,
    filter: &LedgerFilter,
    cursor: Option<&LedgerCursor>,
    limit: i64,
) -> Result<Vec<LedgerLine>> {
    let mut sql = MOVEMENTS.to_owned();
    let mut values = params![sku.as_str()];
    if let Some(kind) = filter.kind {
        sql.push_str(" AND kind = ?");
        values.push(Value::from(kind.name()));
    }
    if let Some(warehouse) = filter.warehouse {
        sql.push_str(" AND warehouse = ?");
        values.push(Value::from(warehouse));
    }
    if let Some(since) = filter.since {
        sql.push_str(" AND moved_at >= ?");
        values.push(Value::from(since));
    }
    if let Some(until) = filter.until {
        sql.push_str(" AND moved_at < ?");
        values.push(Value::from(until));
    }
    if let Some(LedgerCursor { at, reference, kind, warehouse }) = cursor {
        sql.push_str(AFTER);
        values.extend(params![*at, *at, *reference, *reference, kind, kind, *warehouse]);
    }
    sql.push_str(NEWEST_FIRST);
    values.push(Value::from(limit));
    q.query(&sql, values, line_of)
}

/// How many units moved for each reason in each warehouse up to `at`.
pub fn sums_until(
    q: &mut impl Query,
    sku: &Sku,
    at: Timestamp,
) -> Result<Vec<(WarehouseId, MovementKind, i64)>> {
    q.query(SUMS_UNTIL, params![sku.as_str(), at], |row| {
        Ok((row.get(0)?, kind_of(&row.get::<String>(1)?)?, row.get(2)?))
    })
}
