//! A small API and what the tests ask it with.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, response::Response};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use merx_http::{
    Access, Answer, Caller, Check, ClientAddress, Created, Edge, Form, Health, Idempotency, IdempotencyKey,
    Info, Json, Limits, Owner, Path, Query, Revocations, Route, request_id, router,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{
    BoundedText, Clock, Entropy, Error, Id, IdGen, PageRequest, Permission, Principal, Quantity, Role,
    Secret, Timestamp,
    principal::{AccountId, SessionId},
};
use merx_platform::{
    tasks::Tasks,
    telemetry::Metrics,
    time::{SeededEntropy, VirtualClock},
    trace,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The world of one test.
pub struct Kit {
    pub router: Router,
    pub signer: TokenSigner,
    pub revocations: Arc<Revocations>,
    pub clock: Arc<VirtualClock>,
    pub tasks: Tasks,
    pub metrics: Metrics,
    pub health: Health,
    /// How often readiness was really looked at.
    pub looked: Effects,
    pub effects: Effects,
}

#[derive(Clone, Default)]
pub struct Effects(pub Arc<std::sync::atomic::AtomicU32>);

impl Effects {
    pub fn count(&self) -> u32 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
    fn add(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    fn counting(&self) -> Check {
        let effects = self.clone();
        Arc::new(move || {
            effects.add();
            Box::pin(async { Ok(()) })
        })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub name: BoundedText<1, 20>,
    pub lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub sku: String,
    pub quantity: Quantity,
}

#[derive(Serialize, JsonSchema)]
pub struct Seen {
    pub text: String,
}

fn seen(text: impl ToString) -> Json<Seen> {
    Json(Seen { text: text.to_string() })
}

const MINE: Owner = Owner::Account("made for the caller");
const SHOP: Access = Access::Permission { permission: Permission::Shop, owner: MINE };

async fn place(Json(order): Json<Order>) -> Answer<Created<Seen>> {
    let quantity: i64 = order.lines.iter().map(|l| l.quantity.get()).sum();
    Ok(Created {
        location: "/v1/orders/1".to_owned(),
        body: Seen { text: format!("{} {quantity}", order.name) },
    })
}
async fn slow_effect(State((clock, effects)): State<(Arc<dyn Clock>, Effects)>) -> Json<Seen> {
    clock.sleep(Duration::from_secs(30)).await;
    effects.add();
    seen("done")
}
async fn fail() -> Answer<()> {
    let source = std::io::Error::other("the password of the database is hunter2");
    Err(Error::internal("secret detail").with_source(source).into())
}
#[allow(clippy::panic, reason = "what the edge does with a panic is under test")]
async fn explode() {
    panic!("boom")
}
async fn sold_out() -> Answer<()> {
    Err(Error::rejected("shop.sold_out", "Sold out.").into())
}

pub fn routes(clock: Arc<dyn Clock>, effects: Effects) -> Vec<Route> {
    let mut all = shop_routes();
    all.extend(fault_routes(clock, effects));
    all
}

fn shop(route: Route, id: &'static str) -> Route {
    route.id(id).summary("For tests").response::<Seen>(200)
}

const NATURAL: Idempotency = Idempotency::Natural("it changes nothing");

fn shop_routes() -> Vec<Route> {
    let mut all = path_routes();
    all.extend(body_routes());
    all.extend(people_routes());
    all
}

/// What is read of a path and of a query.
fn path_routes() -> Vec<Route> {
    let pair = async |Path(pair): Path<(AccountId, SessionId)>| seen(format!("{pair:?}"));
    let account = async |Path(id): Path<AccountId>| seen(id);
    let list = async |Query(page): Query<PageRequest>| Answer::Ok(seen(page.checked_limit()?));
    vec![
        shop(Route::get("/v1/pairs/{account}/{session}", Access::Public, pair, &()), "pair"),
        shop(Route::get("/v1/items/{item}", Access::Public, async |Path(n): Path<u32>| seen(n), &()), "item"),
        shop(Route::get("/v1/accounts/{account}", Access::Public, account, &()), "account")
            .param::<AccountId>("account"),
        shop(Route::get("/v1/list", Access::Public, list, &()), "list").query::<PageRequest>(),
    ]
}

/// What is read of a body.
fn body_routes() -> Vec<Route> {
    let keys = async |key: IdempotencyKey| seen(format!("{key:?}"));
    let notify = async |Form(pairs): Form| seen(format!("{pairs:?}"));
    vec![
        shop(Route::post("/v1/orders", SHOP, place, &()), "place")
            .body::<Order>()
            .errors(&["shop.sold_out"])
            .idempotency(Idempotency::Required),
        shop(Route::post("/v1/keys", SHOP, keys, &()), "keys")
            .body::<Order>()
            .idempotency(Idempotency::Required),
        shop(Route::post("/v1/public", Access::Public, place, &()), "public")
            .body::<Order>()
            .idempotency(NATURAL),
        shop(Route::post("/v1/notify", Access::Signed("by the test"), notify, &()), "notify")
            .form::<Seen>()
            .idempotency(NATURAL),
    ]
}

/// What asks who it is.
fn people_routes() -> Vec<Route> {
    let me = async |Caller(me): Caller| seen(me.account);
    let owner = Owner::None("stock is the shop's");
    let read = Access::Permission { permission: Permission::InventoryRead, owner };
    vec![
        shop(Route::get("/v1/me", Access::LoggedIn { owner: MINE }, me, &()), "me").group("people"),
        shop(Route::get("/v1/stock", read, async || seen("stock"), &()), "stock").group("warehouse"),
    ]
}

fn fault_routes(clock: Arc<dyn Clock>, effects: Effects) -> Vec<Route> {
    let state = (clock, effects);
    vec![
        shop(Route::get("/v1/hello", Access::Public, async || seen("hello"), &()), "hello"),
        shop(Route::post("/v1/slow", Access::Public, slow_effect, &state), "slowEffect").idempotency(NATURAL),
        shop(Route::get("/v1/slow", Access::Public, slow_effect, &state), "slowRead"),
        shop(Route::get("/v1/fail", Access::Public, fail, &()), "fail"),
        shop(Route::get("/v1/explode", Access::Public, explode, &()), "explode"),
        shop(Route::delete("/v1/explode", Access::Public, explode, &()), "explodeTask"),
        shop(Route::get("/v1/sold-out", Access::Public, sold_out, &()), "soldOut"),
        shop(Route::get("/v1/trace", Access::Public, trace_seen, &()), "traceRead"),
        shop(Route::put("/v1/trace", Access::Public, trace_seen, &()), "traceWrite"),
        shop(Route::get("/v1/large", Access::Public, async || vec![b' '; 32 << 20], &()), "large"),
        shop(Route::get("/v1/where", Access::Public, async |a: ClientAddress| seen(a.0), &()), "where"),
    ]
}

async fn trace_seen() -> Json<Seen> {
    seen(format!("{} {}", trace::current_traceparent().unwrap_or_default(), request_id().unwrap_or_default()))
}

impl Kit {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let clock = Arc::new(VirtualClock::new(START));
        let effects = Effects::default();
        let routes = routes(clock.clone(), effects.clone());
        Self::build(limits, clock, effects, routes)
    }

    /// The same world over other routes.
    pub fn with_routes(&self, routes: Vec<Route>) -> Self {
        Self::build(Limits::default(), self.clock.clone(), self.effects.clone(), routes)
    }

    fn build(limits: Limits, clock: Arc<VirtualClock>, effects: Effects, routes: Vec<Route>) -> Self {
        let shared: Arc<dyn Clock> = clock.clone();
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let tasks = Tasks::new(shared.clone(), entropy.clone());
        let revocations = Arc::new(Revocations::in_process());
        revocations.load([], START);
        let signer =
            TokenSigner::new(&Secret::new(vec![9; 32]), Realm::default(), Duration::from_secs(600)).unwrap();
        let tokens =
            TokenVerifier::new([signer.public_key()], Realm::default(), shared.clone(), revocations.clone())
                .with_keys(Arc::new(|secret, _| Box::pin(async move { key_of(secret.expose()) })));
        let (metrics, looked) = (Metrics::new(), Effects::default());
        let health = Health::new([("counted", looked.counting())]);
        let edge = Edge {
            limits,
            clock: shared.clone(),
            entropy: entropy.clone(),
            ids: IdGen::new(shared, entropy),
            tasks: tasks.clone(),
            tokens: Arc::new(tokens),
            health: health.clone(),
            metrics: metrics.clone(),
            trusted_proxies: vec!["10.0.0.1".parse().unwrap(), "::ffff:10.0.0.2".parse().unwrap()],
            info: Info::default(),
        };
        let router = router(routes, edge);
        Self { router, signer, revocations, clock, tasks, metrics, health, looked, effects }
    }

    pub fn token(&self, account: u128, roles: &[Role]) -> String {
        let principal = principal(account, roles);
        self.signer.sign(&principal, self.clock.now()).unwrap()
    }

    pub async fn ask(&self, request: Request<Body>) -> Reply {
        Reply::of(self.router.clone().oneshot(request).await.unwrap()).await
    }
    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }
    /// A JSON POST to the public route.
    pub async fn send(&self, body: impl Into<Body>) -> Reply {
        self.ask(json_post("/v1/public").body(body.into()).unwrap()).await
    }
}

/// Of account 5, and may see stock only.
pub const KEY: &str = "merx_of_a_program";

fn key_of(secret: &str) -> merx_kernel::Result<Principal> {
    if secret != KEY {
        let kind = merx_kernel::ErrorKind::Unauthenticated;
        return Err(Error::new(kind, "request.api_key_invalid", "The API key is not valid."));
    }
    Ok(Principal {
        credential: merx_kernel::Credential::Key(Id::from_bits(77)),
        permissions: [Permission::InventoryRead].into_iter().collect(),
        ..principal(5, &[Role::Administrator])
    })
}

pub fn principal(account: u128, roles: &[Role]) -> Principal {
    let account: AccountId = Id::from_bits(account);
    let session: SessionId = account.cast();
    Principal::of_session(account, session, roles)
}

pub fn json_post(path: &str) -> http::request::Builder {
    Request::post(path).header(header::CONTENT_TYPE, "application/json")
}

pub const ORDER: &str = r#"{"name":"a","lines":[{"sku":"x","quantity":2}]}"#;

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }
    /// Checks that this is a problem in every respect.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{}", self.text);
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("/docs/errors/{code}"));
        assert_eq!(body["instance"], self.header("x-request-id"));
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
        body
    }
    /// The pointers of the refused properties.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|e| e["pointer"].as_str().unwrap().to_owned()).collect()
    }
}
