//! Contention: what many did with one idempotency key at once is what they could have done one after the other.
//!
//! Each history is made by tasks on several threads and judged by the checker of `merx_testkit::linear`.
//! `MERX_LIN=200` is how many histories are made; without it fewer are.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_kernel::{Entropy as _, Timestamp};
use merx_platform::{
    store::{Begin, IdempotencyKeys},
    time::SeededEntropy,
};
use merx_sql::params;
use merx_testkit::linear::{Recorder, Specification, Verdict};

use crate::world::{Life, START, World, on_every_mode, size};

pub fn trials() -> Vec<Trial> {
    // In memory nothing is beside anything else.
    on_every_mode("linear: one idempotency key", a_key_is_linearizable).split_off(1)
}

/// Tasks that ask at once, and asks of each.
const PROCESSES: u8 = 6;
const ASKS: u8 = 12;

/// How a request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Fresh,
    /// The effect of the first, and the answer that was kept.
    Same(u8, Option<u8>),
    Mismatch,
    /// The key had grown old and others took it up at this moment.
    InFlight,
}

/// One ask with its answer. Times are minutes after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Begin {
        body: u8,
        effect: u8,
        at: u16,
        said: Said,
    },
    Complete {
        effect: u8,
    },
    Prune {
        at: u16,
        gone: bool,
    },
    /// Body, effect, answer.
    Look(Option<(u8, u8, Option<u8>)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    body: u8,
    effect: u8,
    answer: Option<u8>,
    since: u16,
}

const DAY: u16 = 24 * 60;

/// What a key does when nobody else is there: one effect for a day, and the first answer stays.
struct OneKey;

impl Specification for OneKey {
    type State = Option<Key>;
    type Operation = Ask;

    fn init() -> Option<Key> {
        None
    }

    fn apply(ask: &Ask, state: &Option<Key>) -> (bool, Option<Key>) {
        match (*ask, *state) {
            (Ask::Begin { body, effect, at, said }, None) => {
                (said == Said::Fresh, Some(Key { body, effect, answer: None, since: at }))
            }
            (Ask::Begin { said: Said::InFlight, .. }, Some(_)) => (true, *state),
            (Ask::Begin { body, effect, at, said }, Some(key)) if key.since + DAY <= at => {
                (said == Said::Fresh, Some(Key { body, effect, answer: None, since: at }))
            }
            (Ask::Begin { body, said, .. }, Some(key)) if key.body != body => {
                (said == Said::Mismatch, *state)
            }
            (Ask::Begin { said, .. }, Some(key)) => (said == Said::Same(key.effect, key.answer), *state),
            (Ask::Complete { effect }, Some(key)) if key.effect == effect && key.answer.is_none() => {
                (true, Some(Key { answer: Some(effect), ..key }))
            }
            (Ask::Complete { .. }, _) => (true, *state),
            // What is taken up anew while old keys are being chosen stays, though it be old enough itself: the next
            // pruning has it. What goes must have been old.
            (Ask::Prune { gone: false, .. }, _) => (true, *state),
            (Ask::Prune { at, .. }, Some(key)) if key.since + DAY <= at => (true, None),
            (Ask::Prune { .. }, _) => (false, *state),
            (Ask::Look(found), _) => (found == state.map(|key| (key.body, key.effect, key.answer)), *state),
        }
    }
}

fn moment(at: u16) -> Timestamp {
    START.plus(Duration::from_secs(u64::from(at) * 60))
}

/// A key of one history.
#[derive(Clone)]
struct Door {
    life: Life,
    keys: IdempotencyKeys,
    scope: [u8; 32],
}

impl Door {
    /// The key and the effect in one transaction, as a route does it.
    async fn begin(&self, turn: i64, body: u8, effect: u8, at: u16) -> Option<Said> {
        let (keys, scope) = (self.keys, self.scope);
        let begun = self.life.db().write("test.begin", move |tx| {
            let begin = keys.begin(tx, scope, [body; 32], [effect; 16], moment(at))?;
            if begin == Begin::Fresh {
                let sql = "INSERT INTO sub_effects (turn, message, subject, number) VALUES (?, ?, ?, ?)";
                tx.execute(sql, params![turn, [effect; 16], "request", turn])?;
            }
            Ok(begin)
        });
        Some(match begun.await {
            Ok(Begin::Fresh) => Said::Fresh,
            Ok(Begin::Mismatch) => Said::Mismatch,
            Ok(Begin::Same { effect, response }) => {
                Said::Same(effect[0], response.map(|saved| saved.body.parse().expect("a number")))
            }
            Err(e) if e.is("request.in_flight") => Said::InFlight,
            // Who gave way to others too often was given up, without effect.
            Err(e) if e.is("sql.contention") => return None,
            Err(e) => panic!("{e:?}"),
        })
    }

    /// One ask, thrown with dice.
    async fn ask(&self, turn: i64, effect: u8, dice: [u8; 3]) -> Option<Ask> {
        let (db, keys, scope) = (self.life.db(), self.keys, self.scope);
        // Mostly within a day, at times when an older key has just grown old, or not yet.
        let at = [0, 1, 2, DAY - 1, DAY, DAY + 1, 2 * DAY, 2 * DAY + 1][usize::from(dice[1] % 8)];
        Some(match dice[0] % 16 {
            0..8 => {
                let body = dice[2] / 200;
                Ask::Begin { body, effect, at, said: self.begin(turn, body, effect, at).await? }
            }
            8..12 => {
                let whose = dice[2] % (PROCESSES * ASKS);
                let answer = whose.to_string();
                let complete =
                    move |tx: &mut merx_sql::Tx<'_>| keys.complete(tx, scope, [whose; 16], 201, &answer);
                db.write("test.complete", complete).await.ok()?;
                Ask::Complete { effect: whose }
            }
            12 => {
                let prune = move |tx: &mut merx_sql::Tx<'_>| keys.prune(tx, moment(at), 100);
                Ask::Prune { at, gone: db.write("test.prune", prune).await.ok()? > 0 }
            }
            _ => {
                let found = keys.look(db, scope).await.expect("a look");
                Ask::Look(found.map(|key| {
                    let answer = key.response.map(|saved| saved.body.parse().expect("a number"));
                    (key.body_hash[0], key.effect[0], answer)
                }))
            }
        })
    }
}

/// One history; its verdict, and whether a falsified end of it is found out.
async fn history(life: &Life, seed: u64) -> (Verdict, bool, String) {
    let mut scope = [0; 32];
    scope[..8].copy_from_slice(&seed.to_be_bytes());
    let door = Door { life: life.clone(), keys: life.subscriber.idempotency, scope };
    let recorder: Arc<Recorder<Ask>> = Arc::default();
    let mut asking = Vec::new();
    for process in 0..PROCESSES {
        let (door, recorder) = (door.clone(), recorder.clone());
        let dice = SeededEntropy::new(seed * 100 + u64::from(process));
        asking.push(life.deps.tasks.spawn("test", async move {
            for n in 0..ASKS {
                let mut thrown = [0; 3];
                dice.fill(&mut thrown);
                let effect = process * ASKS + n;
                let turn = i64::try_from(seed * 1_000).expect("few") + i64::from(effect);
                recorder.run(usize::from(process), door.ask(turn, effect, thrown)).await;
            }
        }));
    }
    for task in asking {
        task.await.expect("no panic");
    }
    // Pruning would take the keys of all histories: this one's goes before the next begins.
    recorder.run(0, door.ask(0, 0, [15, 0, 0])).await;
    let write = move |tx: &mut merx_sql::Tx<'_>| door.keys.prune(tx, moment(u16::MAX), 100);
    life.db().write("test.prune", write).await.expect("pruned");
    let verdict = recorder.verdict::<OneKey>();
    let falsified = recorder.verdict_with::<OneKey>(|asks| {
        if let Some(Ask::Look(found)) = asks.last_mut() {
            *found = Some((99, 99, None));
        }
    });
    let told = if verdict.linearizable { String::new() } else { recorder.told() };
    (verdict, !falsified.linearizable, told)
}

/// The guard is `Guard::IdempotencyKey`.
fn a_key_is_linearizable(mut world: World) {
    let histories = u64::try_from(size("MERX_LIN", 20)).expect("a size");
    let engine = world.engine();
    world.live_on_threads(|life| async move {
        let mut all = Verdict { linearizable: true, ..Verdict::default() };
        let mut longest = 0;
        for seed in 1..=histories {
            let (verdict, found_out, told) = history(&life, seed).await;
            assert!(verdict.linearizable, "history {seed} is not linearizable:\n{told}");
            assert!(found_out, "history {seed}: a falsified answer is not found out");
            longest = longest.max(verdict.tried);
            all = all.and(verdict);
        }
        println!(
            "PROOF | LIN | one idempotency key, {engine}: begin, complete, prune and look by {PROCESSES} tasks | \
             size={histories} | {} operations in {histories} histories ({} overlapping others), all linearizable; the checker \
             tried {} operations, {longest} at most for one history; every falsified history refused | seed=1",
            all.operations, all.overlapping, all.tried,
        );
    });
}
