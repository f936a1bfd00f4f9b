//! Money that comes after its order has ended: the order goes on if its goods can still be had, otherwise the money goes
//! back; exactly one of the two, once.

use std::time::Duration;

use merx_contracts::{
    ids::{AttemptId, OrderId, ReservationKind},
    ordering::v1::{ReservationRequest, ordering_server::Ordering as _},
};
use merx_kernel::{Error, Money};
use merx_ordering::{
    CausedBy,
    domain::{CancelReason, Command, Order, OrderAxis, PaymentAxis, Rejection, decide, identity},
    rpc::OrderingRpc,
    store,
};
use tonic::Request;

use crate::{
    given::{
        ATTEMPT, DEADLINE, ORDER, OTHER_ATTEMPT, after, await_payment, cancel_by, capture, cny, facts_at,
        names, open, paid, place, refunded, reject, ship, total,
    },
    neighbours::{Hold, Reservation},
    shop::{STRANGER, SUPPORT, Shop},
};
use crate::{paused, plain};

const BEGUN: &[&str] = &["LatePaymentReceived", "RevivalBegun"];
const NOT_BEGUN: &[&str] = &["LatePaymentReceived"];

fn cancelled_by(reason: CancelReason) -> Vec<Command> {
    vec![place(), await_payment(), cancel_by(reason), Command::Cancel]
}
fn cancelled() -> Vec<Command> {
    cancelled_by(CancelReason::Expired)
}
fn late(attempt: AttemptId) -> Command {
    capture(attempt, total(), true)
}
fn with(mut given: Vec<Command>, more: impl IntoIterator<Item = Command>) -> Vec<Command> {
    given.extend(more);
    given
}
fn refuse(attempt_id: AttemptId) -> Command {
    Command::RefuseRevival { attempt_id, code: "inventory.sold_out".to_owned() }
}
fn revived() -> Vec<Command> {
    with(cancelled(), [late(ATTEMPT), Command::Revive(ATTEMPT)])
}
fn told(order: &Order, command: &Command) -> Result<Vec<&'static str>, Rejection> {
    decide(order, command, &facts_at(DEADLINE)).map(|events| names(&events))
}
fn axes(order: &Order) -> (OrderAxis, PaymentAxis) {
    order.axes.map(|axes| (axes.order, axes.payment)).unwrap()
}

type Row = (&'static str, Vec<Command>, Command, Result<&'static [&'static str], Rejection>);
fn check(table: Vec<Row>) {
    for (name, given, command, expected) in table {
        assert_eq!(told(&after(&given), &command), expected.map(<[_]>::to_vec), "{name}");
    }
}

fn which_money_may_revive_an_order() {
    let closing = vec![place(), await_payment(), cancel_by(CancelReason::Buyer)];
    let paid_and_cancelled =
        with(vec![place(), await_payment(), paid()], [cancel_by(CancelReason::Buyer), Command::CancelPaid]);
    let in_dollars = Money::new(total().minor, merx_kernel::Currency::USD);
    check(vec![
        ("expired", cancelled(), late(ATTEMPT), Ok(BEGUN)),
        ("cancelled by the buyer", cancelled_by(CancelReason::Buyer), late(ATTEMPT), Ok(BEGUN)),
        ("cancelled by the shop", cancelled_by(CancelReason::Staff), late(ATTEMPT), Ok(NOT_BEGUN)),
        ("not called late", cancelled(), paid(), Ok(BEGUN)),
        ("while it is being cancelled", closing, late(ATTEMPT), Ok(BEGUN)),
        ("rejected", vec![place(), reject()], late(ATTEMPT), Ok(NOT_BEGUN)),
        ("too little", cancelled(), capture(ATTEMPT, cny(14_389), true), Ok(NOT_BEGUN)),
        ("too much", cancelled(), capture(ATTEMPT, cny(14_391), true), Ok(NOT_BEGUN)),
        ("another currency", cancelled(), capture(ATTEMPT, in_dollars, true), Ok(NOT_BEGUN)),
        ("paid once, and cancelled", paid_and_cancelled, late(OTHER_ATTEMPT), Ok(NOT_BEGUN)),
        ("the same again", with(cancelled(), [late(ATTEMPT)]), late(ATTEMPT), Ok(&[])),
        ("another under way", with(cancelled(), [late(ATTEMPT)]), late(OTHER_ATTEMPT), Ok(NOT_BEGUN)),
        (
            "another refused",
            with(cancelled(), [late(ATTEMPT), refuse(ATTEMPT)]),
            late(OTHER_ATTEMPT),
            Ok(BEGUN),
        ),
        ("revived", revived(), late(OTHER_ATTEMPT), Ok(&["OverpaymentReceived"])),
        (
            "revived and cancelled again",
            with(revived(), [cancel_by(CancelReason::Buyer), Command::CancelPaid]),
            late(OTHER_ATTEMPT),
            Ok(NOT_BEGUN),
        ),
    ]);
}

fn an_order_is_revived_once_or_its_money_goes_back() {
    let begun = || with(cancelled(), [late(ATTEMPT)]);
    let revive = || Command::Revive(ATTEMPT);
    let closing = vec![place(), await_payment(), cancel_by(CancelReason::Buyer), late(ATTEMPT)];
    check(vec![
        ("no order", vec![], revive(), Err(Rejection::OrderUnknown)),
        ("nothing came", cancelled(), revive(), Err(Rejection::NotReviving)),
        ("begun", begun(), revive(), Ok(&["OrderRevived"])),
        ("again", revived(), revive(), Ok(&[])),
        ("other money", begun(), Command::Revive(OTHER_ATTEMPT), Err(Rejection::NotReviving)),
        ("before the stock is free", closing, revive(), Err(Rejection::StillClosing)),
        (
            "the money has gone back",
            with(begun(), [refunded(ATTEMPT, total())]),
            revive(),
            Err(Rejection::NotReviving),
        ),
        ("refused", with(begun(), [refuse(ATTEMPT)]), revive(), Err(Rejection::NotReviving)),
        ("refusing", begun(), refuse(ATTEMPT), Ok(&["RevivalRefused"])),
        ("refusing again", with(begun(), [refuse(ATTEMPT)]), refuse(ATTEMPT), Ok(&[])),
        ("refusing when revived", revived(), refuse(ATTEMPT), Ok(&[])),
        ("refusing other money", begun(), refuse(OTHER_ATTEMPT), Ok(&[])),
        (
            "its money going back when it pays",
            revived(),
            refunded(ATTEMPT, total()),
            Err(Rejection::RefundUnknown),
        ),
    ]);
}

fn a_revived_order_is_as_any_that_was_paid() {
    let order = after(&revived());
    assert_eq!(axes(&order), (OrderAxis::Confirmed, PaymentAxis::Captured));
    assert_eq!((order.held_minor(), order.cancellation), (total().minor, None));
    assert_eq!(order.to_refund().count(), 0);
    assert_eq!(order.reservation_id(ORDER), identity::reservation_of(ORDER, ATTEMPT));
    assert_ne!(order.reservation_id(ORDER), ORDER.cast::<ReservationKind>());
    let sent = with(revived(), [open(), ship()]);
    assert_eq!(after(&sent).illegal_events, 0);
    // Cancelled again, all of it goes back, under the identity that late money has anyway.
    let again = after(&with(revived(), [cancel_by(CancelReason::Buyer), Command::CancelPaid]));
    assert_eq!(axes(&again), (OrderAxis::Cancelled, PaymentAxis::Captured));
    let back: Vec<_> = again.to_refund().map(|(id, surplus)| (id, surplus.amount)).collect();
    assert_eq!(back, [(identity::refund_of(ORDER, ATTEMPT), total())]);
    assert_eq!(again.reservation_id(ORDER), order.reservation_id(ORDER));
}

fn other_late_money_goes_back_beside_it() {
    let both = with(cancelled(), [late(ATTEMPT), late(OTHER_ATTEMPT)]);
    let back = || refunded(OTHER_ATTEMPT, total());
    let before = after(&with(both.clone(), [back(), Command::Revive(ATTEMPT)]));
    assert_eq!(axes(&before), (OrderAxis::Confirmed, PaymentAxis::Captured));
    let meanwhile = with(both, [Command::Revive(ATTEMPT)]);
    assert_eq!(axes(&after(&meanwhile)), (OrderAxis::Confirmed, PaymentAxis::Overpaid));
    let then = after(&with(meanwhile, [back()]));
    assert_eq!(axes(&then), (OrderAxis::Confirmed, PaymentAxis::Captured));
    assert_eq!((then.held_minor(), before.held_minor()), (total().minor, total().minor));
}

/// An order that ran out of time.
async fn expired(shop: &Shop) -> OrderId {
    let order = shop.placed().await;
    shop.pass(Duration::from_secs(31 * 60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "cancelled");
    order
}

fn calls(shop: &Shop, name: &str) -> usize {
    shop.neighbours.world().calls.iter().filter(|call| *call == name).count()
}

/// Where the order's second reservation stands.
fn second(shop: &Shop, order: OrderId, attempt: AttemptId) -> Option<Reservation> {
    let id = identity::reservation_of(order, attempt).to_string();
    shop.neighbours.world().reservations.get(&id).cloned()
}

async fn assert_revived(shop: &Shop, order: OrderId) {
    let seen = shop.order(order).await;
    assert_eq!(
        (seen.status_of_order(), &seen.body["axes"]["payment"]),
        ("paid", &"captured".into()),
        "{seen:?}"
    );
    assert_eq!(seen.body["amounts"]["paid"]["minor"], 14_390);
    assert!(seen.body["shipment"]["shipment_id"].is_string());
    let world = shop.neighbours.world().clone();
    assert_eq!((world.stock["TEA"], world.stock["CUP"], world.refunds.len()), (8, 9, 0));
    assert_eq!(world.reservations[&order.cast::<ReservationKind>().to_string()], Reservation::Released);
    assert!(matches!(second(shop, order, ATTEMPT), Some(Reservation::Sold(_))));
    assert_eq!(world.shipments.len(), 1);
}

async fn late_money_brings_the_order_back_to_life() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_revived(&shop, order).await;
    let seen = shop.order(order).await;
    assert!(seen.body["revived_at"].is_string() && seen.body.get("cancellation").is_none(), "{seen:?}");
    // However often it is told.
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.pass(Duration::from_secs(3_600)).await;
    assert_revived(&shop, order).await;
    assert_eq!(calls(&shop, "payment.accept_deposit"), 1);
    assert_eq!(
        shop.event_names(order).await,
        [
            "OrderPlaced",
            "OrderAwaitingPayment",
            "CancellationRequested",
            "OrderCancelled",
            "LatePaymentReceived",
            "RevivalBegun",
            "OrderRevived",
            "FulfilmentOpened"
        ]
    );
    let facts = shop.facts().await;
    assert_eq!(facts.last().unwrap(), "ordering.order_paid.v2", "{facts:?}");
    let reservation = OrderingRpc(shop.ordering.tools.clone());
    let asked = Request::new(ReservationRequest { order_id: order.to_string() });
    let told = reservation.reservation(asked).await.unwrap().into_inner().reservation_id;
    assert_eq!(told, identity::reservation_of(order, ATTEMPT).to_string());
    shop.ship(order).await;
    shop.deliver(order).await;
    shop.pass(Duration::from_secs(16 * 60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "completed");
    shop.finish().await;
}

async fn without_stock_it_goes_back_once() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.neighbours.world().stock.insert("CUP".to_owned(), 0);
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_eq!(calls(&shop, "payment.refund"), 1);
    let names = shop.event_names(order).await;
    assert_eq!(names[names.len() - 3..], ["LatePaymentReceived", "RevivalBegun", "RevivalRefused"]);
    shop.refunded(order, ATTEMPT, total()).await;
    let seen = shop.order(order).await;
    assert_eq!((seen.status_of_order(), &seen.body["axes"]["payment"]), ("cancelled", &"refunded".into()));
    // The goods come in again, and so does money: another try.
    shop.neighbours.world().stock.insert("CUP".to_owned(), 10);
    shop.capture(order, OTHER_ATTEMPT, total(), true).await;
    assert!(matches!(second(&shop, order, OTHER_ATTEMPT), Some(Reservation::Sold(_))));
    assert_eq!((shop.order(order).await.status_of_order(), calls(&shop, "payment.refund")), ("paid", 1));
    shop.finish().await;
}

/// Inventory and payment are down, and answer too late; a fact comes again and again.
async fn what_fails_for_a_while_is_tried_again() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    for name in ["accounts.address", "inventory.reserve", "payment.accept_deposit", "inventory.sell"] {
        for _ in 0..2 {
            shop.neighbours.fail(name, || Error::unavailable("test.down", "Down."));
        }
    }
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.pass(Duration::from_secs(300)).await;
    assert_revived(&shop, order).await;
    assert_eq!(calls(&shop, "payment.accept_deposit"), 3);
    shop.finish().await;
}

async fn money_that_meets_the_cancellation_half_way_waits_for_the_stock() {
    let shop = Shop::new().await;
    shop.neighbours.world().stock = [("TEA".to_owned(), 2), ("CUP".to_owned(), 1)].into();
    let order = shop.placed().await;
    shop.neighbours.fail("inventory.release", || Error::unavailable("inventory.down", "Down."));
    shop.cancel(order, "k").await;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_eq!(shop.order(order).await.status_of_order(), "awaiting_payment");
    shop.pass(Duration::from_secs(60)).await;
    assert_eq!(shop.order(order).await.status_of_order(), "paid", "there was none but its own");
    assert!(shop.neighbours.world().refunds.is_empty());
    assert!(shop.order(order).await.body["revived_at"].is_string());
    shop.neighbours.world().stock = [("TEA".to_owned(), 8), ("CUP".to_owned(), 9)].into();
    shop.finish().await;
}

/// The refund is there before the order is revived, whoever asked for it: it wins, and the stock is let go.
async fn money_that_has_gone_back_revives_nothing() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    // The last step waits; until then the money goes back.
    shop.neighbours.world().limits.insert("TEA".to_owned(), (0, 5));
    shop.neighbours.fail("inventory.reserve", || Error::unavailable("inventory.down", "Down."));
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.refunded(order, ATTEMPT, total()).await;
    shop.pass(Duration::from_secs(60)).await;
    let seen = shop.order(order).await;
    assert_eq!((seen.status_of_order(), &seen.body["axes"]["payment"]), ("cancelled", &"refunded".into()));
    assert_eq!(second(&shop, order, ATTEMPT), Some(Reservation::Released));
    // It is asked for once more under the identity it went back under, which is no second refund.
    let refund = identity::refund_of(order, ATTEMPT).to_string();
    assert!(shop.neighbours.world().refunds.keys().all(|asked| *asked == refund));
    shop.finish().await;
}

/// The saga's process died after the order was revived and before the log had it, and the buyer cancelled meanwhile: what
/// runs again changes nothing.
async fn a_revival_that_runs_again_after_another_cancellation_changes_nothing() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_revived(&shop, order).await;
    shop.cancel(order, "again").await;
    shop.settle().await;
    assert_eq!(shop.order(order).await.status_of_order(), "cancelled");
    let before = (shop.event_names(order).await, shop.neighbours.world().refunds.clone());
    let (store, cause) =
        (shop.ordering.tools.store.clone(), shop.ordering.tools.cause(order, CausedBy::timer("test")));
    let repeat = move |tx: &mut merx_sql::Tx<'_>| {
        for command in [Command::Revive(ATTEMPT), refuse(ATTEMPT)] {
            let loaded = store::load(&store, tx, order)?;
            assert!(store::change(&store, tx, loaded, &command, &cause)?.events.is_empty());
        }
        Ok(())
    };
    shop.deps.db.write("test.repeat", repeat).await.unwrap();
    assert_eq!(before, (shop.event_names(order).await, shop.neighbours.world().refunds.clone()));
    shop.refunded(order, ATTEMPT, total()).await;
    shop.finish().await;
}

async fn a_revived_order_can_be_cancelled_again() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_eq!(shop.cancel(order, "again").await.status_of_order(), "cancelled");
    let world = shop.neighbours.world().clone();
    assert_eq!(world.stock["TEA"], 10, "what was set aside anew is back");
    let refund = identity::refund_of(order, ATTEMPT).to_string();
    assert_eq!(world.refunds, [(refund, (ATTEMPT.to_string(), 14_390))].into());
    assert!(matches!(second(&shop, order, ATTEMPT), Some(Reservation::Returned(_))));
    assert!(world.holds.values().all(|hold| *hold == Hold::Cancelled));
    shop.refunded(order, ATTEMPT, total()).await;
    let seen = shop.order(order).await;
    assert_eq!((seen.status_of_order(), &seen.body["axes"]["payment"]), ("cancelled", &"refunded".into()));
    assert_eq!(seen.body["cancellation"]["reason"], "buyer");
    assert_eq!(calls(&shop, "payment.refund"), 1);
    shop.finish().await;
}

async fn a_buyer_who_is_gone_gets_the_money_back() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.neighbours.world().erased = true;
    shop.capture(order, ATTEMPT, total(), true).await;
    assert_eq!(shop.order(order).await.status_of_order(), "cancelled");
    assert_eq!((calls(&shop, "payment.refund"), second(&shop, order, ATTEMPT)), (1, None));
    shop.finish().await;
}

/// The cancellation gave back what it counted; whoever has bought the same anew has had enough.
async fn the_limit_of_a_buyer_holds() {
    let shop = Shop::new().await;
    let bought = "SELECT bought FROM ordering_purchases WHERE sku = 'TEA'";
    shop.neighbours.world().limits.insert("TEA".to_owned(), (0, 3));
    let first = expired(&shop).await;
    assert_eq!(shop.count(bought).await, 0);
    let anew = shop.placed().await;
    shop.capture(first, ATTEMPT, total(), true).await;
    assert_eq!(shop.order(first).await.status_of_order(), "cancelled");
    assert_eq!((calls(&shop, "payment.refund"), shop.count(bought).await), (1, 2));
    assert_eq!(second(&shop, first, ATTEMPT), Some(Reservation::Released));
    // There is room again.
    shop.cancel(anew, "k").await;
    shop.capture(anew, OTHER_ATTEMPT, total(), true).await;
    assert_eq!((shop.order(anew).await.status_of_order(), shop.count(bought).await), ("paid", 2));
    shop.cancel(anew, "again").await;
    assert_eq!(shop.count(bought).await, 0);
    shop.refunded(anew, OTHER_ATTEMPT, total()).await;
    shop.refunded(first, ATTEMPT, total()).await;
    shop.finish().await;
}

async fn two_late_payments_pay_once() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.neighbours.fail("inventory.reserve", || Error::unavailable("inventory.down", "Down."));
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.capture(order, OTHER_ATTEMPT, total(), true).await;
    shop.pass(Duration::from_secs(60)).await;
    let seen = shop.order(order).await;
    assert_eq!(
        (seen.status_of_order(), &seen.body["axes"]["payment"]),
        ("paid", &"overpaid".into()),
        "{seen:?}"
    );
    let refund = identity::refund_of(order, OTHER_ATTEMPT).to_string();
    assert_eq!(shop.neighbours.world().refunds.keys().collect::<Vec<_>>(), [&refund]);
    shop.refunded(order, OTHER_ATTEMPT, total()).await;
    shop.neighbours.world().refunds.clear();
    assert_revived(&shop, order).await;
    shop.finish().await;
}

async fn the_timeline_tells_of_it() {
    let shop = Shop::new().await;
    let order = expired(&shop).await;
    shop.capture(order, ATTEMPT, total(), true).await;
    shop.settle().await;
    let path = format!("/v1/orders/{order}/timeline");
    let told = shop.get_as(SUPPORT, &path).await;
    let named = |name: &str| {
        let items = told.body["items"].as_array().unwrap();
        items
            .iter()
            .position(|item| item["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {}", told.text))
    };
    assert!(named("RevivalBegun") < named("revive-order"));
    assert!(named("revive-order") < named("OrderRevived"));
    assert!(named("OrderRevived") < named("fulfil-order"));
    assert!(named("accept-deposits") > named("OrderRevived"));
    assert!(!told.text.contains("refund-late"), "{}", told.text);
    assert_eq!(shop.get_as(STRANGER, &path).await.code(), "ordering.order_not_found");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let domain = plain!["revivals":
        which_money_may_revive_an_order,
        an_order_is_revived_once_or_its_money_goes_back,
        a_revived_order_is_as_any_that_was_paid,
        other_late_money_goes_back_beside_it
    ];
    let stories = paused!["revivals":
        late_money_brings_the_order_back_to_life,
        without_stock_it_goes_back_once,
        what_fails_for_a_while_is_tried_again,
        money_that_meets_the_cancellation_half_way_waits_for_the_stock,
        money_that_has_gone_back_revives_nothing,
        a_revival_that_runs_again_after_another_cancellation_changes_nothing,
        a_revived_order_can_be_cancelled_again,
        a_buyer_who_is_gone_gets_the_money_back,
        the_limit_of_a_buyer_holds,
        two_late_payments_pay_once,
        the_timeline_tells_of_it
    ];
    [domain, stories].into_iter().flatten().collect()
}
