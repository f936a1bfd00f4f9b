//! The routes of the packing table, and of the buyer who waits for a parcel.

mod buyer;
mod staff;
mod views;

use merx_contracts::ids::{OrderId, ShipmentId};
use merx_http::{Access, Idempotency, Idempotent, Limits, Owner, Route};
use merx_kernel::{Page, Permission};

use crate::{
    State,
    domain::{Dispatch, TrackingReport},
};

pub use views::{
    Correction, OrderShipmentView, OrderShipmentsView, ShipmentDetailView, ShipmentFilter, ShipmentView,
    ShippingAddressView, SplitShipment, SplitView, TrackingEventView,
};

const READ: Access = Access::Permission {
    permission: Permission::ShipmentsRead,
    owner: Owner::None("staff pack and trace every shipment"),
};
const WRITE: Access = Access::Permission {
    permission: Permission::ShipmentsWrite,
    owner: Owner::None("staff dispatch every shipment"),
};
const OWN: Access = Access::Permission {
    permission: Permission::Shop,
    owner: Owner::Account("only shipments whose account is the caller's are read; no others are 404"),
};

/// The routes of shipping.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let keys = state.store.idempotency;
    let idempotent = Idempotent::new(state.db.clone(), keys, state.clock.clone(), limits);
    let staff = staff::Staff { state: state.clone(), idempotent };
    let mut routes = reading(state);
    routes.extend(in_the_warehouse(&staff));
    routes.extend(on_the_way(&staff));
    routes
}

fn reading(state: &State) -> Vec<Route> {
    vec![
        Route::get("/v1/shipments", READ, staff::list_shipments, state)
            .id("listShipments")
            .summary("Shipments, oldest first")
            .description("Filters are combined: a shipment is listed when all of them fit.")
            .query::<ShipmentFilter>()
            .response::<Page<ShipmentView>>(200),
        Route::get("/v1/shipments/{shipment}", READ, staff::get_shipment, state)
            .id("getShipment")
            .summary("One shipment to pack: its lines, its full address and what carriers told")
            .description(
                "The address is asked from the buyer's account at this moment; once it was erased it shows as erased. \
                 `held` means that the order is being cancelled: leave the parcel where it is.",
            )
            .param::<ShipmentId>("shipment")
            .response::<ShipmentDetailView>(200)
            .errors(&["shipping.shipment_not_found"]),
        Route::get("/v1/orders/{order}/shipments", OWN, buyer::order_shipments, state)
            .id("listOrderShipments")
            .summary("The parcels of my order, and where they are")
            .description("With `as_of`, what was known at that moment.")
            .param::<OrderId>("order")
            .query::<buyer::AsOf>()
            .response::<OrderShipmentsView>(200)
            .errors(&["shipping.order_not_found"]),
    ]
}

fn in_the_warehouse(staff: &staff::Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/shipments/{shipment}/dispatch", WRITE, staff::dispatch, staff)
            .id("dispatchShipment")
            .summary("Hands a shipment to a carrier")
            .param::<ShipmentId>("shipment")
            .body::<Dispatch>()
            .response::<ShipmentView>(200)
            .errors(&[
                "shipping.shipment_not_found",
                "shipping.already_dispatched",
                "shipping.order_held",
                "shipping.order_cancelled",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/shipments/{shipment}/split", WRITE, staff::split, staff)
            .id("splitShipment")
            .summary("Takes goods out of a shipment that has not left, into one of their own")
            .description("Quantities are conserved: what goes and what stays are together what was there.")
            .param::<ShipmentId>("shipment")
            .body::<SplitShipment>()
            .response::<SplitView>(201)
            .errors(&[
                "shipping.shipment_not_found",
                "shipping.already_dispatched",
                "shipping.order_held",
                "shipping.order_cancelled",
                "shipping.split_exceeds",
                "shipping.split_takes_all",
                "shipping.shipment_limit",
            ])
            .idempotency(Idempotency::Required),
    ]
}

fn on_the_way(staff: &staff::Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/shipments/{shipment}/tracking-events", WRITE, staff::track, staff)
            .id("addTrackingEvent")
            .summary("Notes what the carrier tells of a parcel")
            .description(
                "The same code and time again is the same event. The first `delivered` delivers the shipment; the first \
                 `returned` brings it back, and then it arrives no more. `place` and `text` are shown with the shipment.",
            )
            .param::<ShipmentId>("shipment")
            .body::<TrackingReport>()
            .response::<TrackingEventView>(200)
            .errors(&[
                "shipping.shipment_not_found",
                "shipping.not_dispatched",
                "shipping.order_cancelled",
                "shipping.tracking_limit",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/shipments/{shipment}/delivery", WRITE, staff::deliver, staff)
            .id("deliverShipment")
            .summary("Notes that the carrier handed a shipment over just now")
            .param::<ShipmentId>("shipment")
            .response::<ShipmentView>(200)
            .errors(&[
                "shipping.shipment_not_found",
                "shipping.not_dispatched",
                "shipping.already_returned",
                "shipping.order_cancelled",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/shipments/{shipment}/corrections", WRITE, staff::correct, staff)
            .id("correctShipment")
            .summary("Sets the carrier or the tracking number of a dispatched shipment right")
            .param::<ShipmentId>("shipment")
            .body::<Correction>()
            .response::<ShipmentView>(200)
            .errors(&["shipping.shipment_not_found", "shipping.not_dispatched", "shipping.order_cancelled"])
            .idempotency(Idempotency::Required),
    ]
}
