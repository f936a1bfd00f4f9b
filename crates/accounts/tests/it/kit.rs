//! A shop with accounts only, asked over HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use merx_accounts::{
    Password, Settings, State,
    commands::create_account::{CreateAccount, create_account},
    domain::email::Email,
};
use merx_http::{Edge, Health, Info, Limits, router};
use merx_kernel::{BoundedText, Clock, Entropy, Role, Secret, Timestamp, principal::AccountId};
use merx_platform::{
    Deps, Store,
    telemetry::Metrics,
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const PASSWORD: &str = "correct horse battery";

pub struct World {
    pub router: Router,
    pub state: State,
    pub deps: Deps,
    pub clock: Arc<VirtualClock>,
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
        let db =
            Db::inline(DbOptions::new(shared.clone()), &Store::new("accounts").sequenced_tables()).unwrap();
        let deps = Deps::new(db, shared, entropy);
        Self::over(deps, clock, settings).await
    }

    /// The same database in a process that has just started.
    pub async fn restarted(&self) -> Self {
        let deps = Deps { metrics: Metrics::new(), ..self.deps.clone() };
        Self::over(deps, self.clock.clone(), Settings::default()).await
    }

    async fn over(deps: Deps, clock: Arc<VirtualClock>, settings: Settings) -> Self {
        let state = State::new(&deps, settings, &Secret::new(vec![5; 32])).unwrap();
        let limits =
            Limits { client_burst_max: 10_000, client_requests_per_minute_max: 10_000, ..Limits::default() };
        let context = merx_accounts::module(&state, &limits);
        context.module.migrate(&deps.db).await.unwrap();
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
        Self { router: router(context.routes, edge), state, deps, clock }
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
        self.clock.sleep(time).await;
    }

    pub fn passwords_evaluated(&self) -> u64 {
        let text = self.deps.metrics.render().unwrap();
        let line = text.lines().find(|l| l.starts_with("merx_accounts_passwords_evaluated_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}
