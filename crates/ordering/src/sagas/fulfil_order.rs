//! `fulfil-order`: a paid order's reservation becomes a sale, and the warehouse gets a shipment. Money is held, so
//! there is no way back: what refuses is tried again until an operator looks.

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{OrderId, ReservationKind, SagaId, ShipmentKind},
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
use crate::{context::Tools, domain::Command, store};

/// What the steps need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// The order; the reservation and the first shipment have its bits.
    pub order_id: OrderId,
}

/// The saga.
pub struct FulfilOrder(pub Tools);

impl Saga for FulfilOrder {
    const NAME: &'static str = "fulfil-order";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::new("sell-stock", |saga, run| Box::pin(saga.sell_stock(&run.data))),
        Step::new("open-shipment", |saga, run| Box::pin(saga.open_shipment(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, end: &End) -> Result<()> {
        if let End::Refused { step, code, .. } = end {
            return refused_for_good(&self.0, run.id, Self::NAME, step, code).await;
        }
        let (store, saga_id, order_id) = (self.0.store.clone(), run.id, run.data.order_id);
        let cause = self.0.cause(order_id);
        self.0
            .db
            .write("ordering.open_fulfilment", move |tx| {
                if !store.sagas.end(tx, saga_id, cause.facts.now)? {
                    return Ok(());
                }
                let loaded = store::load(&store, tx, order_id)?;
                let command = Command::OpenFulfilment(order_id.cast());
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

    async fn sell_stock(&self, data: &Data) -> Result<StepOutcome> {
        let reservation_id = data.order_id.cast::<ReservationKind>().to_string();
        until_done(ask(self.0.asks.inventory().sell(inventory::SellRequest { reservation_id }).await))
    }

    async fn open_shipment(&self, data: &Data) -> Result<StepOutcome> {
        let (store, order_id) = (self.0.store.clone(), data.order_id);
        let order =
            self.0.db.read("ordering.order_terms", move |q| store::load(&store, q, order_id)).await?.state;
        let terms =
            order.terms.ok_or_else(|| Error::internal(format!("order {order_id} was never placed")))?;
        let request = shipping::OpenRequest {
            shipment_id: order_id.cast::<ShipmentKind>().to_string(),
            order_id: order_id.to_string(),
            account_id: terms.account_id.to_string(),
            address_id: terms.address_id.to_string(),
            method: terms.shipping_method.clone(),
            lines: terms.lines.iter().map(|line| SkuQuantity::new(&line.sku, line.quantity)).collect(),
            warehouse_id: String::new(),
        };
        until_done(ask(self.0.asks.shipping().open(request).await))
    }
}
