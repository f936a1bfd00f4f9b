//! Doubles of the contexts after-sale asks. They keep what the contract promises: effects under identities, in any order.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use merx_contracts::{
    common::v1::{Money, SkuQuantity, TimelineReply, TimelineRequest},
    ids::{AccountId, AddressId, RefundId, ReservationId},
    inventory::v1::{self as inventory, inventory_server},
    ordering::v1::{self as ordering, ordering_server},
    payment::v1::{self as payment, payments_server, refund_reply::State},
    shipping::v1::{self as shipping, shipping_server},
};
use merx_kernel::{Error, Id, Result};
use merx_platform::{
    Deps,
    rpc::{Peer, answer},
};
use tonic::{Request, Response, Status};

use crate::rules::{CUP, TEA};

pub const BUYER: AccountId = Id::from_bits(9);
/// What the order may give back: three of tea, a cup, sending.
/// What the order's goods were sold under: late money revived it, so it has not the order's bits.
pub const SOLD_UNDER: ReservationId = Id::from_bits(77);
pub const PAID: i64 = 10_000 + 3_900 + 1_200;

/// What the doubles remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The order was cancelled.
    pub ended: bool,
    /// The provider refuses refunds for good.
    pub refunds_fail: bool,
    /// Payment answers that each refund went through already.
    pub refunds_are_through: bool,
    /// Units in stock by SKU.
    pub stock: BTreeMap<String, i64>,
    /// What each case was granted.
    pub granted: BTreeMap<String, i64>,
    /// The cases whose goods are replaced.
    pub replacements: BTreeSet<String>,
    /// Minor units that go back, by refund.
    pub refunds: BTreeMap<String, i64>,
    /// Units by reservation, and whether they are sold.
    pub reservations: BTreeMap<String, (BTreeMap<String, i64>, bool)>,
    /// Reservations that were let go before they were made, or since.
    pub released: BTreeSet<String>,
    /// Units that came back, by return.
    pub returns: BTreeMap<String, BTreeMap<String, i64>>,
    /// Units by shipment.
    pub shipments: BTreeMap<String, BTreeMap<String, i64>>,
}

#[derive(Clone)]
pub struct Neighbours(Arc<Mutex<World>>);

impl Neighbours {
    pub fn new() -> Self {
        let stock = [(TEA.to_owned(), 5), (CUP.to_owned(), 5)].into();
        Self(Arc::new(Mutex::new(World { stock, ..World::default() })))
    }
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
    /// Behind a loopback: every message passes as bytes, as between processes.
    pub fn wire(&self, deps: &mut Deps) {
        deps.peers.extend([
            ("ordering", Peer::loopback(ordering_server::OrderingServer::new(self.clone()))),
            ("payment", Peer::loopback(payments_server::PaymentsServer::new(self.clone()))),
            ("inventory", Peer::loopback(inventory_server::InventoryServer::new(self.clone()))),
            ("shipping", Peer::loopback(shipping_server::ShippingServer::new(self.clone()))),
        ]);
    }
}

fn yuan(minor: i64) -> Option<Money> {
    Some(Money { minor, currency: "CNY".to_owned() })
}
fn units(lines: Vec<SkuQuantity>) -> BTreeMap<String, i64> {
    lines.into_iter().map(|line| (line.sku, line.quantity)).collect()
}
/// One refund of a case, as ordering derives it: of the case alone.
pub fn refund_of(case: &str) -> RefundId {
    let bits = case.bytes().fold(7u128, |bits, byte| bits.wrapping_mul(31).wrapping_add(u128::from(byte)));
    Id::from_bits(bits)
}

impl World {
    fn open(&self) -> Result<()> {
        if self.ended { Err(Error::rejected("ordering.order_ended", "It ended.")) } else { Ok(()) }
    }
    fn terms(&self) -> Result<ordering::AfterSaleTermsReply> {
        self.open()?;
        let line = |sku: &str, bought, minor| ordering::BoughtLine {
            sku: sku.to_owned(),
            title: None,
            options: None,
            bought,
            paid: yuan(minor),
            shipped: bought,
            arrived: bought,
        };
        Ok(ordering::AfterSaleTermsReply {
            number: "261120-7K3M-9QXA".to_owned(),
            account_id: BUYER.to_string(),
            address_id: AddressId::from_bits(5).to_string(),
            shipping_method: "standard".to_owned(),
            lines: vec![line(TEA, 3, 10_000), line(CUP, 1, 3_900)],
            freight: yuan(1_200),
            delivered_at: merx_testkit::START.as_millis(),
            received_at: 0,
        })
    }
    fn grant(&mut self, request: ordering::GrantRefundRequest) -> Result<ordering::GrantRefundReply> {
        let (case, minor) = (request.case_id, request.amount.unwrap_or_default().minor);
        if !self.granted.contains_key(&case) {
            self.open()?;
            if self.granted.values().sum::<i64>() + minor > PAID {
                return Err(Error::rejected("ordering.refund_above_paid", "Less is held."));
            }
            self.granted.insert(case.clone(), minor);
        }
        let refund = ordering::GrantedRefund {
            refund_id: refund_of(&case).to_string(),
            attempt_id: Id::<merx_contracts::ids::AttemptKind>::from_bits(3).to_string(),
            amount: yuan(minor),
        };
        Ok(ordering::GrantRefundReply { refunds: vec![refund] })
    }
    fn replace(&mut self, request: ordering::GrantReplacementRequest) -> Result<()> {
        if !self.replacements.contains(&request.case_id) {
            self.open()?;
            self.replacements.insert(request.case_id);
        }
        Ok(())
    }
    fn reserve(&mut self, request: inventory::ReserveRequest) -> Result<()> {
        let (id, lines) = (request.reservation_id, units(request.lines));
        if self.released.contains(&id) {
            return Err(Error::rejected("inventory.reservation_released", "It was let go."));
        }
        if self.reservations.contains_key(&id) {
            return Ok(());
        }
        if lines.iter().any(|(sku, wanted)| self.stock.get(sku).copied().unwrap_or(0) < *wanted) {
            return Err(Error::rejected("inventory.sold_out", "Not enough of it is left."));
        }
        for (sku, wanted) in &lines {
            *self.stock.entry(sku.clone()).or_default() -= wanted;
        }
        self.reservations.insert(id, (lines, false));
        Ok(())
    }
    fn sell(&mut self, id: &str) -> Result<inventory::SellReply> {
        let unknown = || Error::rejected("inventory.reservation_unknown", "There is none.");
        let (lines, sold) = self.reservations.get_mut(id).ok_or_else(unknown)?;
        *sold = true;
        let lines = lines.iter().map(|(sku, quantity)| SkuQuantity { sku: sku.clone(), quantity: *quantity });
        let warehouse_id = Id::<merx_contracts::ids::WarehouseKind>::from_bits(1).to_string();
        Ok(inventory::SellReply {
            allocations: vec![inventory::Allocation { warehouse_id, lines: lines.collect() }],
        })
    }
    /// Everything of a reservation is let go; some of an order's sale comes back.
    fn take_back(&mut self, request: inventory::TakeBackRequest) {
        let back = if request.lines.is_empty() {
            self.released.insert(request.reservation_id.clone());
            self.reservations.remove(&request.reservation_id).map(|(lines, _)| lines).unwrap_or_default()
        } else if let Entry::Vacant(place) = self.returns.entry(request.return_id) {
            assert_eq!(request.reservation_id, SOLD_UNDER.to_string());
            let units = place.insert(units(request.lines)).clone();
            if request.written_off { BTreeMap::new() } else { units }
        } else {
            BTreeMap::new()
        };
        for (sku, count) in back {
            *self.stock.entry(sku).or_default() += count;
        }
    }
    fn refund(&mut self, request: payment::RefundRequest) -> payment::RefundReply {
        self.refunds.insert(request.refund_id, request.amount.unwrap_or_default().minor);
        let state = match (self.refunds_fail, self.refunds_are_through) {
            (true, _) => State::Failed,
            (_, true) => State::Succeeded,
            _ => State::Requested,
        };
        payment::RefundReply { state: state.into() }
    }
}

fn unasked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("after-sale does not ask this"))
}

#[tonic::async_trait]
impl ordering_server::Ordering for Neighbours {
    async fn after_sale_terms(
        &self,
        request: Request<ordering::AfterSaleTermsRequest>,
    ) -> Result<Response<ordering::AfterSaleTermsReply>, Status> {
        let account = request.into_inner().account_id;
        if !account.is_empty() && account != BUYER.to_string() {
            return answer(Err(Error::not_found("ordering.order_not_found", "There is none.")));
        }
        answer(self.world().terms())
    }
    async fn grant_refund(
        &self,
        request: Request<ordering::GrantRefundRequest>,
    ) -> Result<Response<ordering::GrantRefundReply>, Status> {
        answer(self.world().grant(request.into_inner()))
    }
    async fn grant_replacement(
        &self,
        request: Request<ordering::GrantReplacementRequest>,
    ) -> Result<Response<ordering::GrantReplacementReply>, Status> {
        let done = self.world().replace(request.into_inner());
        answer(done.map(|()| ordering::GrantReplacementReply {}))
    }
    async fn reservation(
        &self,
        _: Request<ordering::ReservationRequest>,
    ) -> Result<Response<ordering::ReservationReply>, Status> {
        answer(Ok(ordering::ReservationReply { reservation_id: SOLD_UNDER.to_string() }))
    }
}

#[tonic::async_trait]
impl inventory_server::Inventory for Neighbours {
    async fn reserve(
        &self,
        request: Request<inventory::ReserveRequest>,
    ) -> Result<Response<inventory::ReserveReply>, Status> {
        let done = self.world().reserve(request.into_inner());
        answer(done.map(|()| inventory::ReserveReply {}))
    }
    async fn sell(
        &self,
        request: Request<inventory::SellRequest>,
    ) -> Result<Response<inventory::SellReply>, Status> {
        answer(self.world().sell(&request.into_inner().reservation_id))
    }
    async fn take_back(
        &self,
        request: Request<inventory::TakeBackRequest>,
    ) -> Result<Response<inventory::TakeBackReply>, Status> {
        self.world().take_back(request.into_inner());
        answer(Ok(inventory::TakeBackReply {}))
    }
    async fn release(
        &self,
        _: Request<inventory::ReleaseRequest>,
    ) -> Result<Response<inventory::ReleaseReply>, Status> {
        unasked()
    }
    async fn availability(
        &self,
        _: Request<inventory::AvailabilityRequest>,
    ) -> Result<Response<inventory::AvailabilityReply>, Status> {
        unasked()
    }
    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        unasked()
    }
}

#[tonic::async_trait]
impl shipping_server::Shipping for Neighbours {
    async fn open(
        &self,
        request: Request<shipping::OpenRequest>,
    ) -> Result<Response<shipping::OpenReply>, Status> {
        let request = request.into_inner();
        self.world().shipments.insert(request.shipment_id, units(request.lines));
        answer(Ok(shipping::OpenReply {}))
    }
    async fn quote(
        &self,
        _: Request<shipping::QuoteRequest>,
    ) -> Result<Response<shipping::QuoteReply>, Status> {
        unasked()
    }
    async fn hold(&self, _: Request<shipping::HoldRequest>) -> Result<Response<shipping::HoldReply>, Status> {
        unasked()
    }
    async fn lift_hold(
        &self,
        _: Request<shipping::LiftHoldRequest>,
    ) -> Result<Response<shipping::LiftHoldReply>, Status> {
        unasked()
    }
    async fn cancel(
        &self,
        _: Request<shipping::CancelRequest>,
    ) -> Result<Response<shipping::CancelReply>, Status> {
        unasked()
    }
    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        unasked()
    }
}

#[tonic::async_trait]
impl payments_server::Payments for Neighbours {
    async fn refund(
        &self,
        request: Request<payment::RefundRequest>,
    ) -> Result<Response<payment::RefundReply>, Status> {
        let reply = self.world().refund(request.into_inner());
        answer(Ok(reply))
    }
    async fn open(&self, _: Request<payment::OpenRequest>) -> Result<Response<payment::OpenReply>, Status> {
        unasked()
    }
    async fn close(
        &self,
        _: Request<payment::CloseRequest>,
    ) -> Result<Response<payment::CloseReply>, Status> {
        unasked()
    }
    async fn accept_deposit(
        &self,
        _: Request<payment::AcceptDepositRequest>,
    ) -> Result<Response<payment::AcceptDepositReply>, Status> {
        unasked()
    }
    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        unasked()
    }
}
