//! Makes a shipment ready for the warehouse.

use merx_kernel::{Error, Result};
use merx_sql::Tx;

use crate::{
    State,
    domain::{Shipment, ShipmentLine},
    store,
};

/// Opens `shipment`; again with the same content, it answers the same.
///
/// # Errors
/// `shipping.shipment_differs` when the id was opened with other content.
pub async fn open(state: &State, shipment: Shipment, lines: Vec<ShipmentLine>) -> Result<()> {
    state.db.write("shipping.open", move |tx| run(tx, &shipment, &lines)).await
}

fn run(tx: &mut Tx<'_>, shipment: &Shipment, lines: &[ShipmentLine]) -> Result<()> {
    if store::insert(tx, shipment)?.is_new() {
        return store::insert_lines(tx, shipment.id, lines);
    }
    let before = store::one(tx, shipment.id)?
        .ok_or_else(|| Error::internal(format!("{} exists and cannot be read", shipment.id)))?;
    let same = before.same_content(shipment) && store::lines(tx, shipment.id)? == lines;
    if same {
        return Ok(());
    }
    Err(Error::rejected("shipping.shipment_differs", "The shipment was already opened with other content."))
}
