//! The points of a build with `--cfg merx_mutants`, told by the environment:
//!
//! - `MERX_KILL_AT=NAME:N:before|after`: SIGKILL when the point is passed for the Nth time.
//! - `MERX_LIST_POINTS=FILE`: every point passed is a line `NAME:N:SIDE` there.
//! - `MERX_POINTS_FROM=FILE`: nothing counts before this file exists, so that a test can leave out start and log-in.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use merx_platform::points::{self, Side};
use merx_sql::{DbOptions, FaultPoint, Faults};
use rustix::process::{Signal, getpid, kill_process};

static POINTS: LazyLock<Points> = LazyLock::new(Points::of_environment);

struct Points {
    kill_at: Option<String>,
    list: Option<File>,
    from: Option<PathBuf>,
    begun: AtomicBool,
    passed: Mutex<BTreeMap<(String, Side), u64>>,
}

impl Points {
    fn of_environment() -> Self {
        let told = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let list = told("MERX_LIST_POINTS").map(|path| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.unwrap_or_else(|error| panic!("MERX_LIST_POINTS cannot be written: {error}"))
        });
        Self {
            kill_at: told("MERX_KILL_AT").map(text),
            list,
            from: told("MERX_POINTS_FROM").map(PathBuf::from),
            begun: AtomicBool::new(false),
            passed: Mutex::default(),
        }
    }

    fn is_watched(&self) -> bool {
        self.kill_at.is_some() || self.list.is_some()
    }

    fn counts(&self) -> bool {
        if !self.begun.load(Ordering::Relaxed) && self.from.as_ref().is_none_or(|file| file.exists()) {
            self.begun.store(true, Ordering::Relaxed);
        }
        self.begun.load(Ordering::Relaxed)
    }

    fn pass(&self, name: &str, side: Side) {
        if !self.counts() {
            return;
        }
        // Whoever passes a point while another is killed here waits, and goes no further.
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = passed.entry((name.to_owned(), side)).or_default();
        *nth += 1;
        let point = format!("{name}:{nth}:{}", side.name());
        if let Some(mut list) = self.list.as_ref() {
            // A list that is not complete is seen by the test, which misses the point.
            let _ = writeln!(list, "{point}");
        }
        if self.kill_at.as_ref() == Some(&point) {
            let _ = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

/// Steps of a database, by their labels.
struct Steps;

impl Faults for Steps {
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool {
        let side = match point {
            FaultPoint::BeforeCommit => Side::Before,
            FaultPoint::AfterCommit => Side::After,
        };
        labels.iter().for_each(|label| POINTS.pass(label, side));
        false
    }
}

/// Makes the steps of a database points.
pub fn in_steps(mut options: DbOptions) -> DbOptions {
    if POINTS.is_watched() && !options.read_only {
        points::watch(Box::new(|name, side| POINTS.pass(name, side)));
        options.faults = Some(Arc::new(Steps));
    }
    options
}

/// Makes the replies of a router points, named after `of`.
pub fn in_replies(of: &'static str, router: Router) -> Router {
    let reply = move |request: Request, next: Next| async move {
        let path = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
        let method = request.method().clone();
        let response: Response = next.run(request).await;
        if !method.is_safe() {
            POINTS.pass(&format!("reply.{of} {method} {path}"), Side::Before);
        }
        response
    };
    if POINTS.is_watched() { router.layer(middleware::from_fn(reply)) } else { router }
}
