//! How each life ended, against what happened in it: figures of the shop's tables and of the provider's ledger, by rules
//! of their own.

use std::collections::{BTreeMap, BTreeSet};

use merx_alipay_sandbox::EntryKind;
use merx_contracts::ids::{AttemptId, OrderId};
use merx_simulation::{
    people::Town,
    world::{Told as _, World},
};
use merx_sql::{Query as _, Row, params};

use super::living::Lived;

/// An order as it ended.
struct End {
    total: i64,
    says_paid: i64,
    axis: String,
    /// What cases gave back.
    after_sale: i64,
}

/// What one trade moved at whoever keeps it: taken, how often, and given back.
#[derive(Clone, Copy, Default)]
struct Moved {
    taken: i64,
    times: i64,
    back: i64,
}

const ORDERS: &str = "SELECT o.order_id, o.total_minor, o.paid_minor, o.order_axis,
    (SELECT COALESCE(SUM(c.refund_minor), 0) FROM aftersale_cases c
     WHERE c.order_id = o.order_id AND c.status = 'refunded') FROM ordering_orders o";
const TRADES: &str = "SELECT a.attempt_id, p.order_id FROM payment_attempts a
    JOIN payment_payments p ON p.payment_id = a.payment_id";
const BY_HAND: &str = "SELECT t.attempt_id, t.amount_minor,
    (SELECT COALESCE(SUM(r.amount_minor), 0) FROM payment_offline_refunds r
     WHERE r.attempt_id = t.attempt_id AND r.confirmed_at IS NOT NULL)
    FROM payment_offline_trades t WHERE t.receipt_id IS NOT NULL";
/// Units of an order that left in its own parcels and were not ordered, or are more than were.
const SHIPPED_TOO_MUCH: &str = "SELECT COUNT(*) FROM (SELECT s.order_id, l.sku, SUM(l.quantity) AS sent
    FROM shipping_shipments s JOIN shipping_shipment_lines l ON l.shipment = s.shipment
    WHERE s.case_id IS NULL AND s.dispatched_at IS NOT NULL GROUP BY s.order_id, l.sku) AS gone
    WHERE gone.sent > COALESCE((SELECT SUM(o.quantity) FROM ordering_lines o
    WHERE o.order_id = gone.order_id AND o.sku = gone.sku), 0)";
/// Units that went out again for a case, and are more than were looked at when they came back for it.
const REPLACED_TOO_MUCH: &str = "SELECT COUNT(*) FROM (SELECT s.case_id, l.sku, SUM(l.quantity) AS sent
    FROM shipping_shipments s JOIN shipping_shipment_lines l ON l.shipment = s.shipment
    WHERE s.case_id IS NOT NULL AND s.dispatched_at IS NOT NULL GROUP BY s.case_id, l.sku) AS gone
    WHERE gone.sent > COALESCE((SELECT a.restocked + a.written_off FROM aftersale_lines a
    WHERE a.case_id = gone.case_id AND a.sku = gone.sku), 0)";
/// Both money and goods for one case; a replacement that came back is none.
const BOTH: &str = "SELECT COUNT(*) FROM aftersale_cases c JOIN shipping_shipments s ON s.case_id = c.case_id
    WHERE c.status = 'refunded' AND s.status NOT IN ('cancelled', 'returned')";
/// How cases ended.
const CASES: &str = "SELECT kind || ' ' || status, COUNT(*) FROM aftersale_cases GROUP BY 1";
/// Cases that have not ended, each with a refund of it and where payment has that.
const OPEN_CASES: &str =
    "SELECT c.order_id, c.kind || ' ' || c.status || ', ' || COALESCE(p.status, 'no refund')
    FROM aftersale_cases c LEFT JOIN aftersale_refunds r ON r.case_id = c.case_id
    LEFT JOIN payment_refunds p ON p.refund_id = r.refund_id
    WHERE c.status NOT IN ('refunded', 'exchanged', 'refused', 'withdrawn', 'expired', 'cancelled')";
/// Orders that have neither ended nor wait for a person to decide about what came back.
const OPEN_ORDERS: &str = "SELECT COUNT(*) FROM ordering_orders o
    WHERE o.order_axis NOT IN ('completed', 'cancelled', 'rejected') AND NOT EXISTS
    (SELECT 1 FROM shipping_shipments s WHERE s.order_id = o.order_id AND s.returned_at IS NOT NULL)";

async fn rows<T: Send + 'static>(
    world: &World,
    sql: &'static str,
    row: fn(&Row<'_>) -> merx_kernel::Result<T>,
) -> Vec<T> {
    let db = &world.shop.deps.db;
    db.read("test.ended", move |q| q.query(sql, params![], row)).await.told()
}

/// What every trade moved, at the provider or in the hands of staff, by its number.
async fn moved(world: &World) -> BTreeMap<String, Moved> {
    let mut all: BTreeMap<String, Moved> = BTreeMap::new();
    for entry in world.ledger().await {
        let moved = all.entry(entry.out_trade_no).or_default();
        match entry.kind {
            EntryKind::Capture => {
                (moved.taken, moved.times) = (moved.taken + entry.amount.minor, moved.times + 1)
            }
            EntryKind::Refund => moved.back += entry.amount.minor.abs(),
        }
    }
    let by_hand =
        |row: &Row<'_>| Ok((row.get::<AttemptId>(0)?.bare(), row.get::<i64>(1)?, row.get::<i64>(2)?));
    for (attempt, taken, back) in rows(world, BY_HAND, by_hand).await {
        assert!(all.insert(attempt, Moved { taken, times: 1, back }).is_none(), "paid in two ways at once");
    }
    all
}

/// No case waits for anything any more.
pub async fn assert_cases_ended(world: &World) {
    let open = |row: &Row<'_>| Ok((row.get::<OrderId>(0)?.to_string(), row.get::<String>(1)?));
    assert_eq!(
        rows(world, OPEN_CASES, open).await,
        [],
        "cases hang; the alerts are {:?}",
        world.alerts().await
    );
}

/// Each life's own end, and what must hold of all of them.
pub async fn assert_each(town: &Town<'_>, lives: &[Lived]) {
    let world = town.world;
    for (what, sql) in [
        ("units left that were not ordered", SHIPPED_TOO_MUCH),
        ("units were replaced that did not come back", REPLACED_TOO_MUCH),
        ("money and goods went out for one case", BOTH),
        ("orders have not ended", OPEN_ORDERS),
    ] {
        assert_eq!(world.count(sql).await, 0, "{what}");
    }
    let end = |row: &Row<'_>| {
        let end =
            End { total: row.get(1)?, says_paid: row.get(2)?, axis: row.get(3)?, after_sale: row.get(4)? };
        Ok((row.get::<OrderId>(0)?.to_string(), end))
    };
    let ends: BTreeMap<String, End> = rows(world, ORDERS, end).await.into_iter().collect();
    let mut trades: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let trade = |row: &Row<'_>| Ok((row.get::<AttemptId>(0)?.bare(), row.get::<OrderId>(1)?.to_string()));
    for (trade, order) in rows(world, TRADES, trade).await {
        trades.entry(order).or_default().push(trade);
    }
    let moved = moved(world).await;
    let paid: BTreeMap<String, Vec<String>> = town.bought().into_iter().map(|b| (b.id, b.paid)).collect();
    for life in lives {
        let Some(order) = &life.order else {
            town.tally.count("life ended: without an order", 1);
            continue;
        };
        let end = &ends[order];
        let own = trades.get(order).map_or(&[][..], Vec::as_slice);
        let told: BTreeSet<&String> = paid[order].iter().collect();
        assert_money(&format!("life {}, {order}", life.number), end, own, &told, &moved, town);
        town.tally.count(format!("life ended: {}", end.axis), 1);
    }
    let case = |row: &Row<'_>| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
    for (how, cases) in rows(world, CASES, case).await {
        town.tally.count("cases", usize::try_from(cases).unwrap());
        town.tally.count(format!("case ended: {how}"), usize::try_from(cases).unwrap());
    }
    let known: BTreeSet<&String> = trades.values().flatten().collect();
    assert!(moved.keys().all(|trade| known.contains(trade)), "money moved for nobody's order");
}

/// The provider has taken what the cashier said, once each, gave back no more than that, and what is left is what the
/// order holds: its total without what cases gave back, or nothing when it came to nothing.
fn assert_money(
    life: &str,
    end: &End,
    own: &[String],
    told: &BTreeSet<&String>,
    moved: &BTreeMap<String, Moved>,
    town: &Town<'_>,
) {
    let mut held = 0;
    for trade in own {
        let Moved { taken, times, back } = moved.get(trade).copied().unwrap_or_default();
        let by_hand = town.handed_over(trade);
        assert!(times <= 1, "{life}: trade {trade} took money {times} times");
        let asked = by_hand.unwrap_or(end.total);
        assert!(times == 0 || taken == asked, "{life}: trade {trade} took {taken} instead of {asked}");
        assert!(back <= taken, "{life}: trade {trade} gave back {back} of {taken}");
        let is_told = told.contains(trade);
        assert!(
            !is_told || times == 1,
            "{life}: the cashier took the money of {trade}, and it is not in its books"
        );
        // A switch of the provider has it take money of whoever closes.
        let by_itself = times == 1 && !is_told && by_hand.is_none();
        town.tally.count("captures by themselves", usize::from(by_itself));
        town.tally.count("captures", usize::from(times == 1));
        town.tally.count("refunded trades", usize::from(back > 0));
        held += taken - back;
    }
    for trade in told {
        assert!(own.contains(trade), "{life}: {trade} was paid, and the shop does not know it");
    }
    let owed = match end.axis.as_str() {
        "confirmed" | "completed" => end.total - end.after_sale,
        _ => 0,
    };
    assert!((0..=end.total).contains(&owed), "{life}: {owed} of {} are to be held", end.total);
    assert_eq!(
        (held, end.says_paid),
        (owed, owed),
        "{life}: what is held and what the order says, of {}",
        end.axis
    );
}
