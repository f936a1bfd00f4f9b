//! T12: poison among normal traffic. T13: order per subject under retries and while processes come and go.
//!
//! Each prints its figure. `MERX_T12=5000` is how many normal facts go beside the poison, `MERX_T13=1000000` how many facts of
//! 1,000 subjects are delivered; without them smaller ones run.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::ids::MessageId;
use merx_platform::{
    Subscription,
    bus::TRIES_MAX,
    module::Background,
    store::{DeliveryRow, DeliveryState},
};
use merx_sql::params;
use tokio::time::Instant;

use crate::world::{Happened, Life, World, down, facts, inversions, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("T12: poison among normal traffic", poison),
        on_every_mode("T13: order per subject under retries and restarts", order),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn size(variable: &str, usual: i64) -> i64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => usual,
    }
}

/// Past whatever the harness captures.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

const UNREADABLE: &str = "{ not JSON";
/// A fact of the right type and the wrong shape.
const MISSHAPEN: &str = "misshapen";
/// A fact that makes its handler panic until that is mended.
const PANICKING: &str = "panicking";

/// Puts something into the outbox that no code of ours would.
async fn smuggle(life: &Life, subject: &str, envelope: String) -> MessageId {
    let id: MessageId = life.deps.ids.next();
    let (subject, outbox) = (subject.to_owned(), life.publisher.outbox);
    life.db()
        .write("test.smuggle", move |tx| {
            let position = tx.next_position();
            tx.wake(&outbox.channel());
            tx.execute(
                "INSERT INTO pub_outbox (id, position, type, subject, envelope, published_at) VALUES (?, ?, ?, ?, ?, ?)",
                params![id, position, "pub.happened.v1", &subject, &envelope, 0i64],
            )
        })
        .await
        .expect("smuggled");
    id
}

/// The three kinds of poison, a third each.
async fn put_poison(life: &Life, n: i64) -> MessageId {
    let number = n;
    match n % 3 {
        0 => smuggle(life, &format!("sbj_{:03}", n % 100), UNREADABLE.to_owned()).await,
        1 => {
            let fact = Happened { subject: MISSHAPEN.to_owned(), number };
            let text = life.envelope(&fact).to_json().expect("JSON").replace("\"number\"", "\"digits\"");
            smuggle(life, MISSHAPEN, text).await
        }
        _ => life.publish(&[Happened { subject: format!("{PANICKING}{n}"), number }]).await[0],
    }
}

async fn publish_all(life: &Life, all: &[Happened]) {
    let outbox = life.publisher.outbox;
    for chunk in all.chunks(500) {
        let envelopes: Vec<_> = chunk.iter().map(|fact| life.envelope(fact)).collect();
        life.db().write("test.publish", move |tx| outbox.publish(tx, &envelopes)).await.expect("published");
    }
}

async fn dead(life: &Life, state: DeliveryState) -> Vec<DeliveryRow> {
    let deliveries = life.subscriber.deliveries;
    life.db().read("test.dead", move |q| deliveries.list(q, state, 10_000)).await.expect("rows")
}

fn handler(life: &Life, mended: &Arc<AtomicBool>) -> Subscription {
    let mended = mended.clone();
    life.subscription("sub.plain", move |fact, _| {
        assert!(!fact.subject.starts_with(PANICKING) || mended.load(SeqCst), "poison");
        Ok(())
    })
}

/// Facts a second from the start of the bus until everything that can be handled at once is.
async fn throughput(life: &Life, background: &Background, facts: usize) -> f64 {
    let began = Instant::now();
    background.settled().await.expect("settled");
    assert!(life.effects().await.len() >= facts);
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = facts as f64 / began.elapsed().as_secs_f64().max(f64::EPSILON);
    rate
}

fn poison(mut world: World) {
    let normal = size("MERX_T12", 1_000);
    let plenty = (normal / 100).max(9);
    let clean_run = |mut world: World| {
        world.live(|life| async move {
            publish_all(&life, &facts(100, normal / 100)).await;
            let background = life.start(vec![handler(&life, &Arc::default())]);
            throughput(&life, &background, usize::try_from(normal).expect("a size")).await
        })
    };
    // The first run warms the machine up and is not counted.
    clean_run(world.again());
    let clean = clean_run(world.again());
    let mended = Arc::new(AtomicBool::new(false));
    let switch = mended.clone();
    let (dirty, ids) = world.live(|life| async move {
        let mut ids = Vec::new();
        let step = usize::try_from(normal / plenty).expect("a step").max(1);
        for (part, n) in facts(100, normal / 100).chunks(step).zip(0..) {
            publish_all(&life, part).await;
            ids.push(put_poison(&life, n).await);
        }
        let background = life.start(vec![handler(&life, &switch)]);
        let dirty = throughput(&life, &background, usize::try_from(normal).expect("a size")).await;
        let settled = life.run_to_the_end(&background).await;
        assert_eq!(
            settled.dead,
            i64::try_from(ids.len()).expect("few"),
            "all of the poison, and nothing else"
        );
        let letters = dead(&life, DeliveryState::Dead).await;
        assert!(letters.iter().all(|letter| (1..=TRIES_MAX).contains(&letter.tries)), "{letters:?}");
        let effects = life.effects().await;
        assert_eq!((effects.len(), inversions(&effects)), (usize::try_from(normal).expect("a size"), 0));
        (dirty, ids)
    });
    say(&format!(
        "T12: {} poison messages among {normal}: each dead after at most {TRIES_MAX} tries, every other handled once and in \
         order; throughput {:.0} % of a clean run ({dirty:.0} and {clean:.0} a second)",
        ids.len(),
        dirty / clean * 100.0
    ));
    mended.store(true, SeqCst);
    let left = redriven(&mut world, mended.clone());
    // What was given up is not handed over again, also not by a process that begins from the last checkpoint.
    world.live(|life| async move {
        let background = life.start(vec![handler(&life, &mended)]);
        assert_eq!(life.run_to_the_end(&background).await.dead, 0);
        let dropped = dead(&life, DeliveryState::Dropped).await;
        assert_eq!(dropped.len(), left);
        let deliveries = life.subscriber.deliveries;
        let told = life.db().read("test.dropped", move |q| deliveries.dropped(q, Some("sub.plain"), 1)).await;
        let told = told.expect("rows");
        assert_eq!((told.len(), told[0].reason.as_str()), (1, "cannot be read; settled by hand"));
        assert!(told[0].dropped_at > told[0].letter.next_at || !told[0].reason.is_empty());
    });
}

/// Drives everything again after its handler was mended; answers how many are given up, since nothing will mend them.
fn redriven(world: &mut World, mended: Arc<AtomicBool>) -> usize {
    world.live(|life| async move {
        let background = life.start(vec![handler(&life, &mended)]);
        background.settled().await.expect("settled");
        let letters = dead(&life, DeliveryState::Dead).await;
        let panicking = letters.iter().filter(|l| l.subject.starts_with(PANICKING)).count();
        assert!(panicking > 0);
        let before = life.effects().await.len();
        for letter in &letters {
            assert!(background.bus.redrive("sub.plain", letter.message).await.expect("redriven"));
        }
        life.run_to_the_end(&background).await;
        assert_eq!(life.effects().await.len() - before, panicking, "what was mended has its effect");
        let left = dead(&life, DeliveryState::Dead).await;
        assert_eq!(left.len(), letters.len() - panicking);
        for letter in &left {
            let reason = || "cannot be read; settled by hand".to_owned();
            assert!(background.bus.give_up("sub.plain", letter.message, reason()).await.expect("given up"));
            assert!(
                !background.bus.give_up("sub.plain", letter.message, reason()).await.expect("told"),
                "once"
            );
            assert!(!background.bus.redrive("sub.plain", letter.message).await.expect("told"));
        }
        let unknown = background.bus.give_up("no.such", left[0].message, String::new()).await;
        assert!(unknown.expect_err("unknown").is("bus.no_subscription"));
        left.len()
    })
}

/// The guard is `Guard::PartitionKey`.
fn order(mut world: World) {
    const LIVES: usize = 4;
    let all = size("MERX_T13", 8_000);
    let facts = facts(1_000, all / 1_000);
    let tries = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    for (life_number, part) in facts.chunks(facts.len().div_ceil(LIVES)).enumerate() {
        let (part, counted) = (part.to_vec(), tries.clone());
        let last = life_number + 1 == LIVES;
        world.live(|life| async move {
            let flaky = life.subscription("sub.flaky", move |_, _| {
                if counted.fetch_add(1, SeqCst).is_multiple_of(30) { Err(down()) } else { Ok(()) }
            });
            let background = life.start(vec![flaky]);
            publish_all(&life, &part).await;
            if !last {
                // Killed in the middle of it: the next process takes over what is held up and what was not read.
                tokio::task::yield_now().await;
                return;
            }
            loop {
                let Some(next_at) = background.settled().await.expect("settled").next_at else { break };
                life.clock.advance_to(next_at.plus(Duration::from_secs(5)));
            }
        });
    }
    let took = began.elapsed();
    let tries = tries.load(SeqCst);
    world.live(|life| async move {
        let effects = life.effects().await;
        say(&format!(
            "T13: {} facts of 1,000 subjects, {tries} tries, one in thirty failing, {LIVES} processes after each other: \
             {} inversions, {} effects, {took:.1?}",
            facts.len(),
            inversions(&effects),
            effects.len()
        ));
        assert_eq!((effects.len(), inversions(&effects)), (facts.len(), 0));
    });
}
