//! The power goes (T27): at any moment, what was not synced is lost, kept, reordered or torn. Whatever the disk then
//! holds, the database is whole, the books agree, every acknowledged order is there, and the shop opens again.

use std::{path::Path, sync::Arc};

use merx_auditor::ProviderEntry;
use merx_contracts::ids::{OrderId, PaymentId};
use merx_kernel::{Clock, Timestamp, clock::BoxFuture};
use merx_platform::{
    tasks::{Task, Tasks},
    time::{OsEntropy, SystemClock},
};
use merx_server::{
    client::{Reply, text},
    config::{self, HttpConfig, OrdersConfig},
    demo::{DemoAccount, DemoPlace},
    instance::{self, Mode},
    shop::provider_entries,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    disk::{Disk, Luck},
    journal::{self, Call, Record},
    proof,
    shim::Shim,
    size,
};
use crate::process::{
    buyers::{Buyer, restock},
    harness::{SEED, Site, random, say, until},
};

const BUYERS: usize = 8;
/// Images that are looked through at the same time.
const AT_ONCE: usize = 2;

/// What the shop promised, each with the moment at which it had.
#[derive(Clone, Default)]
struct Promised {
    orders: Vec<(OrderId, u64)>,
    /// Money the cashier took.
    payments: Vec<u64>,
}

impl Promised {
    fn orders_until(&self, moment: u64) -> Vec<OrderId> {
        self.orders.iter().filter(|(_, at)| *at <= moment).map(|(order, _)| *order).collect()
    }
    fn payments_until(&self, moment: u64) -> usize {
        self.payments.iter().filter(|at| **at <= moment).count()
    }
}

/// Places orders and pays every second of them until told to stop.
async fn buy(mut buyer: Buyer, shim: Arc<Shim>, book: Arc<Mutex<Promised>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let Some((path, body)) = buyer.checkout().await else { continue };
        let Ok(reply) = buyer.client.post(&path, &body).await else { continue };
        if ![201, 202].contains(&reply.status.as_u16()) {
            assert!([401, 409, 503].contains(&reply.status.as_u16()), "{reply:?}");
            continue;
        }
        let order: OrderId = reply.text("/id").parse().expect("an id");
        book.lock().await.orders.push((order, shim.moment()));
        if reply.status == 202 || random(2) == 0 {
            continue;
        }
        let payment: PaymentId = order.cast();
        let path = format!("/v1/payments/{payment}/attempts");
        let attempt = buyer.client.post(&path, &json!({"method": "alipay_page"})).await.and_then(Reply::ok);
        let Ok(attempt) = attempt else { continue };
        if buyer.client.pay(&text(&attempt, "/pay_url")).await.is_ok() {
            book.lock().await.payments.push(shim.moment());
        }
    }
}

/// A shop that opens, is busy, is killed, is busy again and closes in order: all under the eyes of the shim.
async fn live(site: &mut Site, shim: &Arc<Shim>, guests: &[DemoAccount], orders: usize) -> (Promised, u64) {
    site.start().await;
    restock(site).await;
    let opened = shim.moment();
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let book = Arc::new(Mutex::new(Promised::default()));
    for life in 1..=2 {
        let stop = CancellationToken::new();
        let mut working: Vec<Task<()>> = Vec::new();
        for guest in guests {
            let buyer = Buyer::arrive(site, guest.clone()).await;
            working.push(tasks.spawn("buyer", buy(buyer, shim.clone(), book.clone(), stop.clone())));
        }
        let enough = orders * life / 2;
        until("orders", || async { (book.lock().await.orders.len() >= enough).then_some(()) }).await;
        stop.cancel();
        if life == 1 {
            site.kill();
            site.start().await;
        }
        for buyer in working {
            buyer.await.expect("a buyer to the end");
        }
    }
    site.stop().await;
    let promised = book.lock().await.clone();
    (promised, opened)
}

/// A moment at which the power goes, and what the disk makes of it.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// After so many records of the log.
    after: usize,
    luck: Luck,
    seed: u64,
}

/// A third of the cuts beside the begin and the end of syncs, a third as close after an answer as can be, a third anywhere.
fn cuts(records: &[Record<'_>], promised: &Promised, count: usize) -> Vec<Cut> {
    let is_sync = |record: &Record<'_>| matches!(record.call, Call::SyncBegin { .. } | Call::SyncEnd { .. });
    let syncs: Vec<usize> = (1..=records.len()).filter(|after| is_sync(&records[after - 1])).collect();
    let answers: Vec<usize> = promised
        .orders
        .iter()
        .map(|(_, moment)| records.partition_point(|record| record.end <= *moment))
        .collect();
    let one_of = |some: &[usize]| some[random(some.len() as u64) as usize];
    let mut cuts: Vec<Cut> = (0..count)
        .map(|number| {
            let after = match number % 3 {
                0 => one_of(&syncs),
                1 => one_of(&answers),
                _ => random(records.len() as u64 + 1) as usize,
            };
            let luck = match random(6) {
                0 => Luck::None,
                1 => Luck::All,
                n => Luck::Percent([5, 50, 80, 95][n as usize - 2]),
            };
            Cut { after, luck, seed: SEED.wrapping_add(number as u64) }
        })
        .collect();
    cuts.sort_by_key(|cut| cut.after);
    cuts
}

/// A clock that stands at the moment of the cut: what was in flight then is not late now.
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn sleep(&self, duration: std::time::Duration) -> BoxFuture<()> {
        SystemClock.sleep(duration)
    }
}

/// What must be in an image.
struct Owed {
    at: Timestamp,
    orders: Vec<OrderId>,
    payments: usize,
    /// The sandbox had opened its own database.
    opened: bool,
}

/// Opens what the disk holds as the next start would, and looks through all of it.
async fn examine(folder: &Path, owed: Owed) -> Result<(), String> {
    let told = |e: merx_kernel::Error| e.chain();
    let mut demo = instance::demo_of(folder).map_err(told)?;
    let nowhere = || "http://127.0.0.1:1".to_owned();
    demo.move_to(&DemoPlace {
        api_url: nowhere(),
        sandbox_url: nowhere(),
        mail_url: nowhere(),
        grpc_url: nowhere(),
        database_url: None,
    });
    let config = instance::demo_config(folder, &demo, HttpConfig::default(), OrdersConfig::default());
    let config = config.map_err(told)?;
    let shop = instance::open(&config, Mode::ReadWrite).map_err(told)?;
    shop.migrate().await.map_err(told)?;
    merx_sql::check_file(&folder.join(config::DATABASE)).map_err(told)?;
    let sandbox = instance::open_sandbox_db(folder, Mode::ReadWrite).map_err(told)?;
    merx_sql::check_file(&instance::sandbox_file(folder)).map_err(told)?;
    let ledger: Option<Vec<ProviderEntry>> = match merx_alipay_sandbox::ledger(&sandbox).await {
        Ok(ledger) => Some(provider_entries(ledger)),
        Err(e) if owed.opened => return Err(e.chain()),
        Err(_) => None,
    };
    let captured = ledger.iter().flatten().filter(|entry| entry.refund_number.is_none()).count();
    let mut audit = shop.audit(ledger, false);
    audit.clock = Arc::new(Stopped(owed.at));
    audit.acknowledged = owed.orders;
    let report = audit.run().await.map_err(told)?;
    shop.deps.db.close().await;
    sandbox.close().await;
    if captured < owed.payments {
        return Err(format!("{captured} payments are booked, {} were acknowledged", owed.payments));
    }
    if report.is_clean() { Ok(()) } else { Err(report.to_text()) }
}

/// What came of all images.
#[derive(Default)]
struct Found {
    images: usize,
    /// Orders that were looked for, over all images.
    looked_for: usize,
    /// The most changes that were not safe at a cut.
    unsynced_max: usize,
    broken: Vec<String>,
}

async fn settle(found: &mut Found, waiting: &mut Vec<Task<Option<String>>>, down_to: usize) {
    while waiting.len() > down_to {
        found.broken.extend(waiting.remove(0).await.expect("examined to the end"));
        found.images += 1;
    }
}

/// Makes the image of each cut and examines it.
async fn cut_and_examine<'a>(disk: &mut Disk<'a>, log: &Log<'a>, cuts: &[Cut], room: &Path) -> Found {
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let (mut found, mut waiting, mut taken) = (Found::default(), Vec::new(), 0);
    for cut in cuts.iter().copied() {
        for record in &log.records[taken..cut.after] {
            disk.take(record);
        }
        taken = cut.after;
        let image = TempDir::new_in(room).expect("a folder");
        disk.image(cut.luck, cut.seed, image.path());
        found.unsynced_max = found.unsynced_max.max(disk.unsynced());
        let last = taken.checked_sub(1).map(|last| log.records[last]);
        let moment = last.map_or(0, |record| record.end);
        let owed = Owed {
            at: last.or(log.records.first().copied()).expect("a log").at,
            orders: log.promised.orders_until(moment),
            payments: log.promised.payments_until(moment),
            opened: moment >= log.opened,
        };
        found.looked_for += owed.orders.len();
        settle(&mut found, &mut waiting, AT_ONCE - 1).await;
        waiting.push(tasks.spawn("examine", async move {
            let outcome = examine(image.path(), owed).await;
            outcome.err().map(|why| format!("{cut:?}: {why}"))
        }));
    }
    settle(&mut found, &mut waiting, 0).await;
    found
}

/// What was recorded.
struct Log<'a> {
    records: Vec<Record<'a>>,
    promised: Promised,
    /// When the first shop was open.
    opened: u64,
}

/// Starts the built binary on what a disk may hold after `after` records, and buys.
async fn open_again<'a>(disk: &mut Disk<'a>, log: &Log<'a>, taken: &mut usize, after: usize) {
    for record in &log.records[*taken..after] {
        disk.take(record);
    }
    *taken = after;
    let root = TempDir::new().expect("a folder");
    let data = root.path().join("data");
    disk.image(Luck::Percent(50), SEED.wrapping_add(after as u64), &data);
    let mut site = Site::at(data, &[]);
    site.start().await;
    site.succeed(&["demo", "purchase"]);
    site.stop().await;
    site.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_power_cut_leaves_is_whole_and_has_what_was_promised() {
    let count = size("MERX_T27", 24);
    say(&format!("SEED={}", *SEED));
    let mut site = Site::new(&[]);
    let shim = Arc::new(Shim::under(&mut site).recording(&mut site));
    let guests = site.invite(BUYERS);
    let data = Path::new(site.data()).to_owned();
    let mut disk = Disk::of(&data);
    let mut once_more = Disk::of(&data);
    let (promised, opened) = live(&mut site, &shim, &guests, (count / 4).clamp(24, 400)).await;
    site.assert_no_panic();
    let bytes = shim.journal();
    let log = Log { records: journal::read(&bytes), promised, opened };

    // In memory: what is written there is not what this is about.
    let memory = Path::new("/dev/shm");
    let room = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder");
    let cuts = cuts(&log.records, &log.promised, count);
    let found = cut_and_examine(&mut disk, &log, &cuts, room.path()).await;
    let broken = found.broken.len();
    let first: Vec<&str> = found.broken.iter().take(3).map(String::as_str).collect();
    assert!(
        broken == 0,
        "{broken} of {} images are not as they must be:\n{}",
        found.images,
        first.join("\n")
    );

    let (starts, mut taken) = (if count >= 1_000 { 10 } else { 1 }, 0);
    for number in 0..starts {
        let share = log.records.len() / starts;
        open_again(&mut once_more, &log, &mut taken, number * share + random(share as u64) as usize).await;
    }
    let orders = log.promised.orders.len();
    let syncs = log.records.iter().filter(|r| matches!(r.call, Call::SyncEnd { .. })).count();
    proof(
        "T27",
        "power cut: unsynced writes lost, kept, reordered or torn",
        count,
        &format!(
            "integrity_check ok and books clean {}/{count}; 0 of {orders} acknowledged orders lost ({} looked for over \
             all images); {} changes and {syncs} syncs recorded, at most {} changes unsynced at a cut; the binary \
             opened and sold on {starts}/{starts} images",
            found.images,
            found.looked_for,
            log.records.len(),
            found.unsynced_max
        ),
        Some(*SEED),
    );
}
