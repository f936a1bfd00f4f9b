//! What a test stands in: a database in one of the three modes, and accounts as far as shipping asks it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::{
    Envelope,
    accounts::v1::{
        AddressReply, AddressRequest,
        accounts_server::{Accounts, AccountsServer},
    },
    shipping::v1::shipping_client::ShippingClient,
};
use merx_http::Limits;
use merx_kernel::{Clock, Error, Timestamp, clock::BoxFuture};
use merx_platform::{Deps, Module, Peer, Store, rpc, time::SeededEntropy};
use merx_shipping::{State, domain::Tariff, migrations};
use merx_sql::{Db, DbOptions};
use mysql::prelude::Queryable as _;
use tonic::{Request, Response, Status};

use crate::api::Api;

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);

/// A clock that shows what it is told; sleeping is the runtime's.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Inline,
    File,
    Mysql,
}

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let mut trials =
        vec![trial(name, Mode::Inline, None, case.clone()), trial(name, Mode::File, None, case.clone())];
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    trials.push(match std::env::var("MERX_TEST_MYSQL_URL").ok() {
        Some(url) => trial(name, Mode::Mysql, Some(url), case),
        None if required => Trial::test(format!("{name} [Mysql]"), || {
            Err("MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1".into())
        }),
        None => Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true),
    });
    trials
}

fn trial<F, R>(name: &str, mode: Mode, server: Option<String>, case: F) -> Trial
where
    F: Fn(Arc<Bench>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Trial::test(format!("{name} [{mode:?}]"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let bench = Arc::new(Bench::new(mode, server).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        });
        Ok(())
    })
}

/// A database on the test's server, gone with it.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("merx_shipping_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let own = Self { server, name };
        own.run(&format!("DROP DATABASE IF EXISTS {}", own.name));
        own.run(&format!("CREATE DATABASE {}", own.name));
        own
    }
    fn run(&self, sql: &str) {
        let mut connection =
            mysql::Conn::new(self.server.as_str()).expect("the server of MERX_TEST_MYSQL_URL");
        connection.query_drop(sql).expect("a statement on the server");
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.name));
    }
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
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub store: Store,
    pub addresses: AddressBook,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

impl Bench {
    async fn new(mode: Mode, server: Option<String>) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let store = Store::new("shipping");
        let (mut folder, mut database) = (None, None);
        let url = match (mode, server) {
            (Mode::Mysql, Some(server)) => {
                let own = OwnDatabase::create(server.trim_end_matches('/').to_owned());
                let url = format!("{}/{}", own.server, own.name);
                database = Some(own);
                url
            }
            (Mode::File, _) => {
                let made = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", made.path().join("merx.db").display());
                folder = Some(made);
                url
            }
            _ => "sqlite::memory:".to_owned(),
        };
        let db = Db::open(&url, DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
        Module::new(store.clone(), migrations()).migrate(&db).await.unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let addresses = AddressBook::default();
        let accounts = Peer::loopback(AccountsServer::new(addresses.clone()));
        let state = State::new(&deps, Tariff::default(), &accounts);
        Self { deps, clock, state, store, addresses, _folder: folder, _database: database }
    }

    /// The routes behind an edge.
    pub fn api(&self) -> Api {
        Api::new(&self.deps, merx_shipping::module(&self.state, &Limits::default()).routes)
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
                break self.deps.db.read("test", move |q| outbox.read_after(q, 0, 100)).await.unwrap();
            }
            tokio::task::yield_now().await;
        };
        rows.iter().map(|row| Envelope::from_json(&row.envelope).unwrap()).collect()
    }
}
