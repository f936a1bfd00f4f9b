//! A database of the first release, with stock, orders and events in it, is brought up to date and loses nothing.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_contracts::ids::ReservationId;
use merx_inventory::{log::stock_stream, migrations};
use merx_kernel::PageRequest;
use merx_platform::Module;
use merx_sql::{NewEvent, Tx, params};

use crate::{
    bench::{Bench, MAIN, STAFF, START, on_every_mode_at, rsv},
    decide::sku,
};

pub fn trials() -> Vec<Trial> {
    on_every_mode_at("upgrade::of_the_first_release", 2, of_the_first_release)
}

const STOCK: &str = "INSERT INTO inventory_stock
 (sku, warehouse, available, reserved, sold, received, adjusted, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const RESERVATION: &str = "INSERT INTO inventory_reservations
 (reservation, status, version, opened_at, changed_at) VALUES (?, ?, ?, ?, ?)";
const MOVEMENT: &str = "INSERT INTO inventory_movements
 (reference, kind, sku, warehouse, quantity, reason, account, moved_at) VALUES";

fn event(name: &'static str, body: String) -> NewEvent {
    NewEvent { name, schema: 1, body }
}

/// 10 received, 1 corrected away, 2 sold, 3 set aside; as the first release wrote it.
fn write_old(tx: &mut Tx<'_>, store: &merx_platform::Store) -> merx_kernel::Result<()> {
    let entry = |id: u128| merx_inventory::domain::stock::StockEntryId::from_bits(id);
    let entered = |id: u128, quantity: i64| {
        let entry = entry(id);
        format!(
            r#"{{"entry":"{entry}","sku":"A","warehouse":"{MAIN}","quantity":{quantity},"reason":"old","by":"{STAFF}"}}"#
        )
    };
    let lines =
        |quantity: i64| format!(r#"{{"lines":[{{"sku":"A","warehouse":"{MAIN}","quantity":{quantity}}}]}}"#);
    tx.execute(STOCK, params!["A", MAIN, 4i64, 3i64, 2i64, 10i64, -1i64, 2i64])?;
    tx.execute(RESERVATION, params![rsv(1), "sold", 2i64, START, START])?;
    tx.execute(RESERVATION, params![rsv(2), "reserved", 1i64, START, START])?;
    let movement = |reference: ReservationId, kind: &str, quantity: i64, staff: bool| {
        let (reason, by) = (staff.then_some("old"), staff.then_some(STAFF));
        params![reference, kind, "A", MAIN, quantity, reason, by, START]
    };
    let rows = vec![
        movement(entry(101).cast(), "received", 10, true),
        movement(entry(102).cast(), "adjusted", -1, true),
        movement(rsv(1), "reserved", 2, false),
        movement(rsv(1), "sold", 2, false),
        movement(rsv(2), "reserved", 3, false),
    ];
    tx.insert_rows(MOVEMENT, 8, rows)?;
    let events = &store.events;
    let stock = [event("StockReceived", entered(101, 10)), event("StockAdjusted", entered(102, -1))];
    events.append(tx, stock_stream(&sku("A"), MAIN), 0, &stock, START)?;
    let sold = [event("StockReserved", lines(2)), event("StockSold", lines(2))];
    events.append(tx, rsv(1), 0, &sold, START)?;
    events.append(tx, rsv(2), 0, &[event("StockReserved", lines(3))], START)?;
    Ok(())
}

async fn of_the_first_release(bench: Arc<Bench>) {
    let store = bench.store.clone();
    bench.db().write("test", move |tx| write_old(tx, &store)).await.unwrap();
    Module::new(bench.store.clone(), migrations()).migrate(bench.db()).await.unwrap();
    // The rows explain themselves, and the old events make the new rows.
    bench.check().await;
    assert_eq!(bench.figures("A").await, (4, 3, 2));
    bench.take_back(9, 1, &[("A", 1)]).await.unwrap();
    bench.sell(2).await.unwrap();
    bench.reserve(3, &[("A", 5)]).await.unwrap();
    assert_eq!(bench.figures("A").await, (0, 5, 5));
    let filter = merx_inventory::store::LedgerFilter::default();
    let page = PageRequest { limit: Some(50), cursor: None };
    let (ledger, _) =
        merx_inventory::queries::movements(&bench.state, sku("A"), filter, &page).await.unwrap();
    assert_eq!(ledger.iter().filter(|line| line.reservation == Some(rsv(1))).count(), 3);
    assert_eq!(ledger.len(), 8);
}
