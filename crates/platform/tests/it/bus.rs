//! What the bus promises while the process lives: order of a subject, back-off, dead letters, one effect.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::Fact as _;
use merx_kernel::{Error, Result};
use merx_platform::{
    Subscription,
    bus::{BATCH_MAX, Delivery, EmbeddedBus, TRIES_MAX},
    store::DeliveryState,
};
use tokio::sync::Barrier;

use crate::world::{Happened, World, down, facts, inversions, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("bus: a subject stays in order under retries", order_under_retries),
        on_every_mode("bus: poison becomes a dead letter and others flow", poison),
        on_every_mode("bus: a dead letter is driven again", redrive),
        on_every_mode("bus: subjects are handled at the same time", subjects_at_once),
        on_every_mode("bus: a subject in back-off holds up nobody", back_off_is_alone),
        on_every_mode("bus: a fact handled costs one transaction with one statement more", cost),
        on_every_mode("bus: every subscription gets every fact of its types", fan_out),
        on_every_mode("bus: more than a batch", more_than_a_batch),
        on_every_mode("bus: lag", lag),
        on_every_mode("bus: old facts are removed once everybody has read them", prune),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The low half of an id.
fn mix(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).expect("a half")
}

fn order_under_retries(mut world: World) {
    world.live(|life| async move {
        // Each try fails or not by its place in a fixed sequence: about three in ten fail.
        let failures = Arc::new(Mutex::new(0u64));
        let flaky = life.subscription("sub.flaky", {
            let failures = failures.clone();
            move |fact, delivery| {
                let mixed = (fact.number as u64 + 31 * fact.subject.len() as u64)
                    .wrapping_add(mix(delivery.envelope().id.bits()))
                    .wrapping_add(delivery.tries() as u64)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if mixed >> 32 < (u64::from(u32::MAX) / 10) * 3 {
                    *failures.lock().expect("a lock") += 1;
                    return Err(down());
                }
                Ok(())
            }
        });
        let background = life.start(vec![flaky]);
        let published = facts(20, 20);
        life.publish(&published).await;
        let settled = life.run_to_the_end(&background).await;
        let effects = life.effects().await;
        assert_eq!(settled.dead, 0);
        assert_eq!(effects.len(), 400, "every fact has one effect");
        assert_eq!(
            inversions(&effects),
            0,
            "of 400 facts, with {} failures",
            failures.lock().expect("a lock")
        );
        assert!(*failures.lock().expect("a lock") > 50, "the test has failures to survive");
    });
}

fn poison(mut world: World) {
    world.live(|life| async move {
        let tries = Arc::new(Mutex::new(BTreeMap::<String, i64>::new()));
        let counted = life.subscription("sub.poisoned", {
            let tries = tries.clone();
            move |fact, _| {
                *tries
                    .lock()
                    .expect("a lock")
                    .entry(format!("{}/{}", fact.subject, fact.number))
                    .or_default() += 1;
                match (fact.subject.as_str(), fact.number) {
                    ("sbj_000", 0) => Err(down()),
                    ("sbj_001", 0) => panic!("poison"),
                    ("sbj_002", 0) => Err(Error::rejected("test.never", "never")),
                    _ => Ok(()),
                }
            }
        });
        let background = life.start(vec![counted]);
        life.publish(&facts(6, 3)).await;
        let mut unreadable = life.envelope(&Happened { subject: "sbj_003".into(), number: 9 });
        unreadable.data = serde_json::value::to_raw_value("not what it says").expect("JSON");
        let outbox = life.publisher.outbox;
        life.db()
            .write("test.publish", move |tx| outbox.publish(tx, &[unreadable.clone()]))
            .await
            .expect("published");

        let settled = background.settled().await.expect("settled");
        assert_eq!(settled.waiting, 2, "two subjects wait for another try");
        assert_eq!(settled.dead, 2, "what can never succeed is not tried again");
        let flowed = life.effects().await;
        assert_eq!(flowed.len(), 4 * 3 - 1, "all other subjects went on without waiting");

        let settled = life.run_to_the_end(&background).await;
        assert_eq!((settled.waiting, settled.dead), (0, 4));
        let effects = life.effects().await;
        assert_eq!(effects.len(), 6 * 3 - 3, "what came after poison was handled too");
        assert_eq!(inversions(&effects), 0);
        let tries = tries.lock().expect("a lock").clone();
        assert_eq!(tries["sbj_000/0"], TRIES_MAX);
        assert_eq!(tries["sbj_001/0"], TRIES_MAX);
        assert_eq!(tries["sbj_002/0"], 1);
        assert_eq!(life.deps.metrics.alerts("dead_letter"), 4);

        let deliveries = life.subscriber.deliveries;
        let dead = life.db().read("test.dead", move |q| deliveries.list(q, DeliveryState::Dead, 100)).await;
        let problems: Vec<String> = dead.expect("rows").into_iter().map(|row| row.problem).collect();
        assert_eq!(problems, ["test.down", "internal", "test.never", "message.malformed"]);
    });
}

fn redrive(mut world: World) {
    world.live(|life| async move {
        let mended = Arc::new(Mutex::new(false));
        let broken = life.subscription("sub.broken", {
            let mended = mended.clone();
            move |fact, _| {
                if fact.number == 0 && !*mended.lock().expect("a lock") { Err(down()) } else { Ok(()) }
            }
        });
        let background = life.start(vec![broken]);
        let ids = life.publish(&facts(1, 2)).await;
        assert_eq!(life.run_to_the_end(&background).await.dead, 1);
        assert_eq!(life.effects().await.len(), 1);

        assert!(background.bus.redrive("sub.broken", ids[0]).await.expect("redriven"));
        let settled = life.run_to_the_end(&background).await;
        assert_eq!(settled.dead, 1, "not mended: dead again");

        *mended.lock().expect("a lock") = true;
        assert!(background.bus.redrive("sub.broken", ids[0]).await.expect("redriven"));
        let settled = life.run_to_the_end(&background).await;
        assert_eq!((settled.dead, settled.waiting), (0, 0));
        assert_eq!(life.effects().await.len(), 2);

        assert!(
            !background.bus.redrive("sub.broken", ids[0]).await.expect("nothing"),
            "there is none any more"
        );
        assert!(
            background
                .bus
                .redrive("sub.unknown", ids[0])
                .await
                .expect_err("unknown")
                .is("bus.no_subscription")
        );
    });
}

fn subjects_at_once(mut world: World) {
    world.live(|life| async move {
        // Nobody passes before all eight are there: one after another would wait for ever.
        let barrier = Arc::new(Barrier::new(8));
        let (inner, effects) = (barrier.clone(), life.clone());
        let together = Subscription::new(
            "sub.together",
            life.subscriber.clone(),
            &[Happened::TYPE],
            move |delivery: Delivery| {
                let (barrier, life) = (inner.clone(), effects.clone());
                async move {
                    barrier.wait().await;
                    life.have_effect(&delivery).await
                }
            },
        );
        let background = life.start(vec![together]);
        life.publish(&facts(8, 1)).await;
        assert_eq!(life.run_to_the_end(&background).await.dead, 0);
        assert_eq!(life.effects().await.len(), 8);
    });
}

fn back_off_is_alone(mut world: World) {
    world.live(|life| async move {
        let failing =
            life.subscription(
                "sub.failing",
                |fact, _| if fact.subject == "sbj_000" { Err(down()) } else { Ok(()) },
            );
        let background = life.start(vec![failing]);
        life.publish(&facts(1, 1)).await;
        assert_eq!(background.settled().await.expect("settled").waiting, 1);
        // Follow-ups of the subject in back-off are parked; the cursor goes past them.
        life.publish(&facts(2, 5)).await;
        let settled = background.settled().await.expect("settled");
        assert_eq!(settled.waiting, 1);
        assert_eq!(life.effects().await.len(), 5, "the other subject went on");
        life.checkpoint(&background).await;
        let outbox = life.publisher.outbox;
        let last = life.db().read("test.last", move |q| outbox.last_position(q)).await.expect("a position");
        assert_eq!(life.cursors().await, [last], "a subject in back-off holds no cursor back");
        let deliveries = life.subscriber.deliveries;
        let waiting =
            life.db().read("test.waiting", move |q| deliveries.count(q, DeliveryState::Waiting)).await;
        assert_eq!(waiting.expect("a count"), 6);
        assert_eq!(life.run_to_the_end(&background).await.dead, 6);
    });
}

fn cost(mut world: World) {
    world.live(|life| async move {
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        background.settled().await.expect("settled");
        let before = life.db().stats();
        life.publish(&facts(10, 1)).await;
        life.run_to_the_end(&background).await;
        let after = life.db().stats();
        let statements = |stats: &merx_sql::Stats, label: &str| {
            stats.labels.get(label).map_or((0, 0), |label| (label.write_txs, label.write_statements))
        };
        assert_eq!(statements(&before, "test.effect"), (0, 0));
        assert_eq!(
            statements(&after, "test.effect"),
            (10, 20),
            "the effect and the inbox, in one transaction"
        );
        assert_eq!(statements(&after, "test.publish"), (10, 10));
        for label in ["bus.hold", "bus.park", "bus.release", "bus.checkpoint"] {
            assert_eq!(
                statements(&after, label),
                statements(&before, label),
                "{label} is for failures or later"
            );
        }
        // The clock has not moved, so no cursor was written; a second later all are, in one transaction.
        assert!(life.cursors().await.is_empty());
        life.checkpoint(&background).await;
        assert_eq!(life.writes("bus.checkpoint"), 1);
    });
}

fn fan_out(mut world: World) {
    world.live(|life| async move {
        let seen = Arc::new(Mutex::new(BTreeMap::<&'static str, usize>::new()));
        let counting = |name: &'static str, types: &'static [&'static str]| {
            let seen = seen.clone();
            Subscription::new(name, life.subscriber.clone(), types, move |delivery: Delivery| {
                *seen.lock().expect("a lock").entry(delivery.subscription()).or_default() += 1;
                async { Result::Ok(()) }
            })
        };
        let background = life.start(vec![
            counting("sub.first", &[Happened::TYPE]),
            counting("sub.second", &[Happened::TYPE, "pub.other.v1"]),
            counting("sub.third", &["pub.other.v1"]),
        ]);
        life.publish(&facts(3, 4)).await;
        life.run_to_the_end(&background).await;
        assert_eq!(*seen.lock().expect("a lock"), BTreeMap::from([("sub.first", 12), ("sub.second", 12)]));
        life.checkpoint(&background).await;
        assert_eq!(life.cursors().await.len(), 3, "a subscription also passes what it does not want");
    });
}

fn more_than_a_batch(mut world: World) {
    world.live(|life| async move {
        let many = usize::try_from(BATCH_MAX).expect("a count") * 2 + 10;
        let outbox = life.publisher.outbox;
        let envelopes: Vec<_> = facts(many, 1).iter().map(|fact| life.envelope(fact)).collect();
        life.db().write("test.publish", move |tx| outbox.publish(tx, &envelopes)).await.expect("published");
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        life.run_to_the_end(&background).await;
        assert_eq!(life.effects().await.len(), many, "published before the bus began, in one transaction");
    });
}

fn lag(mut world: World) {
    world.live(|life| async move {
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        life.publish(&facts(2, 2)).await;
        background.settled().await.expect("settled");
        let lag = background.bus.lag().await.expect("lag");
        assert_eq!(lag.len(), 1);
        assert_eq!((lag[0].subscription, lag[0].publisher, lag[0].facts), ("sub.plain", "pub", 0));
        assert!(
            life.deps
                .metrics
                .render()
                .expect("metrics")
                .contains("merx_bus_lag{subscription=\"sub.plain\"} 0")
        );
    });
    world.live(|life| async move {
        // A handler that never answers: what comes behind waits, and is seen to wait.
        let stuck =
            Subscription::new("sub.stuck", life.subscriber.clone(), &[Happened::TYPE], |_: Delivery| {
                std::future::pending::<Result<()>>()
            });
        let background = life.start(vec![stuck]);
        tokio::task::yield_now().await;
        life.clock.advance(Duration::from_secs(3));
        let lag = background.bus.lag().await.expect("lag");
        assert_eq!((lag[0].facts, lag[0].age), (4, Duration::from_secs(3)));
    });
}

fn prune(mut world: World) {
    let day = Duration::from_secs(24 * 3600);
    world.live(|life| async move {
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        life.publish(&facts(2, 3)).await;
        background.settled().await.expect("settled");
        life.deps.tasks.shutdown(Duration::from_secs(10)).await.expect("everything ended");
    });
    world.clock.advance(day * 8);
    world.live(|life| async move {
        let publishers = std::slice::from_ref(&life.publisher);
        let unread = vec![life.subscription("sub.new", |_, _| Ok(()))];
        let bus = EmbeddedBus::new(&life.deps, publishers, unread).expect("a bus");
        assert_eq!(bus.prune(day * 7, day * 30).await.expect("pruned"), 0, "somebody has not read them");
    });
    world.live(|life| async move {
        let publishers = std::slice::from_ref(&life.publisher);
        let bus = EmbeddedBus::new(&life.deps, publishers, Vec::new()).expect("a bus");
        assert_eq!(bus.prune(day * 9, day * 30).await.expect("pruned"), 0, "they are young");
        assert_eq!(bus.prune(day * 7, day * 30).await.expect("pruned"), 6);
        assert_eq!(life.count("pub_outbox").await, 0);
        assert_eq!(life.count("sub_inbox").await, 6, "the inbox remembers for longer");
    });
}
