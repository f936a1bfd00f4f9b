use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_kernel::{Clock, Entropy, Error, ErrorKind};
use merx_platform::{
    Metrics,
    time::{Backoff, OsEntropy, SeededEntropy, SystemClock},
};
use prometheus_client::metrics::counter::Counter;

use crate::paused::{START, clock, entropy, paused, plain, tasks};

pub fn trials() -> Vec<Trial> {
    vec![
        paused("tasks: a panic is an answer, not a hang", panics),
        paused("tasks: a loop that fails is started again, later and later", restarts),
        paused("tasks: a loop that succeeds is over", loop_ends),
        paused("tasks: a command outlives its caller", command_outlives),
        paused("tasks: a shutdown ends loops and waits for what is in flight", shutdown_waits),
        paused("tasks: a shutdown cuts off what outlasts it, and names it", shutdown_cuts),
        paused("time: a virtual clock moves with tokio's", virtual_clock),
        plain("time: seeded randomness is a function of its seed", seeded),
        plain("time: back-off doubles, stays within its limits, and differs", backoff),
        plain("time: the real clock and the real randomness", real),
        plain("telemetry: metrics are registered once and rendered", metrics),
        plain("telemetry: a level that cannot be read is refused", bad_level),
    ]
}

async fn panics() {
    let tasks = tasks();
    let error =
        tasks.spawn("bad", async { panic!("on purpose") }).await.map(|(): ()| ()).expect_err("panicked");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("`bad`"));
    let error =
        tasks.run_command::<(), _>("bad", async { panic!("on purpose") }).await.expect_err("panicked");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(tasks.running().is_empty());
}

async fn restarts() {
    let (tasks, clock) = (tasks(), clock());
    let starts = Arc::new(Mutex::new(Vec::new()));
    let task = tasks.spawn_loop("flaky", {
        let (starts, clock) = (starts.clone(), clock.clone());
        move |_| {
            let mut starts = starts.lock().expect("no panic");
            starts.push(clock.now());
            let count = starts.len();
            async move {
                assert_ne!(count, 2, "the second time it panics");
                if count < 6 { Err(Error::internal("fails")) } else { Ok(()) }
            }
        }
    });
    task.await.expect("ends");
    let starts = starts.lock().expect("no panic").clone();
    assert_eq!(starts.len(), 6);
    for (pair, whole_ms) in starts.windows(2).zip([100, 200, 400, 800, 1600]) {
        let waited = pair[1].since(pair[0]);
        let whole = Duration::from_millis(whole_ms);
        assert!(waited >= whole / 2 && waited <= whole + Duration::from_millis(2), "{waited:?} of {whole:?}");
    }
}

async fn loop_ends() {
    let tasks = tasks();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let task = tasks.spawn_loop("once", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    task.await.expect("ends");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn command_outlives() {
    let tasks = tasks();
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let command = tasks.run_command("slow", async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        done.send(()).map_err(|()| Error::internal("nobody waits"))
    });
    let caller = tokio::time::timeout(Duration::from_millis(10), command).await;
    assert!(caller.is_err(), "the caller went away first");
    assert!(is_done.try_recv().is_err());
    is_done.await.expect("the command went on");
}

async fn shutdown_waits() {
    let tasks = tasks();
    let finished = Arc::new(AtomicUsize::new(0));
    let (a, b) = (finished.clone(), finished.clone());
    drop(tasks.spawn_loop("loop", move |stop| {
        let a = a.clone();
        async move {
            stop.cancelled().await;
            a.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }));
    drop(tasks.spawn("in flight", async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        b.fetch_add(1, Ordering::SeqCst);
    }));
    tokio::task::yield_now().await;
    assert_eq!(tasks.running(), ["loop", "in flight"]);
    tasks.shutdown(Duration::from_secs(10)).await.expect("all ended");
    assert_eq!(finished.load(Ordering::SeqCst), 2);
    let refused = tasks.run_command::<(), _>("late", async { Ok(()) }).await.expect_err("too late");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unavailable, "server.shutting_down"));
}

async fn shutdown_cuts() {
    let (tasks, clock) = (tasks(), clock());
    drop(tasks.spawn("stubborn", pending::<()>()));
    let error = tasks.shutdown(Duration::from_secs(10)).await.expect_err("one outlasts it");
    assert_eq!(clock.now().since(START), Duration::from_secs(10));
    assert_eq!(error.code(), "server.shutdown_incomplete");
    assert!(error.message().contains("stubborn"));
    tokio::task::yield_now().await;
    assert!(tasks.running().is_empty(), "it was cut off");
}

async fn virtual_clock() {
    let clock = clock();
    assert_eq!(clock.now(), START);
    clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(clock.now().since(START), Duration::from_secs(3600));
    tokio::time::advance(Duration::from_millis(5)).await;
    assert_eq!(clock.now().since(START), Duration::from_millis(3_600_005));
}

fn seeded() {
    let draw = |seed: u64, sizes: &[usize]| -> Vec<u8> {
        let entropy = SeededEntropy::new(seed);
        sizes
            .iter()
            .flat_map(|size| {
                let mut bytes = vec![0; *size];
                entropy.fill(&mut bytes);
                bytes
            })
            .collect()
    };
    assert_eq!(draw(1, &[16, 3, 8]), draw(1, &[16, 3, 8]));
    assert_ne!(draw(1, &[16]), draw(2, &[16]));
    let ones: u32 = draw(3, &[8000]).iter().map(|b| b.count_ones()).sum();
    assert!((31_000..33_000).contains(&ones), "{ones} of 64000 bits");
}

fn backoff() {
    let backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(5) };
    let entropy = entropy();
    for failures in 1..80 {
        let whole = Duration::from_millis(100 << (failures - 1).min(20)).min(backoff.max);
        let wait = backoff.wait(failures, &*entropy);
        assert!(wait >= whole / 2 && wait <= whole, "failure {failures}: {wait:?} of {whole:?}");
    }
    let waits: std::collections::BTreeSet<_> = (0..50).map(|_| backoff.wait(6, &*entropy)).collect();
    assert!(waits.len() > 40, "jitter: {}", waits.len());
}

fn real() {
    let now = SystemClock.now();
    assert!(now.as_millis() > 1_700_000_000_000, "{now}");
    let mut bytes = [0u8; 32];
    OsEntropy.fill(&mut bytes);
    assert_ne!(bytes, [0u8; 32]);
}

fn metrics() {
    let metrics = Metrics::new();
    let counter = metrics.register("orders", "Orders placed", Counter::<u64>::default());
    counter.inc_by(3);
    metrics.alert("saga_stuck");
    let text = metrics.render().expect("renders");
    assert!(text.contains("merx_orders_total 3"), "{text}");
    assert!(text.contains("merx_alerts_total{alert=\"saga_stuck\"} 1"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

fn bad_level() {
    let options = merx_platform::telemetry::LogOptions { level: "loud=very".into(), ..Default::default() };
    let error = merx_platform::telemetry::init(&options).expect_err("no level");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.fields()[0].pointer, "log.level");
}
