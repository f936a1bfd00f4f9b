//! What happened to shipments, and what carriers told.

use merx_contracts::ids::{AccountId, ShipmentId};
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, params};

use super::inconsistent;
use crate::domain::{Entry, TrackingCode, TrackingEvent, TrackingReport};

const APPEND: &str =
    "INSERT INTO shipping_history (shipment, version, recorded_at, actor, trace_id, message, body) VALUES";
const HISTORY: &str = "SELECT version, recorded_at, actor, trace_id, message, body FROM shipping_history
 WHERE shipment = ? ORDER BY version";
const TRACK: &str = "INSERT INTO shipping_tracking_events
 (shipment, happened_at, code, place, words, recorded_at, actor, trace_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const COUNT_TRACKED: &str = "UPDATE shipping_shipments SET tracking_count = tracking_count + 1
 WHERE shipment = ? AND tracking_count < ?";
const TRACKED: &str = "SELECT happened_at, code, place, words, recorded_at, actor, trace_id
 FROM shipping_tracking_events WHERE shipment = ? ORDER BY happened_at, recorded_at, code";
const TRACKED_ONE: &str = "SELECT happened_at, code, place, words, recorded_at, actor, trace_id
 FROM shipping_tracking_events WHERE shipment = ? AND happened_at = ? AND code = ?";
const IS_ERASED: &str = "SELECT account FROM shipping_erased WHERE account = ?";
const ERASED: &str = "INSERT INTO shipping_erased (account, erased_at) VALUES (?, ?)";
const STILL: &str = "UPDATE shipping_shipments SET account = account WHERE account = ?";
const OF_ACCOUNT: &str = "SELECT shipment FROM shipping_shipments WHERE account = ?";
const BLANK: &str = "UPDATE shipping_tracking_events SET place = NULL, words = NULL WHERE shipment = ?";

/// What a carrier told, with who noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// What was told.
    pub event: TrackingEvent,
    /// Who noted it.
    pub actor: Option<AccountId>,
    /// In which trace.
    pub trace_id: Option<String>,
}

/// Keeps changes: one statement, however many.
pub fn append(tx: &mut Tx<'_>, entries: &[(ShipmentId, Entry)]) -> Result<()> {
    let mut rows = Vec::with_capacity(entries.len());
    for (shipment, entry) in entries {
        let body = serde_json::to_string(&entry.change).map_err(|e| {
            Error::internal("a change of a shipment cannot be written as JSON").with_source(e)
        })?;
        let trace = entry.trace_id.as_deref();
        rows.push(params![
            *shipment,
            entry.version,
            entry.recorded_at,
            entry.actor,
            trace,
            entry.message,
            body
        ]);
    }
    tx.insert_rows(APPEND, 7, rows)
}

/// The changes of a shipment, oldest first.
pub fn of(q: &mut impl Query, shipment: ShipmentId) -> Result<Vec<Entry>> {
    q.query(HISTORY, params![shipment], |row| {
        let change = serde_json::from_str(&row.get::<String>(5)?)
            .map_err(|e| inconsistent("change").with_source(e))?;
        Ok(Entry {
            version: row.get(0)?,
            recorded_at: row.get(1)?,
            actor: row.get(2)?,
            trace_id: row.get(3)?,
            message: row.get(4)?,
            change,
        })
    })
}

/// Counts one more event of a shipment; `false` when it has `most` already. Whoever erases its buyer's words waits.
pub fn count(tx: &mut Tx<'_>, shipment: ShipmentId, most: i64) -> Result<bool> {
    tx.guarded(COUNT_TRACKED, params![shipment, most])
}

/// Keeps what a carrier told. `Exists` for a code and time known of this shipment.
pub fn track(
    tx: &mut Tx<'_>,
    shipment: ShipmentId,
    event: &TrackingEvent,
    actor: AccountId,
    trace_id: Option<&str>,
) -> Result<Inserted> {
    let (place, words) = (event.place.as_deref(), event.text.as_deref());
    let (code, actor) = (event.code.name(), Some(actor));
    let values = params![shipment, event.at, code, place, words, event.recorded_at, actor, trace_id];
    tx.insert_new(TRACK, values)
}

/// What carriers told of a shipment, in the order it happened.
pub fn tracked(q: &mut impl Query, shipment: ShipmentId) -> Result<Vec<Tracked>> {
    q.query(TRACKED, params![shipment], tracked_of)
}

/// What was told under a code and time.
pub fn tracked_one(
    q: &mut impl Query,
    shipment: ShipmentId,
    report: &TrackingReport,
) -> Result<Option<TrackingEvent>> {
    let found = q.query_opt(TRACKED_ONE, params![shipment, report.at, report.code.name()], tracked_of)?;
    Ok(found.map(|tracked| tracked.event))
}

/// Whether the person was erased.
pub fn is_erased(q: &mut impl Query, account: AccountId) -> Result<bool> {
    Ok(q.query_opt(IS_ERASED, params![account], |_| Ok(()))?.is_some())
}

/// Blanks the free text about the parcels of an account, for people write names into it; what is told later has none.
pub fn erase(tx: &mut Tx<'_>, account: AccountId, at: Timestamp) -> Result<()> {
    if !tx.insert_new(ERASED, params![account, at])?.is_new() {
        return Ok(());
    }
    // Whoever is keeping a report has counted it on its shipment's row: this waits, and then finds the report.
    tx.execute(STILL, params![account])?;
    // One by one: MariaDB reads the whole table for an update by a subquery.
    for shipment in tx.query(OF_ACCOUNT, params![account], |row| row.get::<ShipmentId>(0))? {
        tx.execute(BLANK, params![shipment])?;
    }
    Ok(())
}

fn tracked_of(row: &Row<'_>) -> Result<Tracked> {
    let code = TrackingCode::from_name(&row.get::<String>(1)?).ok_or_else(|| inconsistent("code"))?;
    let event = TrackingEvent {
        code,
        at: row.get(0)?,
        place: row.get(2)?,
        text: row.get(3)?,
        recorded_at: row.get(4)?,
    };
    Ok(Tracked { event, actor: row.get(5)?, trace_id: row.get(6)? })
}
