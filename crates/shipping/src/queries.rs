//! The read side.

use merx_contracts::ids::{AccountId, OrderId, ShipmentId};
use merx_kernel::{Error, Guard, Id, PageRequest, Result, Timestamp};
use merx_sql::Query;

use crate::{
    State,
    domain::{Record, Shipment},
    store::{
        gates, history,
        shipments::{self, Filter},
    },
};

/// The shipment, or the refusal.
pub(crate) fn found<T>(shipment: Option<T>) -> Result<T> {
    shipment.ok_or_else(|| Error::not_found("shipping.shipment_not_found", "There is no such shipment."))
}

/// A shipment with all that is kept of it.
pub(crate) fn record(q: &mut impl Query, shipment: Shipment) -> Result<Record> {
    Ok(Record {
        lines: shipments::lines(q, shipment.id)?,
        history: history::of(q, shipment.id)?,
        tracking: history::tracked(q, shipment.id)?.into_iter().map(|tracked| tracked.event).collect(),
        shipment,
    })
}

/// One page of shipments, oldest first (the warehouse packs in the order of arrival), and where the next begins.
///
/// # Errors
/// `Invalid` for a bad limit or cursor.
pub async fn list(
    state: &State,
    filter: Filter,
    page: &PageRequest,
) -> Result<(Vec<Shipment>, Option<String>)> {
    let limit = page.checked_limit()?;
    let after = match &page.cursor {
        None => (Timestamp::from_millis(-1), Id::from_bits(0)),
        Some(cursor) => place(cursor)
            .ok_or_else(|| Error::invalid("cursor", "must be the next_cursor of the page before"))?,
    };
    let read = move |q: &mut merx_sql::Reader<'_>| shipments::listed(q, &filter, after, limit + 1);
    let mut found = state.db.read("shipping.list", read).await?;
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > count;
    found.truncate(count);
    let last = found.last().filter(|_| more);
    let next = last.map(|s| format!("{}.{}", s.opened_at.as_millis(), s.id.bare()));
    Ok((found, next))
}

/// Where a page ended.
fn place(cursor: &str) -> Option<(Timestamp, ShipmentId)> {
    let (at, shipment) = cursor.split_once('.')?;
    Some((Timestamp::from_millis(at.parse().ok()?), Id::parse_bare(shipment).ok()?))
}

/// One shipment with all that is kept of it, and whether its order is held.
///
/// # Errors
/// `shipping.shipment_not_found`.
pub async fn shipment(state: &State, id: ShipmentId) -> Result<(Record, bool)> {
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let shipment = found(shipments::one(q, id)?)?;
        let held = gates::read(q, shipment.order)?.is_some_and(|gate| gate.holds > 0);
        Ok((record(q, shipment)?, held))
    };
    state.db.read("shipping.shipment", read).await
}

/// Every shipment of an order, oldest first.
///
/// # Errors
/// What the database answers.
pub async fn of_order(state: &State, order: OrderId) -> Result<Vec<Record>> {
    let read = move |q: &mut merx_sql::Reader<'_>| {
        shipments::of_order(q, order)?.into_iter().map(|shipment| record(q, shipment)).collect()
    };
    state.db.read("shipping.of_order", read).await
}

/// Every shipment of an order of `account`, as it was at a moment (now unless told), oldest first.
///
/// # Errors
/// `shipping.order_not_found` when there is none: of an order that is another's, unknown, or not handed to the
/// warehouse yet.
pub async fn of_buyer(
    state: &State,
    account: AccountId,
    order: OrderId,
    as_of: Option<Timestamp>,
) -> Result<Vec<Record>> {
    let mut records = of_order(state, order).await?;
    records.retain(|record| record.shipment.account == account || !Guard::Owner.on());
    if records.is_empty() {
        return Err(Error::not_found(
            "shipping.order_not_found",
            "You have no order of this id that was handed to the warehouse.",
        ));
    }
    match as_of {
        None => Ok(records),
        Some(at) => records.into_iter().filter_map(|record| record.as_of(at).transpose()).collect(),
    }
}
