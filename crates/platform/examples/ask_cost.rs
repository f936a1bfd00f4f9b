//! What an ask costs in one process: `cargo run --release -p merx-platform --example ask_cost`.
//!
//! The design gives it 10 µs; above that its transport is to be replaced.

use std::time::Duration;

use merx_contracts::{
    common::v1::{TimelineReply, TimelineRequest},
    inventory::v1::{
        AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest,
        SellReply, SellRequest, TakeBackReply, TakeBackRequest,
        inventory_client::InventoryClient,
        inventory_server::{Inventory, InventoryServer},
    },
};
use merx_kernel::Result;
use merx_platform::{Peer, rpc};
use tonic::{Request, Response, Status, service::Routes};

struct Stock;

#[tonic::async_trait]
impl Inventory for Stock {
    async fn reserve(&self, _: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        Ok(Response::new(ReserveReply {}))
    }
    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        Ok(Response::new(ReleaseReply {}))
    }
    async fn sell(&self, _: Request<SellRequest>) -> Result<Response<SellReply>, Status> {
        Ok(Response::new(SellReply::default()))
    }
    async fn availability(
        &self,
        _: Request<AvailabilityRequest>,
    ) -> Result<Response<AvailabilityReply>, Status> {
        Ok(Response::new(AvailabilityReply::default()))
    }
    async fn take_back(&self, _: Request<TakeBackRequest>) -> Result<Response<TakeBackReply>, Status> {
        Ok(Response::new(TakeBackReply::default()))
    }
    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        Ok(Response::new(TimelineReply::default()))
    }
}

const CALLS: u32 = 100_000;

async fn cost(peer: Peer) -> Result<Duration> {
    let mut client = InventoryClient::new(peer);
    let request =
        ReserveRequest { reservation_id: "rsv_01jd0000000000000000000000".to_owned(), lines: Vec::new() };
    let started = tokio::time::Instant::now();
    for _ in 0..CALLS {
        rpc::ask(client.reserve(request.clone()).await)?;
    }
    Ok(started.elapsed() / CALLS)
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "an example that prints its result")]
async fn main() -> Result<()> {
    let service = || InventoryServer::new(Stock);
    for (name, peer) in [
        ("routes of one process", Peer::local(Routes::new(service()).prepare())),
        ("one service of one process", Peer::local(service())),
        ("loopback", Peer::loopback(Routes::new(service()))),
    ] {
        cost(peer.clone()).await?;
        println!("{name}: {:?} a call, mean of {CALLS}", cost(peer).await?);
    }
    Ok(())
}
