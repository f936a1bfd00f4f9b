//! A rebuild while others write: equal to the events when it ends, whatever was wrong before and whatever comes meanwhile.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_platform::{
    Store,
    projection::{Rebuilding, Rebuilt, compare, rebuild_beside},
};
use merx_sql::{StreamId, params};

use crate::{
    projection::{Counted, PROJECTION, count, counters, migrations, some_counting},
    world::{Life, World, on_every_mode},
};

pub fn trials() -> Vec<Trial> {
    [
        on_every_mode("rebuild beside: what is right stays as it is", nothing_wrong),
        on_every_mode("rebuild beside: rows changed, gone and added are mended", mended),
        on_every_mode("rebuild beside: while others write it ends equal", while_writing),
        on_every_mode(
            "rebuild beside: a row that was changed meanwhile is looked at again",
            changed_meanwhile,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn rebuilt(life: &Life, store: &Store, told: &mut Vec<Rebuilding>) -> Rebuilt {
    let mut progress = |at| told.push(at);
    let clock = life.clock.clone();
    rebuild_beside(life.db(), clock, store, &migrations(), &[PROJECTION], &mut progress)
        .await
        .expect("rebuilt")
}

async fn spoil(life: &Life, sql: &'static str) {
    life.db().write("test.spoil", move |tx| tx.execute(sql, params![])).await.expect("spoilt");
}

fn nothing_wrong(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        let mut told = Vec::new();
        let empty = rebuilt(&life, &store, &mut told).await;
        assert_eq!((empty.events, empty.mended, empty.before[0].rows), (0, 0, 0));
        some_counting(&life, &store).await;
        told.clear();
        let done = rebuilt(&life, &store, &mut told).await;
        assert_eq!((done.events, done.mended), (1_200, 0));
        assert_eq!(done.before, done.after);
        let live = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
        assert_eq!(live.expect("compared")[0].live, done.after, "the checksum is the auditor's");
        assert_eq!(told.last(), Some(&Rebuilding::Compared { round: 1, differing: 0 }));
        let positions: Vec<i64> = told
            .iter()
            .filter_map(|at| match at {
                Rebuilding::Events { position, .. } => Some(*position),
                Rebuilding::Compared { .. } => None,
            })
            .collect();
        assert!(positions.len() == 3 && positions.windows(2).all(|p| p[0] < p[1]), "{positions:?}");
    });
}

fn mended(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        some_counting(&life, &store).await;
        let mut told = Vec::new();
        let right = rebuilt(&life, &store, &mut told).await.after;
        spoil(&life, "UPDATE count_values SET amount = amount + 1 WHERE amount > 400").await;
        spoil(&life, "UPDATE count_values SET note = 'who?', moved_at = 7").await;
        spoil(&life, "INSERT INTO count_values (id, amount, moved_at, note) SELECT X'00000000000000000000000000000999', 1, 2, NULL").await;
        let gone = |tx: &mut merx_sql::Tx<'_>| {
            tx.execute("DELETE FROM count_values WHERE id = ?", params![StreamId(7)])
        };
        life.db().write("test.spoil", gone).await.expect("gone");
        told.clear();
        let done = rebuilt(&life, &store, &mut told).await;
        assert_eq!((done.mended, &done.after), (21, &right));
        assert_ne!(done.before, done.after);
        assert_eq!(
            told.iter().filter(|at| matches!(at, Rebuilding::Compared { .. })).collect::<Vec<_>>(),
            [
                &Rebuilding::Compared { round: 1, differing: 21 },
                &Rebuilding::Compared { round: 2, differing: 0 },
                &Rebuilding::Compared { round: 3, differing: 0 }
            ],
            "mended, looked at, and all looked at once more"
        );
    });
}

/// T29.
fn while_writing(mut world: World) {
    let engine = world.engine();
    world.live(|life| async move {
        let store = counters(&life).await;
        some_counting(&life, &store).await;
        spoil(&life, "UPDATE count_values SET amount = amount + 1000").await;
        let (stop, written) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
        let writing = async {
            // Some rows all the time, new ones now and then.
            for n in 0.. {
                if stop.load(SeqCst) {
                    break;
                }
                let key = if n % 5 == 0 { 1_000 + n } else { n % 20 + 1 };
                count(&life, &store, key, vec![Counted::Up { by: 3 }]).await;
                written.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
            }
        };
        let rebuilding = async {
            let mut told = Vec::new();
            let done = rebuilt(&life, &store, &mut told).await;
            stop.store(true, SeqCst);
            done
        };
        let ((), done) = tokio::join!(writing, rebuilding);
        assert!(done.mended >= 20 && done.events >= 1_200, "{done:?}");
        assert!(written.load(SeqCst) > 0);
        let compared = compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION]).await;
        let compared = compared.expect("compared");
        assert!(compared[0].is_equal(), "{compared:?}");
        println!(
            "PROOF | T29 | rebuild of a spoilt read model while others write, {engine} | size={} | {} rows mended, {} \
             transactions meanwhile, equal checksums | seed=-",
            done.events,
            done.mended,
            written.load(SeqCst)
        );
    });
}

/// Each time rows are compared, the spoilt one changes before it can be mended; the rebuild goes on until it holds still.
fn changed_meanwhile(mut world: World) {
    world.live(|life| async move {
        let store = counters(&life).await;
        count(&life, &store, 1, vec![Counted::Up { by: 1 }]).await;
        spoil(&life, "UPDATE count_values SET amount = 77").await;
        let ((ask, asked), (answer, answered)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
        let answered = Mutex::new(answered);
        let other = (life.clone(), store.clone());
        // On the inline mode closures run on the caller's task: there the change is made between two rebuilds.
        let rounds = if life.threaded() { 3 } else { 0 };
        let beside = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            while asked.recv_timeout(Duration::from_secs(60)).is_ok() {
                let change = count(&other.0, &other.1, 1, vec![Counted::Up { by: 1 }]);
                runtime.block_on(change);
                answer.send(()).expect("it waits");
            }
        });
        let (mut changes, mut compared) = (0, 0);
        let mut progress = |at| {
            if let Rebuilding::Compared { differing: 1, .. } = at {
                compared += 1;
                if changes < rounds {
                    changes += 1;
                    ask.send(()).expect("somebody changes it");
                    answered.lock().expect("no panic").recv().expect("changed");
                }
            }
        };
        let clock = life.clock.clone();
        let done =
            rebuild_beside(life.db(), clock, &store, &migrations(), &[PROJECTION], &mut progress).await;
        drop(ask);
        beside.join().expect("no panic");
        let done = done.expect("rebuilt");
        assert_eq!((compared, done.mended), (rounds + 1, 1), "{done:?}");
        assert!(
            compare(life.db(), life.clock.clone(), &store, &migrations(), &[PROJECTION])
                .await
                .expect("compared")[0]
                .is_equal()
        );
    });
}
