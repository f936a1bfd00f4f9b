//! `replace-case`: the same goods go out again. They are taken from stock under the case's own reservation; where there are
//! none the money goes back instead. Once ordering knows of the shipments there is no way back. The case ends when all
//! have left.

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{AfterSaleId, OrderId, ReservationKind, ReturnKind, SagaId, ShipmentId},
    inventory::v1 as inventory,
    ordering::v1 as ordering,
    shipping::v1 as shipping,
};
use merx_kernel::{Quantity, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};

use super::{Data, ORDER_ENDED, alarm, case_of, end, record, restock, until_done};
use crate::{State, domain::Command};

const TAKE: &str = "take-stock";

/// The saga.
pub struct ReplaceCase(pub State);

impl Saga for ReplaceCase {
    const NAME: &'static str = "replace-case";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new(TAKE, |saga, run| Box::pin(saga.take_stock(&run.data)))
            .undo(|saga, run| Box::pin(saga.give_back(run))),
        Step::<Self>::new("grant-replacement", |saga, run| Box::pin(saga.grant(&run.data))).pivot(),
        Step::new("restock", |saga, run| Box::pin(saga.restock(run))),
        Step::new("open-shipments", |saga, run| Box::pin(saga.open(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, ended: &End) -> Result<()> {
        let command = match ended {
            End::Done => None,
            End::Refused { step, .. } if step == TAKE => Some(Command::RefundInstead),
            End::Refused { step, code, .. } => {
                if code != ORDER_ENDED {
                    alarm(&self.0, &run.data, Self::NAME, step, code);
                }
                Some(Command::Abandon)
            }
        };
        let next = end(&self.0, "aftersale.replace_case_ended", (run.id, &run.data), command).await?;
        if let Some(saga) = next {
            self.0.run(&saga);
        }
        Ok(())
    }
}

impl ReplaceCase {
    /// The saga of a case whose goods are replaced.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, case_id: AfterSaleId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(case_id), &Data { order_id, case_id }, now)
    }

    /// The saga's identity.
    pub fn id(case_id: AfterSaleId) -> SagaId {
        derived_id(case_id, Self::NAME)
    }

    fn reservation(data: &Data) -> String {
        data.case_id.cast::<ReservationKind>().to_string()
    }

    async fn take_stock(&self, data: &Data) -> Result<StepOutcome> {
        let case = case_of(&self.0, data).await?;
        let line = |(sku, units): (&merx_contracts::ids::Sku, &i64)| {
            Quantity::new(*units).map(|quantity| SkuQuantity::new(sku, quantity))
        };
        let lines = case.units.iter().map(line).collect::<Result<Vec<_>>>()?;
        let reservation_id = Self::reservation(data);
        let reserve = inventory::ReserveRequest { reservation_id: reservation_id.clone(), lines };
        ask(self.0.inventory().reserve(reserve).await)?;
        ask(self.0.inventory().sell(inventory::SellRequest { reservation_id }).await)?;
        Ok(StepOutcome::Done)
    }

    async fn give_back(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        let request = inventory::TakeBackRequest {
            return_id: run.effect_id::<ReturnKind>("not replaced").to_string(),
            reservation_id: Self::reservation(&run.data),
            lines: Vec::new(),
            reason: "not_replaced".to_owned(),
            written_off: false,
        };
        ask(self.0.inventory().take_back(request).await)?;
        Ok(StepOutcome::Done)
    }

    /// What is packed where: one shipment of each warehouse that has goods of it.
    async fn packings(&self, data: &Data) -> Result<Vec<(ShipmentId, inventory::Allocation)>> {
        let sell = inventory::SellRequest { reservation_id: Self::reservation(data) };
        let sold = ask(self.0.inventory().sell(sell).await)?;
        let packing = |allocation: inventory::Allocation| {
            let purpose = format!("shipment {}", allocation.warehouse_id);
            (derived_id(data.case_id, &purpose), allocation)
        };
        Ok(sold.allocations.into_iter().map(packing).collect())
    }

    async fn grant(&self, data: &Data) -> Result<StepOutcome> {
        let request = ordering::GrantReplacementRequest {
            order_id: data.order_id.to_string(),
            case_id: data.case_id.to_string(),
        };
        ask(self.0.ordering().grant_replacement(request).await)?;
        let shipments = self.packings(data).await?.into_iter().map(|(shipment_id, _)| shipment_id).collect();
        record(&self.0, "aftersale.replacement_opened", data, Command::OpenReplacement { shipments }).await?;
        Ok(StepOutcome::Done)
    }

    async fn restock(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        restock(&self.0, run).await
    }

    async fn open(&self, data: &Data) -> Result<StepOutcome> {
        let asked = ordering::AfterSaleTermsRequest {
            order_id: data.order_id.to_string(),
            account_id: String::new(),
        };
        let terms = match ask(self.0.ordering().after_sale_terms(asked).await) {
            Ok(terms) => terms,
            Err(error) => return until_done::<()>(Err(error)),
        };
        for (shipment_id, allocation) in self.packings(data).await? {
            let request = shipping::OpenRequest {
                shipment_id: shipment_id.to_string(),
                order_id: data.order_id.to_string(),
                account_id: terms.account_id.clone(),
                address_id: terms.address_id.clone(),
                method: terms.shipping_method.clone(),
                lines: allocation.lines,
                warehouse_id: allocation.warehouse_id,
                case_id: data.case_id.to_string(),
            };
            match until_done(ask(self.0.shipping().open(request).await))? {
                StepOutcome::Done => {}
                later => return Ok(later),
            }
        }
        Ok(StepOutcome::Done)
    }
}
