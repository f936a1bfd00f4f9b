//! Ordering on a database in memory, with doubles for neighbours, a clock that moves when everybody waits, and the
//! real bus, timers, sagas and router.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use merx_contracts::{
    Envelope, Fact,
    events::{accounts, ordering::Line, payment, shipping},
    ids::{AccountId, AttemptId, OrderId, RefundId, ShipmentId},
};
use merx_http::{
    Edge, Health, Info, Limits, Revocations, router,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Id, Money, Principal, Role, Secret, Timestamp};
use merx_ordering::{Ordering, Settings, domain::identity};
use merx_platform::{
    Deps, Module, Store,
    module::{Background, sequenced_tables, start},
    projection,
    store::SagaStatus,
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions, Query as _, params};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    given::{BUYER, GUEST, packed},
    neighbours::{Neighbours, Paying},
};

pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);
pub const STRANGER: AccountId = Id::from_bits(0x99);
pub const SUPPORT: AccountId = Id::from_bits(0x98);
pub const OPERATOR: AccountId = Id::from_bits(0x97);
pub const CONTEXTS: [&str; 5] = ["ordering", "payment", "shipping", "accounts", "aftersale"];

/// An answer of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub text: String,
    pub location: Option<String>,
    pub replayed: bool,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
    pub fn order(&self) -> OrderId {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no order: {self:?}")).parse().unwrap()
    }
    pub fn status_of_order(&self) -> &str {
        self.body["status"].as_str().unwrap_or("")
    }
}

pub struct Shop {
    pub deps: Deps,
    pub neighbours: Neighbours,
    pub ordering: Ordering,
    pub module: Module,
    pub background: Background,
    pub router: Router,
    signer: TokenSigner,
}

const fn minutes(n: u64) -> u64 {
    n * 60_000
}

/// The parts below the routes and the background work, for a saga's world.
pub async fn parts(neighbours: &Neighbours) -> (Deps, Ordering) {
    parts_with(neighbours, |_| {}).await
}

/// The same, with something else beneath.
pub async fn parts_with(neighbours: &Neighbours, other: impl FnOnce(&mut Deps)) -> (Deps, Ordering) {
    let clock = Arc::new(VirtualClock::new(START));
    let db = Db::inline(DbOptions::new(clock.clone()), &sequenced_tables(&CONTEXTS)).unwrap();
    let mut deps = Deps::new(db, clock, Arc::new(SeededEntropy::new(7)));
    deps.peers = neighbours.peers();
    other(&mut deps);
    // A virtual day costs real seconds: what takes days takes minutes here.
    let settings = Settings {
        receipt_window_ms: minutes(15),
        undelivered_window_ms: minutes(30),
        ..Settings::default()
    };
    let ordering = merx_ordering::ordering(&deps, settings).unwrap();
    merx_ordering::inner(&ordering).migrate(&deps.db).await.unwrap();
    (deps, ordering)
}

impl Shop {
    pub async fn new() -> Self {
        let neighbours = Neighbours::new();
        let parts = parts(&neighbours).await;
        Self::of(neighbours, parts).await
    }

    pub async fn of(neighbours: Neighbours, (deps, ordering): (Deps, Ordering)) -> Self {
        merx_ordering::bring_up_to_date(&ordering).await.unwrap();
        // Only to publish what payment and shipping would.
        let publishers = ["payment", "shipping", "accounts", "aftersale"]
            .map(|name| Module::new(Store::new(name), Vec::new()));
        for module in &publishers {
            module.migrate(&deps.db).await.unwrap();
        }
        let [payment, shipping, accounts, after_sale] = publishers;
        let modules = [merx_ordering::inner(&ordering), payment, shipping, accounts, after_sale];
        let background = start(&deps, &modules).unwrap();
        let [module, ..] = modules;
        let signer = TokenSigner::new(
            &Secret::new(vec![5; 32]),
            Realm::default(),
            std::time::Duration::from_secs(86_400),
        )
        .unwrap();
        let revocations = Arc::new(Revocations::in_process());
        revocations.load([], deps.now());
        let tokens =
            TokenVerifier::new([signer.public_key()], Realm::default(), deps.clock.clone(), revocations);
        let limits = Limits { client_burst_max: 10_000, ..Limits::default() };
        let router = router(
            merx_ordering::routes(ordering.clone(), &limits),
            Edge {
                limits,
                clock: deps.clock.clone(),
                entropy: deps.entropy.clone(),
                ids: deps.ids.clone(),
                tasks: deps.tasks.clone(),
                tokens: Arc::new(tokens),
                health: Health::default(),
                metrics: deps.metrics.clone(),
                trusted_proxies: Vec::new(),
                info: Info::default(),
            },
        );
        Self { deps, neighbours, ordering, module, background, router, signer }
    }

    async fn send(&self, who: AccountId, request: http::request::Builder, body: Option<Value>) -> Answer {
        let roles = [(SUPPORT, Role::Support), (OPERATOR, Role::Operator), (GUEST, Role::Guest)];
        let role = roles.iter().find(|(of, _)| *of == who).map_or(Role::Customer, |(_, role)| *role);
        let principal = Principal::of_session(who, Id::from_bits(1), &[role]);
        let token = self.signer.sign(&principal, self.deps.now()).unwrap();
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        Answer {
            status: parts.status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            location: header("location"),
            replayed: header("idempotency-replayed").is_some(),
            text,
        }
    }

    pub async fn get_as(&self, who: AccountId, path: &str) -> Answer {
        self.send(who, Request::get(path), None).await
    }
    pub async fn get(&self, path: &str) -> Answer {
        self.get_as(BUYER, path).await
    }
    pub async fn post_as(&self, who: AccountId, path: &str, key: &str, body: Option<Value>) -> Answer {
        self.send(who, Request::post(path).header("idempotency-key", key), body).await
    }
    pub async fn post(&self, path: &str, key: &str) -> Answer {
        self.post_as(BUYER, path, key, None).await
    }
    /// The buyer wants the order cancelled.
    pub async fn cancel(&self, order: OrderId, key: &str) -> Answer {
        self.post_as(BUYER, &format!("/v1/orders/{order}/cancellation"), key, Some(json!({}))).await
    }
    pub async fn order(&self, order: OrderId) -> Answer {
        self.get(&format!("/v1/orders/{order}")).await
    }

    pub fn checkout(what: &str) -> String {
        format!("/v1/checkouts/{}/{what}", BUYER.cast::<merx_contracts::ids::CartKind>())
    }
    pub fn address() -> String {
        merx_contracts::ids::AddressId::from_bits(0x55).to_string()
    }
    pub async fn quote(&self) -> Answer {
        let body = json!({"address_id": Self::address()});
        self.send(BUYER, Request::post(Self::checkout("quote")), Some(body)).await
    }
    pub async fn quote_with(&self, who: AccountId, body: Value) -> Answer {
        self.send(who, Request::post(Self::checkout("quote")), Some(body)).await
    }
    pub fn checkout_of(who: AccountId, what: &str) -> String {
        format!("/v1/checkouts/{}/{what}", who.cast::<merx_contracts::ids::CartKind>())
    }
    /// The body that accepts the present quote.
    pub async fn acceptance(&self) -> Value {
        self.acceptance_of(BUYER).await
    }
    pub async fn acceptance_of(&self, who: AccountId) -> Value {
        let body = json!({"address_id": Self::address()});
        let quote = self.send(who, Request::post(Self::checkout_of(who, "quote")), Some(body)).await;
        assert_eq!(quote.status, 200, "{quote:?}");
        json!({
            "address_id": Self::address(),
            "shipping_method": "standard",
            "quote_id": quote.body["quote_id"],
        })
    }
    pub async fn place(&self, key: &str) -> Answer {
        let body = self.acceptance().await;
        self.post_as(BUYER, &Self::checkout("orders"), key, Some(body)).await
    }
    /// An order that awaits payment.
    pub async fn placed(&self) -> OrderId {
        let answer =
            self.place(&format!("place-{}", self.deps.ids.next::<merx_contracts::ids::OrderKind>())).await;
        assert_eq!(
            (answer.status, answer.status_of_order()),
            (StatusCode::CREATED, "awaiting_payment"),
            "{answer:?}"
        );
        answer.order()
    }

    pub async fn publish<F: Fact>(&self, context: &'static str, fact: F) -> Envelope {
        let envelope = Envelope::new(self.deps.ids.next(), self.deps.now(), None, &fact).unwrap();
        self.publish_again(context, envelope.clone()).await;
        envelope
    }
    /// Lays an envelope into an outbox and waits until everybody has handled it.
    pub async fn publish_again(&self, context: &'static str, envelope: Envelope) {
        let outbox = Store::new(context).outbox;
        self.deps
            .db
            .write("test.publish", move |tx| outbox.publish(tx, std::slice::from_ref(&envelope)))
            .await
            .unwrap();
        self.settle().await;
    }
    pub async fn capture(
        &self,
        order_id: OrderId,
        attempt_id: AttemptId,
        amount: Money,
        late: bool,
    ) -> Envelope {
        let payment_id = order_id.cast();
        if !late {
            self.neighbours
                .world()
                .payments
                .insert(Id::cast::<merx_contracts::ids::PaymentKind>(order_id).to_string(), Paying::Captured);
        }
        let fact = payment::PaymentCaptured {
            payment_id,
            order_id,
            attempt_id,
            amount,
            provider: "alipay".to_owned(),
            provider_trade_no: "2026112022001400001".to_owned(),
            late,
        };
        self.publish("payment", fact).await
    }
    pub async fn refunded(&self, order_id: OrderId, attempt_id: AttemptId, amount: Money) {
        self.refunded_under(order_id, identity::refund_of(order_id, attempt_id), amount).await;
    }
    pub async fn refunded_under(&self, order_id: OrderId, refund_id: RefundId, amount: Money) {
        let fact = payment::PaymentRefunded { payment_id: order_id.cast(), order_id, refund_id, amount };
        self.publish("payment", fact).await;
    }
    /// As shipping told it before shipments had lines.
    pub async fn ship(&self, order_id: OrderId) {
        let fact = shipping::ShipmentDispatched {
            shipment_id: order_id.cast(),
            order_id,
            carrier: "SF Express".to_owned(),
            tracking_number: "SF1234567890".to_owned(),
        };
        self.publish("shipping", fact).await;
    }
    pub async fn ship_some(&self, order_id: OrderId, shipment_id: ShipmentId, lines: &[(&str, i64)]) {
        let line = |line: merx_ordering::domain::PackedLine| Line { sku: line.sku, quantity: line.quantity };
        let fact = shipping::ShipmentDispatchedV2 {
            shipment_id,
            order_id,
            case_id: None,
            carrier: "SF Express".to_owned(),
            tracking_number: "SF1234567890".to_owned(),
            lines: packed(lines).into_iter().map(line).collect(),
        };
        self.publish("shipping", fact).await;
    }
    pub async fn deliver(&self, order_id: OrderId) {
        self.deliver_one(order_id, order_id.cast()).await;
    }
    pub async fn deliver_one(&self, order_id: OrderId, shipment_id: ShipmentId) {
        self.publish("shipping", shipping::ShipmentDelivered { shipment_id, order_id, case_id: None }).await;
    }
    pub async fn come_back(&self, order_id: OrderId, shipment_id: ShipmentId) {
        self.publish("shipping", shipping::ShipmentReturned { shipment_id, order_id, case_id: None }).await;
    }
    /// YTO carries the first shipment, under this number.
    pub async fn correct(&self, order_id: OrderId, tracking_number: &str) {
        let (carrier, tracking_number) = ("YTO".to_owned(), tracking_number.to_owned());
        let shipment_id = order_id.cast();
        let fact =
            shipping::ShipmentCorrected { shipment_id, order_id, case_id: None, carrier, tracking_number };
        self.publish("shipping", fact).await;
    }
    pub async fn erase(&self, account_id: AccountId) {
        self.publish("accounts", accounts::PersonErased { account_id }).await;
    }

    pub async fn settle(&self) {
        self.background.settled().await.unwrap();
    }
    /// Lets time pass, and what becomes due in it happen.
    pub async fn pass(&self, duration: std::time::Duration) {
        self.deps.clock.sleep(duration).await;
        self.settle().await;
    }

    /// The types of the facts ordering published, in order.
    pub async fn facts(&self) -> Vec<String> {
        let outbox = Store::new("ordering").outbox;
        let rows = self.deps.db.read("test.facts", move |q| outbox.read_after(q, 0, 1_000)).await.unwrap();
        rows.into_iter().map(|row| row.kind).collect()
    }
    /// What the facts of one type say, in order.
    pub async fn data_of(&self, kind: &str) -> Vec<Value> {
        let outbox = Store::new("ordering").outbox;
        let rows = self.deps.db.read("test.facts", move |q| outbox.read_after(q, 0, 1_000)).await.unwrap();
        let envelopes = rows.into_iter().filter(|row| row.kind == kind).map(|row| row.envelope);
        envelopes.map(|e| serde_json::from_str::<Value>(&e).unwrap()["data"].take()).collect()
    }
    /// The events of an order, in order.
    pub async fn event_names(&self, order: OrderId) -> Vec<String> {
        let events = Store::new("ordering").events;
        let read = move |q: &mut merx_sql::Reader<'_>| events.load(q, order);
        let recorded = self.deps.db.read("test.events", read).await.unwrap();
        recorded.into_iter().map(|event| event.name).collect()
    }
    /// Everything that is kept for ever or for others, but for what staff did: events, sagas, answers.
    pub async fn stored_texts(&self) -> String {
        let read = |q: &mut merx_sql::Reader<'_>| {
            let mut all = Vec::new();
            for sql in [
                "SELECT body FROM ordering_events",
                "SELECT data FROM ordering_sagas",
                "SELECT COALESCE(body, '') FROM ordering_idempotency",
                "SELECT envelope FROM ordering_outbox WHERE type <> 'ordering.staff_acted.v1'",
            ] {
                all.extend(q.query(sql, params![], |row| row.get::<String>(0))?);
            }
            Ok(all.join("\n"))
        };
        self.deps.db.read("test.texts", read).await.unwrap()
    }
    pub async fn sagas(&self) -> Vec<(String, SagaStatus)> {
        let rows = self.ordering.engine.list(None, None, 100).await.unwrap();
        rows.into_iter().map(|row| (row.name, row.status)).collect()
    }
    pub async fn count(&self, sql: &'static str) -> i64 {
        self.deps.db.read("test.count", move |q| q.query_one(sql, params![], |row| row.get(0))).await.unwrap()
    }
    /// How many write transactions with this label there were, and their statements.
    pub fn cost(&self, label: &str) -> (u64, u64) {
        let stats = self.deps.db.stats();
        let label = stats.labels.get(label).copied().unwrap_or_default();
        (label.write_txs, label.write_statements)
    }

    /// What must hold at the end of every test.
    pub async fn finish(self) {
        self.settle().await;
        let compared = projection::compare(
            &self.deps.db,
            self.deps.clock.clone(),
            &self.module.store,
            &self.module.migrations,
            &self.module.projections,
        )
        .await
        .unwrap();
        for comparison in compared {
            assert!(comparison.is_equal(), "A3: {comparison:?}");
        }
        assert!(
            self.sagas().await.iter().all(|(_, status)| *status == SagaStatus::Done),
            "{:?}",
            self.sagas().await
        );
        let world = self.neighbours.world().clone();
        for sku in ["TEA", "CUP"] {
            assert_eq!(world.units(sku), 10, "A2: {sku}");
        }
        let personal = "SELECT COUNT(*) FROM ordering_events WHERE body LIKE '%CANARY%'";
        assert_eq!(self.count(personal).await, 0, "personal data in events");
        self.deps.tasks.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
    }
}
