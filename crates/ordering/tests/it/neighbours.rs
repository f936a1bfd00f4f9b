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
    ids::AccountId,
    inventory::v1::{self as inventory, inventory_server::Inventory},
    payment::v1::{self as payment, payments_server::Payments, refund_reply::State},
    shipping::v1::{self as shipping, shipping_server::Shipping},
};
use merx_kernel::{Error, Result};
use merx_platform::rpc::{Peer, answer};
use tonic::{Request, Response, Status};

use crate::given::{BUYER, GUEST};

/// How a reservation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    Held(Vec<(String, i64)>),
    Sold(Vec<(String, i64)>),
    /// Sold, and come back.
    Returned(Vec<(String, i64)>),
    Released,
}

/// How a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Held,
    Lifted,
    Cancelled,
}

/// A shipment shipping was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub order: String,
    pub warehouse: String,
    pub lines: Vec<(String, i64)>,
    pub cancelled: bool,
}

pub type Lines = Vec<(String, i64)>;

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paying {
    Open,
    Closed,
    Captured,
}

/// What the doubles remember.
#[derive(Clone, Debug, Default, PartialEq)]
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
    pub shipments: BTreeMap<String, Opened>,
    /// Where a sale's goods lie; inventory does not say when empty.
    pub allocations: Vec<(String, Lines)>,
    /// Orders of which something has left.
    pub dispatched: BTreeSet<String>,
    /// By order and hold.
    pub holds: BTreeMap<(String, String), Hold>,
    /// The most of a SKU in one order, and of one buyer.
    pub limits: BTreeMap<String, (i64, i64)>,
    /// What the contexts answer to a timeline; who is absent has no part in the order.
    pub timelines: BTreeMap<&'static str, Vec<wire::TimelineEntry>>,
    /// Contexts that never answer a timeline.
    pub silent: BTreeSet<&'static str>,
    /// Errors that the next asks of a name answer.
    pub failures: BTreeMap<&'static str, VecDeque<fn() -> Error>>,
    pub retired_addresses: BTreeSet<String>,
    /// The buyers' data are erased.
    pub erased: bool,
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

    /// The same, of which the other contexts tell what happened to an order.
    async fn timeline(&self, context: &'static str) -> Result<Response<wire::TimelineReply>, Status> {
        if self.world().silent.contains(context) {
            std::future::pending::<()>().await;
        }
        let entries = self.world().timelines.get(context).cloned().unwrap_or_default();
        Ok(Response::new(wire::TimelineReply { entries }))
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

fn local(text: &str) -> Option<wire::LocalText> {
    Some(wire::LocalText { zh: format!("中文{text}"), en: text.to_owned() })
}
fn cny(minor: i64) -> Option<wire::Money> {
    Some(wire::Money { minor, currency: "CNY".to_owned() })
}

#[tonic::async_trait]
impl Accounts for Neighbours {
    async fn contact(
        &self,
        _: Request<accounts::ContactRequest>,
    ) -> Result<Response<accounts::ContactReply>, Status> {
        Err(Status::unimplemented("ordering does not ask for it"))
    }
    async fn code(&self, _: Request<accounts::CodeRequest>) -> Result<Response<accounts::CodeReply>, Status> {
        Err(Status::unimplemented("ordering does not ask for it"))
    }
    async fn address(
        &self,
        request: Request<accounts::AddressRequest>,
    ) -> Result<Response<accounts::AddressReply>, Status> {
        let request = request.into_inner();
        self.ask("accounts.address", |world| {
            if ![BUYER, GUEST].iter().any(|buyer| request.account_id == buyer.to_string()) {
                return Err(Error::not_found("accounts.address_not_found", "There is no such address."));
            }
            Ok(accounts::AddressReply {
                country: "CN".to_owned(),
                region: "浙江省".to_owned(),
                recipient: "CANARY-张三".to_owned(),
                phone: "CANARY-13800000000".to_owned(),
                retired: world.retired_addresses.contains(&request.address_id),
                erased: world.erased,
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
            let own = |buyer: &AccountId| {
                let cart = buyer.cast::<merx_contracts::ids::CartKind>().to_string();
                request.account_id == buyer.to_string() && request.cart_id == cart
            };
            if ![BUYER, GUEST].iter().any(own) {
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
                let limits = world.limits.get(&line.sku).copied().unwrap_or((0, 0));
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
                    limit_per_order: limits.0,
                    limit_per_buyer: limits.1,
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
    async fn take_back(
        &self,
        request: Request<inventory::TakeBackRequest>,
    ) -> Result<Response<inventory::TakeBackReply>, Status> {
        self.ask("inventory.take_back", |world| world.take_back(request.into_inner()))
    }
    async fn timeline(
        &self,
        _: Request<wire::TimelineRequest>,
    ) -> Result<Response<wire::TimelineReply>, Status> {
        Self::timeline(self, "inventory").await
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
    async fn timeline(
        &self,
        _: Request<wire::TimelineRequest>,
    ) -> Result<Response<wire::TimelineReply>, Status> {
        Self::timeline(self, "payment").await
    }
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
    async fn accept_deposit(
        &self,
        _: Request<payment::AcceptDepositRequest>,
    ) -> Result<Response<payment::AcceptDepositReply>, Status> {
        self.ask("payment.accept_deposit", |_| Ok(payment::AcceptDepositReply {}))
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
        self.ask("shipping.open", |world| world.open_shipment(request))
    }
    async fn hold(
        &self,
        request: Request<shipping::HoldRequest>,
    ) -> Result<Response<shipping::HoldReply>, Status> {
        self.ask("shipping.hold", |world| world.hold(request.into_inner()))
    }
    async fn lift_hold(
        &self,
        request: Request<shipping::LiftHoldRequest>,
    ) -> Result<Response<shipping::LiftHoldReply>, Status> {
        self.ask("shipping.lift_hold", |world| world.lift_hold(request.into_inner()))
    }
    async fn cancel(
        &self,
        request: Request<shipping::CancelRequest>,
    ) -> Result<Response<shipping::CancelReply>, Status> {
        self.ask("shipping.cancel", |world| world.cancel(request.into_inner()))
    }
    async fn timeline(
        &self,
        _: Request<wire::TimelineRequest>,
    ) -> Result<Response<wire::TimelineReply>, Status> {
        Self::timeline(self, "shipping").await
    }
}
