//! Makes a shipment ready for the warehouse.

use merx_kernel::{Error, Result};
use merx_platform::trace;
use merx_sql::Tx;

use crate::{
    State,
    domain::{Change, Entry, Shipment, ShipmentLine},
    queries,
    store::{gates, history, shipments},
};

/// Opens `shipment`; again with the same content, it answers the same, whatever became of it since.
///
/// # Errors
/// `shipping.order_held` (Conflict: try again later) while the order is held, `shipping.order_cancelled` once it was
/// cancelled, `shipping.shipment_differs` when the id was opened with other content.
pub async fn open(state: &State, shipment: Shipment, lines: Vec<ShipmentLine>) -> Result<()> {
    let trace_id = trace::current().map(|t| t.trace_id());
    let write = move |tx: &mut Tx<'_>| run(tx, &shipment, &lines, trace_id.clone());
    state.db.write("shipping.open", write).await
}

fn run(tx: &mut Tx<'_>, shipment: &Shipment, lines: &[ShipmentLine], trace_id: Option<String>) -> Result<()> {
    let (gate, at) = gates::enter(tx, shipment.order, shipment.opened_at)?;
    let shipment = &Shipment { opened_at: at, ..shipment.clone() };
    if let Err(refusal) = gate.pass() {
        // What was opened before the hold is a repetition: its answer was lost.
        return match shipments::one(tx, shipment.id)? {
            Some(before) => same(tx, before, shipment, lines),
            None => Err(refusal),
        };
    }
    if !shipments::insert(tx, shipment)?.is_new() {
        let before = shipments::one(tx, shipment.id)?
            .ok_or_else(|| Error::internal(format!("{} exists and cannot be read", shipment.id)))?;
        return same(tx, before, shipment, lines);
    }
    shipments::insert_lines(tx, shipment.id, lines)?;
    let opened = Entry {
        version: shipment.version,
        recorded_at: shipment.opened_at,
        actor: None,
        trace_id,
        message: None,
        change: Change::Opened { split_from: None },
    };
    history::append(tx, &[(shipment.id, opened)])
}

fn same(tx: &mut Tx<'_>, before: Shipment, shipment: &Shipment, lines: &[ShipmentLine]) -> Result<()> {
    let record = queries::record(tx, before)?;
    if record.shipment.same_content(shipment) && record.opened_lines()? == lines {
        return Ok(());
    }
    Err(Error::rejected("shipping.shipment_differs", "The shipment was already opened with other content."))
}
