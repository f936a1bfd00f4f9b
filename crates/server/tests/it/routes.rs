//! Every route of the shop, walked: who may use it, whose objects it shows, and that it is described.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use merx_http::{Access, Owner, Route};
use merx_kernel::{Role, Timestamp};
use merx_sql::params;
use merx_testkit::{Answer, TestApi};
use serde_json::{Value, json};

use crate::world::{Buyer, Order, TEA, Told as _, World};

/// The only routes with an object in their path that anybody may see.
const OPEN_TO_ALL: &[&str] = &["getErrorPage", "getProduct"];
/// Routes with an owner whose path names nobody's object: the cart they change is always the caller's.
const PATH_NAMES_NO_OWNED_OBJECT: &[&str] = &["setCartLine", "removeCartLine"];

fn has_params(route: &Route) -> bool {
    route.path().contains('{')
}

/// The path with something in place of every parameter. The guard decides before anybody reads it.
fn filled(route: &Route) -> String {
    let parts = route.path().split('/').map(|part| if part.starts_with('{') { "anything" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn knock(api: &TestApi, route: &Route) -> Answer {
    let body = (*route.method() != Method::GET).then(|| json!({}));
    api.send(route.method().clone(), &filled(route), body, Some("a-key")).await
}

#[tokio::test(start_paused = true)]
async fn every_route_is_guarded() {
    let world = World::new().await;
    let routes = &world.shop.routes;
    assert!(routes.len() >= 30, "only {} routes are wired", routes.len());
    assert_eq!(Route::check(routes), Vec::<String>::new());
    for route in routes.iter().filter(|route| has_params(route)) {
        let owner = route.access().owner().map(|owner| owner.reason());
        let open = OPEN_TO_ALL.contains(&route.operation_id());
        assert!(open || owner.is_some(), "{} {} has no owner rule", route.method(), route.path());
    }
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_passes_without_a_token_or_the_permission() {
    let world = World::new().await;
    let mut refused = 0;
    for route in &world.shop.routes {
        let place = format!("{} {}", route.method(), route.path());
        let stranger = knock(&world.api, route).await;
        match route.access() {
            Access::Public | Access::Signed(_) => {
                assert_ne!(stranger.status, StatusCode::UNAUTHORIZED, "{place}");
                continue;
            }
            _ => assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{place}: {}", stranger.text),
        }
        let Some(permission) = route.access().permission() else { continue };
        for role in Role::ALL.iter().filter(|role| !role.allows(permission)) {
            let answer = knock(&world.staff(*role).await, route).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{place} as {role:?}: {}", answer.text);
            refused += 1;
        }
    }
    assert!(refused >= 50, "only {refused} refusals were seen");
    world.finish().await;
}

/// A request of somebody else's object.
struct Trespass {
    operation: &'static str,
    method: Method,
    /// With `{}` where the object stands.
    path: String,
    object: String,
    body: Option<Value>,
}

impl Trespass {
    async fn by(&self, api: &TestApi, object: &str) -> Answer {
        // A key of its own: an answer that is kept for repetitions must not hide what is asked.
        let key = format!("{}-{object}", self.operation);
        let path = self.path.replace("{}", object);
        api.send(self.method.clone(), &path, self.body.clone(), Some(&key)).await
    }
    /// The id of the same kind that nobody has.
    fn absent(&self) -> String {
        let (prefix, _) = self.object.split_once('_').unwrap();
        format!("{prefix}_00000000000000000000000001")
    }
}

/// Everything of the victim that a route with an owner could be asked for.
async fn trespasses(world: &World, victim: &Buyer, thief: &Buyer) -> Vec<Trespass> {
    let order = victim.order(&[(TEA, 1)]).await;
    victim.fill(TEA, 2).await;
    let session = session_of(world, victim).await;
    thief.fill(TEA, 1).await;
    let accepted = thief.quote().await;
    let form = json!({
        "country": "CN", "region": "浙江省", "city": "杭州市", "line1": "1", "postcode": "310013",
        "recipient": "X", "phone": "13800138000"
    });
    let cart = victim.account.cast::<merx_contracts::ids::CartKind>().to_string();
    let code = code_of(victim, &order).await;
    let refund = "/v1/payments/{}/refunds/rfd_00000000000000000000000001";
    let rows: [(&str, Method, &str, &str, Option<Value>); 14] = [
        ("endSession", Method::DELETE, "/v1/sessions/{}", &session, None),
        ("getAddress", Method::GET, "/v1/addresses/{}", &victim.address_id, None),
        ("replaceAddress", Method::PUT, "/v1/addresses/{}", &victim.address_id, Some(form)),
        ("deleteAddress", Method::DELETE, "/v1/addresses/{}", &victim.address_id, None),
        (
            "quoteCheckout",
            Method::POST,
            "/v1/checkouts/{}/quote",
            &cart,
            Some(json!({"address_id": thief.address_id})),
        ),
        ("placeOrder", Method::POST, "/v1/checkouts/{}/orders", &cart, Some(accepted)),
        ("getOrder", Method::GET, "/v1/orders/{}", &order.id, None),
        ("getOrderTimeline", Method::GET, "/v1/orders/{}/timeline", &order.id, None),
        ("cancelOrder", Method::POST, "/v1/orders/{}/cancellation", &order.id, Some(json!({}))),
        ("confirmReceipt", Method::POST, "/v1/orders/{}/receipt", &order.id, Some(json!({}))),
        ("getPayment", Method::GET, "/v1/payments/{}", &order.payment_id, None),
        ("drawPaymentQrCode", Method::GET, &code, &order.payment_id, None),
        ("getPaymentRefund", Method::GET, refund, &order.payment_id, None),
        (
            "startPaymentAttempt",
            Method::POST,
            "/v1/payments/{}/attempts",
            &order.payment_id,
            Some(json!({"method": "alipay_qr"})),
        ),
    ];
    let trespass = |(operation, method, path, object, body): (_, _, &str, &str, _)| Trespass {
        operation,
        method,
        path: path.to_owned(),
        object: object.to_owned(),
        body,
    };
    rows.into_iter().map(trespass).collect()
}

/// Where the code of an attempt to pay the order is drawn, with `{}` for the payment.
async fn code_of(victim: &Buyer, order: &Order) -> String {
    let attempts = format!("/v1/payments/{}/attempts", order.payment_id);
    let begun = victim.api.post(&attempts, json!({"method": "alipay_qr"})).await.expect(201);
    begun.text_at("/qr_svg_url").replace(&order.payment_id, "{}")
}

/// A log-in of the victim, as the log-in route would leave it.
async fn session_of(world: &World, victim: &Buyer) -> String {
    let session: merx_contracts::ids::SessionId = world.shop.deps.ids.next();
    let (account, now) = (victim.account, world.shop.deps.now());
    let later = Timestamp::from_millis(now.as_millis() + 86_400_000);
    let insert = "INSERT INTO accounts_sessions (id, account, client, network, created_at, used_at, expires_at, ended_at) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, NULL)";
    let write = move |tx: &mut merx_sql::Tx<'_>| {
        tx.execute(insert, params![session, account, "a browser", vec![0u8; 32], now, now, later])
    };
    world.shop.deps.db.write("test.session", write).await.told();
    session.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_is_the_same_as_none() {
    let world = World::new().await;
    let (victim, thief) = (world.buyer().await, world.buyer().await);
    let all = trespasses(&world, &victim, &thief).await;
    let owned = world.shop.routes.iter().filter(|route| {
        let account = matches!(route.access().owner(), Some(Owner::Account(_)));
        has_params(route) && account && !PATH_NAMES_NO_OWNED_OBJECT.contains(&route.operation_id())
    });
    let owned: BTreeSet<&str> = owned.map(Route::operation_id).collect();
    assert_eq!(all.iter().map(|t| t.operation).collect::<BTreeSet<_>>(), owned, "the list below is complete");

    let before = state_of(&world, &victim).await;
    // Staff without the permission are nobody's owners either.
    let packer = world.staff(Role::Warehouse).await;
    for trespass in &all {
        let foreign = trespass.by(&thief.api, &trespass.object).await;
        let absent = trespass.by(&thief.api, &trespass.absent()).await;
        let told = |answer: &Answer| {
            let part = |name: &str| answer.body[name].clone();
            (answer.status, part("code"), part("title"), part("detail"), part("errors"))
        };
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{}: {}", trespass.operation, foreign.text);
        assert_eq!(told(&foreign), told(&absent), "{} tells one from the other", trespass.operation);
        let staff = trespass.by(&packer, &trespass.object).await;
        let refused = matches!(staff.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
        assert!(refused, "{}: {}", trespass.operation, staff.text);
    }
    let theirs = json!({"address_id": victim.address_id});
    let quote = thief.api.post(&format!("{}/quote", thief.checkout()), theirs).await;
    quote.expect_problem(404, "accounts.address_not_found");
    assert_eq!(state_of(&world, &victim).await, before, "nothing of the victim's has changed");

    // What the thief may not, the victim may.
    // (And nothing of the order went back, so the refund is nobody's.)
    let of_the_thief = ["quoteCheckout", "placeOrder", "getPaymentRefund"];
    for trespass in all.iter().filter(|t| !of_the_thief.contains(&t.operation)) {
        let own = trespass.by(&victim.api, &trespass.object).await;
        assert_ne!(own.status, StatusCode::NOT_FOUND, "{}: {}", trespass.operation, own.text);
    }
    world.pass(std::time::Duration::from_secs(3_600)).await;
    world.finish().await;
}

/// Everything the victim can see.
async fn state_of(world: &World, victim: &Buyer) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["/v1/orders", "/v1/addresses", "/v1/cart", "/v1/sessions"] {
        seen.push(victim.api.get(path).await.expect(200).body);
    }
    seen.push(json!(world.stock(TEA).await));
    seen
}

#[tokio::test(start_paused = true)]
async fn the_description_is_whole() {
    let world = World::new().await;
    let document = world.api.get("/openapi.json").await.expect(200).body;
    assert_eq!(document["openapi"], "3.1.0");
    for name in ["title", "version"] {
        assert!(document["info"][name].as_str().is_some_and(|text| !text.is_empty()), "info.{name}");
    }
    let mut refs = Vec::new();
    references(&document, &mut refs);
    assert!(refs.len() > 100, "only {} references", refs.len());
    for reference in refs {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            check_operation(path, operation);
            let id = operation["operationId"].as_str().unwrap();
            described.insert((method.to_uppercase(), path.clone(), id.to_owned()));
        }
    }
    let name = |method: &str, path: &str, id: &str| (method.to_owned(), path.to_owned(), id.to_owned());
    let mut wired: BTreeSet<_> =
        world.shop.routes.iter().map(|r| name(r.method().as_str(), r.path(), r.operation_id())).collect();
    // The edge brings these.
    for id in ["livez", "readyz", "metrics"] {
        wired.insert(name("GET", &format!("/{id}"), id));
    }
    assert_eq!(described, wired);
    world.finish().await;
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// What OpenAPI 3.1.0 demands of an operation: responses with a description, and each parameter of the path, required.
fn check_operation(path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{path} never succeeds");
    assert!(responses.values().all(|r| r["description"].is_string()), "{path}: {operation}");
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let in_path = parameters.iter().filter(|p| p["in"] == "path");
    let named: BTreeSet<&str> = in_path
        .inspect(|p| assert_eq!(p["required"], true, "{path}"))
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    let braced = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    assert_eq!(named, braced.collect::<BTreeSet<_>>(), "{path}");
    assert!(parameters.iter().all(|p| p["schema"].is_object()), "{path}: {parameters:?}");
}
