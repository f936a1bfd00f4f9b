use std::{sync::Arc, time::Duration};

use merx_alipay::TradeStatus;
use merx_alipay_sandbox::{EntryKind, ledger};
use merx_kernel::{Clock, Timestamp};
use merx_platform::time::{SystemClock, VirtualClock};
use merx_sql::{Db, DbOptions};

use crate::world::{World, secs};

/// Rows, not memory: what was on its way when the process ended is sent by the next one.
#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_goes_on_after_a_restart() {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(Timestamp::from_millis(1_790_000_000_000)));
    let db = Db::inline(DbOptions::new(clock.clone()), &[]).unwrap();
    let first = World::on(db.clone(), clock.clone()).await;
    first.shop_answers(|_| Err("connection refused".to_owned()));
    first.paid("a1", 100).await;
    let waiting = first.opened("a2", 100).await;
    first.sandbox.log_in(&waiting).await.unwrap();
    assert_eq!(first.sent().len(), 1);
    first.tasks.shutdown(secs(5)).await.unwrap();

    let second = World::on(db, clock).await;
    second.pass(Duration::from_secs(241)).await;
    assert_eq!(second.notified_statuses(), [TradeStatus::TradeSuccess]);
    second.pass(secs(1_800)).await;
    assert_eq!(second.status("a2").await, TradeStatus::TradeClosed);
    assert_eq!(second.sandbox.ledger().await.unwrap().len(), 1);
}

/// The auditor reads the ledger from the file; no sandbox need run.
#[tokio::test]
async fn the_ledger_is_read_from_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("alipay-sandbox.db").display());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let db = Db::open(&url, DbOptions::new(clock.clone()), &[]).unwrap();
    let world = World::on(db.clone(), clock.clone()).await;
    let code = world.opened("a1", 8_888).await;
    world.sandbox.pay(&code).await.unwrap();
    world.tasks.shutdown(secs(5)).await.unwrap();
    db.close().await;

    let options = DbOptions { read_only: true, ..DbOptions::new(clock) };
    let entries = ledger(&Db::open(&url, options, &[]).unwrap()).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].kind, entries[0].amount.minor), (EntryKind::Capture, 8_888));
}
