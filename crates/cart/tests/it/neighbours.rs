//! Doubles of the contexts that cart asks: every SKU but NONE is sold for 19.90, and there are ten of each.

use merx_contracts::{
    catalogue::v1::{
        QuoteReply, QuoteRequest, QuotedLine,
        catalogue_server::{Catalogue, CatalogueServer},
    },
    common::v1::{LocalText, Money, SkuQuantity},
    inventory::v1::{
        AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest,
        SellReply, SellRequest,
        inventory_server::{Inventory, InventoryServer},
    },
};
use merx_platform::{Deps, rpc::Peer};
use tonic::{Request, Response, Status};

struct Double;

#[tonic::async_trait]
impl Catalogue for Double {
    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteReply>, Status> {
        let line = |asked: SkuQuantity| QuotedLine {
            sellable: asked.sku != "NONE",
            title: Some(LocalText { zh: "某物".to_owned(), en: "Thing".to_owned() }),
            unit_price: Some(Money { minor: 1990, currency: "CNY".to_owned() }),
            sku: asked.sku,
            quantity: asked.quantity,
            ..QuotedLine::default()
        };
        let lines = request.into_inner().lines.into_iter().map(line).collect();
        Ok(Response::new(QuoteReply { lines }))
    }
}

#[tonic::async_trait]
impl Inventory for Double {
    async fn availability(
        &self,
        request: Request<AvailabilityRequest>,
    ) -> Result<Response<AvailabilityReply>, Status> {
        let ten = |sku| SkuQuantity { sku, quantity: 10 };
        let available = request.into_inner().skus.into_iter().map(ten).collect();
        Ok(Response::new(AvailabilityReply { available }))
    }
    async fn reserve(&self, _: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        Err(Status::unimplemented("cart never reserves"))
    }
    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        Err(Status::unimplemented("cart never releases"))
    }
    async fn sell(&self, _: Request<SellRequest>) -> Result<Response<SellReply>, Status> {
        Err(Status::unimplemented("cart never sells"))
    }
}

pub fn wire(deps: &mut Deps) {
    deps.peers.insert("catalogue", Peer::local(CatalogueServer::new(Double)));
    deps.peers.insert("inventory", Peer::local(InventoryServer::new(Double)));
}
