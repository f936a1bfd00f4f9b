//! T8: every fact two to five times, a fifth of the deliveries lost, facts of different subjects in another order. T9: the
//! process dies between any two steps from the commit of a fact to the mark that it was handled.
//!
//! `MERX_T8=100000` is how many facts are delivered, `MERX_T9=100` how many facts there are between whose steps the process
//! dies; without them smaller ones run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::Entropy as _;
use merx_platform::{
    Subscription,
    bus::Delivery,
    faults::{Faults, Point, Seam},
    module::Background,
    time::SeededEntropy,
};
use tokio::sync::Notify;

use crate::world::{Happened, Life, World, down, facts, inversions, on_every_mode, size};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("T8: each fact two to five times, lost, reordered", unruly),
        on_every_mode("T9: the process dies between any two steps", deaths),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Subjects of T8.
const SUBJECTS: usize = 500;
/// Facts that are published before the clock goes on.
const BURST: usize = 500;
/// How long it is between two bursts, in steps: what was lost is away for twenty seconds at most.
const BETWEEN: [Duration; 4] = [Duration::from_secs(3); 4];
/// From the end of the faults until nothing is left to do.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// A bus that misbehaves as the list says, until it is told to stop.
#[derive(Clone)]
struct Unruly {
    dice: Arc<SeededEntropy>,
    on: Arc<AtomicBool>,
    hits: Arc<[AtomicU64; 3]>,
}

impl Unruly {
    fn new() -> Self {
        Self {
            dice: Arc::new(SeededEntropy::new(8)),
            on: Arc::new(AtomicBool::new(true)),
            hits: Arc::default(),
        }
    }
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
}

impl Faults for Unruly {
    fn strikes(&self, point: Point, _: &str) -> bool {
        let (kind, strikes) = match point {
            Point::BusLost => (0, self.below(5) == 0),
            Point::BusRepeated => (1, true),
            Point::BusReordered => (2, true),
            _ => return false,
        };
        let strikes = strikes && self.on.load(SeqCst);
        self.hits[kind].fetch_add(u64::from(strikes), SeqCst);
        strikes
    }
    fn amount(&self, _: Point, end: u64) -> u64 {
        self.below(end)
    }
}

/// The guard is `Guard::Inbox`.
fn unruly(mut world: World) {
    let engine = world.engine();
    let count = usize::try_from(size("MERX_T8", 4_000)).expect("a size").next_multiple_of(SUBJECTS);
    let (unruly, handled) = (Unruly::new(), Arc::new(AtomicU64::new(0)));
    let (faults, calls) = (unruly.clone(), handled.clone());
    let drained = world.live(|mut life| async move {
        life.deps.faults = Seam::to(Arc::new(faults.clone()));
        let subscription = life.subscription("sub.unruly", move |_, _| {
            calls.fetch_add(1, SeqCst);
            Ok(())
        });
        let background = life.start(vec![subscription]);
        let all = facts(SUBJECTS, i64::try_from(count / SUBJECTS).expect("a count"));
        for burst in all.chunks(BURST) {
            publish(&life, burst).await;
            for step in BETWEEN {
                background.settled().await.expect("settled");
                // What was lost comes again while the next ones come.
                life.clock.advance(step);
            }
        }
        faults.on.store(false, SeqCst);
        let began = merx_kernel::Clock::now(&*life.clock);
        assert_eq!(life.run_to_the_end(&background).await.dead, 0);
        merx_kernel::Clock::now(&*life.clock).since(began)
    });
    let effects = world.live(|life| async move { life.effects().await });
    let mut of_each: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for effect in &effects {
        *of_each.entry((&effect.subject, effect.number)).or_default() += 1;
    }
    let [lost, repeated, reordered] = [0, 1, 2].map(|kind| unruly.hits[kind].load(SeqCst));
    let handled = handled.load(SeqCst);
    assert_eq!(
        (of_each.len(), effects.len()),
        (count, count),
        "one effect for each, of {handled} deliveries"
    );
    assert_eq!(inversions(&effects), 0, "in order within each subject");
    assert!(drained <= DRAIN_MAX, "drained after {drained:?}");
    assert!(
        handled >= 2 * count as u64 && lost > 0 && overtaken(&effects) > 0,
        "{handled} {lost} {reordered}"
    );
    println!(
        "PROOF | T8 | bus on {engine}: each message 2–5 ×, 20 % lost then redelivered, reordered | size={count} | \
         1 effect per id: {count} effects of {handled} deliveries ({lost} more lost, {repeated} repeated, {} out of the order of \
         publishing, 0 within a subject); drained {drained:?} of virtual time after the faults | seed=8",
        overtaken(&effects)
    );
}

/// Effects that came before those of facts published earlier, of other subjects.
fn overtaken(effects: &[Happened]) -> usize {
    effects
        .windows(2)
        .filter(|two| (two[0].number, &two[0].subject) > (two[1].number, &two[1].subject))
        .count()
}

async fn publish(life: &Life, all: &[Happened]) {
    let outbox = life.publisher.outbox;
    for chunk in all.chunks(500) {
        let envelopes: Vec<_> = chunk.iter().map(|fact| life.envelope(fact)).collect();
        life.db().write("test.publish", move |tx| outbox.publish(tx, &envelopes)).await.expect("published");
    }
}

/// Where the process dies, around the n-th fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Its transaction is committed, nobody has read it.
    BetweenCommitAndPublish,
    /// It was handed over, nothing has happened.
    BetweenPublishAndEffect,
    /// Its effect is committed, the bus does not know.
    BetweenEffectAndAck,
    /// The bus knows, nothing is marked.
    BetweenAckAndMark,
    /// It is marked.
    AfterMark,
    /// Its handling failed and is to be tried again.
    WhileHeld,
}

const DEATHS: [Death; 6] = [
    Death::BetweenCommitAndPublish,
    Death::BetweenPublishAndEffect,
    Death::BetweenEffectAndAck,
    Death::BetweenAckAndMark,
    Death::AfterMark,
    Death::WhileHeld,
];

/// The guard is `Guard::Outbox`.
fn deaths(world: World) {
    let engine = world.engine();
    let all = facts(5, size("MERX_T9", 10).div_euclid(5));
    // Each point is a database of its own, and those of a server take their time: unless told, two of each kind there.
    let few = world.is_server() && std::env::var("MERX_T9").is_err();
    let step = if few { all.len() / 2 } else { 1 };
    let (mut points, mut struck) = (0, 0);
    for death in DEATHS {
        for n in (0..all.len()).step_by(step) {
            let mut world = world.again();
            struck += usize::from(dies(&mut world, death, n, &all));
            points += 1;
            let left = all.clone();
            let effects = world.live(|life| async move {
                let background = life.start(vec![life.subscription("sub.mortal", |_, _| Ok(()))]);
                // What the dead process had not yet published its client publishes again, under its old name.
                let published = usize::try_from(life.count("pub_outbox").await).expect("a count");
                if published < left.len() && death == Death::BetweenCommitAndPublish {
                    publish_one_by_one(&life, &left[n + 1..]).await;
                }
                assert_eq!(life.run_to_the_end(&background).await.dead, 0);
                life.effects().await
            });
            assert_eq!((effects.len(), inversions(&effects)), (all.len(), 0), "{death:?} at fact {n}");
            let different: std::collections::BTreeSet<_> =
                effects.iter().map(|effect| (effect.subject.as_str(), effect.number)).collect();
            assert_eq!(different.len(), all.len(), "{death:?} at fact {n}: none doubled");
        }
    }
    assert_eq!(struck, points, "every point was reached");
    println!(
        "PROOF | T9 | bus on {engine}: the process dies between commit, publish, effect, ack and mark | size={points} | \
         0 lost, 0 doubled in {points} of {points} points ({} kinds × {} facts) | seed=-",
        DEATHS.len(),
        points / DEATHS.len()
    );
}

async fn publish_one_by_one(life: &Life, all: &[Happened]) {
    for fact in all {
        publish(life, std::slice::from_ref(fact)).await;
    }
}

/// The life that ends at the point; whether it came to it.
fn dies(world: &mut World, death: Death, n: usize, all: &[Happened]) -> bool {
    let all = all.to_vec();
    world.live(|life| async move {
        let dead = Arc::new(Notify::new());
        let seen = Arc::new(AtomicUsize::new(0));
        let background = life.start(vec![mortal(&life, death, n, &dead, &seen)]);
        match death {
            Death::BetweenCommitAndPublish => {
                publish_one_by_one(&life, &all[..=n]).await;
                true
            }
            Death::BetweenPublishAndEffect | Death::BetweenEffectAndAck => {
                publish(&life, &all).await;
                // Whatever hangs in the handler is gone with the process.
                dead.notified().await;
                true
            }
            Death::BetweenAckAndMark | Death::AfterMark | Death::WhileHeld => {
                let (first, rest) = all.split_at(n + 1);
                publish(&life, first).await;
                settle(&life, &background, death).await;
                publish(&life, rest).await;
                seen.load(SeqCst) > n
            }
        }
    })
}

async fn settle(life: &Life, background: &Background, death: Death) {
    let settled = background.settled().await.expect("settled");
    assert_eq!(settled.waiting > 0, death == Death::WhileHeld);
    if death == Death::AfterMark {
        life.checkpoint(background).await;
    }
}

/// A subscription whose process dies at the point.
fn mortal(life: &Life, death: Death, n: usize, dead: &Arc<Notify>, seen: &Arc<AtomicUsize>) -> Subscription {
    let (life, dead, seen) = (life.clone(), dead.clone(), seen.clone());
    let types = &[<Happened as merx_contracts::Fact>::TYPE];
    Subscription::new("sub.mortal", life.subscriber.clone(), types, move |delivery: Delivery| {
        let (life, dead, seen) = (life.clone(), dead.clone(), seen.clone());
        async move {
            let number = seen.fetch_add(1, SeqCst);
            if number == n && death == Death::BetweenPublishAndEffect {
                dead.notify_one();
                std::future::pending::<()>().await;
            }
            if number == n && death == Death::WhileHeld {
                return Err(down());
            }
            life.have_effect(&delivery).await?;
            if number == n && death == Death::BetweenEffectAndAck {
                dead.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    })
}
