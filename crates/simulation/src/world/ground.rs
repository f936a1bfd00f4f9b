//! What a world stands on: databases, clocks, chance, and what goes wrong.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use merx_kernel::{Clock, Timestamp, clock::BoxFuture};
use merx_platform::{
    Deps,
    faults::Seam,
    time::{OsEntropy, SeededEntropy, SystemClock, VirtualClock},
};
use merx_server::shop;
use merx_sql::{Db, DbOptions};
use merx_testkit::Trace;

use super::{Told as _, tables};
use crate::faults::{Injector, Plan};

/// A shop's clock: it can be wrong, and be put right. Waiting is not changed by that.
pub struct ShopClock {
    steady: Arc<dyn Clock>,
    off_by_ms: AtomicI64,
}

impl ShopClock {
    /// A clock that is right.
    pub fn new(steady: Arc<dyn Clock>) -> Self {
        Self { steady, off_by_ms: AtomicI64::new(0) }
    }
    /// From now on it is wrong by so much.
    pub fn set_off_by(&self, millis: i64) {
        self.off_by_ms.store(millis, Ordering::Relaxed);
    }
}

impl Clock for ShopClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.steady.now().as_millis() + self.off_by_ms.load(Ordering::Relaxed))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.steady.sleep(duration)
    }
}

/// What a world stands on.
pub struct Ground {
    /// What the contexts are given.
    pub deps: Deps,
    /// The database of Alipay.
    pub sandbox_db: Db,
    /// Hears of every commit.
    pub trace: Arc<Trace>,
    /// Whether waiting costs nothing.
    pub is_virtual: bool,
    /// The time of everybody but the shop: it never jumps.
    pub steady: Arc<dyn Clock>,
    /// The clock in `deps`.
    pub(super) shop_clock: Arc<ShopClock>,
    /// What goes wrong.
    pub faults: Arc<Injector>,
}

impl Ground {
    /// Databases in memory and a virtual clock: for `#[tokio::test(start_paused = true)]`. Between two transactions of
    /// a task nobody else comes in.
    pub fn virtual_time(seed: u64) -> Self {
        Self::virtual_with(seed, Plan::default(), false)
    }
    /// As [`Self::virtual_time`]; between any two transactions of a task others come in, as the seed has it.
    pub fn interleaved(seed: u64) -> Self {
        Self::virtual_with(seed, Plan::default(), true)
    }
    /// As [`Self::interleaved`]; and things go wrong by this plan, while [`World::troubled`](super::World::troubled).
    pub fn planned(seed: u64, plan: Plan) -> Self {
        Self::virtual_with(seed, plan, true)
    }
    fn virtual_with(seed: u64, plan: Plan, are_interleaved: bool) -> Self {
        let steady: Arc<dyn Clock> = Arc::new(VirtualClock::new(plan.begins));
        let shop_clock = Arc::new(ShopClock::new(steady.clone()));
        let trace = Arc::new(Trace::default());
        let faults = Arc::new(Injector::new(seed, plan, are_interleaved, trace.clone()));
        let (clock, strikes) = (shop_clock.clone(), Some(faults.clone() as Arc<dyn merx_sql::Faults>));
        let mut options = DbOptions::new(clock.clone());
        options.observer = Some(trace.clone());
        options.faults = strikes;
        let deps = Deps::new(tables::copied(options), clock, Arc::new(SeededEntropy::new(seed)));
        let deps = Deps { faults: Seam::to(faults.clone()), ..deps };
        let mut options = DbOptions::new(steady.clone());
        options.observer = Some(trace.clone());
        let sandbox_db = Db::inline(options, &[]).told();
        Self { deps, sandbox_db, trace, is_virtual: true, steady, shop_clock, faults }
    }
    /// A database file in `dir`, as a shop has it, and the clock of the machine.
    pub fn on_disk(dir: &Path) -> Self {
        let steady: Arc<dyn Clock> = Arc::new(SystemClock);
        let shop_clock = Arc::new(ShopClock::new(steady.clone()));
        let open = |name: &str, tables: &[_]| {
            let url = format!("sqlite:{}", dir.join(name).display());
            Db::open(&url, DbOptions::new(steady.clone()), tables).told()
        };
        let (db, sandbox_db) = (open("merx.db", &shop::sequenced()), open("alipay-sandbox.db", &[]));
        let deps = Deps::new(db, shop_clock.clone(), Arc::new(OsEntropy));
        let trace: Arc<Trace> = Arc::default();
        let faults = Arc::new(Injector::new(0, Plan::default(), false, trace.clone()));
        Self { deps, sandbox_db, trace, is_virtual: false, steady, shop_clock, faults }
    }
}
