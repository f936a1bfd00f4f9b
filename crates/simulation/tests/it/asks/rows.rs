//! One row for each ask: once granted, once refused.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::{
    accounts::v1::{AddressRequest, CodeRequest, ContactRequest, accounts_client::AccountsClient},
    cart::v1::{ContentsRequest, carts_client::CartsClient},
    catalogue::v1::{QuoteRequest, catalogue_client::CatalogueClient},
    common::v1::{Money, SkuQuantity, TimelineReply, TimelineRequest},
    ids::{CartKind, OrderKind, ReservationId},
    inventory::v1::{
        AvailabilityRequest, ReleaseRequest, ReserveRequest, SellRequest, TakeBackRequest,
        inventory_client::InventoryClient,
    },
    notification::v1::notification_client::NotificationClient,
    ordering::v1::{
        AfterSaleTermsRequest, GrantRefundRequest, GrantReplacementRequest, ReservationRequest,
        ordering_client::OrderingClient,
    },
    payment::v1::{
        AcceptDepositRequest, CloseRequest, OpenRequest, RefundRequest, payments_client::PaymentsClient,
    },
    shipping::v1::{self as shipping, shipping_client::ShippingClient},
};
use merx_kernel::{Id, IdKind, Role};
use merx_platform::rpc::{Peer, ask};
use merx_sql::{Query as _, params};
use serde_json::json;
use tonic::{Response, Status};

use merx_simulation::world::{Buyer, CUP, Order, TEA, Told as _, World};

/// What came of an ask, in words that are the same in every world.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub method: &'static str,
    pub success: String,
    pub refusal: String,
}

/// Somebody who bought, and what the rows ask about.
struct Scene<'a> {
    world: &'a World,
    buyer: Buyer,
    paid: Order,
    unpaid: Order,
    attempt: String,
    code: String,
}

/// Asks everything through the peers of the contexts.
pub async fn outcomes(world: &World, peer: &(dyn Fn(&str) -> Peer + Sync)) -> Vec<Row> {
    let scene = scene(world).await;
    let mut rows = accounts(&scene, peer("accounts")).await;
    rows.extend(goods(&scene, peer("cart"), peer("catalogue")).await);
    rows.extend(inventory(&scene, peer("inventory")).await);
    rows.extend(payment(&scene, peer("payment")).await);
    rows.extend(shipping(&scene, peer("shipping")).await);
    rows.extend(notification(&scene, peer("notification")).await);
    rows.extend(ordering(&scene, peer("ordering")).await);
    rows
}

async fn scene(world: &World) -> Scene<'_> {
    let buyer = world.buyer().await;
    let paid = buyer.order(&[(TEA, 1)]).await;
    let attempt = format!("att_{}", buyer.pay(world, &paid).await.number);
    let unpaid = buyer.order(&[(CUP, 1)]).await;
    buyer.fill(TEA, 2).await;
    let admin = world.staff(Role::Administrator).await;
    let invited = json!({"email": "li@shop.test", "name": "Li", "roles": ["support"]});
    admin.post("/v1/staff", invited).await.expect(201);
    world.settle().await;
    let read = "SELECT id FROM accounts_codes";
    let db = &world.shop.deps.db;
    let code: Id<CodeKind> =
        db.read("test.code", move |q| q.query_one(read, params![], |row| row.get(0))).await.told();
    Scene { world, buyer, paid, unpaid, attempt, code: code.to_string() }
}

/// Codes are named by accounts alone.
enum CodeKind {}
impl IdKind for CodeKind {
    const PREFIX: &'static str = "cod";
}

impl Scene<'_> {
    /// An id nobody has.
    fn fresh(&self, prefix: &str) -> String {
        let id: Id<CodeKind> = self.world.shop.deps.ids.next();
        format!("{prefix}_{}", id.bare())
    }
}

fn row<A: std::fmt::Debug, B: std::fmt::Debug>(
    method: &'static str,
    success: Result<Response<A>, Status>,
    refusal: Result<Response<B>, Status>,
) -> Row {
    Row { method, success: told(success), refusal: told(refusal) }
}

fn told<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> String {
    in_every_world(&match ask(answer) {
        Ok(reply) => format!("answered {reply:?}"),
        Err(e) => format!("refused {:?} {} {:?} {:?}", e.kind(), e.code(), e.message(), e.fields()),
    })
}

/// A timeline, whose details have an order of their own only here.
fn timeline(answer: Result<Response<TimelineReply>, Status>) -> Result<Response<String>, Status> {
    answer.map(|answer| {
        let entry = |entry: merx_contracts::common::v1::TimelineEntry| {
            let detail: BTreeMap<_, _> = entry.detail.iter().collect();
            format!("{} {} {detail:?}", entry.kind, entry.name)
        };
        Response::new(answer.into_inner().entries.into_iter().map(entry).collect::<Vec<_>>().join("; "))
    })
}

/// The text with every id, moment, trace and secret as a mark: those alone differ from world to world.
fn in_every_world(text: &str) -> String {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(of_a_word) {
        let (before, from) = rest.split_at(begin);
        let (word, after) = from.split_at(from.find(|c| !of_a_word(c)).unwrap_or(from.len()));
        out.push_str(before);
        out.push_str(&masked(word));
        rest = after;
    }
    out + rest
}

fn masked(word: &str) -> String {
    let end = word.trim_end_matches([':', '.']).len();
    let (word, after) = word.split_at(end);
    mark_of(word).unwrap_or_else(|| word.to_owned()) + after
}

fn mark_of(word: &str) -> Option<String> {
    let bare = |text: &str| text.len() >= 26 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let of_a_moment = |b: u8| b.is_ascii_digit() || b"-:.TZ".contains(&b);
    let moment = word.len() >= 12 && word.bytes().all(of_a_moment);
    match word.split_once('_') {
        Some((prefix, id)) if bare(id) => Some(format!("{prefix}_…")),
        _ if moment || bare(word) || word.len() >= 40 => Some("…".to_owned()),
        _ => None,
    }
}

const MALFORMED: &str = "not-an-id";

async fn accounts(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = AccountsClient::new(peer);
    let account_id = scene.buyer.account.to_string();
    let address = |account_id: &str| AddressRequest {
        address_id: scene.buyer.address_id.clone(),
        account_id: account_id.to_owned(),
    };
    let contact =
        |account_id: &str| ContactRequest { account_id: account_id.to_owned(), with_guest_token: true };
    let code = |code_id: &str| CodeRequest { code_id: code_id.to_owned() };
    let (stranger, nothing) = (scene.fresh("acc"), scene.fresh("cod"));
    let mut known = client.code(code(&scene.code)).await;
    // The code itself is another in every world.
    if let Ok(reply) = &mut known {
        assert!(!reply.get_ref().code.is_empty());
        reply.get_mut().code = "a code".to_owned();
    }
    let mut reached = client.contact(contact(&account_id)).await;
    if let Ok(reply) = &mut reached {
        assert_eq!(reply.get_ref().email, format!("{}@shop.test", scene.buyer.account.bare()));
    }
    vec![
        row(
            "merx.accounts.v1.Accounts/Address",
            client.address(address(&account_id)).await,
            client.address(address(&stranger)).await,
        ),
        row("merx.accounts.v1.Accounts/Contact", reached, client.contact(contact(&stranger)).await),
        row("merx.accounts.v1.Accounts/Code", known, client.code(code(&nothing)).await),
    ]
}

fn lines(sku: &str, quantity: i64) -> Vec<SkuQuantity> {
    vec![SkuQuantity { sku: sku.to_owned(), quantity }]
}

async fn goods(scene: &Scene<'_>, cart: Peer, catalogue: Peer) -> Vec<Row> {
    let (mut carts, mut catalogue) = (CartsClient::new(cart), CatalogueClient::new(catalogue));
    let contents = |account_id: String| ContentsRequest {
        cart_id: scene.buyer.account.cast::<CartKind>().to_string(),
        account_id,
    };
    let known = [lines(TEA, 2), lines("NO-SUCH", 1)].concat();
    vec![
        row(
            "merx.cart.v1.Carts/Contents",
            carts.contents(contents(scene.buyer.account.to_string())).await,
            carts.contents(contents(scene.fresh("acc"))).await,
        ),
        row(
            "merx.catalogue.v1.Catalogue/Quote",
            catalogue.quote(QuoteRequest { lines: known }).await,
            catalogue.quote(QuoteRequest { lines: vec![lines(TEA, 1).remove(0); 101] }).await,
        ),
    ]
}

async fn inventory(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = InventoryClient::new(peer);
    let (kept, released, refused) = (scene.fresh("rsv"), scene.fresh("rsv"), scene.fresh("rsv"));
    let reserve =
        |id: &str, quantity| ReserveRequest { reservation_id: id.to_owned(), lines: lines(TEA, quantity) };
    let release = |id: &str| ReleaseRequest { reservation_id: id.to_owned() };
    let sell = |id: &str| SellRequest { reservation_id: id.to_owned() };
    let back = |return_id: String, quantity| TakeBackRequest {
        return_id,
        reservation_id: kept.clone(),
        lines: lines(TEA, quantity),
        reason: "after_sale".to_owned(),
        written_off: false,
    };
    let told_of = |order_id: &str| TimelineRequest { order_id: order_id.to_owned() };
    let reserved = client.reserve(reserve(&kept, 2)).await;
    let sold_out = client.reserve(reserve(&refused, 1_000)).await;
    let let_go = client.release(release(&released)).await;
    let late = client.reserve(reserve(&released, 1)).await;
    assert_eq!(ask(late).unwrap_err().code(), "inventory.reservation_released");
    vec![
        row("merx.inventory.v1.Inventory/Reserve", reserved, sold_out),
        row("merx.inventory.v1.Inventory/Release", let_go, client.release(release(MALFORMED)).await),
        row(
            "merx.inventory.v1.Inventory/Sell",
            client.sell(sell(&kept)).await,
            client.sell(sell(&released)).await,
        ),
        row(
            "merx.inventory.v1.Inventory/TakeBack",
            client.take_back(back(scene.fresh("rtn"), 1)).await,
            client.take_back(back(scene.fresh("rtn"), 2)).await,
        ),
        row(
            "merx.inventory.v1.Inventory/Availability",
            client
                .availability(AvailabilityRequest { skus: vec![TEA.to_owned(), "NO-SUCH".to_owned()] })
                .await,
            client.availability(AvailabilityRequest { skus: vec!["no such".to_owned()] }).await,
        ),
        row(
            "merx.inventory.v1.Inventory/Timeline",
            timeline(client.timeline(told_of(&scene.paid.id)).await),
            timeline(client.timeline(told_of(MALFORMED)).await),
        ),
    ]
}

async fn payment(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = PaymentsClient::new(peer);
    let deadline = scene.world.shop.deps.now().as_millis() + 600_000;
    let open = |payment_id: &str| OpenRequest {
        payment_id: payment_id.to_owned(),
        order_id: payment_id.replace("pay_", "ord_"),
        account_id: scene.buyer.account.to_string(),
        amount: Some(Money { minor: 100, currency: "CNY".to_owned() }),
        deadline,
        subject: "Tea".to_owned(),
        freight: None,
    };
    let close = |payment_id: &str| CloseRequest { payment_id: payment_id.to_owned() };
    let refund = |refund_id: String, minor| RefundRequest {
        payment_id: scene.paid.payment_id.clone(),
        refund_id,
        amount: Some(Money { minor, currency: "CNY".to_owned() }),
        reason: "after_sale".to_owned(),
        attempt_id: scene.attempt.clone(),
    };
    // What was owed when it came pays already; nothing else of it is a deposit.
    let accept = |minor| AcceptDepositRequest {
        payment_id: scene.paid.payment_id.clone(),
        attempt_id: scene.attempt.clone(),
        amount: Some(Money { minor, currency: "CNY".to_owned() }),
    };
    let told_of = |order_id: &str| TimelineRequest { order_id: order_id.to_owned() };
    let (opened, closed) = (scene.fresh("pay"), scene.fresh("pay"));
    let shut = client.close(close(&closed)).await;
    vec![
        row(
            "merx.payment.v1.Payments/Open",
            client.open(open(&opened)).await,
            client.open(open(&closed)).await,
        ),
        row("merx.payment.v1.Payments/Close", shut, client.close(close(MALFORMED)).await),
        row(
            "merx.payment.v1.Payments/Refund",
            client.refund(refund(scene.fresh("rfd"), 100)).await,
            client.refund(refund(scene.fresh("rfd"), scene.paid.total_minor)).await,
        ),
        row(
            "merx.payment.v1.Payments/AcceptDeposit",
            client.accept_deposit(accept(scene.paid.total_minor)).await,
            client.accept_deposit(accept(1)).await,
        ),
        row(
            "merx.payment.v1.Payments/Timeline",
            timeline(client.timeline(told_of(&scene.unpaid.id)).await),
            timeline(client.timeline(told_of(MALFORMED)).await),
        ),
    ]
}

async fn shipping(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = ShippingClient::new(peer);
    let quote = |weight_grams| shipping::QuoteRequest {
        country: "CN".to_owned(),
        region: "浙江省".to_owned(),
        weight_grams,
        subtotal: Some(Money { minor: 16_800, currency: "CNY".to_owned() }),
    };
    let order = scene.fresh("ord");
    let open = |order_id: &str, shipment_id: String| shipping::OpenRequest {
        shipment_id,
        order_id: order_id.to_owned(),
        account_id: scene.buyer.account.to_string(),
        address_id: scene.buyer.address_id.clone(),
        method: "standard".to_owned(),
        lines: lines(TEA, 1),
        warehouse_id: String::new(),
        case_id: String::new(),
    };
    let hold_id = scene.fresh("hld");
    let order_id = order.clone();
    let hold = |order_id: &str, hold_id: &str| shipping::HoldRequest {
        order_id: order_id.to_owned(),
        hold_id: hold_id.to_owned(),
    };
    let lift =
        |hold_id: &str| shipping::LiftHoldRequest { order_id: order_id.clone(), hold_id: hold_id.to_owned() };
    let cancel =
        |hold_id: &str| shipping::CancelRequest { order_id: order_id.clone(), hold_id: hold_id.to_owned() };
    let told_of = |order_id: &str| TimelineRequest { order_id: order_id.to_owned() };
    let opened = client.open(open(&order, scene.fresh("shp"))).await;
    let held = client.hold(hold(&order, &hold_id)).await;
    let other_hold = scene.fresh("hld");
    let lifted = client.lift_hold(lift(&other_hold)).await;
    let not_held = client.cancel(cancel(&other_hold)).await;
    let cancelled = client.cancel(cancel(&hold_id)).await;
    let too_late = client.open(open(&order, scene.fresh("shp"))).await;
    scene.world.ship(&scene.paid).await;
    let gone = client.hold(hold(&scene.paid.id, &scene.fresh("hld"))).await;
    vec![
        row(
            "merx.shipping.v1.Shipping/Quote",
            client.quote(quote(1_200)).await,
            client.quote(quote(-1)).await,
        ),
        row("merx.shipping.v1.Shipping/Open", opened, too_late),
        row("merx.shipping.v1.Shipping/Hold", held, gone),
        row("merx.shipping.v1.Shipping/LiftHold", lifted, client.lift_hold(lift(MALFORMED)).await),
        row("merx.shipping.v1.Shipping/Cancel", cancelled, not_held),
        row(
            "merx.shipping.v1.Shipping/Timeline",
            timeline(client.timeline(told_of(&scene.paid.id)).await),
            timeline(client.timeline(told_of(MALFORMED)).await),
        ),
    ]
}

async fn notification(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = NotificationClient::new(peer);
    let told_of = |order_id: &str| TimelineRequest { order_id: order_id.to_owned() };
    // Which mails there are; how far each has come is a matter of time.
    let mails = client.timeline(told_of(&scene.paid.id)).await.map(|told| {
        let names: BTreeSet<String> = told.into_inner().entries.into_iter().map(|entry| entry.name).collect();
        assert!(names.contains("order_paid"), "the buyer was written to: {names:?}");
        Response::new(names)
    });
    vec![row(
        "merx.notification.v1.Notification/Timeline",
        mails,
        timeline(client.timeline(told_of(MALFORMED)).await),
    )]
}

async fn ordering(scene: &Scene<'_>, peer: Peer) -> Vec<Row> {
    let mut client = OrderingClient::new(peer);
    let terms = |order: &Order, account: &str| AfterSaleTermsRequest {
        order_id: order.id.clone(),
        account_id: account.to_owned(),
    };
    let grant = |order: &Order, minor| GrantRefundRequest {
        order_id: order.id.clone(),
        case_id: scene.fresh("afs"),
        amount: Some(Money { minor, currency: "CNY".to_owned() }),
    };
    let replace =
        |order: &Order| GrantReplacementRequest { order_id: order.id.clone(), case_id: scene.fresh("afs") };
    let (own, other) = (scene.buyer.account.to_string(), scene.fresh("acc"));
    // A number is made of its order's id.
    let told_of = client.after_sale_terms(terms(&scene.paid, &own)).await.map(|reply| {
        let reply = reply.into_inner();
        assert!(!reply.number.is_empty(), "{reply:?}");
        Response::new(merx_contracts::ordering::v1::AfterSaleTermsReply { number: String::new(), ..reply })
    });
    let sold_under = client.reservation(ReservationRequest { order_id: scene.paid.id.clone() }).await;
    let sold_under = sold_under.map(|reply| {
        let reservation: ReservationId = reply.into_inner().reservation_id.parse().unwrap();
        Response::new(reservation.cast::<OrderKind>().to_string() == scene.paid.id)
    });
    vec![
        row(
            "merx.ordering.v1.Ordering/AfterSaleTerms",
            told_of,
            client.after_sale_terms(terms(&scene.paid, &other)).await,
        ),
        row(
            "merx.ordering.v1.Ordering/GrantRefund",
            client.grant_refund(grant(&scene.paid, 100)).await,
            client.grant_refund(grant(&scene.paid, scene.paid.total_minor)).await,
        ),
        row(
            "merx.ordering.v1.Ordering/GrantReplacement",
            client.grant_replacement(replace(&scene.paid)).await,
            client.grant_replacement(replace(&scene.unpaid)).await,
        ),
        row(
            "merx.ordering.v1.Ordering/Reservation",
            sold_under,
            client.reservation(ReservationRequest { order_id: scene.fresh("ord") }).await,
        ),
    ]
}
