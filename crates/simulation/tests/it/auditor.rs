//! The auditor finds what it is there to find: each check is given its own wrong, and is right again when it is undone.

use std::time::Duration;

use merx_sql::params;

use merx_simulation::world::{Order, TEA, World};

/// Check, what is done to the books, what undoes it.
const WRONGS: &[(&str, &str, &str)] = &[
    (
        "A1",
        "UPDATE ordering_orders SET paid_minor = paid_minor + 1",
        "UPDATE ordering_orders SET paid_minor = paid_minor - 1",
    ),
    (
        "A1",
        "UPDATE payment_postings SET minor = minor + 1 WHERE account LIKE 'clearing:%'",
        "UPDATE payment_postings SET minor = minor - 1 WHERE account LIKE 'clearing:%'",
    ),
    (
        "A1",
        "UPDATE payment_postings SET account = 'deposits' WHERE account = 'receivable' AND kind = 'capture'",
        "UPDATE payment_postings SET account = 'receivable' WHERE account = 'deposits'",
    ),
    (
        "A2",
        "UPDATE inventory_stock SET available = available + 1 WHERE sold > 0",
        "UPDATE inventory_stock SET available = available - 1 WHERE sold > 0",
    ),
    (
        "A2",
        "UPDATE inventory_movements SET quantity = quantity + 1 WHERE kind = 'sold'",
        "UPDATE inventory_movements SET quantity = quantity - 1 WHERE kind = 'sold'",
    ),
    (
        "A3",
        "UPDATE ordering_orders SET version = version + 1",
        "UPDATE ordering_orders SET version = version - 1",
    ),
    (
        "A4",
        "UPDATE ordering_orders SET order_axis = 'placed'",
        "UPDATE ordering_orders SET order_axis = 'completed'",
    ),
    (
        "A4",
        "UPDATE inventory_reservations SET status = 'reserved'",
        "UPDATE inventory_reservations SET status = 'sold'",
    ),
    (
        "A4",
        "INSERT INTO shipping_holds (hold, order_id, status, held_at)
         SELECT order_id, order_id, 'held', 1 FROM ordering_orders",
        "DELETE FROM shipping_holds",
    ),
    (
        "A4",
        "UPDATE notification_mails SET state = 'queued', next_at = 1 WHERE template = 'order_paid'",
        "UPDATE notification_mails SET state = 'sent', next_at = NULL WHERE template = 'order_paid'",
    ),
    (
        "A5",
        "UPDATE notification_mails SET copies = copies + 1 WHERE template = 'order_paid'",
        "UPDATE notification_mails SET copies = copies - 1 WHERE template = 'order_paid'",
    ),
    (
        "A5",
        "UPDATE shipping_shipment_lines SET quantity = quantity + 1",
        "UPDATE shipping_shipment_lines SET quantity = quantity - 1",
    ),
    (
        "A6",
        "UPDATE ordering_inbox SET subscription = 'gone' WHERE subscription = 'ordering.payment'",
        "UPDATE ordering_inbox SET subscription = 'ordering.payment' WHERE subscription = 'gone'",
    ),
    // A fact for a mail that left no row, and one that only endpoints would want and that nobody has looked at.
    (
        "A6",
        "UPDATE notification_inbox SET subscription = 'gone' WHERE subscription = 'notification.facts'
         AND message = (SELECT id FROM ordering_outbox WHERE type = 'ordering.order_paid.v2')",
        "UPDATE notification_inbox SET subscription = 'notification.facts' WHERE subscription = 'gone'",
    ),
    (
        "A6",
        "UPDATE notification_subscriptions SET position = position - 1000 WHERE publisher = 'payment'",
        "UPDATE notification_subscriptions SET position = position + 1000 WHERE publisher = 'payment'",
    ),
    (
        "A7",
        "UPDATE ordering_idempotency SET effect = X'00000000000000000000000000000001' WHERE status = 201",
        "UPDATE ordering_idempotency SET effect = (SELECT order_id FROM ordering_orders) WHERE status = 201",
    ),
    (
        "A8",
        "UPDATE ordering_orders SET freight_minor = freight_minor + 1",
        "UPDATE ordering_orders SET freight_minor = freight_minor - 1",
    ),
];

async fn change(world: &World, sql: &'static str) {
    let write = move |tx: &mut merx_sql::Tx<'_>| tx.execute(sql, params![]);
    assert_eq!(world.shop.deps.db.write("test.wrong", write).await.unwrap(), 1, "{sql}");
}

/// The checks that found a violation.
async fn violated(world: &World) -> Vec<&'static str> {
    let ledger = merx_server::shop::provider_entries(world.ledger().await);
    let report = world.shop.audit(Some(ledger), false).run().await.unwrap();
    report.checks.iter().filter(|c| !c.violations.is_empty()).map(|c| c.id).collect()
}

#[tokio::test(start_paused = true)]
async fn each_check_finds_its_wrong() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    buyer.fill(TEA, 2).await;
    let order = Order::of(&buyer.place(&buyer.quote().await).await.expect(201));
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    world.settle().await;
    drop(buyer.receive(&order).await.expect(200));
    world.settle().await;
    // What is younger than its limit is in flight, not wrong.
    world.pass(Duration::from_secs(2 * 3600)).await;
    assert!(violated(&world).await.is_empty());
    for (check, wrong, undo) in WRONGS {
        change(&world, wrong).await;
        let found = violated(&world).await;
        assert!(found.contains(check), "{check} is blind to: {wrong} (found {found:?})");
        change(&world, undo).await;
    }
    assert!(violated(&world).await.is_empty());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_booked_and_we_did_not_is_in_flight_first_and_a_violation_later() {
    let world = World::new().await;
    let entry = merx_auditor::ProviderEntry {
        attempt_number: "00000000000000000000000001".to_owned(),
        refund_number: None,
        amount: merx_kernel::Money::new(1_999, merx_kernel::Currency::CNY),
        at: world.shop.deps.now(),
    };
    let audit = || world.shop.audit(Some(vec![entry.clone()]), false).run();
    let young = audit().await.unwrap();
    assert!(young.is_clean() && !young.checks[0].in_flight.is_empty());
    world.pass(merx_auditor::PROVIDER_LAG_MAX + Duration::from_secs(1)).await;
    assert!(!audit().await.unwrap().is_clean());
    world.finish().await;
}
