//! What staff read and do.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::{accounts::v1::AddressRequest, ids::ShipmentId};
use merx_http::{Answer, Begun, Caller, IdempotencyKey, Idempotent, Json, Path, Query, answer, respond};
use merx_kernel::{Error, ErrorKind, Id, IdKind, Page, PageRequest, Principal, Result};
use merx_platform::rpc;
use merx_sql::Tx;
use serde::Serialize;

use super::views::{
    Correction, ShipmentDetailView, ShipmentFilter, ShipmentView, ShippingAddressView, SplitShipment,
    SplitView, TrackingEventView,
};
use crate::{
    State,
    commands::{self, Act},
    domain::{Dispatch, Shipment, TrackingReport},
    queries,
    rpc::LINES_MAX,
    store::shipments::Filter,
};

/// What the routes that change something work with.
#[derive(Clone)]
pub struct Staff {
    pub state: State,
    pub idempotent: Idempotent,
}

pub async fn list_shipments(
    FromState(state): FromState<State>,
    Query(asked): Query<ShipmentFilter>,
) -> Answer<Json<Page<ShipmentView>>> {
    let page = PageRequest { limit: asked.limit, cursor: asked.cursor };
    let filter = Filter {
        status: asked.status,
        order: asked.order_id,
        warehouse: asked.warehouse_id,
        carrier: asked.carrier.map(|c| c.into_string()),
        tracking_number: asked.tracking_number.map(|number| number.into_string()),
        opened_from: asked.opened_from,
        opened_to: asked.opened_to,
    };
    let (shipments, next_cursor) = queries::list(&state, filter, &page).await?;
    Ok(Json(Page { items: shipments.into_iter().map(ShipmentView::from).collect(), next_cursor }))
}

pub async fn get_shipment(
    FromState(state): FromState<State>,
    Path(id): Path<ShipmentId>,
) -> Answer<Json<ShipmentDetailView>> {
    let (record, held) = queries::shipment(&state, id).await?;
    let address = address(&state, &record.shipment).await?;
    let (lines, tracking) = (record.lines, record.tracking);
    Ok(Json(ShipmentDetailView { shipment: record.shipment.into(), lines, held, tracking, address }))
}

async fn address(state: &State, shipment: &Shipment) -> Result<ShippingAddressView> {
    let request =
        AddressRequest { address_id: shipment.address.to_string(), account_id: shipment.account.to_string() };
    match rpc::ask(state.accounts.clone().address(request).await) {
        Ok(reply) => Ok(reply.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::internal(format!(
            "{} goes to {}, which accounts does not know",
            shipment.id, shipment.address
        ))),
        Err(error) => Err(error),
    }
}

pub async fn dispatch(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
    Json(body): Json<Dispatch>,
) -> Answer<Response> {
    let (act, store) = (staff.act(&caller), staff.state.store.clone());
    let change =
        move |tx: &mut Tx<'_>| commands::dispatch(tx, &store, id, &body, &act).map(ShipmentView::from);
    staff.change("shipping.dispatch", key, act.fact, StatusCode::OK, act, change).await
}

pub async fn split(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
    Json(body): Json<SplitShipment>,
) -> Answer<Response> {
    if !(1..=LINES_MAX).contains(&body.lines.len()) {
        return Err(Error::invalid("/lines", format!("must have 1 to {LINES_MAX} lines")).into());
    }
    let (act, store) = (staff.act(&caller), staff.state.store.clone());
    let into: ShipmentId = staff.state.ids.next();
    let change = move |tx: &mut Tx<'_>| {
        let [stays, goes] = commands::split(tx, &store, id, &body.lines, into, &act)?;
        Ok(SplitView { shipment: goes.into(), remaining: stays.into() })
    };
    staff.change("shipping.split", key, into, StatusCode::CREATED, act, change).await
}

pub async fn track(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
    Json(body): Json<TrackingReport>,
) -> Answer<Response> {
    let (act, store) = (staff.act(&caller), staff.state.store.clone());
    let change = move |tx: &mut Tx<'_>| {
        let (shipment, event) = commands::track(tx, &store, id, &body, &act)?;
        Ok(TrackingEventView {
            shipment_id: shipment.id,
            status: shipment.status,
            code: event.code,
            at: event.at,
            recorded_at: event.recorded_at,
        })
    };
    staff.change("shipping.track", key, act.fact, StatusCode::OK, act, change).await
}

pub async fn deliver(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
) -> Answer<Response> {
    let (act, store) = (staff.act(&caller), staff.state.store.clone());
    let change =
        move |tx: &mut Tx<'_>| commands::track::deliver(tx, &store, id, &act).map(ShipmentView::from);
    staff.change("shipping.deliver", key, act.fact, StatusCode::OK, act, change).await
}

pub async fn correct(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ShipmentId>,
    Json(body): Json<Correction>,
) -> Answer<Response> {
    let (act, store) = (staff.act(&caller), staff.state.store.clone());
    let after = Dispatch { carrier: body.carrier, tracking_number: body.tracking_number };
    let reason = body.reason.into_string();
    let change = move |tx: &mut Tx<'_>| {
        let shipment = commands::correct(tx, &store, id, &after, &reason, &act)?;
        Ok(ShipmentView::from(shipment))
    };
    staff.change("shipping.correct", key, act.fact, StatusCode::OK, act, change).await
}

impl Staff {
    fn act(&self, caller: &Principal) -> Act {
        Act::now(caller.account, &*self.state.clock, &self.state.ids)
    }

    /// Changes something under the request's key: key, effect, facts and answer in one transaction. `effect` is the
    /// identity of what is made.
    async fn change<K: IdKind, T: Serialize>(
        self,
        label: &'static str,
        key: IdempotencyKey,
        effect: Id<K>,
        status: StatusCode,
        act: Act,
        change: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Answer<Response> {
        let keys = self.state.store.idempotency;
        let write = move |tx: &mut Tx<'_>| match key.begin(keys, tx, effect, act.at)? {
            Begun::Fresh => {
                let saved = answer(status, &change(tx)?)?;
                key.complete(keys, tx, effect, &saved)?;
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
