//! Durable timers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::{Clock as _, Result, Timestamp};
use merx_platform::{DueTimer, TimerHandler, store::TimerId, timers::ALERT_AFTER};
use merx_sql::params;

use crate::world::{Life, START, World, down, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("timers: fire when they are due, not before, once", fire_when_due),
        on_every_mode("timers: taken back and set anew", cancel_and_reschedule),
        on_every_mode("timers: outlive the process", outlive),
        on_every_mode("timers: a failure is tried again and raises an alert at last", failing),
        on_every_mode("timers: a handler that forgets its timer does not spin", forgetful),
        on_every_mode("timers: a handler may set its own timer anew", periodic),
        on_every_mode("timers: hundreds due at one moment", many),
        on_every_mode("timers: killed between effect and look", killed),
        on_every_mode("timers: each begins a trace of its own", traced),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const KIND: &str = "deadline";

fn id(key: u128) -> TimerId {
    TimerId { kind: KIND, key }
}

async fn schedule(life: &Life, key: u128, due_at: Timestamp) {
    let timers = life.subscriber.timers;
    life.db()
        .write("test.schedule", move |tx| timers.schedule(tx, id(key), due_at))
        .await
        .expect("scheduled");
}

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

/// Which keys fired, and when.
type Log = Arc<Mutex<Vec<(u128, Timestamp)>>>;

/// A handler that writes an effect and notes when, unless `decide` has it fail.
fn noting(
    life: &Life,
    log: &Log,
    decide: impl Fn(&DueTimer) -> Result<()> + Send + Sync + 'static,
) -> TimerHandler {
    let (life, log, decide) = (life.clone(), log.clone(), Arc::new(decide));
    TimerHandler::new(KIND, move |timer: DueTimer| {
        let (life, log, decide) = (life.clone(), log.clone(), decide.clone());
        async move {
            decide(&timer)?;
            let (key, now) = (timer.key(), life.clock.now());
            let fired = life
                .db()
                .write("test.fire", move |tx| {
                    let fired = timer.fired(tx)?;
                    if fired {
                        tx.execute(
                            "INSERT INTO sub_effects (turn, message, subject, number) VALUES (?, ?, ?, 0)",
                            params![i64::try_from(timer.key()).expect("a small key"), [0u8; 16], "timer"],
                        )?;
                    }
                    Ok(fired)
                })
                .await?;
            if fired {
                log.lock().expect("a lock").push((key, now));
            }
            Ok(())
        }
    })
}

fn fire_when_due(mut world: World) {
    world.live(|life| async move {
        let log = Log::default();
        let background = life.start_timers(vec![noting(&life, &log, |_| Ok(()))]);
        schedule(&life, 1, after(60)).await;
        schedule(&life, 2, after(30)).await;
        schedule(&life, 3, after(60)).await;
        let settled = background.settled().await.expect("settled");
        assert_eq!(settled.next_at, Some(after(30)));
        life.clock.advance_to(after(29));
        background.settled().await.expect("settled");
        assert!(log.lock().expect("a lock").is_empty(), "not before");
        assert_eq!(life.run_to_the_end(&background).await.next_at, None);
        let mut fired = log.lock().expect("a lock").clone();
        fired.sort_unstable_by_key(|(key, at)| (*at, *key));
        assert_eq!(fired, [(2, after(30)), (1, after(60)), (3, after(60))]);
        assert_eq!(life.writes("test.fire"), 3, "one transaction each, that of the effect");
    });
}

fn cancel_and_reschedule(mut world: World) {
    world.live(|life| async move {
        let log = Log::default();
        let background = life.start_timers(vec![noting(&life, &log, |_| Ok(()))]);
        for key in 1..=3 {
            schedule(&life, key, after(60)).await;
        }
        let timers = life.subscriber.timers;
        life.db().write("test.cancel", move |tx| timers.cancel(tx, id(1))).await.expect("cancelled");
        life.db().write("test.cancel", move |tx| timers.cancel(tx, id(99))).await.expect("nothing to cancel");
        schedule(&life, 2, after(90)).await;
        schedule(&life, 3, after(20)).await;
        life.run_to_the_end(&background).await;
        assert_eq!(*log.lock().expect("a lock"), [(3, after(20)), (2, after(90))]);
    });
}

fn outlive(mut world: World) {
    world.live(|life| async move {
        schedule(&life, 1, after(60)).await;
    });
    world.clock.advance_to(after(3600));
    world.live(|life| async move {
        let log = Log::default();
        let background = life.start_timers(vec![noting(&life, &log, |_| Ok(()))]);
        background.settled().await.expect("settled");
        assert_eq!(*log.lock().expect("a lock"), [(1, after(3600))], "due while nobody was there");
    });
}

fn failing(mut world: World) {
    world.live(|life| async move {
        let (log, tries) = (Log::default(), Arc::new(Mutex::new(BTreeMap::<u128, i64>::new())));
        let handler = noting(&life, &log, {
            let tries = tries.clone();
            move |timer| {
                let count = {
                    let mut tries = tries.lock().expect("a lock");
                    let count = tries.entry(timer.key()).or_default();
                    *count += 1;
                    *count
                };
                match timer.key() {
                    _ if timer.tries() + 1 != count => panic!("the count of tries is kept"),
                    1 if count <= ALERT_AFTER + 1 => Err(down()),
                    2 if count == 1 => panic!("poison"),
                    _ => Ok(()),
                }
            }
        });
        let background = life.start_timers(vec![handler]);
        for key in 1..=3 {
            schedule(&life, key, after(10)).await;
        }
        life.run_to_the_end(&background).await;
        let order: Vec<u128> = log.lock().expect("a lock").iter().map(|(key, _)| *key).collect();
        assert_eq!(order, [3, 2, 1]);
        assert_eq!(*tries.lock().expect("a lock"), BTreeMap::from([(1, ALERT_AFTER + 2), (2, 2), (3, 1)]));
        assert_eq!(life.deps.metrics.alerts("timer_failing"), 2);
    });
}

fn forgetful(mut world: World) {
    world.live(|life| async move {
        let fired = Arc::new(Mutex::new(0));
        let counted = fired.clone();
        let handler = TimerHandler::new(KIND, move |_: DueTimer| {
            *counted.lock().expect("a lock") += 1;
            async { Result::Ok(()) }
        });
        let background = life.start_timers(vec![handler]);
        schedule(&life, 1, after(0)).await;
        let settled = background.settled().await.expect("settled");
        assert_eq!(*fired.lock().expect("a lock"), 1);
        let next_at = settled.next_at.expect("put off");
        assert!(next_at > after(0), "it waits as after a failure");
        life.clock.advance_to(next_at);
        background.settled().await.expect("settled");
        assert_eq!(*fired.lock().expect("a lock"), 2);
    });
}

fn periodic(mut world: World) {
    world.live(|life| async move {
        let at = Log::default();
        let (inner, log) = (life.clone(), at.clone());
        let handler = TimerHandler::new(KIND, move |timer: DueTimer| {
            let (life, log) = (inner.clone(), log.clone());
            async move {
                log.lock().expect("a lock").push((timer.key(), life.clock.now()));
                let timers = life.subscriber.timers;
                life.db()
                    .write("test.fire", move |tx| {
                        if timer.fired(tx)? && timer.due_at() < after(40) {
                            timers.schedule(
                                tx,
                                id(timer.key()),
                                timer.due_at().plus(Duration::from_secs(10)),
                            )?;
                        }
                        Ok(())
                    })
                    .await
            }
        });
        let background = life.start_timers(vec![handler]);
        schedule(&life, 1, after(10)).await;
        life.run_to_the_end(&background).await;
        assert_eq!(
            *at.lock().expect("a lock"),
            [(1, after(10)), (1, after(20)), (1, after(30)), (1, after(40))]
        );
    });
}

fn many(mut world: World) {
    world.live(|life| async move {
        let log = Log::default();
        let timers = life.subscriber.timers;
        let all = move |tx: &mut merx_sql::Tx<'_>| {
            (1..=300).try_for_each(|key| timers.schedule(tx, id(key), after(5)))
        };
        life.db().write("test.schedule", all).await.expect("scheduled");
        let background = life.start_timers(vec![noting(&life, &log, |_| Ok(()))]);
        life.run_to_the_end(&background).await;
        let mut keys: Vec<u128> = log.lock().expect("a lock").iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=300).collect::<Vec<u128>>(), "each once");
    });
}

fn killed(mut world: World) {
    world.live(|life| async move {
        schedule(&life, 1, after(0)).await;
        let row = timers_of(&life).await.pop().expect("a timer");
        let timer = DueTimer::new(life.subscriber.clone(), row);
        assert!(life.db().write("test.fire", move |tx| timer.fired(tx)).await.expect("fired"));
        // Killed after the effect: the runner never saw that it was had.
    });
    world.live(|life| async move {
        let log = Log::default();
        let background = life.start_timers(vec![noting(&life, &log, |_| Ok(()))]);
        background.settled().await.expect("settled");
        assert!(log.lock().expect("a lock").is_empty(), "the row went with the effect");
    });
}

async fn timers_of(life: &Life) -> Vec<merx_platform::store::TimerRow> {
    let timers = life.subscriber.timers;
    life.db().read("test.timers", move |q| timers.next(q, &[KIND], 10)).await.expect("timers")
}

fn traced(mut world: World) {
    world.live(|life| async move {
        let traces = Arc::new(Mutex::new(Vec::new()));
        let seen = traces.clone();
        let log = Log::default();
        let handler = noting(&life, &log, move |_| {
            seen.lock().expect("a lock").push(merx_platform::trace::current_traceparent());
            Ok(())
        });
        let background = life.start_timers(vec![handler]);
        schedule(&life, 1, after(60)).await;
        schedule(&life, 2, after(90)).await;
        life.run_to_the_end(&background).await;
        let traces = traces.lock().expect("a lock").clone();
        assert!(
            traces.len() == 2 && traces.iter().all(Option::is_some) && traces[0] != traces[1],
            "{traces:?}"
        );
    });
}
