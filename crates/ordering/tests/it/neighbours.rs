//! Doubles of the contexts ordering asks. They keep what the contract promises: effects under identities, a
//! release before its reserve leaves a tombstone, a closed payment stays closed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use merx_contracts::{
    accounts::v1::{self as accounts, accounts_server::Accounts},
    cart::v1::{self as cart, carts_server::Carts},
    catalogue::v1::{self as catalogue, catalogue_server::Catalogue},
    common::v1 as wire,
    inventory::v1::{self as inventory, inventory_server::Inventory},
    payment::v1::{self as payment, close_reply::Outcome, payments_server::Payments, refund_reply::State},
    shipping::v1::{self as shipping, shipping_server::Shipping},
};
use merx_kernel::{Error, Result};
use merx_platform::rpc::{Peer, answer};
use tonic::{Request, Response, Status};

use crate::given::BUYER;

/// How a reservation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    Held(Vec<(String, i64)>),
    Sold(Vec<(String, i64)>),
    Released,
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paying {
    Open,
    Closed,
    Captured,
}

/// What the doubles remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Every ask in order, `inventory.reserve`.
    pub calls: Vec<String>,
    /// The buyer's cart.
    pub cart: Vec<(String, i64)>,
    /// Minor units by SKU; not sellable when absent.
    pub prices: BTreeMap<String, i64>,
    pub stock: BTreeMap<String, i64>,
    pub reservations: BTreeMap<String, Reservation>,
    pub payments: BTreeMap<String, Paying>,
    /// What the next closes answer before the truth: the provider is not ready.
    pub close_pending_until: VecDeque<i64>,
    pub refunds: BTreeMap<String, (String, i64)>,
    /// The provider refuses refunds for good.
    pub refunds_fail: bool,
    pub shipments: BTreeMap<String, String>,
    /// Errors that the next asks of a name answer.
    pub failures: BTreeMap<&'static str, VecDeque<fn() -> Error>>,
    pub retired_addresses: BTreeSet<String>,
    /// Freight by method.
    pub freight: Vec<(String, i64)>,
}

#[derive(Clone)]
pub struct Neighbours(Arc<Mutex<World>>);

impl Neighbours {
    /// Two SKUs with ten of each, both in the buyer's cart.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            cart: vec![("TEA".to_owned(), 2), ("CUP".to_owned(), 1)],
            prices: [("TEA".to_owned(), 5_800), ("CUP".to_owned(), 1_990)].into(),
            stock: [("TEA".to_owned(), 10), ("CUP".to_owned(), 10)].into(),
            freight: vec![("standard".to_owned(), 800), ("express".to_owned(), 2_200)],
            ..World::default()
        })))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The next ask of `name` answers this error instead.
    pub fn fail(&self, name: &'static str, error: fn() -> Error) {
        self.world().failures.entry(name).or_default().push_back(error);
    }

    pub fn peers(&self) -> BTreeMap<&'static str, Peer> {
        use merx_contracts::{
            accounts::v1::accounts_server::AccountsServer, cart::v1::carts_server::CartsServer,
            catalogue::v1::catalogue_server::CatalogueServer,
            inventory::v1::inventory_server::InventoryServer, payment::v1::payments_server::PaymentsServer,
            shipping::v1::shipping_server::ShippingServer,
        };
        // Behind a loopback: every message passes as bytes, as between processes.
        [
            ("accounts", Peer::loopback(AccountsServer::new(self.clone()))),
            ("cart", Peer::loopback(CartsServer::new(self.clone()))),
            ("catalogue", Peer::loopback(CatalogueServer::new(self.clone()))),
            ("inventory", Peer::loopback(InventoryServer::new(self.clone()))),
            ("payment", Peer::loopback(PaymentsServer::new(self.clone()))),
            ("shipping", Peer::loopback(ShippingServer::new(self.clone()))),
        ]
        .into()
    }

    fn ask<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut World) -> Result<T>,
    ) -> Result<Response<T>, Status> {
        let mut world = self.world();
        world.calls.push(name.to_owned());
        let failure = world.failures.get_mut(name).and_then(VecDeque::pop_front);
        answer(match failure {
            Some(error) => Err(error()),
            None => work(&mut world),
        })
    }
}

impl World {
    /// What is available, held and sold of a SKU must always be what was there at first.
    pub fn units(&self, sku: &str) -> i64 {
        let of = |lines: &[(String, i64)]| lines.iter().filter(|l| l.0 == sku).map(|l| l.1).sum::<i64>();
        let taken: i64 = self
            .reservations
            .values()
            .map(|r| match r {
                Reservation::Held(lines) | Reservation::Sold(lines) => of(lines),
                Reservation::Released => 0,
            })
            .sum();
        self.stock.get(sku).copied().unwrap_or(0) + taken
    }

    fn reserve(&mut self, request: inventory::ReserveRequest) -> Result<inventory::ReserveReply> {
        match self.reservations.get(&request.reservation_id) {
            Some(Reservation::Released) => {
                return Err(Error::rejected("inventory.reservation_released", "It was released before."));
            }
            Some(_) => return Ok(inventory::ReserveReply {}),
            None => {}
        }
        let lines: Vec<(String, i64)> = request.lines.into_iter().map(|l| (l.sku, l.quantity)).collect();
        if lines.iter().any(|(sku, wanted)| self.stock.get(sku).copied().unwrap_or(0) < *wanted) {
            return Err(Error::rejected("inventory.sold_out", "Not enough of it is left."));
        }
        for (sku, wanted) in &lines {
            *self.stock.get_mut(sku).unwrap() -= wanted;
        }
        self.reservations.insert(request.reservation_id, Reservation::Held(lines));
        Ok(inventory::ReserveReply {})
    }

    fn release(&mut self, id: String) -> Result<inventory::ReleaseReply> {
        match self.reservations.insert(id.clone(), Reservation::Released) {
            Some(Reservation::Held(lines)) => {
                for (sku, count) in lines {
                    *self.stock.get_mut(&sku).unwrap() += count;
                }
            }
            Some(sold @ Reservation::Sold(_)) => {
                self.reservations.insert(id, sold);
                return Err(Error::rejected("inventory.reservation_sold", "It was sold."));
            }
            _ => {}
        }
        Ok(inventory::ReleaseReply {})
    }

    fn sell(&mut self, id: String) -> Result<inventory::SellReply> {
        match self.reservations.get(&id).cloned() {
            Some(Reservation::Held(lines)) => {
                self.reservations.insert(id, Reservation::Sold(lines));
                Ok(inventory::SellReply {})
            }
            Some(Reservation::Sold(_)) => Ok(inventory::SellReply {}),
            Some(Reservation::Released) => {
                Err(Error::rejected("inventory.reservation_released", "It was released."))
            }
            None => Err(Error::rejected("inventory.reservation_unknown", "There is none.")),
        }
    }

    fn close(&mut self, id: String) -> Result<payment::CloseReply> {
        if self.payments.get(&id) == Some(&Paying::Captured) {
            return Ok(payment::CloseReply { outcome: Outcome::Captured.into(), retry_at: 0 });
        }
        if let Some(retry_at) = self.close_pending_until.pop_front() {
            return Ok(payment::CloseReply { outcome: Outcome::Pending.into(), retry_at });
        }
        self.payments.insert(id, Paying::Closed);
        Ok(payment::CloseReply { outcome: Outcome::Closed.into(), retry_at: 0 })
    }
}

fn local(text: &str) -> Option<wire::LocalText> {
    Some(wire::LocalText { zh: format!("中文{text}"), en: text.to_owned() })
}
fn cny(minor: i64) -> Option<wire::Money> {
    Some(wire::Money { minor, currency: "CNY".to_owned() })
}

#[tonic::async_trait]
impl Accounts for Neighbours {
    async fn address(
        &self,
        request: Request<accounts::AddressRequest>,
    ) -> Result<Response<accounts::AddressReply>, Status> {
        let request = request.into_inner();
        self.ask("accounts.address", |world| {
            if request.account_id != BUYER.to_string() {
                return Err(Error::not_found("accounts.address_not_found", "There is no such address."));
            }
            Ok(accounts::AddressReply {
                country: "CN".to_owned(),
                region: "浙江省".to_owned(),
                recipient: "CANARY-张三".to_owned(),
                phone: "CANARY-13800000000".to_owned(),
                retired: world.retired_addresses.contains(&request.address_id),
                ..accounts::AddressReply::default()
            })
        })
    }
}

#[tonic::async_trait]
impl Carts for Neighbours {
    async fn contents(
        &self,
        request: Request<cart::ContentsRequest>,
    ) -> Result<Response<cart::ContentsReply>, Status> {
        let request = request.into_inner();
        self.ask("cart.contents", |world| {
            let own = BUYER.cast::<merx_contracts::ids::CartKind>().to_string();
            if request.account_id != BUYER.to_string() || request.cart_id != own {
                return Err(Error::not_found("cart.not_found", "There is no such cart."));
            }
            let line =
                |(sku, quantity): &(String, i64)| wire::SkuQuantity { sku: sku.clone(), quantity: *quantity };
            // An order takes the lines out; the buyer of these tests puts the same in again at once.
            let filling = world.reservations.len().to_string();
            Ok(cart::ContentsReply { lines: world.cart.iter().map(line).collect(), filling })
        })
    }
}

#[tonic::async_trait]
impl Catalogue for Neighbours {
    async fn quote(
        &self,
        request: Request<catalogue::QuoteRequest>,
    ) -> Result<Response<catalogue::QuoteReply>, Status> {
        let request = request.into_inner();
        self.ask("catalogue.quote", |world| {
            let quoted = |line: wire::SkuQuantity| {
                let price = world.prices.get(&line.sku).copied();
                catalogue::QuotedLine {
                    product_id: merx_contracts::ids::ProductId::from_bits(7).to_string(),
                    title: local(&line.sku),
                    options: local("100 g"),
                    unit_price: cny(price.unwrap_or(0)),
                    weight_grams: 150,
                    sellable: price.is_some(),
                    reason: if price.is_some() { String::new() } else { "catalogue.sku_delisted".to_owned() },
                    sku: line.sku,
                    quantity: line.quantity,
                }
            };
            Ok(catalogue::QuoteReply { lines: request.lines.into_iter().map(quoted).collect() })
        })
    }
}

#[tonic::async_trait]
impl Inventory for Neighbours {
    async fn reserve(
        &self,
        request: Request<inventory::ReserveRequest>,
    ) -> Result<Response<inventory::ReserveReply>, Status> {
        self.ask("inventory.reserve", |world| world.reserve(request.into_inner()))
    }
    async fn release(
        &self,
        request: Request<inventory::ReleaseRequest>,
    ) -> Result<Response<inventory::ReleaseReply>, Status> {
        self.ask("inventory.release", |world| world.release(request.into_inner().reservation_id))
    }
    async fn sell(
        &self,
        request: Request<inventory::SellRequest>,
    ) -> Result<Response<inventory::SellReply>, Status> {
        self.ask("inventory.sell", |world| world.sell(request.into_inner().reservation_id))
    }
    async fn availability(
        &self,
        _: Request<inventory::AvailabilityRequest>,
    ) -> Result<Response<inventory::AvailabilityReply>, Status> {
        Err(Status::unimplemented("ordering does not ask for it"))
    }
}

#[tonic::async_trait]
impl Payments for Neighbours {
    async fn open(
        &self,
        request: Request<payment::OpenRequest>,
    ) -> Result<Response<payment::OpenReply>, Status> {
        let request = request.into_inner();
        self.ask("payment.open", |world| {
            if world.payments.get(&request.payment_id) == Some(&Paying::Closed) {
                return Err(Error::rejected("payment.closed", "It was closed before."));
            }
            world.payments.entry(request.payment_id).or_insert(Paying::Open);
            Ok(payment::OpenReply {})
        })
    }
    async fn close(
        &self,
        request: Request<payment::CloseRequest>,
    ) -> Result<Response<payment::CloseReply>, Status> {
        self.ask("payment.close", |world| world.close(request.into_inner().payment_id))
    }
    async fn refund(
        &self,
        request: Request<payment::RefundRequest>,
    ) -> Result<Response<payment::RefundReply>, Status> {
        let request = request.into_inner();
        self.ask("payment.refund", |world| {
            let amount = request.amount.map_or(0, |money| money.minor);
            world.refunds.insert(request.refund_id, (request.attempt_id, amount));
            let state = if world.refunds_fail { State::Failed } else { State::Requested };
            Ok(payment::RefundReply { state: state.into() })
        })
    }
}

#[tonic::async_trait]
impl Shipping for Neighbours {
    async fn quote(
        &self,
        _: Request<shipping::QuoteRequest>,
    ) -> Result<Response<shipping::QuoteReply>, Status> {
        self.ask("shipping.quote", |world| {
            let option = |(method, fee): &(String, i64)| shipping::Option {
                method: method.clone(),
                label: local(method),
                fee: cny(*fee),
                explanation: local("up to 1 kg"),
            };
            Ok(shipping::QuoteReply { options: world.freight.iter().map(option).collect() })
        })
    }
    async fn open(
        &self,
        request: Request<shipping::OpenRequest>,
    ) -> Result<Response<shipping::OpenReply>, Status> {
        let request = request.into_inner();
        self.ask("shipping.open", |world| {
            world.shipments.insert(request.shipment_id, request.address_id);
            Ok(shipping::OpenReply {})
        })
    }
}
