//! The read side.

use merx_contracts::ids::{OrderId, ShipmentId};
use merx_kernel::{Error, Id, PageRequest, Result};

use crate::{
    State,
    domain::{Shipment, ShipmentLine, ShipmentStatus},
    store,
};

/// The shipment, or the refusal.
pub(crate) fn found<T>(shipment: Option<T>) -> Result<T> {
    shipment.ok_or_else(|| Error::not_found("shipping.shipment_not_found", "There is no such shipment."))
}

/// One page of shipments, oldest first (the warehouse packs in the order of arrival), and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn list(
    state: &State,
    status: Option<ShipmentStatus>,
    page: &PageRequest,
) -> Result<(Vec<Shipment>, Option<String>)> {
    let limit = page.checked_limit()?;
    let after: ShipmentId = match &page.cursor {
        None => Id::from_bits(0),
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Error::invalid("cursor", "must be the next_cursor of the page before"))?,
    };
    let mut shipments =
        state.db.read("shipping.list", move |q| store::listed(q, status, after, limit + 1)).await?;
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = shipments.len() > count;
    shipments.truncate(count);
    let next = if more { shipments.last().map(|s| s.id.to_string()) } else { None };
    Ok((shipments, next))
}

/// One shipment and what it holds.
///
/// # Errors
/// `shipping.shipment_not_found`.
pub async fn shipment(state: &State, id: ShipmentId) -> Result<(Shipment, Vec<ShipmentLine>)> {
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let shipment = found(store::one(q, id)?)?;
        Ok((shipment, store::lines(q, id)?))
    };
    state.db.read("shipping.shipment", read).await
}

/// Every shipment of an order.
///
/// # Errors
/// What the database answers.
pub async fn of_order(state: &State, order: OrderId) -> Result<Vec<Shipment>> {
    state.db.read("shipping.of_order", move |q| store::of_order(q, order)).await
}
