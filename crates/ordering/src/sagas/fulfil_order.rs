//! `fulfil-order`: a paid order's reservation becomes a sale, and each warehouse that has goods of it gets a shipment.
//! Money is held, so there is no way back: what refuses is tried again until an operator looks. Only a cancellation ends
//! it early, and then there is nothing to do any more.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{OrderId, ReservationId, ReservationKind, SagaId, ShipmentId, ShipmentKind},
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
    /// The order; the first shipment has its bits.
    pub order_id: OrderId,
    /// What its stock is held under, of a revived order; otherwise the reservation has the order's bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
}

/// What is packed where.
struct Packing {
    /// Empty for the main warehouse.
    warehouse_id: String,
    shipment: OpenedShipment,
}

/// What the steps learnt of an order on its way. It saves asking again; after a crash it is asked again.
#[derive(Clone, Default)]
struct Learnt {
    sold: Option<inventory::SellReply>,
    opened: Option<Vec<OpenedShipment>>,
}

/// Of how many orders that is kept; when there are more, all of it is forgotten.
const LEARNT_MAX: usize = 1_024;

/// The saga.
pub struct FulfilOrder {
    tools: Tools,
    learnt: Mutex<BTreeMap<OrderId, Learnt>>,
}

impl Saga for FulfilOrder {
    const NAME: &'static str = "fulfil-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::new("sell-stock", |saga, run| Box::pin(saga.sell_stock(&run.data))),
        Step::new("open-shipment", |saga, run| Box::pin(saga.open_shipments(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        let (store, saga_id, order_id) = (self.tools.store.clone(), run.id, run.data.order_id);
        let shipments = match end {
            End::Refused { code, .. } if code == Rejection::OrderEnded.code() => Vec::new(),
            End::Refused { step, code, .. } => {
                return refused_for_good(&self.tools, run.id, Self::NAME, step, code).await;
            }
            End::Done => match self.learnt(order_id).opened {
                Some(opened) => opened,
                None => self.opened(&run.data).await?,
            },
        };
        let cause = self.tools.cause(order_id, CausedBy::saga(Self::NAME, run.id));
        self.tools
            .db
            .write("ordering.open_fulfilment", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? || shipments.is_empty() {
                    return Ok(());
                }
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::OpenFulfilment(shipments.clone());
                store::change(&store, tx, loaded, &command, &cause).map(drop)
            })
            .await?;
        self.all_learnt().remove(&order_id);
        Ok(())
    }
}

impl FulfilOrder {
    /// The saga on these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools, learnt: Mutex::default() }
    }

    fn all_learnt(&self) -> MutexGuard<'_, BTreeMap<OrderId, Learnt>> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learnt(&self, order_id: OrderId) -> Learnt {
        self.all_learnt().get(&order_id).cloned().unwrap_or_default()
    }

    fn learn(&self, order_id: OrderId, learn: impl FnOnce(&mut Learnt)) {
        let mut all = self.all_learnt();
        if all.len() >= LEARNT_MAX && !all.contains_key(&order_id) {
            all.clear();
        }
        learn(all.entry(order_id).or_default());
    }

    /// The saga of an order that is paid.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(order_id), &Data { order_id, reservation_id: None }, now)
    }

    /// The saga of an order that is paid late, with its stock set aside anew.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn revived(order_id: OrderId, reservation_id: ReservationId, now: Timestamp) -> Result<NewSaga> {
        let data = Data { order_id, reservation_id: Some(reservation_id) };
        NewSaga::of::<Self>(Self::id(order_id), &data, now)
    }

    /// The saga's identity.
    pub fn id(order_id: OrderId) -> SagaId {
        derived_id(order_id, Self::NAME)
    }

    async fn order(&self, order_id: OrderId) -> Result<Order> {
        let store = self.tools.store.clone();
        let loaded =
            self.tools.db.read("ordering.order_terms", move |q| store::load(&store, q, order_id)).await?;
        Ok(loaded.state)
    }

    /// Where the goods lie: nothing changes it once they are sold.
    async fn sell(&self, data: &Data) -> Result<inventory::SellReply> {
        let order_id = data.order_id;
        if let Some(sold) = self.learnt(order_id).sold {
            return Ok(sold);
        }
        let first = || order_id.cast::<ReservationKind>();
        let reservation_id = data.reservation_id.unwrap_or_else(first).to_string();
        let sold = ask(self.tools.asks.inventory().sell(inventory::SellRequest { reservation_id }).await)?;
        self.learn(order_id, |learnt| learnt.sold = Some(sold.clone()));
        Ok(sold)
    }

    async fn sell_stock(&self, data: &Data) -> Result<StepOutcome> {
        match self.sell(data).await {
            Ok(_) => Ok(StepOutcome::Done),
            Err(error) => self.unless_cancelled(data.order_id, error).await,
        }
    }

    async fn open_shipments(&self, data: &Data) -> Result<StepOutcome> {
        let order = self.order(data.order_id).await?;
        if is_cancelled(&order) {
            return Ok(ended());
        }
        let terms = order.terms.ok_or_else(|| never_placed(data.order_id))?;
        let reply = match self.sell(data).await {
            Ok(reply) => reply,
            Err(error) => return self.unless_cancelled(data.order_id, error).await,
        };
        let packings = packings(data.order_id, &terms, &reply)?;
        let opened: Vec<OpenedShipment> = packings.iter().map(|packing| packing.shipment.clone()).collect();
        for packing in packings {
            let wire = |line: &PackedLine| SkuQuantity::new(&line.sku, line.quantity);
            let request = shipping::OpenRequest {
                shipment_id: packing.shipment.shipment_id.to_string(),
                order_id: data.order_id.to_string(),
                account_id: terms.account_id.to_string(),
                address_id: terms.address_id.to_string(),
                method: terms.shipping_method.clone(),
                lines: packing.shipment.lines.iter().map(wire).collect(),
                warehouse_id: packing.warehouse_id,
                case_id: String::new(),
            };
            if let Err(error) = ask(self.tools.asks.shipping().open(request).await) {
                return self.unless_cancelled(data.order_id, error).await;
            }
        }
        self.learn(data.order_id, |learnt| learnt.opened = Some(opened));
        Ok(StepOutcome::Done)
    }

    /// What was opened, for the order to know. Nothing changes it any more, so it is asked for and not kept.
    async fn opened(&self, data: &Data) -> Result<Vec<OpenedShipment>> {
        let order_id = data.order_id;
        let order = self.order(order_id).await?;
        let terms = order.terms.ok_or_else(|| never_placed(order_id))?;
        let reply = self.sell(data).await?;
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
            let (at, reason) = (self.tools.clock.now().plus(HELD_FOR), error.code().to_owned());
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
