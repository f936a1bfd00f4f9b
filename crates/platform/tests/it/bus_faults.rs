//! What the bus promises across the death of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_platform::store::DeliveryState;
use merx_sql::params;

use crate::world::{Life, World, down, facts, inversions, on_every_mode, on_inline};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("bus: killed between effect and checkpoint", killed_before_checkpoint),
        on_every_mode("bus: killed between commit and delivery", killed_before_delivery),
        on_every_mode("bus: a transaction that fails publishes nothing", rolled_back),
        on_every_mode("bus: back-off and order outlive the process", back_off_survives),
        on_every_mode("bus: a dead letter outlives the process", dead_letter_survives),
        on_every_mode("bus: a failed fact of which nobody knows whether it is held", held_in_doubt),
        on_every_mode("bus: a shutdown leaves every cursor durable", shutdown_is_clean),
        on_every_mode("bus: each fact twice has one effect", everything_twice),
        on_inline("bus: equal seeds give equal runs", deterministic),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A subscription that counts its calls.
fn counted(life: &Life, calls: &Arc<AtomicUsize>) -> merx_platform::Subscription {
    let calls = calls.clone();
    life.subscription("sub.counted", move |_, _| {
        calls.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

fn killed_before_checkpoint(mut world: World) {
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let calls = calls.clone();
        world.live(|life| async move {
            let background = life.start(vec![counted(&life, &calls)]);
            if calls.load(Ordering::SeqCst) == 0 {
                life.publish(&facts(5, 4)).await;
            }
            background.settled().await.expect("settled");
            assert!(life.cursors().await.is_empty(), "killed before the checkpoint");
        });
    }
    assert_eq!(calls.load(Ordering::SeqCst), 60, "every life was given every fact");
    world.live(|life| async move {
        let effects = life.effects().await;
        assert_eq!(effects.len(), 20, "and each has had one effect");
        assert_eq!(inversions(&effects), 0);
    });
}

fn killed_before_delivery(mut world: World) {
    world.live(|life| async move {
        life.publish(&facts(3, 3)).await;
        // Killed before anything was read.
    });
    world.live(|life| async move {
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        background.settled().await.expect("settled");
        assert_eq!(life.effects().await.len(), 9, "what was committed is delivered");
    });
}

fn rolled_back(mut world: World) {
    world.live(|life| async move {
        let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
        let outbox = life.publisher.outbox;
        let envelopes: Vec<_> = facts(2, 1).iter().map(|fact| life.envelope(fact)).collect();
        let failed = life
            .db()
            .write("test.publish", move |tx| {
                outbox.publish(tx, &envelopes)?;
                Err::<(), _>(merx_kernel::Error::rejected("test.no", "no"))
            })
            .await;
        assert!(failed.expect_err("refused").is("test.no"));
        life.publish(&facts(1, 1)).await;
        background.settled().await.expect("settled");
        assert_eq!(life.effects().await.len(), 1);
    });
}

fn back_off_survives(mut world: World) {
    let tries = Arc::new(AtomicUsize::new(0));
    let failing = |life: &Life, tries: &Arc<AtomicUsize>| {
        let tries = tries.clone();
        life.subscription("sub.failing", move |fact, _| {
            if fact.subject == "sbj_000" && fact.number == 0 && tries.fetch_add(1, Ordering::SeqCst) < 4 {
                return Err(down());
            }
            Ok(())
        })
    };
    for life_number in 0..5 {
        let (counted, failing) = (tries.clone(), &failing);
        let next_at = world.live(|life| async move {
            let background = life.start(vec![failing(&life, &counted)]);
            if life_number == 0 {
                life.publish(&facts(2, 6)).await;
            }
            let settled = background.settled().await.expect("settled");
            if life_number == 1 {
                // From now on the cursor is past what is held up.
                life.checkpoint(&background).await;
            }
            settled.next_at
        });
        assert_eq!(tries.load(Ordering::SeqCst), life_number + 1, "one try a life: the pause is kept");
        if let Some(next_at) = next_at {
            world.clock.advance_to(next_at);
        }
    }
    world.live(|life| async move {
        let effects = life.effects().await;
        assert_eq!(effects.len(), 12);
        assert_eq!(inversions(&effects), 0);
    });
}

fn dead_letter_survives(mut world: World) {
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let calls = calls.clone();
        world.live(|life| async move {
            let never = life.subscription("sub.never", {
                let calls = calls.clone();
                move |fact, _| {
                    if fact.number == 0 {
                        calls.fetch_add(1, Ordering::SeqCst);
                        return Err(merx_kernel::Error::rejected("test.never", "never"));
                    }
                    Ok(())
                }
            });
            let background = life.start(vec![never]);
            if calls.load(Ordering::SeqCst) == 0 {
                life.publish(&facts(1, 2)).await;
            }
            let settled = background.settled().await.expect("settled");
            assert_eq!((settled.dead, settled.waiting), (1, 0));
        });
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "a dead letter is not delivered again, checkpoint or not");
}

/// Simulator, day, seed 209: the fact was handled from memory, and its row in the deliveries table was due for ever.
fn held_in_doubt(mut world: World) {
    let (doubted, clock) = (world.doubted.clone(), world.clock.clone());
    world.live(|life| async move {
        let tries = Arc::new(AtomicUsize::new(0));
        let failing =
            life.subscription("sub.failing", move |_, _| match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(down()),
                _ => Ok(()),
            });
        // Published before: a commit of the group that is in doubt would be too.
        life.publish(&facts(1, 3)).await;
        doubted.arm("bus.hold");
        let background = life.start(vec![failing]);
        for _ in 0..120 {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        life.run_to_the_end(&background).await;
        assert_eq!(doubted.left(), 0, "the commit was in doubt");
        assert_eq!(life.count("sub_deliveries").await, 0, "nothing is left of it");
        let effects = life.effects().await;
        assert_eq!((effects.len(), inversions(&effects)), (3, 0));
    });
}

fn shutdown_is_clean(mut world: World) {
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let calls = calls.clone();
        world.live(|life| async move {
            let background = life.start(vec![counted(&life, &calls)]);
            if calls.load(Ordering::SeqCst) == 0 {
                life.publish(&facts(4, 2)).await;
            }
            background.settled().await.expect("settled");
            life.deps.tasks.shutdown(Duration::from_secs(10)).await.expect("everything ended");
        });
    }
    assert_eq!(calls.load(Ordering::SeqCst), 8, "nothing is delivered a second time");
}

fn everything_twice(mut world: World) {
    for _ in 0..2 {
        world.live(|life| async move {
            let background = life.start(vec![life.subscription("sub.plain", |_, _| Ok(()))]);
            if life.effects().await.is_empty() {
                life.publish(&facts(10, 10)).await;
            }
            background.settled().await.expect("settled");
            life.deps.tasks.shutdown(Duration::from_secs(10)).await.expect("everything ended");
            // A bus that forgets how far it was delivers everything again.
            let forget = |tx: &mut merx_sql::Tx<'_>| tx.execute("DELETE FROM sub_subscriptions", params![]);
            life.db().write("test.forget", forget).await.expect("forgotten");
        });
    }
    world.live(|life| async move {
        assert_eq!(life.effects().await.len(), 100, "of 100 facts delivered twice each");
        let deliveries = life.subscriber.deliveries;
        let dead = life.db().read("test.dead", move |q| deliveries.count(q, DeliveryState::Dead)).await;
        assert_eq!(dead.expect("a count"), 0);
    });
}

fn deterministic(world: World) {
    let run = |mut world: World| {
        world.live(|life| async move {
            let flaky = life.subscription("sub.flaky", |fact, delivery| {
                let word = fact.number + i64::from(fact.subject.as_bytes()[6]) + delivery.tries();
                if word % 3 == 0 { Err(down()) } else { Ok(()) }
            });
            let background = life.start(vec![flaky]);
            life.publish(&facts(7, 7)).await;
            life.run_to_the_end(&background).await;
            (life.effects().await, merx_kernel::Clock::now(&*life.clock))
        })
    };
    let again = world.again();
    let (first, second) = (run(world), run(again));
    assert_eq!(first.0.len(), 49);
    assert_eq!(first, second);
}
