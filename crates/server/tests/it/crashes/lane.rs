//! A shop that is killed at one point after the other, each time in a checkout of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use merx_kernel::Clock as _;
use merx_platform::time::SystemClock;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    points,
    shopper::{Scenario, Shopper},
};
use crate::process::{
    databases::{Database, Engine},
    harness::{Site, text_of},
    placed,
};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Nothing is ever at rest at once: an audit is a process of its own.
const AUDIT_EVERY: Duration = Duration::from_millis(200);
/// How long a checkout may take to come to rest: far beyond what it takes.
const AT_REST_WITHIN: Duration = Duration::from_secs(90);
/// What was sent is marked so a second later: the last thing a checkout leaves to be done.
const MARKED_WITHIN: Duration = Duration::from_millis(2_500);
const SIGKILL: i32 = 9;

/// A kill, and what came after.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// From the restart until it was ready.
    pub ready: Duration,
    /// From then, or the order's deadline, until nothing was in flight.
    pub at_rest: Duration,
}

/// What became of a point.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// The shop killed itself there.
    Killed(Hit),
    /// It never came by.
    NeverHit,
}

/// Points still to be killed at, shared by the lanes.
pub type Queue = Arc<Mutex<VecDeque<String>>>;

fn take(queue: &Queue) -> Option<String> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// A shop and the files that say what is to happen to it. The site goes before its database.
pub struct Lane {
    scenario: Scenario,
    site: Site,
    files: TempDir,
    _database: Database,
}

impl Lane {
    /// A shop of its own, with the keys and, on SQLite, the data of `first`.
    pub fn open(scenario: Scenario, engine: Engine, first: &Site) -> Self {
        let (files, database) = (TempDir::new().expect("a folder"), engine.fresh());
        let own = scenario.flags();
        let flags: Vec<&str> = own.iter().map(String::as_str).chain(database.flags()).collect();
        let mut site = Site::new(&flags);
        copy(Path::new(first.data()), Path::new(site.data()));
        let from = files.path().join("from");
        site.set_env("MERX_POINTS_FROM", from.to_str().expect("a plain path"));
        Self { scenario, site, files, _database: database }
    }

    /// The file from which on points count.
    fn armed(&self) -> PathBuf {
        self.files.path().join("from")
    }

    /// One life in which nobody is killed: the points it passes.
    pub async fn list(mut self) -> Vec<String> {
        let list = self.files.path().join("list");
        self.site.set_env("MERX_LIST_POINTS", list.to_str().expect("a plain path"));
        self.site.start().await;
        let mut shopper = Shopper::arrive(&self.site, self.scenario).await;
        self.prepare(&mut shopper, "the listing").await;
        shopper.shop().await;
        self.at_rest("the listing").await;
        SystemClock.sleep(MARKED_WITHIN).await;
        points::read(&list)
    }

    /// Kills the shop at every point of the queue that other lanes leave; answers what became of them.
    pub async fn work(mut self, queue: Queue) -> BTreeMap<String, Outcome> {
        let (mut outcomes, mut next) = (BTreeMap::new(), take(&queue));
        if let Some(point) = &next {
            self.site.set_env("MERX_KILL_AT", point);
            self.site.start().await;
        } else {
            return outcomes;
        }
        let mut shopper = Shopper::arrive(&self.site, self.scenario).await;
        while let Some(point) = next {
            next = take(&queue);
            let outcome = self.one(&mut shopper, &point, next.as_deref()).await;
            outcomes.insert(point, outcome);
        }
        self.reckon(&shopper).await;
        outcomes
    }

    async fn prepare(&self, shopper: &mut Shopper, point: &str) {
        shopper.prepare().await;
        self.at_rest(point).await;
        fs::write(self.armed(), "").expect("written");
    }

    /// One checkout that is cut in two at `point`; the shop that takes it up is to be killed at `next` after it.
    async fn one(&mut self, shopper: &mut Shopper, point: &str, next: Option<&str>) -> Outcome {
        self.prepare(shopper, point).await;
        let (ended, from) = (AtomicBool::new(false), self.armed());
        let shopping = async {
            let due = shopper.shop().await;
            ended.store(true, Ordering::Relaxed);
            due
        };
        let site = &mut self.site;
        let killing = async {
            let mut again = loop {
                if let Some(status) = site.has_ended() {
                    assert_eq!(status.signal(), Some(SIGKILL), "at {point}: {status}\n{}", site.stderr());
                    break true;
                }
                if ended.load(Ordering::Relaxed) {
                    break false;
                }
                SystemClock.sleep(LOOK_EVERY).await;
            };
            // What is passed only after the buyer has seen the end, such as a mail or the mark of what was sent.
            if !again {
                again = late_kill(site, point).await;
            }
            // Nothing counts in the life that takes up what was begun.
            fs::remove_file(&from).expect("removed");
            site.set_env("MERX_KILL_AT", next.unwrap_or_default());
            if !again {
                site.stop().await;
            }
            (again, site.start().await, Instant::now())
        };
        let (due, (killed, ready, since)) = tokio::join!(shopping, killing);
        let at_rest = self.at_rest(point).await.saturating_duration_since(since.max(due));
        if killed { Outcome::Killed(Hit { ready, at_rest }) } else { Outcome::NeverHit }
    }

    /// Waits until nothing is in flight and the books agree.
    async fn at_rest(&self, point: &str) -> Instant {
        let began = Instant::now();
        loop {
            let audit = self.site.run(&["audit", "--drained"]);
            if audit.status.success() {
                return Instant::now();
            }
            assert!(began.elapsed() < AT_REST_WITHIN, "killed at {point}, not at rest: {}", text_of(&audit));
            SystemClock.sleep(AUDIT_EVERY).await;
        }
    }

    /// At the end: one order for each checkout, one charge for each that was paid, and the same from the files alone.
    async fn reckon(&mut self, shopper: &Shopper) {
        let (charges, trades) = shopper.charges().await;
        let paid = matches!(self.scenario, Scenario::Paid | Scenario::ProviderTimeout);
        assert_eq!((charges, trades), if paid { (shopper.orders, shopper.orders) } else { (0, 0) });
        assert_eq!(placed(&self.site).len(), shopper.orders, "one order for each checkout");
        self.site.stop().await;
        self.site.succeed(&["audit"]);
        self.site.assert_no_panic();
    }
}

/// Waits for a kill that may come after the buyer's last answer, as long as the shop has something to do.
async fn late_kill(site: &mut Site, point: &str) -> bool {
    let began = Instant::now();
    while began.elapsed() < AT_REST_WITHIN {
        let at_rest = site.run(&["audit", "--drained"]).status.success();
        let more = Instant::now() + if at_rest { MARKED_WITHIN } else { AUDIT_EVERY };
        while Instant::now() < more {
            if let Some(status) = site.has_ended() {
                assert_eq!(status.signal(), Some(SIGKILL), "at {point}: {status}\n{}", site.stderr());
                return true;
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
        if at_rest {
            return false;
        }
    }
    false
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (kind, target) = (entry.file_type().expect("a kind"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
