//! `fulfil-order`: a paid order's reservation becomes a sale, and each warehouse that has goods of it gets a shipment.
//! Money is held, so there is no way back: what refuses is tried again until an operator looks. Only a cancellation ends
//! it early, and then there is nothing to do any more.

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{OrderId, ReservationKind, SagaId, ShipmentId, ShipmentKind},
    inventory::v1 as inventory,
    shipping::v1 as shipping,
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};
use serde::{Deserialize, Serialize};

use super::{refused_for_good, until_done};
use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{
        Command, OpenedShipment, Order, OrderAxis, OrderPlaced, PackedLine, Rejection, order::everything,
    },
    store,
};

/// Shipping's refusal while the order is held, and when it is cancelled.
const HELD: &str = "shipping.order_held";
const CANCELLED: &str = "shipping.order_cancelled";
/// How long after it met a hold the saga looks again; a cancellation takes seconds.
const HELD_FOR: std::time::Duration = std::time::Duration::from_secs(5);

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the first shipment have its bits.
    pub order_id: OrderId,
}

/// What is packed where.
struct Packing {
    /// Empty for the main warehouse.
    warehouse_id: String,
    shipment: OpenedShipment,
}

/// The saga.
pub struct FulfilOrder(pub Tools);

impl Saga for FulfilOrder {
    const NAME: &'static str = "fulfil-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::new("sell-stock", |saga, run| Box::pin(saga.sell_stock(&run.data))),
        Step::new("open-shipment", |saga, run| Box::pin(saga.open_shipments(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        let (store, saga_id, order_id) = (self.0.store.clone(), run.id, run.data.order_id);
        let shipments = match end {
            End::Refused { code, .. } if code == Rejection::OrderEnded.code() => Vec::new(),
            End::Refused { step, code, .. } => {
                return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
            }
            End::Done => self.opened(order_id).await?,
        };
        let cause = self.0.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        self.0
            .db
            .write("ordering.open_fulfilment", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? || shipments.is_empty() {
                    return Ok(());
                }
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::OpenFulfilment(shipments.clone());
                store::change(&store, tx, loaded, &command, &cause).map(drop)
            })
            .await
    }
}

impl FulfilOrder {
    /// The saga of an order that is paid.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(order_id), &Data { order_id }, now)
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId) -> SagaId {
        derived_id(order_id, Self::NAME)
    }

    async fn order(&self, order_id: OrderId) -> Result<Order> {
        let store = self.0.store.clone();
        let loaded =
            self.0.db.read("ordering.order_terms", move |q| store::load(&store, q, order_id)).await?;
        Ok(loaded.state)
    }

    async fn sell(&self, order_id: OrderId) -> Result<inventory::SellReply> {
        let reservation_id = order_id.cast::<ReservationKind>().to_string();
        ask(self.0.asks.inventory().sell(inventory::SellRequest { reservation_id }).await)
    }

    async fn sell_stock(&self, data: &Data) -> Result<StepOutcome> {
        match self.sell(data.order_id).await {
            Ok(_) => Ok(StepOutcome::Done),
            Err(error) => self.unless_cancelled(data.order_id, error).await,
        }
    }

    /// Selling again says where the goods lie.
    async fn open_shipments(&self, data: &Data) -> Result<StepOutcome> {
        let order = self.order(data.order_id).await?;
        if is_cancelled(&order) {
            return Ok(ended());
        }
        let terms = order.terms.ok_or_else(|| never_placed(data.order_id))?;
        let reply = match self.sell(data.order_id).await {
            Ok(reply) => reply,
            Err(error) => return self.unless_cancelled(data.order_id, error).await,
        };
        for packing in packings(data.order_id, &terms, &reply)? {
            let wire = |line: &PackedLine| SkuQuantity::new(&line.sku, line.quantity);
            let request = shipping::OpenRequest {
                shipment_id: packing.shipment.shipment_id.to_string(),
                order_id: data.order_id.to_string(),
                account_id: terms.account_id.to_string(),
                address_id: terms.address_id.to_string(),
                method: terms.shipping_method.clone(),
                lines: packing.shipment.lines.iter().map(wire).collect(),
                warehouse_id: packing.warehouse_id,
            };
            if let Err(error) = ask(self.0.asks.shipping().open(request).await) {
                return self.unless_cancelled(data.order_id, error).await;
            }
        }
        Ok(StepOutcome::Done)
    }

    /// What was opened, for the order to know. Nothing changes it any more, so it is asked for and not kept.
    async fn opened(&self, order_id: OrderId) -> Result<Vec<OpenedShipment>> {
        let order = self.order(order_id).await?;
        let terms = order.terms.ok_or_else(|| never_placed(order_id))?;
        let reply = self.sell(order_id).await?;
        let packings = packings(order_id, &terms, &reply)?;
        Ok(packings.into_iter().map(|packing| packing.shipment).collect())
    }

    /// A refusal of a neighbour: waited out under a hold, the end when the order was cancelled, and otherwise tried again
    /// until somebody mends what it is about.
    async fn unless_cancelled(&self, order_id: OrderId, error: Error) -> Result<StepOutcome> {
        let held = error.is(HELD);
        if error.kind().is_retryable() && !held {
            return Err(error);
        }
        if is_cancelled(&self.order(order_id).await?) {
            return Ok(ended());
        }
        if held || error.is(CANCELLED) {
            let (at, reason) = (self.0.clock.now().plus(HELD_FOR), error.code().to_owned());
            return Ok(StepOutcome::RetryLater { at: Some(at), reason });
        }
        until_done::<()>(Err(error))
    }
}

fn is_cancelled(order: &Order) -> bool {
    order.axes.is_some_and(|axes| axes.order == OrderAxis::Cancelled)
}

fn ended() -> StepOutcome {
    let error = Error::from(Rejection::OrderEnded);
    StepOutcome::Refused { code: error.code().to_owned(), message: error.message().to_owned() }
}

fn never_placed(order_id: OrderId) -> Error {
    Error::internal(format!("order {order_id} was never placed"))
}

/// One shipment of each warehouse, in the order of the warehouses' ids, so that it is the same however often it is asked;
/// the first has the order's bits. Everything in one where inventory does not say.
fn packings(order_id: OrderId, terms: &OrderPlaced, reply: &inventory::SellReply) -> Result<Vec<Packing>> {
    let first: ShipmentId = order_id.cast::<ShipmentKind>();
    if reply.allocations.is_empty() {
        let shipment = OpenedShipment { shipment_id: first, lines: everything(terms) };
        return Ok(vec![Packing { warehouse_id: String::new(), shipment }]);
    }
    let mut allocations: Vec<&inventory::Allocation> = reply.allocations.iter().collect();
    allocations.sort_by(|a, b| a.warehouse_id.cmp(&b.warehouse_id));
    let packings = allocations.into_iter().enumerate().map(|(index, allocation)| {
        let warehouse_id = allocation.warehouse_id.clone();
        let shipment_id =
            if index == 0 { first } else { derived_id(order_id, &format!("shipment {warehouse_id}")) };
        let lines = allocation.lines.iter().map(|line| {
            let (sku, quantity) = line.checked()?;
            Ok(PackedLine { sku, quantity })
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        Ok(Packing { warehouse_id, shipment: OpenedShipment { shipment_id, lines } })
    });
    let packings = packings.collect::<Result<Vec<_>>>()?;
    let packed = |wanted: &PackedLine| -> i64 {
        let lines = packings.iter().flat_map(|packing| &packing.shipment.lines);
        lines.filter(|line| line.sku == wanted.sku).map(|line| line.quantity.get()).sum()
    };
    let ordered = everything(terms);
    let units: i64 = ordered.iter().map(|line| line.quantity.get()).sum();
    let all: i64 = packings.iter().flat_map(|p| &p.shipment.lines).map(|line| line.quantity.get()).sum();
    if all != units || ordered.iter().any(|line| packed(line) != line.quantity.get()) {
        return Err(Error::internal(format!("the allocations of order {order_id} are not what was ordered")));
    }
    Ok(packings)
}
