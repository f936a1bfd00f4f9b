//! Every route × everybody who might ask: nobody reads or changes what is another's, and nobody can tell what is
//! another's from what is not there.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use merx_http::{Access, Owner, Route};
use merx_kernel::Role;
use merx_testkit::Answer;

use super::{
    described::{Description, Operation},
    objects::{Asker, Objects},
};

/// Whose things a route with an owner touches.
enum Whose {
    /// Those of the account that asks; its path names nothing of anybody.
    Asker,
    /// What this parameter of the path names.
    Named(&'static str),
}

/// The row of every route that has an owner.
fn whose(operation: &str) -> Option<Whose> {
    Some(match operation {
        "getAddress" | "replaceAddress" | "deleteAddress" => Whose::Named("address"),
        "endSession" => Whose::Named("session"),
        "revokeApiKey" => Whose::Named("key"),
        "quoteCheckout" | "placeOrder" => Whose::Named("cart"),
        "getOrder"
        | "getOrderTimeline"
        | "cancelOrder"
        | "confirmReceipt"
        | "writeOrderNote"
        | "listOrderShipments"
        | "requestAfterSale"
        | "listOrderAfterSales" => Whose::Named("order"),
        "getAfterSale"
        | "withdrawAfterSale"
        | "sendAfterSaleReturn"
        | "addAfterSalePicture"
        | "getAfterSalePicture" => Whose::Named("case"),
        "getPayment"
        | "listPaymentMethods"
        | "startPaymentAttempt"
        | "drawPaymentQrCode"
        | "getPaymentRefund" => Whose::Named("payment"),
        "getAccount" | "changeAccount" | "changePassword" | "eraseAccount" | "exportAccount" | "getMe" => {
            Whose::Asker
        }
        "setGuestContact" | "listSessions" | "logOut" | "endSessionsElsewhere" => Whose::Asker,
        "listAddresses" | "addAddress" | "listApiKeys" | "makeApiKey" | "listOrders" => Whose::Asker,
        "getCart"
        | "emptyCart"
        | "clearCart"
        | "setCartLine"
        | "removeCartLine"
        | "acknowledgeCartNotices" => Whose::Asker,
        _ => return None,
    })
}

/// What whoever may do it is refused all the same in a shop as it is here, and why.
const REFUSED_HERE: &[(&str, u16, &str)] = &[
    ("changePassword", 403, "the victim's password is nobody's"),
    ("eraseAccount", 403, "the victim's password is nobody's"),
    ("setGuestContact", 409, "the victim is no guest"),
    ("acceptInvitation", 401, "the code is none"),
    ("enterAsGuest", 401, "the token is none"),
    ("logIn", 401, "the password is none"),
    ("refreshSession", 401, "the token is none"),
    ("takeAlipayNotification", 400, "Alipay has not signed it"),
    ("confirmPaymentMoney", 409, "Alipay has this money, and says so itself"),
    ("resolveReconciliationCase", 404, "no bill differs here"),
    ("confirmPaymentRefund", 409, "Alipay pays it back, and says so itself"),
];

/// What is asked last, in this order: nobody is who they were after it.
const LAST: &[&str] = &[
    "endSessionsElsewhere",
    "eraseAccount",
    "logOut",
    "endCustomerSession",
    "endCustomerSessions",
    "eraseCustomer",
];

/// The findings of the matrix, and how much was asked.
#[derive(Default)]
struct Matrix {
    requests: usize,
    findings: Vec<String>,
}

impl Matrix {
    fn found(&mut self, place: &str, asker: &str, answer: &Answer, wrong: &str) {
        let text: String = answer.text.chars().take(300).collect();
        self.findings.push(format!("{place} by {asker}: {wrong}: {} {text}", answer.status));
    }
}

/// The route, its row, and everybody.
struct Row<'a> {
    objects: &'a Objects,
    description: &'a Description,
    route: &'a Route,
    operation: Operation,
}

impl Row<'_> {
    fn place(&self) -> String {
        format!("{} {} {}", self.route.operation_id(), self.route.method(), self.route.path())
    }

    async fn asked(&self, matrix: &mut Matrix, asker: &Asker) -> Answer {
        let ask = self.objects.ask(&self.operation, asker).await;
        let answer = self.objects.send(asker, &ask).await;
        matrix.requests += 1;
        let undocumented = self.description.undocumented(&self.operation, &answer);
        matrix.findings.extend(undocumented);
        answer
    }

    /// Somebody whom the object is not: the same answer as for one that is not there, and nothing of the victim's in it.
    async fn foreign(&self, matrix: &mut Matrix, asker: &Asker) {
        let answer = self.asked(matrix, asker).await;
        for mark in self.objects.marks().iter().filter(|mark| answer.text.contains(*mark)) {
            // What was asked for may be told again.
            let asked = self.objects.path(self.route.path());
            if !asked.contains(mark.as_str()) || answer.status.is_success() {
                matrix.found(&self.place(), asker.name, &answer, &format!("it shows {mark}"));
            }
        }
        let Some(Whose::Named(parameter)) = whose(self.route.operation_id()) else { return };
        if answer.status != StatusCode::NOT_FOUND {
            matrix.found(&self.place(), asker.name, &answer, "a foreign object is there");
        }
        let there = self.objects.value(self.route.path(), parameter);
        let (prefix, _) = there.split_once('_').unwrap();
        let mut ask = self.objects.ask(&self.operation, asker).await;
        ask.path = ask.path.replace(&there, &format!("{prefix}_00000000000000000000000001"));
        ask.key.push_str("-absent");
        let absent = self.objects.send(asker, &ask).await;
        matrix.requests += 1;
        if told(&answer) != told(&absent) {
            let wrong = format!("an absent one is answered {}", absent.text);
            matrix.found(&self.place(), asker.name, &answer, &wrong);
        }
    }

    async fn refused(&self, matrix: &mut Matrix, asker: &Asker, status: u16, codes: &[&str]) {
        let answer = self.asked(matrix, asker).await;
        if answer.status.as_u16() != status || !codes.contains(&answer.code()) {
            matrix.found(&self.place(), asker.name, &answer, &format!("must be {status} {codes:?}"));
        }
    }

    /// Whoever may.
    async fn admitted(&self, matrix: &mut Matrix, asker: &Asker) {
        let answer = self.asked(matrix, asker).await;
        let id = self.route.operation_id();
        let known = REFUSED_HERE.iter().any(|(known, status, _)| *known == id && answer.status == *status);
        let state = answer.status == StatusCode::CONFLICT;
        if !answer.status.is_success() && !known && !state {
            matrix.found(&self.place(), asker.name, &answer, "whoever may is refused");
        }
    }
}

/// An answer but for what names the request and counts it.
fn told(answer: &Answer) -> (StatusCode, String, Vec<(String, String)>) {
    const OF_THE_REQUEST: [&str; 3] = ["x-request-id", "traceparent", "ratelimit"];
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("instance");
    }
    let headers = answer.headers.iter().filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (answer.status, body.to_string(), headers.collect())
}

/// Reading first, then changing, then making, then taking away.
fn turn(route: &Route) -> (Option<usize>, u8) {
    let last = LAST.iter().position(|last| *last == route.operation_id());
    let method = match *route.method() {
        Method::GET => 0,
        Method::PUT => 1,
        Method::DELETE => 3,
        _ => 2,
    };
    (last, method)
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_is_the_same_as_none() {
    let objects = Objects::new().await;
    let description = Description::of(&objects.world).await;
    let mut routes: Vec<&Route> = objects.world.shop.routes.iter().collect();
    routes.sort_by_key(|route| turn(route));
    let owned = routes.iter().filter(|r| matches!(r.access().owner(), Some(Owner::Account(_))));
    let owned: BTreeSet<&str> = owned.map(|r| r.operation_id()).collect();
    let with_row = routes.iter().filter(|r| whose(r.operation_id()).is_some());
    assert_eq!(owned, with_row.map(|r| r.operation_id()).collect(), "every route with an owner has its row");

    let before = objects.state_of_victim().await;
    let mut matrix = Matrix::default();
    let row = |route| {
        let operation = description.operation(Route::operation_id(route));
        Row { objects: &objects, description: &description, route, operation }
    };
    let programs = objects.programs().await;
    for route in &routes {
        let without = programs.iter().find(|(without, _)| *without == route.access().permission());
        strangers(&mut matrix, &row(route), &without.unwrap().1).await;
    }
    assert!(matrix.findings.is_empty(), "{}", matrix.findings.join("\n"));
    assert_eq!(objects.state_of_victim().await, before, "nothing of the victim's has changed");
    let (strange, routes_seen) = (matrix.requests, routes.len());

    // What the others may not, these may.
    for route in &routes {
        let asker = match route.access().owner() {
            Some(Owner::Account(_)) => Asker::person("the owner", &objects.victim.api),
            _ => Asker::person("an administrator", &objects.world.staff(Role::Administrator).await),
        };
        row(route).admitted(&mut matrix, &asker).await;
    }
    assert!(matrix.findings.is_empty(), "{}", matrix.findings.join("\n"));
    println!(
        "PROOF | T32 | every route × owner, other customer, guest, staff and keys without the right, nobody | size={routes_seen} | \
         100 % of {routes_seen} routes covered, {strange} requests of strangers and {} of whoever may: 0 foreign objects read or \
         changed, 404 the same as absent | seed=-",
        matrix.requests - strange
    );
    objects.finish().await;
}

/// Everybody whose the object of the route is not.
async fn strangers(matrix: &mut Matrix, row: &Row<'_>, program: &Asker) {
    let (objects, access) = (row.objects, row.route.access());
    let nobody = Asker::nobody();
    if let Access::Public | Access::Signed(_) = access {
        // Everybody may; but nothing of the victim's is there.
        return row.foreign(matrix, &nobody).await;
    }
    row.refused(matrix, &nobody, 401, &["request.unauthenticated"]).await;
    let codes = if access.session_only() { "request.session_required" } else { "request.forbidden" };
    row.refused(matrix, program, 403, &[codes]).await;
    let others = [
        objects.other("another customer", Role::Customer).await,
        objects.other("a guest", Role::Guest).await,
    ];
    let without = Role::ALL.iter().filter(|role| !matches!(role, Role::Customer | Role::Guest));
    let without: Vec<Role> = match access.permission() {
        Some(permission) => without.filter(|role| !role.allows(permission)).copied().collect(),
        // The owner may, or whoever has a permission that is not the packers'.
        None => vec![Role::Warehouse],
    };
    for asker in &others {
        match access.owner() {
            Some(Owner::Account(_)) => row.foreign(matrix, asker).await,
            _ => row.refused(matrix, asker, 403, &["request.forbidden"]).await,
        }
    }
    for role in without {
        let staff = Asker::person("staff without the permission", &objects.world.staff(role).await);
        match access.permission() {
            Some(_) => row.refused(matrix, &staff, 403, &["request.forbidden"]).await,
            None => row.foreign(matrix, &staff).await,
        }
    }
}

/// What a body may name: only the asker's own.
#[tokio::test(start_paused = true)]
async fn a_foreign_object_in_a_body_is_the_same_as_none() {
    let objects = Objects::new().await;
    let world = &objects.world;
    let thief = world.buyer().await;
    thief.fill(merx_simulation::world::TEA, 1).await;
    let accepted = thief.quote().await;
    for (path, body) in [("quote", serde_json::json!({})), ("orders", accepted)] {
        let mut answers = Vec::new();
        for address in [objects.victim.address_id.as_str(), "adr_00000000000000000000000001"] {
            let mut body = body.clone();
            body["address_id"] = serde_json::json!(address);
            answers.push(thief.api.post(&format!("{}/{path}", thief.checkout()), body).await);
        }
        answers[0].expect_problem(404, "accounts.address_not_found");
        assert_eq!(told(&answers[0]), told(&answers[1]), "{path}");
    }
    // An order is named by its number too.
    let number = objects.victim.look(&objects.orders[0]).await["number"].as_str().unwrap().to_owned();
    let foreign = thief.api.get(&format!("/v1/orders/{number}")).await;
    let absent = thief.api.get("/v1/orders/ord_00000000000000000000000001").await;
    assert_eq!(told(&foreign), told(&absent));
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    objects.finish().await;
}
