//! What a test stands in: a database in one of the three modes, a clock moved by hand, seeded randomness, staff and
//! buyers before the real edge, and an object store in memory.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::body::Body;
use http::{Method, Request};
use libtest_mimic::Trial;
use merx_catalogue::{Settings, State};
use merx_contracts::{
    catalogue::v1::{QuoteRequest, QuotedLine, catalogue_client::CatalogueClient},
    common::v1::SkuQuantity,
    ids::AccountId,
};
use merx_http::Route;
use merx_kernel::{Clock, Currency, Id, Role, Timestamp};
use merx_platform::{
    Deps, DueTimer, Module, Store,
    objects::MemoryStore,
    rpc::{self, Peer},
    time::SeededEntropy,
};
use merx_sql::{Db, DbOptions};
pub use merx_testkit::START;
use merx_testkit::{
    Answer, TestApi,
    modes::{self, HandClock, Place},
};
use serde_json::{Value, json};

pub const KEEPER: AccountId = AccountId::from_bits(5);

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<Bench>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    modes::on_every_mode(name, "catalogue", move |place| {
        let case = case.clone();
        async move {
            let bench = Arc::new(Bench::new(place).await);
            case(bench.clone()).await;
            bench.deps.db.close().await;
        }
    })
}

pub struct Bench {
    pub deps: Deps,
    pub clock: Arc<HandClock>,
    pub state: State,
    pub objects: Arc<MemoryStore>,
    /// Anybody.
    pub buyer: TestApi,
    /// Who keeps the catalogue.
    pub staff: TestApi,
    pub module: Module,
    _place: Place,
}

impl Bench {
    pub async fn new(place: Place) -> Self {
        let clock = HandClock::at_start();
        let store = Store::new("catalogue");
        let db = Db::open(place.url(), DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
        let deps = Deps::new(db, clock.clone(), Arc::new(SeededEntropy::new(7)));
        let objects = Arc::new(MemoryStore::default());
        let settings = Settings { currency: Currency::CNY, objects: objects.clone() };
        let state = State::new(&deps, settings);
        let context = merx_catalogue::module(&state, &merx_testkit::generous_limits());
        context.module.migrate(&deps.db).await.unwrap();
        assert_eq!(Route::check(&context.routes), Vec::<String>::new());
        let signer = merx_testkit::signer();
        let router = merx_testkit::router(&deps, context.routes, &signer);
        let buyer = TestApi::new(router, signer, clock.clone());
        let staff = buyer.as_account(KEEPER, Role::ProductManager);
        Self { deps, clock, state, objects, buyer, staff, module: context.module, _place: place }
    }

    /// PUT, POST or DELETE with the version that was seen.
    pub async fn with_version(&self, method: Method, path: &str, version: i64, body: Value) -> Answer {
        let builder = self.request(method, path).header("if-match", format!("\"{version}\""));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        merx_testkit::request(self.staff.router(), builder.body(body).unwrap()).await
    }

    /// A request of staff, with a key of its own.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        static KEY: AtomicU64 = AtomicU64::new(0);
        let key = format!("own-{}", KEY.fetch_add(1, Ordering::Relaxed));
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.staff.token().unwrap()))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.staff.post(path, body).await.expect(201).body
    }

    /// A product with two SKUs at 19.90 and 45.00, on sale.
    pub async fn listed(&self, name: &str) -> String {
        self.listed_as(content(name)).await
    }
    pub async fn listed_as(&self, content: Value) -> String {
        let id = self.drafted(content).await;
        self.post(&format!("/v1/admin/products/{id}/listing"), json!({})).await;
        id
    }
    pub async fn drafted(&self, content: Value) -> String {
        let made = self.post("/v1/admin/products", json!({ "content": content })).await;
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn admin(&self, id: &str) -> Value {
        self.staff.get(&format!("/v1/admin/products/{id}")).await.expect(200).body
    }

    /// What other contexts are told of a SKU.
    pub async fn quote(&self, sku: &str) -> QuotedLine {
        let peer = self.module.rpc.clone().map(Peer::local).unwrap();
        let lines = vec![SkuQuantity { sku: sku.to_owned(), quantity: 1 }];
        let mut reply =
            rpc::ask(CatalogueClient::new(peer).quote(QuoteRequest { lines }).await).expect("quotes");
        reply.lines.pop().unwrap()
    }
    pub async fn price(&self, sku: &str) -> i64 {
        self.quote(sku).await.unit_price.unwrap().minor
    }

    /// Fires every timer that is due, as the runner does; answers how many.
    pub async fn fire_due(&self) -> usize {
        let store = self.module.store.clone();
        let kinds: Vec<&'static str> = self.module.timers.iter().map(|t| t.kind).collect();
        let timers = store.timers;
        let rows = self.deps.db.read("test.timers", move |q| timers.next(q, &kinds, 100)).await.unwrap();
        let due: Vec<_> = rows.into_iter().filter(|row| row.next_at <= self.clock.now()).collect();
        let count = due.len();
        for row in due {
            let handler = self.module.timers.iter().find(|t| t.kind == row.kind).unwrap();
            handler.handler.fire(DueTimer::new(store.clone(), row)).await.unwrap();
        }
        count
    }

    /// The facts published since the last call, in order: type without the context, and data.
    pub async fn facts(&self) -> Vec<(String, Value)> {
        let read = move |tx: &mut merx_sql::Tx<'_>| {
            use merx_sql::Query as _;
            let rows = tx.query(
                "SELECT type, envelope FROM catalogue_outbox ORDER BY id",
                merx_sql::params![],
                |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
            )?;
            tx.execute("DELETE FROM catalogue_outbox", merx_sql::params![])?;
            Ok(rows)
        };
        let rows = self.deps.db.write("test.facts", read).await.unwrap();
        rows.into_iter()
            .map(|(kind, envelope)| {
                let envelope: Value = serde_json::from_str(&envelope).unwrap();
                (kind.trim_start_matches("catalogue.").to_owned(), envelope["data"].clone())
            })
            .collect()
    }
    /// Their types only.
    pub async fn fact_types(&self) -> Vec<String> {
        self.facts().await.into_iter().map(|(kind, _)| kind).collect()
    }

    pub async fn category(&self, slug: &str, parent: Option<&str>, attributes: Value) -> String {
        let body = json!({
            "slug": slug, "name": {"zh": format!("类 {slug}"), "en": format!("Category {slug}")},
            "parent_id": parent, "attributes": attributes,
        });
        self.post("/v1/admin/categories", body).await["id"].as_str().unwrap().to_owned()
    }
    pub async fn brand(&self, slug: &str) -> String {
        let body = json!({ "slug": slug, "name": {"zh": "牌", "en": format!("Brand {slug}")} });
        self.post("/v1/admin/brands", body).await["id"].as_str().unwrap().to_owned()
    }
    pub async fn attribute(&self, attribute: Value) -> Value {
        self.post("/v1/admin/attributes", json!({ "attribute": attribute })).await
    }
}

pub fn later(ms: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + ms)
}
pub fn id<K>(bits: u128) -> Id<K> {
    Id::from_bits(bits)
}

/// A product ready to be published, with SKUs NAME-100 and NAME-250.
pub fn content(name: &str) -> Value {
    json!({
        "title": {"zh": format!("茶 {name}"), "en": format!("Tea {name}")},
        "description": {"zh": "绿茶", "en": "Green tea"},
        "options": [{"name": {"zh": "净含量", "en": "Weight"},
            "values": [{"zh": "100 克", "en": "100 g"}, {"zh": "250 克", "en": "250 g"}]}],
        "skus": [
            {"sku": format!("{name}-100"), "choices": [0], "price": {"minor": 1990, "currency": "CNY"}, "weight_grams": 120},
            {"sku": format!("{name}-250"), "choices": [1], "price": {"minor": 4500, "currency": "CNY"}, "weight_grams": 280}
        ]
    })
}
