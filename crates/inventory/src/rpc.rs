//! The asks inventory answers.

use merx_contracts::{
    common::v1::SkuQuantity,
    ids::{ReservationId, Sku},
    inventory::v1::{
        AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest,
        SellReply, SellRequest, inventory_server,
    },
};
use merx_kernel::{Error, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{State, commands, domain::Lines, queries};

/// Serves the asks.
pub struct InventoryRpc(pub State);

#[tonic::async_trait]
impl inventory_server::Inventory for InventoryRpc {
    async fn timeline(
        &self,
        _: Request<merx_contracts::common::v1::TimelineRequest>,
    ) -> Result<Response<merx_contracts::common::v1::TimelineReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn take_back(
        &self,
        _: Request<merx_contracts::inventory::v1::TakeBackRequest>,
    ) -> Result<Response<merx_contracts::inventory::v1::TakeBackReply>, Status> {
        Err(Status::unimplemented("not yet"))
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

async fn reserve(state: &State, request: ReserveRequest) -> Result<ReserveReply> {
    let id = id_of(&request.reservation_id)?;
    if request.lines.len() > Lines::COUNT_MAX {
        return Err(Error::invalid("/lines", format!("must have 1 to {} lines", Lines::COUNT_MAX)));
    }
    let lines = request.lines.iter().map(SkuQuantity::checked).collect::<Result<Vec<_>>>()?;
    commands::reserve(state, id, Lines::new(lines)?).await?;
    Ok(ReserveReply {})
}

async fn release(state: &State, request: ReleaseRequest) -> Result<ReleaseReply> {
    commands::release(state, id_of(&request.reservation_id)?).await?;
    Ok(ReleaseReply {})
}

async fn sell(state: &State, request: SellRequest) -> Result<SellReply> {
    commands::sell(state, id_of(&request.reservation_id)?).await?;
    Ok(SellReply { allocations: Vec::new() })
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
