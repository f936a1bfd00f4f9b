//! A shop with accounts only, asked over HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use merx_accounts::{
    Password, Settings, State,
    commands::create_account::{CreateAccount, create_account},
    domain::email::Email,
};
use merx_contracts::accounts::v1::accounts_client::AccountsClient;
use merx_http::{Edge, Health, Info, Limits, router};
use merx_kernel::{
    BoundedText, Clock, Entropy, Role, Secret, Timestamp, clock::BoxFuture, principal::AccountId,
};
use merx_platform::{
    Deps, Module, Peer, Store,
    bus::publisher_of,
    module::{Background, sequenced_tables},
    telemetry::Metrics,
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions, Query as _, params};
use mysql::prelude::Queryable as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const PASSWORD: &str = "correct horse battery";

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Inline,
    File,
    Mysql,
}

/// A clock that shows what it is told; sleeping is the runtime's.
pub struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// With threads of a database beside the test, time is moved by hand; without, by waiting.
#[derive(Clone)]
enum Hands {
    Virtual(Arc<VirtualClock>),
    Hand(Arc<HandClock>),
}

/// A database on the test's server, gone with it.
pub struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    fn create(server: String) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("merx_accounts_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let own = Self { server, name };
        own.run(&format!("DROP DATABASE IF EXISTS {}", own.name));
        own.run(&format!("CREATE DATABASE {}", own.name));
        own
    }
    fn run(&self, sql: &str) {
        let mut connection = mysql::Conn::new(self.server.as_str()).unwrap();
        connection.query_drop(sql).unwrap();
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

pub struct World {
    pub router: Router,
    pub state: State,
    pub deps: Deps,
    modules: Vec<Arc<Module>>,
    hands: Hands,
    _folder: Option<tempfile::TempDir>,
    _database: Option<OwnDatabase>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Reply {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        self.json
    }
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.json["code"].as_str()), (status, Some(code)), "{}", self.json);
    }
    pub fn pointers(&self) -> Vec<&str> {
        self.json["errors"].as_array().into_iter().flatten().filter_map(|e| e["pointer"].as_str()).collect()
    }
}

/// One request.
pub struct Ask {
    builder: http::request::Builder,
    body: Option<Value>,
    network: &'static str,
}

pub fn ask(method: Method, path: impl AsRef<str>) -> Ask {
    let builder = Request::builder().method(method).uri(path.as_ref());
    Ask { builder, body: None, network: "192.0.2.1" }
}
pub fn get(path: impl AsRef<str>) -> Ask {
    ask(Method::GET, path)
}
pub fn post(path: impl AsRef<str>, body: Value) -> Ask {
    ask(Method::POST, path).json(body)
}
pub fn put(path: impl AsRef<str>, body: Value) -> Ask {
    ask(Method::PUT, path).json(body)
}
pub fn delete(path: impl AsRef<str>) -> Ask {
    ask(Method::DELETE, path)
}

impl Ask {
    pub fn json(mut self, body: Value) -> Self {
        self.builder = self.builder.header("content-type", "application/json");
        self.body = Some(body);
        self
    }
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }
    pub fn token(self, token: &Value) -> Self {
        let token = token["access_token"].as_str().unwrap().to_owned();
        self.header("authorization", &format!("Bearer {token}"))
    }
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }
    pub fn bearer(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }
    pub fn version(self, version: i64) -> Self {
        self.header("if-match", &format!("\"{version}\""))
    }
    pub const fn from(mut self, network: &'static str) -> Self {
        self.network = network;
        self
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Settings { logins_per_minute_max: 6_000, login_burst_max: 6_000, ..Settings::default() })
            .await
    }

    pub async fn with(settings: Settings) -> Self {
        let clock = Arc::new(VirtualClock::new(START));
        let shared: Arc<dyn Clock> = clock.clone();
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(3));
        let db = Db::inline(DbOptions::new(shared.clone()), &sequenced_tables(&contexts())).unwrap();
        let deps = Deps::new(db, shared, entropy);
        Self::over(deps, Hands::Virtual(clock), settings).await
    }

    /// On a database of its own, with threads of its own but for the one in memory.
    pub async fn on(mode: Mode, server: Option<String>) -> Self {
        let generous = Settings {
            logins_per_minute_max: 60_000,
            login_burst_max: 60_000,
            guests_per_minute_max: 60_000,
            guest_burst_max: 60_000,
            ..Settings::default()
        };
        if mode == Mode::Inline {
            return Self::with(generous).await;
        }
        let (mut folder, mut database) = (None, None);
        let url = match server {
            Some(server) => {
                let own = OwnDatabase::create(server.trim_end_matches('/').to_owned());
                let url = format!("{}/{}", own.server, own.name);
                database = Some(own);
                url
            }
            None => {
                let made = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", made.path().join("merx.db").display());
                folder = Some(made);
                url
            }
        };
        let clock = Arc::new(HandClock(AtomicI64::new(START.as_millis())));
        let db = Db::open(&url, DbOptions::new(clock.clone()), &sequenced_tables(&contexts())).unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(3)));
        let world = Self::over(deps, Hands::Hand(clock), generous).await;
        Self { _folder: folder, _database: database, ..world }
    }

    /// The same database in a process that has just started.
    pub async fn restarted(&self) -> Self {
        let deps = Deps { metrics: Metrics::new(), ..self.deps.clone() };
        Self::over(deps, self.hands.clone(), Settings::default()).await
    }

    /// Another process on the same database.
    pub async fn started_with(&self, settings: Settings) -> Self {
        let deps = Deps { metrics: Metrics::new(), ..self.deps.clone() };
        Self::over(deps, self.hands.clone(), settings).await
    }

    async fn over(deps: Deps, hands: Hands, settings: Settings) -> Self {
        let state = State::new(&deps, settings, &Secret::new(vec![5; 32])).unwrap();
        Self::around(state, deps, hands).await
    }

    /// A process that has just started with this state.
    pub async fn started(&self, state: State) -> Self {
        let deps = Deps { metrics: Metrics::new(), ..self.deps.clone() };
        Self::around(state, deps, self.hands.clone()).await
    }

    async fn around(state: State, deps: Deps, hands: Hands) -> Self {
        let limits =
            Limits { client_burst_max: 10_000, client_requests_per_minute_max: 10_000, ..Limits::default() };
        let context = merx_accounts::module(&state, &limits);
        // The others only to publish what their staff did.
        let others = contexts().into_iter().filter(|name| *name != "accounts");
        let mut modules: Vec<_> =
            others.map(|name| Arc::new(Module::new(Store::new(name), Vec::new()))).collect();
        modules.push(Arc::new(context.module));
        for module in &modules {
            module.migrate(&deps.db).await.unwrap();
        }
        merx_accounts::start(&state, &deps).await.unwrap();
        let edge = Edge {
            limits,
            clock: deps.clock.clone(),
            entropy: deps.entropy.clone(),
            ids: deps.ids.clone(),
            tasks: deps.tasks.clone(),
            tokens: Arc::new(state.verifier()),
            health: Health::new([]),
            metrics: deps.metrics.clone(),
            trusted_proxies: vec![],
            info: Info::default(),
        };
        let router = router(context.routes, edge);
        Self { router, state, deps, modules, hands, _folder: None, _database: None }
    }

    /// The bus at work.
    pub fn bus(&self) -> Background {
        let modules: Vec<Module> = self
            .modules
            .iter()
            .map(|module| Module {
                subscriptions: module.subscriptions.clone(),
                ..Module::new(module.store.clone(), Vec::new())
            })
            .collect();
        merx_platform::module::start(&self.deps, &modules).unwrap()
    }

    /// The asks, called like a neighbour calls them.
    pub fn asks(&self) -> AccountsClient<Peer> {
        AccountsClient::new(Peer::loopback(merx_accounts::service(&self.state)))
    }

    /// The facts accounts published, in order: type and data.
    pub async fn facts(&self) -> Vec<(String, Value)> {
        let read = |q: &mut merx_sql::Reader<'_>| {
            q.query("SELECT envelope FROM accounts_outbox ORDER BY published_at, id", params![], |row| {
                row.get::<String>(0)
            })
        };
        let rows = self.deps.db.read("test.facts", read).await.unwrap();
        let facts = rows.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        facts.map(|e| (e["type"].as_str().unwrap().to_owned(), e["data"].clone())).collect()
    }

    /// The facts of one type.
    pub async fn facts_of(&self, kind: &str) -> Vec<Value> {
        self.facts().await.into_iter().filter(|(of, _)| of == kind).map(|(_, data)| data).collect()
    }

    /// Somebody of the staff who is logged in.
    pub async fn staff(&self, email: &str, roles: &[Role]) -> Value {
        self.account(email, roles).await;
        self.log_in(email, PASSWORD, "192.0.2.1").await.is(201)
    }

    /// An administrator who is logged in.
    pub async fn admin(&self) -> Value {
        self.staff("root@example.com", &[Role::Administrator]).await
    }

    /// Runs one statement, for tests of what happens when somebody changes rows.
    pub async fn sql(&self, sql: &'static str) {
        self.deps.db.write("test.sql", move |tx| tx.execute(sql, params![]).map(drop)).await.unwrap();
    }

    pub async fn account(&self, email: &str, roles: &[Role]) -> AccountId {
        let command = CreateAccount {
            email: Email::new(email).unwrap(),
            name: BoundedText::new("王小明").unwrap(),
            password: Password::new(PASSWORD).unwrap(),
            roles: roles.to_vec(),
        };
        create_account(&self.state, command).await.unwrap()
    }

    /// A customer who is logged in.
    pub async fn customer(&self, email: &str) -> Value {
        self.account(email, &[Role::Customer]).await;
        self.log_in(email, PASSWORD, "192.0.2.1").await.is(201)
    }

    pub async fn log_in(&self, email: &str, password: &str, network: &'static str) -> Reply {
        self.ask(post("/v1/sessions", json!({ "email": email, "password": password })).from(network)).await
    }

    pub async fn ask(&self, ask: Ask) -> Reply {
        let body = ask.body.map_or(Body::empty(), |b| Body::from(b.to_string()));
        let mut request = ask.builder.body(body).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(ask.network.parse().unwrap(), 1)));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Reply { status: parts.status, headers: parts.headers, json }
    }

    pub async fn pass(&self, time: Duration) {
        match &self.hands {
            Hands::Virtual(clock) => clock.sleep(time).await,
            Hands::Hand(clock) => {
                let by = i64::try_from(time.as_millis()).unwrap();
                clock.0.fetch_add(by, Ordering::SeqCst);
            }
        }
    }

    pub fn passwords_evaluated(&self) -> u64 {
        let text = self.deps.metrics.render().unwrap();
        let line = text.lines().find(|l| l.starts_with("merx_accounts_passwords_evaluated_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// Every context whose staff are recorded.
pub fn contexts() -> Vec<&'static str> {
    merx_accounts::RECORDED.iter().map(|kind| publisher_of(kind)).collect()
}
