//! What a test stands in: a database in one of the three modes, accounts as far as notification asks it, and the ways
//! out as doubles that tests tell what to do.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::HeaderMap;
use libtest_mimic::Trial;
use merx_contracts::{
    Envelope,
    accounts::v1::{
        AddressReply, AddressRequest, CodeReply, CodeRequest, ContactReply, ContactRequest,
        accounts_server::{Accounts, AccountsServer},
    },
    notification::v1::notification_client::NotificationClient,
};
use merx_http::outbound::{Outbound, OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_kernel::{Clock, Error, Timestamp, clock::BoxFuture};
use merx_notification::{
    NotificationConfig, State, Ways,
    domain::Outcome,
    migrations, reactions, sending,
    transport::{Folder, Letter, MailTransport, MemoryMailbox},
};
use merx_platform::{Delivery, Deps, Module, Peer, Store, rpc, time::SeededEntropy};
use merx_sql::{Db, DbOptions, Query as _, params};
use mysql::prelude::Queryable as _;
use tonic::{Request, Response, Status};

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that shows what it is told; sleeping is the runtime's.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
    /// What it shows.
    pub fn present(&self) -> Timestamp {
        self.now()
    }
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
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
pub enum Mode {
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
        on_a_runtime(async {
            let bench = Arc::new(Bench::new(mode, server, |_| {}).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        });
        Ok(())
    })
}

/// Runs a test that uses real sockets or threads.
pub fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// Runs a test on virtual time.
pub fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

/// A database on the test's server, gone with it.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("merx_notification_{}_{count}", std::process::id());
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

/// Accounts, as far as notification asks it: one person and one code.
#[derive(Clone)]
pub struct People(Arc<Mutex<(ContactReply, CodeReply, u32)>>);

impl Default for People {
    fn default() -> Self {
        let contact = ContactReply {
            account_id: crate::facts::buyer().to_string(),
            email: "buyer@shop.example".to_owned(),
            name: "王小明".to_owned(),
            locale: "zh-CN".to_owned(),
            ..ContactReply::default()
        };
        let code = CodeReply {
            email: "staff@shop.example".to_owned(),
            name: "Li Na".to_owned(),
            locale: "en".to_owned(),
            code: "7K3M9QXA".to_owned(),
            purpose: "staff_invitation".to_owned(),
            expires_at: START.plus(Duration::from_secs(600)).as_millis(),
        };
        Self(Arc::new(Mutex::new((contact, code, 0))))
    }
}

impl People {
    /// Changes the person.
    pub fn contact(&self, change: impl FnOnce(&mut ContactReply)) {
        change(&mut locked(&self.0).0);
    }
    /// Changes the code.
    pub fn code(&self, change: impl FnOnce(&mut CodeReply)) {
        change(&mut locked(&self.0).1);
    }
    /// Fails the next asks.
    pub fn fail(&self, times: u32) {
        locked(&self.0).2 = times;
    }
    fn failing(&self) -> bool {
        let mut all = locked(&self.0);
        let fails = all.2 > 0;
        all.2 = all.2.saturating_sub(1);
        fails
    }
}

fn away<T>() -> Result<Response<T>, Status> {
    rpc::answer(Err(Error::unavailable("accounts.away", "Accounts is away.")))
}

#[tonic::async_trait]
impl Accounts for People {
    async fn address(&self, _: Request<AddressRequest>) -> Result<Response<AddressReply>, Status> {
        Err(Status::unimplemented("notification asks for no address"))
    }
    async fn contact(&self, request: Request<ContactRequest>) -> Result<Response<ContactReply>, Status> {
        if self.failing() {
            return away();
        }
        let (request, mut known) = (request.into_inner(), locked(&self.0).0.clone());
        if request.account_id != known.account_id {
            return rpc::answer(Err(Error::not_found("accounts.account_not_found", "No such account.")));
        }
        if !request.with_guest_token {
            known.guest_token.clear();
        }
        Ok(Response::new(known))
    }
    async fn code(&self, _: Request<CodeRequest>) -> Result<Response<CodeReply>, Status> {
        if self.failing() {
            return away();
        }
        Ok(Response::new(locked(&self.0).1.clone()))
    }
}

/// A mail server that does as it is told, and takes mails when it is told nothing.
#[derive(Clone, Default)]
pub struct Post {
    pub taken: MemoryMailbox,
    pub told: Arc<Mutex<VecDeque<Outcome>>>,
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Post {
    pub fn tell(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        locked(&self.told).extend(outcomes);
    }
    /// The Message-IDs of every try.
    pub fn message_ids(&self) -> Vec<String> {
        locked(&self.seen).clone()
    }
}

#[async_trait]
impl MailTransport for Post {
    async fn send(&self, letter: &Letter) -> Outcome {
        locked(&self.seen).push(letter.message_id.clone());
        let told = locked(&self.told).pop_front();
        match told {
            None | Some(Outcome::Accepted) => self.taken.send(letter).await,
            Some(other) => other,
        }
    }
}

/// What an endpoint was sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Timestamp,
    pub url: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

type Answering = dyn Fn(&Received) -> Result<(u16, &'static str), OutboundFailure> + Send + Sync;

/// Endpoints: answers as it is told, 200 when it is told nothing.
#[derive(Clone)]
pub struct Endpoints {
    clock: Arc<dyn Clock>,
    pub received: Arc<Mutex<Vec<Received>>>,
    answering: Arc<Mutex<Option<Arc<Answering>>>>,
}

impl Endpoints {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, received: Arc::default(), answering: Arc::default() }
    }
    pub fn answer(
        &self,
        answering: impl Fn(&Received) -> Result<(u16, &'static str), OutboundFailure> + Send + Sync + 'static,
    ) {
        *locked(&self.answering) = Some(Arc::new(answering));
    }
    pub fn all(&self) -> Vec<Received> {
        locked(&self.received).clone()
    }
}

#[async_trait]
impl Outbound for Endpoints {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        let received = Received {
            at: self.clock.now(),
            url: request.url,
            headers: request.headers,
            body: String::from_utf8(request.body.to_vec()).unwrap(),
        };
        locked(&self.received).push(received.clone());
        let answering = locked(&self.answering).clone();
        let (status, text) = answering.map_or(Ok((200, "ok")), |answering| answering(&received))?;
        if status == 0 {
            // An endpoint that never answers.
            std::future::pending::<()>().await;
        }
        let mut headers = HeaderMap::new();
        if let Some(seconds) = text.strip_prefix("retry-after ") {
            headers.insert("retry-after", seconds.parse().unwrap());
        }
        Ok(OutboundAnswer { status, headers, body: text.into(), whole: true })
    }
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub store: Store,
    pub people: People,
    pub post: Post,
    pub endpoints: Endpoints,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

/// A configuration under which links and names can be told apart.
pub fn config() -> NotificationConfig {
    let mut config = NotificationConfig::default();
    config.mail.from = "茶与器 Merx <orders@merx.example>".to_owned();
    config.mail.public_url = "https://shop.example".to_owned();
    config
}

impl Bench {
    pub async fn new(
        mode: Mode,
        server: Option<String>,
        change: impl FnOnce(&mut NotificationConfig),
    ) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let store = Store::new("notification");
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
        let (people, post, endpoints) = (People::default(), Post::default(), Endpoints::new(clock.clone()));
        let accounts = Peer::loopback(AccountsServer::new(people.clone()));
        let ways = Ways { mail: Some(Arc::new(post.clone())), web: Arc::new(endpoints.clone()) };
        let mut settings = config();
        change(&mut settings);
        let state = State::new(&deps, &accounts, settings, ways).unwrap();
        Self { deps, clock, state, store, people, post, endpoints, _folder: folder, _database: database }
    }

    /// The same context with its mails in a folder.
    pub fn with_mails_in(&self, folder: Folder) -> State {
        let accounts = Peer::loopback(AccountsServer::new(self.people.clone()));
        let ways = Ways { mail: Some(Arc::new(folder)), web: Arc::new(self.endpoints.clone()) };
        State::new(&self.deps, &accounts, config(), ways).unwrap()
    }

    /// Takes a fact in, as the bus would.
    pub async fn take(&self, envelope: Envelope) {
        let delivery = Delivery::new(envelope, "notification.facts", self.store.clone(), 0, self.clock.now());
        reactions::take_fact(&self.state, delivery).await.unwrap();
    }

    /// Sends everything that is due.
    pub async fn send_due(&self) {
        sending::send_due(&self.state).await.unwrap();
    }

    /// The asks, each carried as bytes and carried out twice.
    pub fn client(&self) -> NotificationClient<Peer> {
        NotificationClient::new(Peer::loopback_twice(merx_notification::service(&self.state)))
    }

    /// A count over the tables.
    pub async fn count(&self, sql: &'static str) -> i64 {
        self.deps.db.read("test", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap()
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
