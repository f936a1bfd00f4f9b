//! The ways a purchase goes wrong, and what the shop makes of each: stock comes back, trades are closed, money is
//! found or goes back, once.

use std::time::Duration;

use merx_alipay_sandbox::{EntryKind, Fault, Spoiled};
use merx_kernel::Role;
use serde_json::{Value, json};

use merx_simulation::world::{Buyer, CUP, Order, TEA, World};

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Capture and refund of this much, and nothing else, are in Alipay's books.
async fn assert_given_back_once(world: &World, order: &Order) {
    let both = [(EntryKind::Capture, order.total_minor), (EntryKind::Refund, order.total_minor)];
    assert_eq!(world.moved().await, both);
}

fn axes(order: &Value) -> [&str; 3] {
    ["order", "payment", "fulfilment"].map(|axis| order["axes"][axis].as_str().unwrap())
}

/// The order is paid and the goods are on their way out, the money came once.
async fn assert_paid(world: &World, buyer: &Buyer, order: &Order) {
    let seen = buyer.look(order).await;
    assert_eq!(seen["status"], "paid");
    assert_eq!(seen["amounts"]["paid"]["minor"], order.total_minor);
    assert_eq!(world.moved().await, [(EntryKind::Capture, order.total_minor)]);
    assert_eq!(world.stock(TEA).await, [9, 0, 1]);
}

/// The order is cancelled for `reason` and its tea is back.
async fn assert_cancelled(world: &World, buyer: &Buyer, order: &Order, reason: &str) {
    let seen = buyer.look(order).await;
    assert_eq!(axes(&seen)[0], "cancelled", "{seen}");
    assert_eq!(seen["cancellation"]["reason"], reason);
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    let payment = buyer.api.get(&format!("/v1/payments/{}", order.payment_id)).await.expect(200);
    assert_eq!(payment.body["status"], "closed");
    let path = format!("/v1/payments/{}/attempts", order.payment_id);
    buyer.api.post(&path, json!({"method": "alipay_page"})).await.expect_problem(409, "payment.closed");
}

/// Somebody who has all the tea there is, for now.
async fn takes_all_tea(world: &World) {
    let [available, ..] = world.stock(TEA).await;
    world.buyer().await.order(&[(TEA, available)]).await;
}

/// The `trade_status` of a notification's form.
fn status_of(form: &str) -> &str {
    form.split('&').find_map(|field| field.strip_prefix("trade_status=")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_stock_the_order_is_rejected_and_hidden() {
    let world = World::new().await;
    let (first, second) = (world.buyer().await, world.buyer().await);
    first.order(&[(CUP, 3)]).await;
    // The tea is there, the cup is not: nothing of the order may be set aside.
    second.fill(TEA, 1).await;
    second.fill(CUP, 1).await;
    let accepted = second.quote().await;
    let path = format!("{}/orders", second.checkout());
    let refused = second.api.post_as("the-same", &path, accepted.clone()).await;
    refused.expect_problem(409, "inventory.sold_out");
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    assert_eq!(world.stock(CUP).await, [0, 3, 0]);
    assert_eq!(second.listed().await, Vec::<String>::new());
    assert_eq!(world.count("SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'rejected'").await, 1);
    let again = second.api.post_as("the-same", &path, accepted).await;
    assert_eq!((again.status, &again.body["code"]), (refused.status, &refused.body["code"]));
    assert_eq!(world.count("SELECT COUNT(*) FROM ordering_orders").await, 2, "the repetition placed nothing");
    let cart = second.api.get("/v1/cart").await.expect(200);
    assert_eq!(cart.body["lines"].as_array().map(Vec::len), Some(2), "the cart is as it was");
    world.pass(minutes(31)).await;
    assert_eq!(world.stock(CUP).await, [3, 0, 0], "the first order ran out of time");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_without_an_attempt_is_cancelled_at_once() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2)]).await;
    assert_eq!(world.stock(TEA).await, [8, 2, 0]);
    buyer.cancel(&order).await.expect(200);
    assert_cancelled(&world, &buyer, &order, "buyer").await;
    assert_eq!(axes(&buyer.look(&order).await), ["cancelled", "none", "none"]);
    assert_eq!(buyer.cancel(&order).await.expect(200).body["status"], "cancelled", "once more is no error");
    assert_eq!(
        buyer.timeline(&order).await,
        ["OrderPlaced", "OrderAwaitingPayment", "CancellationRequested", "OrderCancelled"]
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_trade_that_began_is_closed_at_the_provider_first() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2)]).await;
    let (attempt, code) = buyer.at_cashier(&world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    assert_eq!(world.trade(&attempt).await.as_deref(), Some("WAIT_BUYER_PAY"));
    buyer.cancel(&order).await.expect(200);
    assert_eq!(world.trade(&attempt).await.as_deref(), Some("TRADE_CLOSED"));
    assert_cancelled(&world, &buyer, &order, "buyer").await;
    assert_eq!(world.sandbox.pay(&code).await.unwrap_err().code, "ACQ.TRADE_HAS_CLOSE");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_pay_link_is_out_the_stock_stays() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2)]).await;
    let (attempt, code) = buyer.at_cashier(&world, &order).await;
    let asked = buyer.cancel(&order).await.expect(202);
    assert_eq!(asked.body["status"], "awaiting_payment");
    assert!(asked.body["cancellation"]["decided_by"].is_string(), "{}", asked.text);
    // Nobody can close what does not exist yet; until its expiry the buyer could begin it.
    assert_eq!(world.trade(&attempt).await, None);
    world.pass(minutes(28)).await;
    assert_eq!(world.stock(TEA).await, [8, 2, 0]);
    assert_eq!(axes(&buyer.look(&order).await)[0], "awaiting_payment");
    buyer.cancel(&order).await.expect(202);
    world.pass(minutes(2)).await;
    assert_cancelled(&world, &buyer, &order, "buyer").await;
    assert_eq!(world.sandbox.pay(&code).await.unwrap_err().code, "ACQ.TRADE_HAS_CLOSE");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_buyer_may_still_pay_while_the_cancellation_is_undecided() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    buyer.cancel(&order).await.expect(202);
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    world.settle().await;
    assert_paid(&world, &buyer, &order).await;
    world.pass(minutes(31)).await;
    assert_paid(&world, &buyer, &order).await;
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_order_ends_at_its_deadline() {
    let world = World::new().await;
    let [idle, linked, begun] = [world.buyer().await, world.buyer().await, world.buyer().await];
    let orders =
        [idle.order(&[(TEA, 1)]).await, linked.order(&[(TEA, 2)]).await, begun.order(&[(TEA, 3)]).await];
    linked.at_cashier(&world, &orders[1]).await;
    let (attempt, code) = begun.at_cashier(&world, &orders[2]).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.pass(minutes(29)).await;
    for (buyer, order) in [&idle, &linked, &begun].into_iter().zip(&orders) {
        assert_eq!(buyer.status(order).await, "awaiting_payment");
    }
    assert_eq!(world.stock(TEA).await, [4, 6, 0]);
    world.pass(minutes(1) + Duration::from_secs(1)).await;
    world.settle().await;
    for (buyer, order) in [&idle, &linked, &begun].into_iter().zip(&orders) {
        assert_cancelled(&world, buyer, order, "expired").await;
    }
    assert_eq!(world.trade(&attempt).await.as_deref(), Some("TRADE_CLOSED"));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn paid_before_the_close_the_order_goes_on() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.arm(Fault::LoseNotification, 10);
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "awaiting_payment", "nobody told the shop");
    buyer.cancel(&order).await.expect_problem(409, "ordering.already_paid");
    world.settle().await;
    assert_paid(&world, &buyer, &order).await;
    assert_eq!(buyer.look(&order).await["cancellation"]["refusal"], "ordering.already_paid");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn paid_in_the_last_second_the_deadline_finds_the_money() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (attempt, code) = buyer.at_cashier(&world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::LoseNotification, 10);
    world.pass(minutes(29) - Duration::from_secs(1)).await;
    assert!(world.sandbox.pay(&code).await.unwrap().now, "one second before the expiry");
    world.pass(minutes(2)).await;
    world.settle().await;
    assert_eq!(world.trade(&attempt).await.as_deref(), Some("TRADE_SUCCESS"));
    assert_paid(&world, &buyer, &order).await;
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn money_that_lands_after_the_close_goes_back_once_where_the_goods_are_gone() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    buyer.cancel(&order).await.expect(200);
    assert_cancelled(&world, &buyer, &order, "buyer").await;
    takes_all_tea(&world).await;
    world.pass(minutes(1)).await;
    assert_given_back_once(&world, &order).await;
    let seen = buyer.look(&order).await;
    assert_eq!(axes(&seen), ["cancelled", "refunded", "none"]);
    assert_eq!(seen["amounts"]["paid"]["minor"], 0);
    assert_eq!(world.stock(TEA).await, [0, 10, 0]);
    world.pass(minutes(90)).await;
    assert_given_back_once(&world, &order).await;
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn money_that_comes_after_the_expiry_goes_back_once_even_if_the_answers_are_lost() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.pass(minutes(31)).await;
    assert_cancelled(&world, &buyer, &order, "expired").await;
    takes_all_tea(&world).await;
    let refund = Some("alipay.trade.refund".to_owned());
    world.arm(Fault::GatewayTimeout(Spoiled { method: refund.clone(), executed: true }), 1);
    world.arm(Fault::GatewayUnknown(Spoiled { method: refund.clone(), executed: true }), 1);
    world.arm(Fault::WrongSignature(Spoiled { method: refund, executed: true }), 1);
    world.arm(Fault::DuplicateNotification { copies: 4 }, 2);
    world.arm(Fault::PayAfterExpiry, 1);
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    world.pass(minutes(30)).await;
    assert_given_back_once(&world, &order).await;
    assert_eq!(axes(&buyer.look(&order).await), ["cancelled", "refunded", "none"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn late_money_is_found_although_nobody_tells_of_it() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::LoseNotification, 100);
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    buyer.cancel(&order).await.expect(200);
    world.pass(minutes(60)).await;
    assert_paid(&world, &buyer, &order).await;
    assert!(buyer.look(&order).await["revived_at"].is_string());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_notification_is_lost_is_found_within_five_minutes() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.arm(Fault::LoseNotification, 10);
    // Between two looks of the poller, which come at longer and longer intervals.
    world.pass(minutes(13)).await;
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    world.settle().await;
    assert_eq!(buyer.status(&order).await, "awaiting_payment");
    world.pass(minutes(5)).await;
    world.settle().await;
    assert_paid(&world, &buyer, &order).await;
    assert!(world.line.notified().is_empty(), "it was the query that found it");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_notification_counts_once_however_often_and_in_whatever_order_it_comes() {
    let world = World::new().await;
    let (first, second) = (world.buyer().await, world.buyer().await);
    let orders = [first.order(&[(CUP, 1)]).await, second.order(&[(TEA, 1)]).await];
    let (_, early) = first.at_cashier(&world, &orders[0]).await;
    let (_, late) = second.at_cashier(&world, &orders[1]).await;
    world.arm(Fault::ReorderNotification, 1);
    world.arm(Fault::DuplicateNotification { copies: 4 }, 2);
    world.sandbox.pay(&early).await.unwrap();
    world.settle().await;
    assert_eq!(first.status(&orders[0]).await, "awaiting_payment", "its notification waits to be overtaken");
    world.sandbox.pay(&late).await.unwrap();
    world.settle().await;
    let told = world.line.notified();
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|n| n.reply.is_success()), "{told:?}");
    assert_eq!(first.status(&orders[0]).await, "paid");
    assert_eq!(second.status(&orders[1]).await, "paid");
    assert_eq!(world.ledger().await.len(), 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_outbox").await, 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_events WHERE name = 'PaymentCaptured'").await, 2);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn news_of_the_close_that_the_money_overtook_is_taken_in() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    let (_, code) = buyer.at_cashier(&world, &order).await;
    world.sandbox.log_in(&code).await.unwrap();
    world.arm(Fault::PayAfterClose { after_ms: 5_000 }, 1);
    // The close is told after the money that landed later than it.
    world.arm(Fault::ReorderNotification, 1);
    buyer.cancel(&order).await.expect(200);
    takes_all_tea(&world).await;
    world.pass(minutes(29)).await;
    assert_given_back_once(&world, &order).await;
    let told = world.line.notified();
    let statuses: Vec<&str> = told.iter().map(|n| status_of(&n.form)).collect();
    assert_eq!(statuses, ["TRADE_SUCCESS", "TRADE_CLOSED", "TRADE_CLOSED"], "the last tells of the refund");
    assert!(told.iter().all(|n| n.reply.is_success()), "{told:?}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_that_no_longer_holds_is_refused() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    buyer.fill(TEA, 1).await;
    let accepted = buyer.quote().await;
    world.reprice(TEA, 16_900).await;
    buyer.place(&accepted).await.expect_problem(409, "ordering.quote_changed");
    let accepted = buyer.quote().await;
    buyer.fill(TEA, 2).await;
    buyer.place(&accepted).await.expect_problem(409, "ordering.quote_changed");
    assert_eq!(world.count("SELECT COUNT(*) FROM ordering_orders").await, 0);
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    buyer.place(&buyer.quote().await).await.expect(201);
    world.pass(minutes(31)).await;
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn one_filling_of_a_cart_makes_one_order() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    buyer.fill(TEA, 1).await;
    let quote = buyer.quote().await;
    // A double click of a client that makes a new key each time, before the cart is emptied.
    let answers = futures_util::future::join_all((0..5).map(|_| buyer.place(&quote))).await;
    let placed = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(placed, 1, "{answers:?}");
    for refused in answers.iter().filter(|a| a.status != 201) {
        assert!(
            ["ordering.quote_accepted", "ordering.cart_empty"].contains(&refused.code()),
            "{}",
            refused.text
        );
    }
    assert!(answers.iter().any(|a| a.code() == "ordering.quote_accepted"));
    world.settle().await;
    assert_eq!(buyer.listed().await.len(), 1);
    buyer.fill(TEA, 1).await;
    buyer.place(&buyer.quote().await).await.expect(201);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_whose_order_came_to_nothing_can_be_ordered_later() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    world.sell("RARE", 5_000, 100, 1).await;
    buyer.fill("RARE", 2).await;
    let quote = buyer.quote().await;
    buyer.place(&quote).await.expect_problem(409, "inventory.sold_out");
    let staff = world.staff(Role::Warehouse).await;
    let receipt = serde_json::json!({"quantity": 1, "reason": "found one more"});
    let received = staff.post("/v1/inventory/RARE/receipts", receipt).await;
    assert!(received.status.is_success(), "{}", received.text);
    buyer.place(&quote).await.expect(201);
    world.finish().await;
}
