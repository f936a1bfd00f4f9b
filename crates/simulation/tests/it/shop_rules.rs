//! What holds for a purchase that goes well.

use std::time::Duration;

use merx_server::shop::{self, Topology};
use merx_sql::{LabelStats, Stats};

use merx_simulation::world::{CUP, Order, TEA, Told as _, World, email};

/// What a whole purchase leaves behind, without the identities.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: String,
    timeline: Vec<String>,
    stock: [[i64; 3]; 2],
    paid_minor: Vec<i64>,
    told: Vec<String>,
    mailed: Vec<String>,
    facts: i64,
}

async fn whole_purchase(topology: Topology) -> Outcome {
    let world = World::seeded(7, topology).await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2), (CUP, 1)]).await;
    assert_eq!(world.stock(TEA).await, [8, 2, 0]);
    buyer.pay(&world, &order).await;
    assert_eq!(buyer.status(&order).await, "paid");
    assert_eq!(world.stock(TEA).await, [8, 0, 2]);
    buyer.receive(&order).await.expect_problem(409, "ordering.not_shipped");
    world.ship(&order).await;
    assert_eq!(buyer.look(&order).await["shipment"]["tracking_number"], "SF123");
    buyer.receive(&order).await.expect(200);
    assert_eq!(buyer.cart().await, [], "what was ordered left the cart");
    world.settle().await;
    let outcome = Outcome {
        status: buyer.status(&order).await,
        timeline: buyer.timeline(&order).await,
        stock: [world.stock(TEA).await, world.stock(CUP).await],
        paid_minor: world.ledger().await.iter().map(|entry| entry.amount.minor).collect(),
        told: world.line.notified().into_iter().map(|n| n.reply.body).collect(),
        mailed: world.mailed(&email(buyer.account)),
        facts: world.count("SELECT COUNT(*) FROM ordering_outbox").await,
    };
    assert_eq!(outcome.paid_minor, [order.total_minor]);
    world.finish().await;
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_purchase_runs_from_cart_to_receipt_in_every_topology() {
    let local = whole_purchase(Topology::Local).await;
    assert_eq!(local.status, "completed");
    assert_eq!(local.stock, [[8, 0, 2], [2, 0, 1]]);
    assert_eq!(local.told, ["success"]);
    assert_eq!(local.mailed, ["order_placed", "order_paid", "order_shipped", "order_completed"]);
    assert_eq!(
        local.timeline,
        [
            "OrderPlaced",
            "OrderAwaitingPayment",
            "OrderPaid",
            "FulfilmentOpened",
            "OrderShipped",
            "ReceiptConfirmed",
            "OrderCompleted"
        ]
    );
    for topology in [Topology::Loopback, Topology::LoopbackTwice] {
        assert_eq!(whole_purchase(topology).await, local, "{topology:?}");
    }
}

/// What a bus that forgot how far it had read would do.
const FORGET_WHAT_WAS_READ: &[&str] = &[
    "DELETE FROM accounts_subscriptions",
    "DELETE FROM shipping_subscriptions",
    "DELETE FROM notification_subscriptions",
    "DELETE FROM cart_subscriptions",
    "DELETE FROM ordering_subscriptions",
];

#[tokio::test(start_paused = true)]
async fn every_message_delivered_again_changes_nothing() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 2)]).await;
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    buyer.receive(&order).await.expect(200);
    // A second time the same: the first order's message must not take it out of the cart.
    buyer.fill(TEA, 2).await;
    world.settle().await;
    let seen = [buyer.look(&order).await, buyer.api.get("/v1/cart").await.expect(200).body];
    let happened = buyer.timeline(&order).await;
    let mailed = world.mailed(&email(buyer.account));
    let recorded = world.count("SELECT COUNT(*) FROM accounts_audit").await;
    let delivered = world.count("SELECT COUNT(*) FROM ordering_inbox").await;
    assert!(delivered >= 2, "{delivered} messages reached ordering");
    let world = world.restarted(FORGET_WHAT_WAS_READ).await;
    let buyer = buyer.back_in(&world);
    world.settle().await;
    let again = world.shop.deps.db.stats().labels["ordering.payment_captured"].write_txs;
    assert_eq!(again, 2, "the message was delivered again");
    assert_eq!(seen, [buyer.look(&order).await, buyer.api.get("/v1/cart").await.expect(200).body]);
    assert_eq!(buyer.timeline(&order).await, happened);
    assert_eq!(world.stock(TEA).await, [8, 0, 2]);
    assert_eq!((world.mailed(&email(buyer.account)), mailed.len()), (mailed, 4));
    assert_eq!(world.count("SELECT COUNT(*) FROM accounts_audit").await, recorded);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_was_stopped_carries_every_order_on() {
    let world = World::new().await;
    let [idle, leaving, paying] = [world.buyer().await, world.buyer().await, world.buyer().await];
    let orders =
        [idle.order(&[(TEA, 1)]).await, leaving.order(&[(TEA, 2)]).await, paying.order(&[(CUP, 1)]).await];
    let (_, left) = leaving.at_cashier(&world, &orders[1]).await;
    leaving.cancel(&orders[1]).await.expect(202);
    let (_, code) = paying.at_cashier(&world, &orders[2]).await;
    let world = world.restarted(&[]).await;
    let [idle, leaving, paying] = [idle.back_in(&world), leaving.back_in(&world), paying.back_in(&world)];
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    world.settle().await;
    assert_eq!(paying.status(&orders[2]).await, "paid");
    world.pass(Duration::from_secs(29 * 60)).await;
    assert_eq!(idle.status(&orders[0]).await, "awaiting_payment");
    world.pass(Duration::from_secs(2 * 60)).await;
    assert_eq!(idle.look(&orders[0]).await["cancellation"]["reason"], "expired");
    assert_eq!(leaving.look(&orders[1]).await["cancellation"]["reason"], "buyer");
    for (buyer, order) in [(&idle, &orders[0]), (&leaving, &orders[1])] {
        assert_eq!(buyer.status(order).await, "cancelled");
    }
    assert_eq!(world.sandbox.pay(&left).await.unwrap_err().code, "ACQ.TRADE_HAS_CLOSE");
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    assert_eq!(world.stock(CUP).await, [2, 0, 1]);
    world.finish().await;
}

/// Write transactions and statements that one purchase of one line may cost, from a filled cart to `paid`.
const WRITE_TXS_MAX: u64 = 8;
const STATEMENTS_MAX: u64 = 48;
/// What follows `paid`: the reservation becomes a sale, the warehouse gets a shipment.
const AFTER_PAID: &[&str] =
    &["inventory.sell", "shipping.open", "ordering.open_fulfilment", "ordering.order_terms"];
/// The loops in the background: each look takes in whatever was committed since the last, of one purchase or of a
/// hundred.
const LOOPS: &[&str] = &["bus.checkpoint", "bus.read", "timers.next", "notification.look"];
/// The two mails of a purchase, placed and paid, and the fact of payment that no endpoint wants.
const MAILS: &[&str] = &[
    "notification.take_fact",
    "notification.wanted",
    "notification.mail_sending",
    "accounts.contact",
    "notification.mail_tried",
];
const MAILS_SENT: u64 = 2;
/// A fact is taken in in one transaction of three statements; a mail is claimed, its reader asked for, sent and written
/// down: two transactions, four statements.
const MAIL_WRITE_TXS_MAX: u64 = MAILS_SENT * (1 + 2);
const MAIL_STATEMENTS_MAX: u64 = MAILS_SENT * (3 + 4) + 1;

/// The counts of a shop at one moment.
struct Account {
    stats: Stats,
    asks: u64,
    rows: [i64; 2],
}

impl Account {
    async fn of(world: &World) -> Self {
        let metrics = world.shop.deps.metrics.render().told();
        let asks = metrics.lines().filter(|line| line.starts_with("merx_asks_total"));
        let mut rows = [0; 2];
        for context in shop::CONTEXTS {
            for (sum, table) in rows.iter_mut().zip(["events", "outbox"]) {
                *sum += world.count(&format!("SELECT COUNT(*) FROM {context}_{table}")).await;
            }
        }
        Self {
            stats: world.shop.deps.db.stats(),
            asks: asks.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum(),
            rows,
        }
    }
}

fn print_part(name: &str, stats: &Stats) -> LabelStats {
    let line = |label: &str, s: &LabelStats| {
        println!(
            "{label:<28} {:>6} {:>6} {:>10} {:>6}",
            s.write_txs,
            s.read_txs,
            s.statements(),
            s.rows_written
        );
    };
    println!("{name:<28} {:>6} {:>6} {:>10} {:>6}", "writes", "reads", "statements", "rows");
    stats.labels.iter().for_each(|(label, stats)| line(label, stats));
    let total = stats.total();
    line("  total", &total);
    total
}

#[tokio::test(start_paused = true)]
async fn cost_of_a_purchase() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    buyer.fill(TEA, 1).await;
    world.settle().await;
    let before = Account::of(&world).await;
    let order = Order::of(&buyer.place(&buyer.quote().await).await.expect(201));
    let (_, code) = buyer.at_cashier(&world, &order).await;
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    // Not `settle`: looking whether all is done would be counted.
    world.pass(Duration::from_millis(10)).await;
    let after = Account::of(&world).await;
    assert_eq!(buyer.status(&order).await, "paid");

    let whole = after.stats.since(&before.stats);
    let part = |of: &dyn Fn(&str) -> bool| Stats {
        labels: whole.labels.iter().filter(|(label, _)| of(label)).map(|(l, s)| (*l, *s)).collect(),
        ..Stats::default()
    };
    let ours = |label: &str| label.starts_with("test.");
    let is = |list: &[&str], label: &str| list.contains(&label);
    let apart = [AFTER_PAID, LOOPS, MAILS];
    let paid = part(&|label| !apart.iter().any(|list| is(list, label)) && !ours(label));
    let paid = print_part("from a filled cart to paid", &paid);
    let mails = print_part("the mails of it", &part(&|label| is(MAILS, label)));
    print_part("after that, to a shipment", &part(&|label| is(AFTER_PAID, label)));
    print_part("loops in the background", &part(&|label| is(LOOPS, label)));
    println!(
        "{} asks between contexts, {} events, {} messages, {} commits (one fsync each at batch size one)",
        after.asks - before.asks,
        after.rows[0] - before.rows[0],
        after.rows[1] - before.rows[1],
        whole.commits
    );
    assert_eq!((paid.failed, paid.retries), (0, 0));
    assert!(paid.write_txs <= WRITE_TXS_MAX, "{} write transactions", paid.write_txs);
    assert!(paid.statements() <= STATEMENTS_MAX, "{} statements", paid.statements());
    assert_eq!((mails.failed, mails.retries), (0, 0));
    assert_eq!(world.mailed(&email(buyer.account)).len() as u64, MAILS_SENT);
    assert!(mails.write_txs <= MAIL_WRITE_TXS_MAX, "{} write transactions of mails", mails.write_txs);
    assert!(mails.statements() <= MAIL_STATEMENTS_MAX, "{} statements of mails", mails.statements());
    world.finish().await;
}
