//! A shop that has one of everything a path can name, and whoever could ask for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request},
};
use merx_contracts::ids::{CartKind, SessionId};
use merx_http::outbound::{Outbound, OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_kernel::{Permission, Role, Timestamp, principal::AccountId};
use merx_server::shop::Topology;
use merx_sql::params;
use merx_testkit::{Answer, TestApi, request};
use serde_json::{Value, json};

use super::described::Operation;
use merx_simulation::world::{Buyer, CUP, Ground, Order, TEA, Told as _, World};

/// Stands in everything that is the victim's alone: whoever reads it reads what is not theirs.
pub const SECRET_STREET: &str = "不可外泄路 4711 号";
const RECIPIENT: &str = "欧阳无名";
const PHONE: &str = "13912344711";

/// A partner's endpoint that takes everything.
struct Partner;

#[async_trait]
impl Outbound for Partner {
    async fn send(&self, _: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        Ok(OutboundAnswer { status: 204, headers: HeaderMap::new(), body: Default::default(), whole: true })
    }
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Asker {
    pub name: &'static str,
    pub token: Option<String>,
    /// What a body of theirs would say, where it speaks of the asker's own things.
    own: Value,
}

impl Asker {
    pub fn nobody() -> Self {
        Self { name: "nobody", token: None, own: Value::Null }
    }
    pub fn person(name: &'static str, api: &TestApi) -> Self {
        Self { name, token: api.token(), own: Value::Null }
    }
    pub fn program(name: &'static str, secret: &str) -> Self {
        Self { name, token: Some(secret.to_owned()), own: Value::Null }
    }
    /// With an address, and a quote accepted.
    fn with_own(self, own: Value) -> Self {
        Self { own, ..self }
    }
}

/// A request to one operation.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub media: &'static str,
    pub body: Option<String>,
    /// The version that was read, for `If-Match`.
    pub seen: Option<String>,
    pub key: String,
}

/// A shop with one of everything.
pub struct Objects {
    pub world: World,
    pub victim: Buyer,
    pub orders: [Order; 3],
    /// By the name of the parameter.
    values: BTreeMap<&'static str, String>,
    accepted: Value,
}

impl Objects {
    pub async fn new() -> Self {
        let ground = Ground::virtual_time(1);
        let tune = |settings: &mut merx_server::shop::Settings| settings.ways.web = Arc::new(Partner);
        let world = World::on(ground, Topology::Local, tune).await;
        let admin = world.staff(Role::Administrator).await;
        let mut values = structure(&admin).await;
        values.extend(warehouses(&admin).await);
        values.extend(people(&admin).await);
        let victim = world.buyer().await;
        let victim = Buyer { address_id: secret_address(&victim).await, ..victim };
        let (orders, theirs) = orders(&world, &victim).await;
        values.extend(theirs);
        values.extend(super::asked::after_sale(&victim, &orders[1]).await);
        values.insert("case", "rcc_00000000000000000000000001".to_owned());
        values.extend(kept_by_staff(&world, &admin, &victim, &orders).await);
        victim.fill(TEA, 2).await;
        let accepted = victim.quote().await;
        values.insert("cart", victim.account.cast::<CartKind>().to_string());
        values.insert("address", victim.address_id.clone());
        let attempts = format!("/v1/payments/{}/attempts", orders[0].payment_id);
        let begun = victim.api.post(&attempts, json!({"method": "alipay_qr"})).await.expect(201);
        values.insert("attempt", begun.text_at("/id"));
        // The one the victim asks by, and another.
        log_in(&world, victim.account, victim.account.cast()).await;
        let elsewhere = world.shop.deps.ids.next();
        log_in(&world, victim.account, elsewhere).await;
        values.insert("session", elsewhere.to_string());
        let key = json!({"name": "mine", "scopes": ["shop"]});
        values.insert("key", victim.api.post("/v1/api-keys", key).await.expect(201).text_at("/id"));
        values.insert("customer", victim.account.to_string());
        Self { world, victim, orders, values, accepted }
    }

    /// What stands for a parameter of a path.
    pub fn value(&self, path: &str, parameter: &str) -> String {
        let name = match parameter {
            "account" if path.starts_with("/v1/staff") => "staff",
            "account" if path.contains("/ledger/") => return "revenue".to_owned(),
            "account" => "customer",
            // What went back is of the third order, and what can be packed of the second.
            "payment" if path.contains("/refunds/") => "payment_of_refund",
            "order" if path.ends_with("/shipments") => "order_paid",
            "picture" if path.starts_with("/pictures/") => "picture_file",
            "picture" if path.contains("/after-sales/") => "evidence",
            "case" if path.contains("/after-sales/") => "after_sale",
            other => other,
        };
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("nothing stands for {{{parameter}}} of {path}"))
            .clone()
    }

    /// The path of the operation, of what is the victim's or the shop's.
    pub fn path(&self, template: &str) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(parameter) => self.value(template, parameter),
            None => part.to_owned(),
        };
        template.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// A whole request to the operation by the asker: the documented example, with things that are there.
    pub async fn ask(&self, operation: &Operation, asker: &Asker) -> Ask {
        let path = self.path(&operation.path);
        let (media, body) = self.body(operation, asker);
        let takes_version =
            operation.body["parameters"].as_array().into_iter().flatten().any(|p| p["name"] == "If-Match");
        let seen = if takes_version { Some(self.version_of(&path).await) } else { None };
        let method = Method::from_bytes(operation.method.to_uppercase().as_bytes()).unwrap();
        let key = format!("{}-{}", operation.id(), asker.name.replace(' ', "-"));
        Ask { method, path, media, body, seen, key }
    }

    fn body(&self, operation: &Operation, asker: &Asker) -> (&'static str, Option<String>) {
        let content = operation.body.pointer("/requestBody/content").and_then(Value::as_object);
        let Some(content) = content else { return ("", None) };
        if content.contains_key("image/svg+xml") {
            return ("image/svg+xml", Some(DRAWING.to_owned()));
        }
        // Whose case it is is asked before the bytes are looked at.
        if content.contains_key("image/png") {
            return ("image/png", Some("no picture".to_owned()));
        }
        if content.contains_key("application/x-www-form-urlencoded") {
            return ("application/x-www-form-urlencoded", Some("sign=none".to_owned()));
        }
        let mut body = operation.example().unwrap().clone();
        match operation.id() {
            "placeOrder" => body = self.accepted.clone(),
            "quoteCheckout" => body = json!({"address_id": self.accepted["address_id"]}),
            "updateAttribute" => body["attribute"] = text_attribute(),
            "addTrackingEvent" => body["at"] = json!(self.world.shop.deps.now()),
            "writeOrderNote" => body = json!({"text": "Please ring twice."}),
            "replayWebhook" => body = json!({"message_id": self.values["message"], "reason": "lost there"}),
            "makeApiKey" => body = json!({"name": "mine", "scopes": ["shop"]}),
            "splitShipment" => body = json!({"lines": [{"sku": TEA, "quantity": 1}]}),
            "receiveTransfer" => body = json!({"lines": [{"sku": TEA, "quantity": 1}]}),
            "enterStockCount" => body = json!({"sku": CUP, "counted": 3}),
            "arrangePictures" => {
                let alt = json!({"zh": "茶", "en": "Tea"});
                body = json!({"pictures": [{"id": self.values["picture"], "alt": alt}]});
            }
            _ => self.fill(&mut body),
        }
        if !asker.own.is_null() && ["placeOrder", "quoteCheckout"].contains(&operation.id()) {
            let named = body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            body = named.into_iter().map(|name| (name.clone(), asker.own[name].clone())).collect();
        }
        ("application/json", Some(body.to_string()))
    }

    /// Puts what is there where the example names what is not.
    fn fill(&self, body: &mut Value) {
        let Some(properties) = body.as_object_mut() else {
            return body.as_array_mut().into_iter().flatten().for_each(|item| self.fill(item));
        };
        for (name, value) in properties.iter_mut() {
            let known = match name.as_str() {
                "parent_id" => Some(json!(null)),
                "from_warehouse_id" => Some(json!(self.values["main_warehouse"])),
                "to_warehouse_id" | "warehouse_id" => Some(json!(self.values["warehouse_id"])),
                "category_id" => Some(json!(self.values["category"])),
                "brand_id" => Some(json!(self.values["brand"])),
                "address_id" => Some(json!(self.values["address"])),
                "roles" => Some(json!(["support"])),
                "types" => Some(json!(["ordering"])),
                "sku" => Some(json!(TEA)),
                "skus" if value[0].is_string() => Some(json!([CUP])),
                _ => None,
            };
            match known {
                Some(known) => *value = known,
                None => self.fill(value),
            }
        }
    }

    /// The version of what the path names, as an administrator reads it: at the path or above it.
    async fn version_of(&self, path: &str) -> String {
        let admin = self.world.staff(Role::Administrator).await;
        let mut place = path;
        while let Some((above, _)) = place.rsplit_once('/') {
            let answer = match place.strip_prefix("/v1/account") {
                Some("") => self.victim.api.get(place).await,
                _ => admin.get(place).await,
            };
            if let Some(tag) = answer.headers.get("etag").and_then(|tag| tag.to_str().ok()) {
                return tag.to_owned();
            }
            place = above;
        }
        panic!("nothing at {path} has a version");
    }

    pub async fn send(&self, asker: &Asker, ask: &Ask) -> Answer {
        let mut builder = Request::builder().method(ask.method.clone()).uri(&ask.path);
        if let Some(token) = &asker.token {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        if let Some(seen) = &ask.seen {
            builder = builder.header("if-match", seen);
        }
        if ask.body.is_some() {
            builder = builder.header("content-type", ask.media);
        }
        if ask.method == Method::POST {
            builder = builder.header("idempotency-key", &ask.key);
        }
        let body = ask.body.clone().map_or_else(Body::empty, Body::from);
        request(self.world.api.router(), builder.body(body).unwrap()).await
    }

    /// Another buyer, with an address, a full cart and a quote.
    pub async fn other(&self, name: &'static str, role: Role) -> Asker {
        let (account, api) = self.world.account(role).await;
        let buyer = Buyer::new(account, api).await;
        buyer.fill(TEA, 1).await;
        let mut own = buyer.quote().await;
        own["note"] = json!("theirs");
        Asker::person(name, &buyer.api).with_own(own)
    }

    /// A program of an administrator's for each permission, with all scopes but this one; the last has all.
    pub async fn programs(&self) -> Vec<(Option<Permission>, Asker)> {
        let mut programs = Vec::new();
        for without in Permission::ALL.iter().copied().map(Some).chain([None]) {
            // An account has some keys only.
            let admin = self.world.staff(Role::Administrator).await;
            let scopes: Vec<_> = Permission::ALL.iter().filter(|p| Some(**p) != without).collect();
            let key = json!({"name": "a program", "scopes": scopes});
            let made = admin.post("/v1/api-keys", key).await.expect(201);
            programs.push((without, Asker::program("a program without the scope", &made.text_at("/secret"))));
        }
        programs
    }

    /// Everything the victim can see.
    pub async fn state_of_victim(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            ["orders", "addresses", "cart", "sessions", "api-keys", "account", "me", "account/export"]
                .map(|name| format!("/v1/{name}"))
                .into();
        for order in &self.orders {
            paths.extend(["", "/timeline"].map(|part| format!("/v1/orders/{}{part}", order.id)));
            paths.push(format!("/v1/payments/{}", order.payment_id));
        }
        paths.push(format!("/v1/orders/{}/shipments", self.orders[1].id));
        let mut seen = Vec::new();
        for path in paths {
            let answer = match path.ends_with("/export") {
                true => self.victim.api.send(Method::POST, &path, None, None).await,
                false => self.victim.api.get(&path).await,
            };
            seen.push(format!("{path}: {}", answer.expect(200).text));
        }
        seen
    }

    /// Words that stand only in what is the victim's.
    pub fn marks(&self) -> Vec<String> {
        let mut marks = vec![SECRET_STREET.to_owned(), RECIPIENT.to_owned(), PHONE.to_owned()];
        marks.push(self.victim.account.to_string());
        marks.extend(
            ["address", "session", "key", "cart", "shipment", "refund", "after_sale", "evidence"]
                .map(|n| self.values[n].clone()),
        );
        for order in &self.orders {
            marks.extend([order.id.clone(), order.payment_id.clone()]);
        }
        marks
    }
}

const DRAWING: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\" width=\"8\" height=\"8\"><rect width=\"8\" height=\"8\"/></svg>";

fn words(text: &str) -> Value {
    json!({"zh": text, "en": text})
}

fn text_attribute() -> Value {
    json!({"code": "origin", "name": words("Origin"), "kind": "text"})
}

/// What the catalogue is made of.
async fn structure(admin: &TestApi) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value| admin.post(path, body).await.expect(201);
    let category = json!({"name": words("Tea"), "slug": "tea"});
    let brand = json!({"name": words("West Lake"), "slug": "west-lake"});
    let attribute = json!({"attribute": text_attribute()});
    let category = made("/v1/admin/categories", category).await.text_at("/id");
    let brand = made("/v1/admin/brands", brand).await.text_at("/id");
    made("/v1/admin/attributes", attribute).await;
    let listed = admin.get("/v1/products?limit=100").await.expect(200).body;
    let tea = listed["items"].as_array().unwrap().iter().find(|p| p["skus"][0]["sku"] == TEA).unwrap();
    let product = tea["id"].as_str().unwrap().to_owned();
    let upload = Request::post(format!("/v1/admin/products/{product}/pictures"))
        .header("authorization", format!("Bearer {}", admin.token().unwrap()))
        .header("content-type", "image/svg+xml")
        .header("idempotency-key", "a-picture")
        .body(Body::from(DRAWING))
        .unwrap();
    let picture = request(admin.router(), upload).await.expect(201);
    let file = picture.text_at("/files/0/url").rsplit('/').next().unwrap().to_owned();
    let price = json!({
        "price": {"minor": 15_900, "currency": "CNY"}, "reason": "spring",
        "effective_from": "2027-03-01T00:00:00Z",
    });
    let price = made(&format!("/v1/admin/skus/{TEA}/prices"), price).await.text_at("/id");
    BTreeMap::from([
        ("category", category),
        ("brand", brand),
        ("attribute", "origin".to_owned()),
        ("product", product),
        ("picture", picture.text_at("/id")),
        ("picture_file", file),
        ("sku", TEA.to_owned()),
        ("price", price),
        ("code", "request.invalid".to_owned()),
        ("token", "mgt_anything".to_owned()),
    ])
}

/// A second warehouse, a transfer to it, a count.
async fn warehouses(admin: &TestApi) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value| admin.post(path, body).await.expect(201);
    let main = admin.get("/v1/warehouses").await.expect(200).text_at("/items/0/id");
    let second = json!({"code": "shanghai", "name": "Shanghai", "priority": 2});
    let second = made("/v1/warehouses", second).await.text_at("/id");
    let transfer = json!({
        "from_warehouse_id": main, "to_warehouse_id": second, "reason": "nearer",
        "lines": [{"sku": TEA, "quantity": 1}],
    });
    let transfer = made("/v1/transfers", transfer).await.text_at("/id");
    let count = json!({"warehouse_id": main, "skus": [CUP], "reason": "yearly"});
    let count = made("/v1/stock-counts", count).await.text_at("/id");
    BTreeMap::from([
        ("main_warehouse", main),
        ("warehouse_id", second),
        ("transfer_id", transfer),
        ("stock_count_id", count),
    ])
}

/// A role, and somebody of the staff.
async fn people(admin: &TestApi) -> BTreeMap<&'static str, String> {
    let role = json!({"name": "marketing", "permissions": ["catalogue_read"]});
    admin.post("/v1/roles", role).await.expect(201);
    let invited = json!({"email": "li@shop.test", "name": "Li", "roles": ["support"]});
    let staff = admin.post("/v1/staff", invited).await.expect(201).text_at("/id");
    BTreeMap::from([("role", "marketing".to_owned()), ("staff", staff)])
}

async fn secret_address(victim: &Buyer) -> String {
    let address = json!({
        "country": "CN", "region": "浙江省", "city": "杭州市", "line1": SECRET_STREET,
        "postcode": "310013", "recipient": RECIPIENT, "phone": PHONE
    });
    victim.api.post("/v1/addresses", address).await.expect(201).text_at("/id")
}

/// An order that is not paid but could be by a code, one that is paid and to be packed, and one whose money went back.
async fn orders(world: &World, victim: &Buyer) -> ([Order; 3], BTreeMap<&'static str, String>) {
    let paid = victim.order(&[(TEA, 2)]).await;
    victim.pay(world, &paid).await;
    let back = victim.order(&[(TEA, 1)]).await;
    victim.pay(world, &back).await;
    victim.cancel(&back).await;
    world.settle().await;
    let unpaid = victim.order(&[(TEA, 1)]).await;
    let payment = victim.api.get(&format!("/v1/payments/{}", back.payment_id)).await.expect(200);
    let warehouse = world.staff(Role::Warehouse).await;
    let open = warehouse.get("/v1/shipments?status=open&limit=100").await.expect(200).body;
    let shipment = open["items"].as_array().unwrap().iter().find(|s| s["order_id"] == *paid.id).unwrap();
    let values = BTreeMap::from([
        ("order", unpaid.id.clone()),
        ("order_paid", paid.id.clone()),
        ("payment", unpaid.payment_id.clone()),
        ("payment_of_refund", back.payment_id.clone()),
        ("refund", payment.text_at("/refunds/0/id")),
        ("shipment", shipment["id"].as_str().unwrap().to_owned()),
    ]);
    ([unpaid, paid, back], values)
}

/// What waits for staff: a notification that does not agree with its order, an endpoint that was told, a mail.
async fn kept_by_staff(
    world: &World,
    admin: &TestApi,
    victim: &Buyer,
    orders: &[Order; 3],
) -> BTreeMap<&'static str, String> {
    let endpoint = json!({"url": "https://partner.example.com/hooks/merx", "types": ["ordering"]});
    let webhook = admin.post("/v1/admin/webhooks", endpoint).await.expect(201).text_at("/id");
    let (attempt, code) = victim.at_cashier(world, &orders[0]).await;
    world.sandbox.log_in(&code).await.unwrap();
    let wrong = [("trade_status", "TRADE_SUCCESS"), ("total_amount", "0.01")];
    let wrong = wrong.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (_, form) = world.sandbox.forge(&attempt.number, &wrong).await.told();
    world.line.post(form).await;
    let told = victim.order(&[(CUP, 1)]).await;
    victim.cancel(&told).await.expect(200);
    world.pass(Duration::from_secs(5)).await;
    world.settle().await;
    let first = async |path: &str, pointer: &str| {
        let found = admin.get(path).await.expect(200);
        let text = found.text_at(pointer);
        assert!(!text.is_empty(), "nothing at {path}: {}", found.text);
        text
    };
    BTreeMap::from([
        ("message", first(&format!("/v1/admin/webhooks/{webhook}/deliveries"), "/items/0/message_id").await),
        ("webhook", webhook),
        ("mail", first("/v1/admin/mails", "/items/0/id").await),
        ("alert", first("/v1/admin/payments/alerts", "/items/0/id").await),
        ("item", first("/v1/admin/payments/quarantine", "/items/0/id").await),
    ])
}

/// A log-in, as the log-in route would leave it.
async fn log_in(world: &World, account: AccountId, session: SessionId) {
    let now = world.shop.deps.now();
    let later = Timestamp::from_millis(now.as_millis() + 86_400_000);
    let insert = "INSERT INTO accounts_sessions (id, account, client, network, created_at, used_at, expires_at, ended_at) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, NULL)";
    let write = move |tx: &mut merx_sql::Tx<'_>| {
        tx.execute(insert, params![session, account, "a browser", vec![0u8; 32], now, now, later])
    };
    world.shop.deps.db.write("test.session", write).await.told();
}

impl Objects {
    /// Ends the test.
    pub async fn finish(self) {
        self.world.pass(Duration::from_secs(3_600)).await;
        // Whether it was resolved is the test's matter.
        let alerts = self.world.alerts().await;
        let known = ["payment_notification_quarantined"];
        self.world.finish_alarmed(if alerts.is_empty() { &[] } else { &known }).await;
    }
}
