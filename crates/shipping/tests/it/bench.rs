//! What a test stands in: a database in one of the three modes, and accounts as far as shipping asks it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::{
    Envelope, Fact,
    accounts::v1::{
        AddressReply, AddressRequest, CodeReply, CodeRequest, ContactReply, ContactRequest,
        accounts_server::{Accounts, AccountsServer},
    },
    events::staff::{STAFF_ACTED, StaffActed},
    shipping::v1::shipping_client::ShippingClient,
};
use merx_http::Limits;
use merx_kernel::{Error, Result};
use merx_platform::{Delivery, Deps, Module, Peer, Store, rpc, time::SeededEntropy};
use merx_shipping::{State, domain::Tariff, migrations};
use merx_sql::{Db, DbOptions, Query as _, Tx, params};
pub use merx_testkit::START;
use merx_testkit::modes::{self, HandClock, Place};
use tonic::{Request, Response, Status};

use crate::api::Api;

/// How many migrations there are before the newest shape of the tables.
const OLD: usize = 1;

/// As [`on_every_mode`], over the tables as they were before shipments could be several; [`Bench::migrate`] makes the rest.
pub fn on_old_tables<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    on_tables(name, OLD, case)
}

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    on_tables(name, usize::MAX, case)
}

fn on_tables<F, R>(name: &str, tables: usize, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    modes::on_every_mode(name, "shipping", move |place| {
        let case = case.clone();
        async move {
            let bench = Arc::new(Bench::new(place, tables).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        }
    })
}

/// The address book, as far as shipping sees it: one address, which may be erased.
#[derive(Clone, Default)]
pub struct AddressBook(Arc<Mutex<AddressReply>>);

impl AddressBook {
    pub fn set(&self, address: AddressReply) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

#[tonic::async_trait]
impl Accounts for AddressBook {
    async fn address(&self, request: Request<AddressRequest>) -> Result<Response<AddressReply>, Status> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if request.into_inner().address_id == known.address_id {
            return Ok(Response::new(known));
        }
        rpc::answer(Err(Error::not_found("accounts.address_not_found", "There is no such address.")))
    }
    async fn contact(&self, _: Request<ContactRequest>) -> Result<Response<ContactReply>, Status> {
        Err(Status::unimplemented("shipping never asks how to reach a person"))
    }
    async fn code(&self, _: Request<CodeRequest>) -> Result<Response<CodeReply>, Status> {
        Err(Status::unimplemented("shipping mails no code"))
    }
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub store: Store,
    pub addresses: AddressBook,
    place: Place,
}

impl Bench {
    /// The database's name in reports.
    pub fn engine(&self) -> &'static str {
        self.place.engine()
    }

    /// In memory, for tests that make many.
    pub async fn in_memory() -> Self {
        Self::new(Place::in_memory(), usize::MAX).await
    }

    async fn new(place: Place, tables: usize) -> Self {
        let clock = HandClock::at_start();
        let store = Store::new("shipping");
        let db = Db::open(place.url(), DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
        let first = migrations().into_iter().take(tables).collect();
        Module::new(store.clone(), first).migrate(&db).await.unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let addresses = AddressBook::default();
        let accounts = Peer::loopback(AccountsServer::new(addresses.clone()));
        let state = State::new(&deps, Tariff::default(), &accounts);
        Self { deps, clock, state, store, addresses, place }
    }

    /// Brings the tables up to date.
    pub async fn migrate(&self) {
        Module::new(self.store.clone(), migrations()).migrate(&self.deps.db).await.unwrap();
    }

    /// The routes behind an edge.
    pub fn api(&self) -> Api {
        Api::new(&self.deps, merx_shipping::module(&self.state, &Limits::default()).routes)
    }

    /// Hands a fact of another context to the subscriptions that want it, twice: what a redelivery does.
    pub async fn hand_over(&self, fact: &impl Fact) {
        let envelope = Envelope::new(self.deps.ids.next(), self.deps.now(), None, fact).unwrap();
        let module = merx_shipping::module(&self.state, &Limits::default()).module;
        for subscription in module.subscriptions.iter().filter(|s| s.types.contains(&envelope.kind.as_str()))
        {
            for tries in 0..2 {
                let (store, at) = (self.store.clone(), self.deps.now());
                let delivery = Delivery::new(envelope.clone(), subscription.name, store, tries, at);
                subscription.handler.handle(delivery).await.unwrap();
            }
        }
    }

    /// What staff did, as the facts tell: action, actor, reason, detail.
    pub async fn told(&self) -> Vec<StaffActed> {
        let facts = self.facts().await;
        facts.iter().filter(|f| f.kind.ends_with(STAFF_ACTED)).map(|f| StaffActed::of(f).unwrap()).collect()
    }

    /// The facts of shipping itself, in order.
    pub async fn own_facts(&self) -> Vec<Envelope> {
        let mut facts = self.facts().await;
        facts.retain(|fact| !fact.kind.ends_with(STAFF_ACTED));
        facts
    }

    /// The answers kept for requests that come again.
    pub async fn kept_answers(&self) -> Vec<String> {
        let sql = "SELECT body FROM shipping_idempotency WHERE body IS NOT NULL";
        self.deps.db.read("test", move |q| q.query(sql, params![], |row| row.get(0))).await.unwrap()
    }

    /// The asks, each carried as bytes and carried out twice: what a retry after a lost answer does.
    pub fn client(&self) -> ShippingClient<Peer> {
        ShippingClient::new(Peer::loopback_twice(merx_shipping::service(&self.state)))
    }

    /// Every fact in the outbox, in order.
    pub async fn facts(&self) -> Vec<Envelope> {
        let outbox = self.store.outbox;
        let rows = loop {
            // On MySQL the sequencer numbers a fact shortly after its commit.
            if self.deps.db.read("test", move |q| outbox.unnumbered(q)).await.unwrap() == 0 {
                break self.deps.db.read("test", move |q| outbox.read_after(q, 0, 1_000)).await.unwrap();
            }
            tokio::task::yield_now().await;
        };
        rows.iter().map(|row| Envelope::from_json(&row.envelope).unwrap()).collect()
    }
}

/// How long a transaction is held open, at most: until the other has ended, or waits for it.
const HELD_OPEN: Duration = Duration::from_millis(250);

/// Runs `first` and, while its transaction is still open on another connection, `second`.
pub async fn while_open<T>(
    bench: &Bench,
    first: impl Fn(&mut Tx<'_>) -> Result<()> + Send + 'static,
    second: impl Future<Output = T>,
) -> (Result<()>, T) {
    let (inside, entered) = mpsc::channel();
    let (ended, end) = mpsc::channel::<()>();
    let (inside, end) = (Mutex::new(inside), Mutex::new(end));
    let db = bench.deps.db.clone();
    let one = bench.deps.tasks.spawn("first", async move {
        let held_open = move |tx: &mut Tx<'_>| {
            first(tx)?;
            inside.lock().unwrap().send(()).ok();
            end.lock().unwrap().recv_timeout(HELD_OPEN).ok();
            Ok(())
        };
        db.write("first", held_open).await
    });
    tokio::task::spawn_blocking(move || entered.recv()).await.unwrap().ok();
    let other = second.await;
    ended.send(()).ok();
    (one.await.unwrap(), other)
}
