//! The routes of the packing table.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::{
    accounts::v1::{AddressReply, AddressRequest},
    ids::{AddressId, MessageId, OrderId, ShipmentId},
};
use merx_http::{
    Access, Answer, Begun, Idempotency, IdempotencyKey, Idempotent, Json, Limits, Owner, Path, Query, Route,
    answer, respond,
};
use merx_kernel::{Error, Page, PageRequest, Permission, Result, Timestamp};
use merx_platform::rpc;
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State, commands,
    domain::{Dispatch, Shipment, ShipmentLine, ShipmentStatus, freight::Method},
    queries,
};

/// A shipment as the warehouse lists it: no personal data.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentView {
    /// Its identity.
    pub id: ShipmentId,
    /// Of which order.
    pub order_id: OrderId,
    /// To which address record.
    pub address_id: AddressId,
    /// standard or express.
    pub method: String,
    /// How far it has come.
    pub status: ShipmentStatus,
    /// Who carries it, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once dispatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When it was made.
    pub opened_at: Timestamp,
    /// When it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    /// When it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
}

impl From<Shipment> for ShipmentView {
    fn from(shipment: Shipment) -> Self {
        let (carrier, tracking_number) =
            shipment.dispatch.map(|d| (d.carrier.into_string(), d.tracking_number.into_string())).unzip();
        Self {
            id: shipment.id,
            order_id: shipment.order,
            address_id: shipment.address,
            method: Method::name(shipment.method).to_owned(),
            status: shipment.status,
            carrier,
            tracking_number,
            opened_at: shipment.opened_at,
            dispatched_at: shipment.dispatched_at,
            delivered_at: shipment.delivered_at,
        }
    }
}

/// A shipment with what it holds and where it goes: enough to pack it and write the label.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentDetailView {
    /// The shipment.
    #[serde(flatten)]
    pub shipment: ShipmentView,
    /// What it holds.
    pub lines: Vec<ShipmentLine>,
    /// Where it goes.
    pub address: ShippingAddressView,
}

/// The address at the moment of asking. Shipping keeps no copy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ShippingAddressView {
    /// As the buyer wrote it.
    Present {
        /// Who receives it.
        recipient: String,
        /// Their telephone.
        phone: String,
        /// ISO 3166-1 alpha-2.
        country: String,
        /// First-level division.
        region: String,
        /// The city.
        city: String,
        /// Street and number.
        line1: String,
        /// More of it.
        line2: String,
        /// The post code.
        postcode: String,
    },
    /// The buyer's data was erased.
    Erased,
}

impl From<AddressReply> for ShippingAddressView {
    fn from(address: AddressReply) -> Self {
        if address.erased {
            return Self::Erased;
        }
        Self::Present {
            recipient: address.recipient,
            phone: address.phone,
            country: address.country,
            region: address.region,
            city: address.city,
            line1: address.line1,
            line2: address.line2,
            postcode: address.postcode,
        }
    }
}

/// Which shipments.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipmentFilter {
    /// Only of this status.
    pub status: Option<ShipmentStatus>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

const READ: Access = Access::Permission {
    permission: Permission::ShipmentsRead,
    owner: Owner::None("staff pack and trace every shipment"),
};
const WRITE: Access = Access::Permission {
    permission: Permission::ShipmentsWrite,
    owner: Owner::None("staff dispatch every shipment"),
};

/// The routes of shipping.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let keys = state.store.idempotency;
    let idempotent = Idempotent::new(state.db.clone(), keys, state.clock.clone(), limits);
    let staff = Staff { state: state.clone(), idempotent };
    vec![
        Route::get("/v1/shipments", READ, list_shipments, state)
            .id("listShipments")
            .summary("Shipments, oldest first")
            .query::<ShipmentFilter>()
            .response::<Page<ShipmentView>>(200),
        Route::get("/v1/shipments/{shipment}", READ, get_shipment, state)
            .id("getShipment")
            .summary("One shipment with its lines and its full address")
            .param::<ShipmentId>("shipment")
            .response::<ShipmentDetailView>(200)
            .errors(&["shipping.shipment_not_found"]),
        Route::post("/v1/shipments/{shipment}/dispatch", WRITE, dispatch, &staff)
            .id("dispatchShipment")
            .summary("Hands a shipment to a carrier")
            .param::<ShipmentId>("shipment")
            .body::<Dispatch>()
            .response::<ShipmentView>(200)
            .errors(&["shipping.shipment_not_found", "shipping.already_dispatched"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/shipments/{shipment}/delivery", WRITE, deliver, &staff)
            .id("deliverShipment")
            .summary("Notes that the carrier handed a shipment over")
            .param::<ShipmentId>("shipment")
            .response::<ShipmentView>(200)
            .errors(&["shipping.shipment_not_found", "shipping.not_dispatched"])
            .idempotency(Idempotency::Required),
    ]
}

#[derive(Clone)]
struct Staff {
    state: State,
    idempotent: Idempotent,
}

async fn list_shipments(
    FromState(state): FromState<State>,
    Query(filter): Query<ShipmentFilter>,
) -> Answer<Json<Page<ShipmentView>>> {
    let page = PageRequest { limit: filter.limit, cursor: filter.cursor };
    let (shipments, next_cursor) = queries::list(&state, filter.status, &page).await?;
    Ok(Json(Page { items: shipments.into_iter().map(ShipmentView::from).collect(), next_cursor }))
}

async fn get_shipment(
    FromState(state): FromState<State>,
    Path(id): Path<ShipmentId>,
) -> Answer<Json<ShipmentDetailView>> {
    let (shipment, lines) = queries::shipment(&state, id).await?;
    let address = address(&state, &shipment).await?;
    Ok(Json(ShipmentDetailView { shipment: shipment.into(), lines, address }))
}

async fn address(state: &State, shipment: &Shipment) -> Result<ShippingAddressView> {
    let request =
        AddressRequest { address_id: shipment.address.to_string(), account_id: shipment.account.to_string() };
    match rpc::ask(state.accounts.clone().address(request).await) {
        Ok(reply) => Ok(reply.into()),
        Err(error) if error.kind() == merx_kernel::ErrorKind::NotFound => Err(Error::internal(format!(
            "{} goes to {}, which accounts does not know",
            shipment.id, shipment.address
        ))),
        Err(error) => Err(error),
    }
}

async fn dispatch(
    FromState(staff): FromState<Staff>,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
    Json(body): Json<Dispatch>,
) -> Answer<Response> {
    let (store, message, at) = staff.moment();
    let change = move |tx: &mut Tx<'_>| commands::dispatch(tx, &store, id, &body, message, at);
    staff.change("shipping.dispatch", key, message, change).await
}

async fn deliver(
    FromState(staff): FromState<Staff>,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
) -> Answer<Response> {
    let (store, message, at) = staff.moment();
    let change = move |tx: &mut Tx<'_>| commands::deliver(tx, &store, id, message, at);
    staff.change("shipping.deliver", key, message, change).await
}

impl Staff {
    fn moment(&self) -> (merx_platform::Store, MessageId, Timestamp) {
        (self.state.store.clone(), self.state.ids.next(), self.state.clock.now())
    }

    /// Changes a shipment under the request's key: key, effect, fact and answer in one transaction. The effect's
    /// identity is that of the fact.
    async fn change(
        self,
        label: &'static str,
        key: IdempotencyKey,
        message: MessageId,
        change: impl Fn(&mut Tx<'_>) -> Result<Shipment> + Send + 'static,
    ) -> Answer<Response> {
        let (keys, at) = (self.state.store.idempotency, self.state.clock.now());
        let write = move |tx: &mut Tx<'_>| match key.begin(keys, tx, message, at)? {
            Begun::Fresh => {
                let view = ShipmentView::from(change(tx)?);
                let saved = answer(StatusCode::OK, &view)?;
                key.complete(keys, tx, message, &saved)?;
                Ok(Ok(saved))
            }
            Begun::Repeated { effect, saved } => Ok(Err((effect, saved))),
        };
        match self.state.db.write(label, write).await? {
            Ok(saved) => Ok(respond(saved)),
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => self.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await,
        }
    }
}
