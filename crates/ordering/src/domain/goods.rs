//! The rules of parcels: what left, what arrived, what counts as received.

use std::collections::BTreeMap;

use merx_contracts::ids::{ShipmentId, Sku};
use merx_kernel::Quantity;

use super::{
    axes::{FulfilmentAxis, OrderAxis},
    decide::Rejection,
    event::{
        Event, FulfilmentOpened, Happened, OpenedShipment, OrderDelivered, OrderShipped, PackedLine,
        ParcelCorrected, ParcelReturned, ReceiptConfirmed, ReceivedBy,
    },
    order::{Order, Parcel},
};

/// A shipment that left the warehouse, as shipping tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// What is in it; empty when it was told before shipments had lines.
    pub lines: Vec<PackedLine>,
}

pub(super) fn open(order: &Order, shipments: &[OpenedShipment]) -> Result<Vec<Event>, Rejection> {
    match order.axes.map(|axes| axes.order) {
        None => Err(Rejection::OrderUnknown),
        // A cancellation came first, or everything has arrived: there is nothing to open any more.
        Some(OrderAxis::Cancelled | OrderAxis::Completed) => Ok(Vec::new()),
        Some(OrderAxis::Confirmed) if order.opened => Ok(Vec::new()),
        Some(OrderAxis::Confirmed) => {
            Ok(vec![Event::FulfilmentOpened(FulfilmentOpened { shipments: shipments.to_vec() })])
        }
        Some(_) => Err(Rejection::NotPaid),
    }
}

pub(super) fn record_shipment(order: &Order, shipment: &Shipment) -> Result<Vec<Event>, Rejection> {
    match order.axes.map(|axes| axes.order) {
        None => return Err(Rejection::OrderUnknown),
        Some(OrderAxis::Placed | OrderAxis::AwaitingPayment) => return Err(Rejection::NotPaid),
        Some(OrderAxis::Rejected | OrderAxis::Cancelled) => return Err(Rejection::OrderEnded),
        Some(OrderAxis::Confirmed | OrderAxis::Completed) => {}
    }
    let known = order.parcels.get(&shipment.shipment_id);
    if known.is_some_and(|parcel| parcel.dispatched) {
        return Ok(Vec::new());
    }
    let planned = known.map(|parcel| parcel.lines.clone()).unwrap_or_default();
    let lines = match (shipment.lines.is_empty(), planned.is_empty()) {
        (false, _) => by_sku(&shipment.lines)?,
        (true, false) => planned,
        (true, true) => order.unshipped(),
    };
    if lines.is_empty() {
        return Err(Rejection::ShippedTooMuch);
    }
    let left = order.unshipped();
    let allowed = |line: &PackedLine| {
        left.iter().any(|open| open.sku == line.sku && open.quantity.get() >= line.quantity.get())
    };
    if !lines.iter().all(allowed) {
        return Err(Rejection::ShippedTooMuch);
    }
    let units = |lines: &[PackedLine]| lines.iter().map(|line| line.quantity.get()).sum::<i64>();
    let complete = units(&lines) == units(&left);
    Ok(vec![Event::OrderShipped(OrderShipped {
        shipment_id: shipment.shipment_id,
        carrier: shipment.carrier.clone(),
        tracking_number: shipment.tracking_number.clone(),
        lines,
        complete,
    })])
}

/// One line a SKU.
fn by_sku(lines: &[PackedLine]) -> Result<Vec<PackedLine>, Rejection> {
    let mut units: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in lines {
        *units.entry(&line.sku).or_default() += line.quantity.get();
    }
    units
        .into_iter()
        .map(|(sku, units)| {
            let quantity = Quantity::new(units).map_err(|_| Rejection::ShippedTooMuch)?;
            Ok(PackedLine { sku: sku.clone(), quantity })
        })
        .collect()
}

pub(super) fn record_delivery(order: &Order, shipment_id: ShipmentId) -> Result<Vec<Event>, Rejection> {
    let Some(axes) = order.axes else { return Err(Rejection::OrderUnknown) };
    if axes.fulfilment == FulfilmentAxis::Received {
        return Ok(Vec::new());
    }
    let parcel = sent(order, shipment_id)?;
    if parcel.delivered || parcel.returned {
        return Ok(Vec::new());
    }
    // One that came back undelivered has not arrived: the order is not delivered without it.
    let on_its_way = |parcel: &Parcel| parcel.dispatched && !parcel.delivered;
    let open = order.parcels.iter().any(|(id, parcel)| *id != shipment_id && on_its_way(parcel));
    let complete = !open && order.unshipped().is_empty();
    let lines = parcel.lines.clone();
    Ok(vec![Event::OrderDelivered(OrderDelivered { shipment_id, lines, complete })])
}

/// A parcel that left; facts about another wait for it.
fn sent(order: &Order, shipment_id: ShipmentId) -> Result<&Parcel, Rejection> {
    order.parcels.get(&shipment_id).filter(|parcel| parcel.dispatched).ok_or(Rejection::NotShipped)
}

/// It came back; that is so even when the buyer has said that the goods arrived.
pub(super) fn record_return(order: &Order, shipment_id: ShipmentId) -> Result<Vec<Event>, Rejection> {
    if sent(order, shipment_id)?.returned {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ParcelReturned(ParcelReturned { shipment_id })])
}

pub(super) fn record_correction(
    order: &Order,
    shipment_id: ShipmentId,
    carrier: &str,
    tracking_number: &str,
) -> Result<Vec<Event>, Rejection> {
    let parcel = sent(order, shipment_id)?;
    let known = parcel.carrier == carrier && parcel.tracking_number == tracking_number;
    let ended = order.axes.is_some_and(|axes| axes.order == OrderAxis::Cancelled);
    if known || ended {
        return Ok(Vec::new());
    }
    let (carrier, tracking_number) = (carrier.to_owned(), tracking_number.to_owned());
    Ok(vec![Event::ParcelCorrected(ParcelCorrected { shipment_id, carrier, tracking_number })])
}

pub(super) fn confirm_receipt(order: &Order, by: ReceivedBy) -> Result<Vec<Event>, Rejection> {
    let Some(axes) = order.axes else { return Err(Rejection::OrderUnknown) };
    match (axes.order, axes.fulfilment) {
        (OrderAxis::Completed, _) => Ok(Vec::new()),
        // Silence says nothing about a parcel that came back; the buyer still may.
        (OrderAxis::Confirmed, _) if by == ReceivedBy::Timer && order.has_returns() => Ok(Vec::new()),
        (OrderAxis::Confirmed, FulfilmentAxis::Shipped | FulfilmentAxis::Delivered) => {
            Ok(vec![Event::ReceiptConfirmed(ReceiptConfirmed { by }), Event::OrderCompleted(Happened {})])
        }
        (OrderAxis::Rejected | OrderAxis::Cancelled, _) => Err(Rejection::OrderEnded),
        (OrderAxis::Confirmed, FulfilmentAxis::PartShipped) => Err(Rejection::NotAllShipped),
        _ => Err(Rejection::NotShipped),
    }
}
