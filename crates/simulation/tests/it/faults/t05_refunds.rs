//! T5: the provider answers 500 to every refund. Each is parked with its alert, and nobody else waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use merx_kernel::{Clock, Error, Result, Timestamp};
use merx_payment::provider::Outbound;
use merx_simulation::{
    run::number,
    world::{Ground, Told as _, World},
};
use merx_sql::{Query as _, params};

use super::{Waiting, lived_in, proof, seeds_for, spread, topology, waiting};

/// Orders of one world whose refund fails, and as many that have nothing to do with them.
const EACH: u64 = 10;
const ALERT_WITHIN: Duration = Duration::from_secs(60);
/// How long the provider takes to answer anything, and how long to answer 500.
const ANSWERS_AFTER: Duration = Duration::from_millis(100);
const FAILS_AFTER: Duration = Duration::from_secs(9);

/// A provider that takes its time, and does not give money back while it is broken.
struct NoRefunds {
    inner: Arc<dyn Outbound>,
    clock: Arc<dyn Clock>,
    broken: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Outbound for NoRefunds {
    async fn post(&self, url: &str, content_type: &'static str, body: String) -> Result<Vec<u8>> {
        let refunds = |text: &str| text.contains("alipay.trade.refund");
        if self.broken.load(SeqCst) && (refunds(url) || refunds(&body)) {
            self.clock.sleep(FAILS_AFTER).await;
            return Err(Error::unavailable("payment.provider_unavailable", "500 Internal Server Error"));
        }
        self.clock.sleep(ANSWERS_AFTER).await;
        self.inner.post(url, content_type, body).await
    }
    async fn get(&self, url: &str) -> Result<Vec<u8>> {
        self.inner.get(url).await
    }
}

/// What one world came to.
struct Came {
    parked: usize,
    alarmed_after: Vec<Duration>,
    others: Vec<Duration>,
}

#[test]
fn a_refund_that_always_fails_is_parked_and_delays_nobody() {
    let seeds = seeds_for(number("MERX_T5", 20), EACH);
    let first = seeds.start;
    let [clean, broken] = [false, true].map(|is_broken| {
        let broken: Arc<AtomicBool> = Arc::default();
        let make = |seed| {
            broken.store(false, SeqCst);
            let ground = Ground::interleaved(seed);
            let (clock, broken) = (ground.steady.clone(), broken.clone());
            World::on(ground, topology(seed), move |settings| {
                let inner = settings.outbound.clone();
                settings.outbound = Arc::new(NoRefunds { inner, clock, broken });
            })
        };
        lived_in(seeds.clone(), make, |world| async {
            let came = cancel_and_buy(&world, &broken, is_broken).await;
            (world, came)
        })
    });
    let parked: usize = broken.iter().map(|came| came.parked).sum();
    let alarmed: Vec<Duration> = broken.iter().flat_map(|came| came.alarmed_after.clone()).collect();
    assert_eq!(alarmed.len(), parked, "each has its alert");
    let (_, last) = spread(&alarmed, 100);
    assert!(last <= ALERT_WITHIN, "the last alert after {last:?}");
    let p99 =
        |all: &[Came]| spread(&all.iter().flat_map(|came| came.others.clone()).collect::<Vec<_>>(), 99).0;
    let (usual, beside) = (p99(&clean), p99(&broken));
    assert!(usual > Duration::ZERO && beside <= usual.mul_f64(1.2), "{beside:?} instead of {usual:?}");
    let case = "the whole shop: the provider answers 500 to every refund";
    let figure = format!(
        "{parked} of {parked} parked with an alert after {last:?} at most; the others' p99 {beside:?}, in a clean run {usual:?} \
         (virtual time); all refunded when the provider is well again"
    );
    proof("T5", case, parked as u64, figure, first);
}

async fn cancel_and_buy(world: &World, broken: &AtomicBool, is_broken: bool) -> Came {
    let mut all = waiting(world, 3 * EACH).await;
    let buys = all.split_off(2 * EACH as usize);
    let ends = all.split_off(EACH as usize);
    join_all(all.iter().map(|one| one.buyer.pay(world, &one.order))).await;
    broken.store(is_broken, SeqCst);
    for answer in join_all(all.iter().map(|one| one.buyer.cancel(&one.order))).await {
        assert!(answer.status.is_success(), "{}", answer.text);
    }
    let times = join_all(buys.iter().map(|one| buy(world, one)));
    let (bought, ended) =
        futures_util::future::join(times, join_all(ends.iter().map(|one| end(world, one)))).await;
    world.pass(Duration::from_secs(120)).await;
    let (parked, alarmed_after) = alarmed(world).await;
    assert_eq!(parked, if is_broken { EACH as usize } else { 0 }, "what is not given back is parked");
    for one in &all {
        assert_eq!(one.status().await, "cancelled");
    }
    let mut others = [bought, ended].concat();
    others.extend(parcels(world).await);
    broken.store(false, SeqCst);
    world.pass(Duration::from_secs(2 * 3_600)).await;
    world.settle().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM payment_refunds WHERE status <> 'succeeded'").await, 0);
    Came { parked, alarmed_after, others }
}

/// How long it takes to begin to pay; and pays.
async fn buy(world: &World, one: &Waiting) -> Duration {
    world.pass(one.dice.span(60_000)).await;
    let began = world.time();
    let (_, code) = one.buyer.code(&one.order).await;
    let took = world.time().since(began);
    assert!(world.sandbox.pay(&code).await.unwrap().now);
    took
}

/// How long it takes to end an order whose trade has begun.
async fn end(world: &World, one: &Waiting) -> Duration {
    world.pass(one.dice.span(60_000)).await;
    one.begin(world).await;
    let began = world.time();
    let answer = one.buyer.cancel(&one.order).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    world.time().since(began)
}

/// How long after its money each order that goes on had its parcel.
async fn parcels(world: &World) -> Vec<Duration> {
    let read = "SELECT MIN(p.posted_at), MIN(s.opened_at) FROM shipping_shipments s
        JOIN payment_postings p ON p.payment_id = s.order_id AND p.kind = 'capture' WHERE s.status = 'open'
        GROUP BY s.order_id";
    let row = |row: &merx_sql::Row<'_>| Ok((row.get::<Timestamp>(0)?, row.get::<Timestamp>(1)?));
    let all = world.shop.deps.db.read("test.parcels", move |q| q.query(read, params![], row)).await.told();
    all.into_iter().map(|(paid, opened)| opened.since(paid)).collect()
}

/// Refunds that are asked for and not through, and how long after that each raised its alert.
async fn alarmed(world: &World) -> (usize, Vec<Duration>) {
    let read = "SELECT r.requested_at, a.raised_at FROM payment_refunds r
        LEFT JOIN payment_alerts a ON a.payment_id = r.payment_id AND a.kind = 'payment_refund_stuck'
        WHERE r.status = 'requested'";
    let row = |row: &merx_sql::Row<'_>| Ok((row.get::<Timestamp>(0)?, row.get::<Option<Timestamp>>(1)?));
    let all = world.shop.deps.db.read("test.alarmed", move |q| q.query(read, params![], row)).await.told();
    let after = all.iter().filter_map(|(asked, raised)| Some((*raised)?.since(*asked))).collect();
    (all.len(), after)
}
