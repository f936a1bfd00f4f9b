//! Idempotency keys.

use std::time::Duration;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use merx_kernel::Timestamp;
use merx_platform::store::{Begin, IdempotencyKeys, Saved};
use merx_sql::params;

use crate::world::{Life, START, World, on_every_mode};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("idempotency: fifty equal keys at once have one effect and one answer", fifty_at_once),
        on_every_mode("idempotency: another body is a mismatch", mismatch),
        on_every_mode("idempotency: who comes meanwhile waits for the answer", waits),
        on_every_mode("idempotency: waiting has an end", waits_in_vain),
        on_every_mode("idempotency: a key whose request failed is free again", failed_request),
        on_every_mode("idempotency: kept for a day, then fresh, then pruned", a_day),
        on_every_mode("idempotency: the first answer stays, and outlives the process", first_answer),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const SCOPE: [u8; 32] = [7; 32];
const BODY: [u8; 32] = [1; 32];
const OTHER_BODY: [u8; 32] = [2; 32];

fn saved(body: &str) -> Saved {
    Saved { status: 201, body: body.to_owned() }
}

/// One request: the key and the effect in one transaction. Answers the effect's identity.
async fn request(life: &Life, scope: [u8; 32], body: [u8; 32], effect: u8, now: Timestamp) -> Begin {
    let keys = life.subscriber.idempotency;
    life.db()
        .write("test.request", move |tx| {
            let begin = keys.begin(tx, scope, body, [effect; 16], now)?;
            if begin == Begin::Fresh {
                let sql = "INSERT INTO sub_effects (turn, message, subject, number) VALUES (?, ?, ?, 0)";
                tx.execute(sql, params![i64::from(effect), [effect; 16], "request"])?;
            }
            Ok(begin)
        })
        .await
        .expect("begun")
}

async fn complete(life: &Life, keys: IdempotencyKeys, effect: u8, body: &'static str) {
    let write = move |tx: &mut merx_sql::Tx<'_>| keys.complete(tx, SCOPE, [effect; 16], 201, body);
    life.db().write("test.complete", write).await.expect("completed");
}

/// T20. The guard is `Guard::IdempotencyKey`.
fn fifty_at_once(mut world: World) {
    let engine = world.engine();
    world.live_on_threads(|life| async move {
        let keys = life.subscriber.idempotency;
        let answers = join_all((0..50u8).map(|n| {
            let (life, tasks) = (life.clone(), life.deps.tasks.clone());
            tasks.spawn("test", async move {
                match request(&life, SCOPE, BODY, n, START).await {
                    Begin::Fresh => {
                        complete(&life, keys, n, "the order").await;
                        saved("the order")
                    }
                    Begin::Same { response: Some(saved), .. } => saved,
                    Begin::Same { response: None, .. } => {
                        let limit = Duration::from_secs(5);
                        keys.wait(life.db(), &*life.clock, SCOPE, limit)
                            .await
                            .expect("waited")
                            .expect("an answer")
                    }
                    Begin::Mismatch => panic!("the body is the same"),
                }
            })
        }))
        .await;
        assert_eq!(life.effects().await.len(), 1, "of 50 requests");
        let equal = answers.into_iter().filter(|answer| *answer.as_ref().expect("no panic") == saved("the order"));
        assert_eq!(equal.count(), 50, "equal answers");
        println!(
            "PROOF | T20 | one key 50 times at once on threads, {engine} | size=50 | 1 execution, 50 equal answers | seed=-"
        );
    });
}

fn mismatch(mut world: World) {
    world.live(|life| async move {
        assert_eq!(request(&life, SCOPE, BODY, 1, START).await, Begin::Fresh);
        assert_eq!(request(&life, SCOPE, OTHER_BODY, 2, START).await, Begin::Mismatch);
        assert_eq!(
            request(&life, [8; 32], OTHER_BODY, 3, START).await,
            Begin::Fresh,
            "another key is another request"
        );
        assert_eq!(life.effects().await.len(), 2);
    });
}

fn waits(mut world: World) {
    world.live(|life| async move {
        let keys = life.subscriber.idempotency;
        assert_eq!(request(&life, SCOPE, BODY, 1, START).await, Begin::Fresh);
        let same = request(&life, SCOPE, BODY, 2, START).await;
        assert_eq!(same, Begin::Same { effect: [1; 16], response: None }, "the effect of the first");
        // The clock stands still: only the wake at the commit can end the wait.
        let waiting = keys.wait(life.db(), &*life.clock, SCOPE, Duration::from_secs(5));
        let completing = complete(&life, keys, 1, "done");
        let (waited, ()) = tokio::join!(waiting, completing);
        assert_eq!(waited.expect("waited"), Some(saved("done")));
    });
}

fn waits_in_vain(mut world: World) {
    world.live(|life| async move {
        let keys = life.subscriber.idempotency;
        assert_eq!(request(&life, SCOPE, BODY, 1, START).await, Begin::Fresh);
        let mut waiting = Box::pin(keys.wait(life.db(), &*life.clock, SCOPE, Duration::from_secs(5)));
        for _ in 0..200 {
            tokio::select! {
                biased;
                waited = &mut waiting => {
                    assert_eq!(waited.expect("waited"), None);
                    assert!(merx_kernel::Clock::now(&*life.clock) >= START.plus(Duration::from_secs(5)));
                    return;
                }
                // A read answers before the clock moves on.
                read = keys.look(life.db(), SCOPE) => {
                    read.expect("a key");
                    life.clock.advance(Duration::from_millis(100));
                }
            }
        }
        panic!("waits for ever");
    });
}

fn failed_request(mut world: World) {
    world.live(|life| async move {
        let keys = life.subscriber.idempotency;
        let failed = life
            .db()
            .write("test.request", move |tx| {
                keys.begin(tx, SCOPE, BODY, [1; 16], START)?;
                Err::<(), _>(merx_kernel::Error::rejected("test.no", "no"))
            })
            .await;
        assert!(failed.expect_err("refused").is("test.no"));
        assert_eq!(keys.look(life.db(), SCOPE).await.expect("a look"), None, "the key goes with its effect");
        assert_eq!(request(&life, SCOPE, BODY, 2, START).await, Begin::Fresh);
        let none =
            keys.wait(life.db(), &*life.clock, [9; 32], Duration::from_secs(5)).await.expect("no wait");
        assert_eq!(none, None, "nobody waits for a key that is not there");
    });
}

/// T20.
fn a_day(mut world: World) {
    let engine = world.engine();
    world.live(|life| async move {
        let keys = life.subscriber.idempotency;
        assert_eq!(request(&life, SCOPE, BODY, 1, START).await, Begin::Fresh);
        complete(&life, keys, 1, "first").await;
        let almost = START.plus(Duration::from_secs(24 * 3600 - 60));
        let same = Begin::Same { effect: [1; 16], response: Some(saved("first")) };
        assert_eq!(request(&life, SCOPE, BODY, 2, almost).await, same, "23 h 59");
        life.clock.advance_to(almost);
        assert_eq!(keys.prune_all(life.db(), &*life.clock).await.expect("pruned"), 0);

        let day = START.plus(IdempotencyKeys::KEPT);
        assert_eq!(request(&life, SCOPE, OTHER_BODY, 3, day).await, Begin::Fresh, "24 h, pruned or not");
        assert_eq!(life.effects().await.len(), 2);
        let same = Begin::Same { effect: [3; 16], response: None };
        complete(&life, keys, 1, "yesterday's, late").await;
        assert_eq!(request(&life, SCOPE, OTHER_BODY, 4, day).await, same, "it lives a day of its own");
        complete(&life, keys, 3, "today's").await;
        let same = Begin::Same { effect: [3; 16], response: Some(saved("today's")) };
        assert_eq!(request(&life, SCOPE, OTHER_BODY, 5, day).await, same);

        for n in 10..40u8 {
            assert_eq!(request(&life, [n; 32], BODY, n, START).await, Begin::Fresh);
        }
        life.clock.advance_to(day);
        assert_eq!(keys.prune_all(life.db(), &*life.clock).await.expect("pruned"), 30);
        assert!(keys.look(life.db(), SCOPE).await.expect("a look").is_some(), "the young one stays");
        life.clock.advance(IdempotencyKeys::KEPT);
        assert_eq!(keys.prune_all(life.db(), &*life.clock).await.expect("pruned"), 1);
        println!(
            "PROOF | T20 | a key after 23 h 59 min and after 24 h, {engine} | size=2 | the first answer; then fresh, pruned or \
             not, and a late answer of the day before is not kept | seed=-"
        );
    });
}

fn first_answer(mut world: World) {
    world.live(|life| async move {
        let keys = life.subscriber.idempotency;
        assert_eq!(request(&life, SCOPE, BODY, 1, START).await, Begin::Fresh);
        complete(&life, keys, 1, "first").await;
        complete(&life, keys, 1, "second").await;
    });
    world.live(|life| async move {
        let same = Begin::Same { effect: [1; 16], response: Some(saved("first")) };
        assert_eq!(request(&life, SCOPE, BODY, 2, START).await, same);
    });
}
