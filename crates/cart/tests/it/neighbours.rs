//! Doubles of the contexts that cart asks: unless told otherwise every SKU but NONE is sold for 19.90 without limit, and
//! there are ten of each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use merx_contracts::{
    catalogue::v1::{
        QuoteReply, QuoteRequest, QuotedLine,
        catalogue_server::{Catalogue, CatalogueServer},
    },
    common::v1::{LocalText, Money, SkuQuantity, TimelineReply, TimelineRequest},
    inventory::v1::{
        AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest,
        SellReply, SellRequest, TakeBackReply, TakeBackRequest,
        inventory_server::{Inventory, InventoryServer},
    },
};
use merx_platform::{Deps, rpc::Peer};
use tonic::{Request, Response, Status};

/// What is true of a SKU.
#[derive(Clone, Copy, Debug)]
pub struct Sold {
    pub price: i64,
    pub stock: i64,
    pub sellable: bool,
    pub per_order: i64,
    pub per_buyer: i64,
}

impl Default for Sold {
    fn default() -> Self {
        Self { price: 1990, stock: 10, sellable: true, per_order: 0, per_buyer: 0 }
    }
}

/// The other contexts, to be changed by a test.
#[derive(Clone, Default)]
pub struct Neighbours(Arc<Mutex<BTreeMap<String, Sold>>>);

impl Neighbours {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Sold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn of(&self, sku: &str) -> Sold {
        let usual = Sold { sellable: sku != "NONE", ..Sold::default() };
        self.known().get(sku).copied().unwrap_or(usual)
    }
    pub fn set(&self, sku: &str, sold: Sold) {
        self.known().insert(sku.to_owned(), sold);
    }
    pub fn wire(&self, deps: &mut Deps) {
        deps.peers.insert("catalogue", Peer::local(CatalogueServer::new(self.clone())));
        deps.peers.insert("inventory", Peer::local(InventoryServer::new(self.clone())));
    }
}

#[tonic::async_trait]
impl Catalogue for Neighbours {
    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteReply>, Status> {
        let line = |asked: SkuQuantity| {
            let sold = self.of(&asked.sku);
            QuotedLine {
                sellable: sold.sellable,
                reason: if sold.sellable { String::new() } else { "catalogue.sku_delisted".to_owned() },
                title: Some(LocalText { zh: "某物".to_owned(), en: "Thing".to_owned() }),
                unit_price: Some(Money { minor: sold.price, currency: "CNY".to_owned() }),
                limit_per_order: sold.per_order,
                limit_per_buyer: sold.per_buyer,
                sku: asked.sku,
                quantity: asked.quantity,
                ..QuotedLine::default()
            }
        };
        let lines = request.into_inner().lines.into_iter().map(line).collect();
        Ok(Response::new(QuoteReply { lines }))
    }
}

#[tonic::async_trait]
impl Inventory for Neighbours {
    async fn availability(
        &self,
        request: Request<AvailabilityRequest>,
    ) -> Result<Response<AvailabilityReply>, Status> {
        let stock = |sku: String| SkuQuantity { quantity: self.of(&sku).stock, sku };
        let available = request.into_inner().skus.into_iter().map(stock).collect();
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
    async fn take_back(&self, _: Request<TakeBackRequest>) -> Result<Response<TakeBackReply>, Status> {
        Err(Status::unimplemented("cart takes nothing back"))
    }
    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        Err(Status::unimplemented("cart asks for no timeline"))
    }
}
