//! The asks inventory answers.

use merx_contracts::{
    common::v1::{SkuQuantity, TimelineReply, TimelineRequest},
    ids::{OrderId, ReservationId, ReturnId, Sku},
    inventory::v1::{
        Allocation, AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply,
        ReserveRequest, SellReply, SellRequest, TakeBackReply, TakeBackRequest, inventory_server,
    },
};
use merx_kernel::{BoundedText, Error, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{
    State, commands,
    domain::{Lines, PlacedLine},
    queries,
};

/// Serves the asks.
pub struct InventoryRpc(pub State);

#[tonic::async_trait]
impl inventory_server::Inventory for InventoryRpc {
    async fn timeline(&self, request: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        rpc::answer(timeline(&self.0, request.into_inner()).await)
    }
    async fn take_back(&self, request: Request<TakeBackRequest>) -> Result<Response<TakeBackReply>, Status> {
        rpc::answer(take_back(&self.0, request.into_inner()).await)
    }
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        rpc::answer(reserve(&self.0, request.into_inner()).await)
    }
    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        rpc::answer(release(&self.0, request.into_inner()).await)
    }
    async fn sell(&self, request: Request<SellRequest>) -> Result<Response<SellReply>, Status> {
        rpc::answer(sell(&self.0, request.into_inner()).await)
    }
    async fn availability(
        &self,
        request: Request<AvailabilityRequest>,
    ) -> Result<Response<AvailabilityReply>, Status> {
        rpc::answer(availability(&self.0, request.into_inner()).await)
    }
}

fn id_of(text: &str) -> Result<ReservationId> {
    text.parse().map_err(|e: String| Error::invalid("/reservation_id", e))
}

fn lines_of(lines: &[SkuQuantity]) -> Result<Lines> {
    if lines.len() > Lines::COUNT_MAX {
        return Err(Error::invalid("/lines", format!("must have 1 to {} lines", Lines::COUNT_MAX)));
    }
    Lines::new(lines.iter().map(SkuQuantity::checked).collect::<Result<Vec<_>>>()?)
}

async fn reserve(state: &State, request: ReserveRequest) -> Result<ReserveReply> {
    let id = id_of(&request.reservation_id)?;
    commands::reserve(state, id, lines_of(&request.lines)?).await?;
    Ok(ReserveReply {})
}

async fn release(state: &State, request: ReleaseRequest) -> Result<ReleaseReply> {
    commands::release(state, id_of(&request.reservation_id)?).await?;
    Ok(ReleaseReply {})
}

async fn sell(state: &State, request: SellRequest) -> Result<SellReply> {
    let sold = commands::sell(state, id_of(&request.reservation_id)?).await?;
    Ok(SellReply { allocations: allocations(state, &sold).await? })
}

/// By warehouse, the one that serves first first; by SKU in each.
async fn allocations(state: &State, sold: &[PlacedLine]) -> Result<Vec<Allocation>> {
    let warehouses = state.warehouses().await?;
    let mut order: Vec<_> = sold.iter().map(|line| line.warehouse).collect();
    let rank = |id| warehouses.iter().position(|w| w.id == id).unwrap_or(usize::MAX);
    order.sort_by_key(|id| (rank(*id), *id));
    order.dedup();
    let quantity = |line: &PlacedLine| SkuQuantity { sku: line.sku.to_string(), quantity: line.quantity };
    let one = |id| Allocation {
        warehouse_id: format!("{id}"),
        lines: sold.iter().filter(|line| line.warehouse == id).map(quantity).collect(),
    };
    Ok(order.into_iter().map(one).collect())
}

async fn take_back(state: &State, request: TakeBackRequest) -> Result<TakeBackReply> {
    let reservation = id_of(&request.reservation_id)?;
    let return_id: ReturnId =
        request.return_id.parse().map_err(|e: String| Error::invalid("/return_id", e))?;
    let reason: BoundedText<1, 500> =
        BoundedText::new(&request.reason).map_err(|e| Error::invalid("/reason", e))?;
    let lines = if request.lines.is_empty() { None } else { Some(lines_of(&request.lines)?) };
    if lines.is_none() && request.written_off {
        return Err(Error::invalid("/lines", "must be named to be written off"));
    }
    let goods = (lines, request.written_off);
    commands::take_back(state, return_id, reservation, goods, reason.into_string()).await?;
    Ok(TakeBackReply {})
}

async fn timeline(state: &State, request: TimelineRequest) -> Result<TimelineReply> {
    let order: OrderId = request.order_id.parse().map_err(|e: String| Error::invalid("/order_id", e))?;
    Ok(TimelineReply { entries: queries::timeline(state, order).await? })
}

async fn availability(state: &State, request: AvailabilityRequest) -> Result<AvailabilityReply> {
    if request.skus.len() > queries::SKUS_MAX {
        return Err(Error::invalid("/skus", format!("at most {} SKUs", queries::SKUS_MAX)));
    }
    let parse = |code: &String| Sku::new(code).map_err(|e| Error::invalid("/skus", e));
    let skus = request.skus.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let found = queries::availability(state, skus).await?;
    let available =
        found.into_iter().map(|(sku, quantity)| SkuQuantity { sku: sku.to_string(), quantity }).collect();
    Ok(AvailabilityReply { available })
}
