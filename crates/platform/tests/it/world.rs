//! What a test stands in: a database in one of the three modes, a clock moved by hand, seeded randomness, and two
//! contexts, `pub` that publishes and `sub` that reacts.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::{Envelope, Fact, ids::MessageId};
use merx_kernel::{Clock, Error, Result, Timestamp, clock::BoxFuture};
use merx_platform::{
    Deps, Module, Store, TimerHandler,
    bus::{Delivery, Settled, Subscription},
    module::{self, Background},
    time::{SeededEntropy, SystemClock},
};
use merx_sql::{Db, DbOptions, FaultPoint, Faults, Migration, Query, params};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// The moment every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Inline,
    File,
    Mysql,
}

/// A case on every mode of the database. It runs without a runtime: each life of the process has its own.
pub fn on_every_mode(name: &str, case: impl Fn(World) + Clone + Send + 'static) -> Vec<Trial> {
    let mysql = std::env::var("MERX_TEST_MYSQL_URL").ok();
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    let trial = |mode: Mode, server: Option<String>| {
        let case = case.clone();
        Trial::test(format!("{name} [{mode:?}]"), move || {
            case(World::new(mode, server));
            Ok(())
        })
    };
    let last = match mysql {
        Some(url) => trial(Mode::Mysql, Some(url)),
        None if required => Trial::test(format!("{name} [Mysql]"), || {
            Err("MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1".into())
        }),
        None => Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true),
    };
    vec![trial(Mode::Inline, None), trial(Mode::File, None), last]
}

/// A case on the server only: where transactions run beside each other.
pub fn on_server(name: &str, case: impl Fn(World) + Clone + Send + 'static) -> Vec<Trial> {
    on_every_mode(name, case).split_off(2)
}

/// A case in inline mode only, for what is promised there alone.
pub fn on_inline(name: &str, case: impl Fn(World) + Send + 'static) -> Vec<Trial> {
    vec![Trial::test(format!("{name} [Inline]"), move || {
        case(World::new(Mode::Inline, None));
        Ok(())
    })]
}

/// A clock that stands still until it is told to go on.
pub struct HandClock {
    now: AtomicI64,
    sleepers: Mutex<BTreeMap<(Timestamp, u64), oneshot::Sender<()>>>,
    next: AtomicU64,
}

impl HandClock {
    pub fn new() -> Self {
        Self { now: AtomicI64::new(START.as_millis()), sleepers: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Moves on to `until` and wakes who sleeps until then.
    pub fn advance_to(&self, until: Timestamp) {
        self.now.fetch_max(until.as_millis(), Ordering::SeqCst);
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let later = sleepers.split_off(&(until.plus(Duration::from_millis(1)), 0));
        for (_, sleeper) in std::mem::replace(&mut *sleepers, later) {
            let _ = sleeper.send(());
        }
    }

    pub fn advance(&self, by: Duration) {
        self.advance_to(self.now().plus(by));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        let key = (self.now().plus(duration), self.next.fetch_add(1, Ordering::SeqCst));
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, wake);
        Box::pin(async move {
            let _ = woken.await;
        })
    }
}

/// The fact of the tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    pub subject: String,
    pub number: i64,
}

impl Fact for Happened {
    const TYPE: &'static str = "pub.happened.v1";
    fn subject(&self) -> String {
        self.subject.clone()
    }
}

/// Where a database lies, so that it can be opened again.
enum Place {
    /// In memory: it outlives the process that is killed, as a disk would.
    Inline(Db),
    File(tempfile::TempDir),
    Mysql(String),
}

/// What outlives a process.
pub struct World {
    pub clock: Arc<HandClock>,
    place: Place,
    lives: u64,
    origin: (Mode, Option<String>),
    /// Commits with this label are kept, and nobody knows; one for each.
    pub doubted: Arc<Doubted>,
}

/// Commits whose outcome is not known although they were kept.
#[derive(Default)]
pub struct Doubted(Mutex<Vec<&'static str>>);

impl Doubted {
    /// The next commit with this label is one.
    pub fn arm(&self, label: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(label);
    }
    pub fn left(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Faults for Doubted {
    fn strikes(&self, point: FaultPoint, labels: &[&'static str]) -> bool {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = armed.iter().position(|label| labels.contains(label));
        if point == FaultPoint::AfterCommit
            && let Some(index) = found
        {
            let _ = armed.remove(index);
            return true;
        }
        false
    }
}

/// One life of the process.
#[derive(Clone)]
pub struct Life {
    pub clock: Arc<HandClock>,
    pub deps: Deps,
    pub publisher: Store,
    pub subscriber: Store,
    turns: Arc<AtomicI64>,
    threaded: bool,
}

static DATABASES: AtomicU64 = AtomicU64::new(0);

fn sequenced() -> Vec<merx_sql::SequencedTable> {
    module::sequenced_tables(&["pub", "sub", "count"])
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

impl World {
    pub fn new(mode: Mode, server: Option<String>) -> Self {
        let (clock, doubted) = (Arc::new(HandClock::new()), Arc::new(Doubted::default()));
        let place = match (mode, &server) {
            (Mode::Mysql, Some(server)) => Place::Mysql(fresh_database(server)),
            (Mode::File, _) => Place::File(tempfile::tempdir().expect("a folder")),
            _ => {
                let options = DbOptions { faults: Some(doubted.clone()), ..DbOptions::new(clock.clone()) };
                Place::Inline(Db::inline(options, &sequenced()).expect("a database"))
            }
        };
        Self { clock, place, lives: 0, origin: (mode, server), doubted }
    }

    /// The database's name in reports.
    pub fn engine(&self) -> &'static str {
        match self.place {
            Place::Inline(_) => "SQLite in memory",
            Place::File(_) => "SQLite file",
            Place::Mysql(_) => "MariaDB",
        }
    }

    /// Whether the database is a server's.
    pub fn is_server(&self) -> bool {
        matches!(self.place, Place::Mysql(_))
    }

    /// Another world, as this one was at its beginning.
    pub fn again(&self) -> Self {
        let (mode, server) = self.origin.clone();
        Self::new(mode, server)
    }

    /// Lets a process live for as long as `work` runs, and kills it: what was only in memory is gone.
    pub fn live<T, R: Future<Output = T>>(&mut self, work: impl FnOnce(Life) -> R) -> T {
        self.live_on(runtime(), work)
    }

    /// The same with tasks on several threads.
    pub fn live_on_threads<T, R: Future<Output = T>>(&mut self, work: impl FnOnce(Life) -> R) -> T {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build();
        self.live_on(threads.expect("a runtime"), work)
    }

    fn live_on<T, R: Future<Output = T>>(
        &mut self,
        runtime: tokio::runtime::Runtime,
        work: impl FnOnce(Life) -> R,
    ) -> T {
        self.lives += 1;
        let url = match &self.place {
            Place::Inline(_) => None,
            Place::File(folder) => Some(format!("sqlite:{}", folder.path().join("merx.db").display())),
            Place::Mysql(url) => Some(url.clone()),
        };
        let answer = runtime.block_on(async {
            let db = match (&self.place, url) {
                (Place::Inline(db), _) => db.clone(),
                (place, Some(url)) => {
                    // A server that is asked again after a contention is asked in its own time.
                    let clock: Arc<dyn Clock> = match place {
                        Place::Mysql(_) => Arc::new(SystemClock),
                        _ => self.clock.clone(),
                    };
                    let options = DbOptions {
                        faults: Some(self.doubted.clone()),
                        // A file in doubt ends the process; here it lives on, as with a server.
                        on_fatal: Arc::new(|_| {}),
                        ..DbOptions::new(clock)
                    };
                    Db::open(&url, options, &sequenced()).expect("a database")
                }
                (_, None) => unreachable!("every other place has a URL"),
            };
            let deps = Deps::new(db, self.clock.clone(), Arc::new(SeededEntropy::new(self.lives)));
            let life = Life {
                clock: self.clock.clone(),
                deps,
                publisher: Store::new("pub"),
                subscriber: Store::new("sub"),
                // Effects are numbered in the order they came, over all lives.
                turns: Arc::new(AtomicI64::new(i64::try_from(self.lives).expect("few lives") * 10_000_000)),
                threaded: !matches!(self.place, Place::Inline(_)),
            };
            for module in life.modules(Vec::new(), Vec::new()) {
                module.migrate(&life.deps.db).await.expect("tables");
            }
            work(life).await
        });
        drop(runtime);
        answer
    }
}

impl Life {
    pub fn db(&self) -> &Db {
        &self.deps.db
    }

    /// Whether closures run on threads of the database, beside each other's callers.
    pub fn threaded(&self) -> bool {
        self.threaded
    }

    /// The two contexts; `sub` has these subscriptions and timers.
    pub fn modules(&self, subscriptions: Vec<Subscription>, timers: Vec<TimerHandler>) -> Vec<Module> {
        let effects = "CREATE TABLE sub_effects (
            turn BIGINT NOT NULL PRIMARY KEY,
            message BINARY(16) NOT NULL,
            subject VARCHAR(64) NOT NULL,
            number BIGINT NOT NULL
        )";
        let publisher = Module::new(self.publisher.clone(), Vec::new());
        let mut subscriber =
            Module::new(self.subscriber.clone(), vec![Migration::same(100, "effects", effects)]);
        subscriber.subscriptions = subscriptions;
        subscriber.timers = timers;
        vec![publisher, subscriber]
    }

    /// Starts what runs behind.
    pub fn start(&self, subscriptions: Vec<Subscription>) -> Background {
        module::start(&self.deps, &self.modules(subscriptions, Vec::new())).expect("a background")
    }

    /// Starts what runs behind, with timers only.
    pub fn start_timers(&self, timers: Vec<TimerHandler>) -> Background {
        module::start(&self.deps, &self.modules(Vec::new(), timers)).expect("a background")
    }

    /// Publishes facts, each in a transaction of its own; answers their ids.
    pub async fn publish(&self, facts: &[Happened]) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for fact in facts {
            let envelope = self.envelope(fact);
            ids.push(envelope.id);
            let outbox = self.publisher.outbox;
            let envelopes = vec![envelope];
            self.db()
                .write("test.publish", move |tx| outbox.publish(tx, &envelopes))
                .await
                .expect("published");
        }
        ids
    }

    pub fn envelope(&self, fact: &Happened) -> Envelope {
        Envelope::new(self.deps.ids.next(), self.clock.now(), None, fact).expect("an envelope")
    }

    /// Has the effect of a fact once: a row of `sub_effects` that tells when its turn was.
    pub async fn have_effect(&self, delivery: &Delivery) -> Result<()> {
        let fact: Happened = delivery.fact()?;
        let (turn, delivery) = (self.turns.fetch_add(1, Ordering::SeqCst), delivery.clone());
        self.db()
            .write("test.effect", move |tx| {
                if delivery.first_time(tx)? {
                    tx.execute(
                        "INSERT INTO sub_effects (turn, message, subject, number) VALUES (?, ?, ?, ?)",
                        params![turn, delivery.envelope().id, &fact.subject, fact.number],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// A subscription of `sub` whose handler asks `decide` first; where that is `Ok` it has its effect.
    pub fn subscription(
        &self,
        name: &'static str,
        decide: impl Fn(&Happened, &Delivery) -> Result<()> + Send + Sync + 'static,
    ) -> Subscription {
        let (life, decide) = (self.clone(), Arc::new(decide));
        Subscription::new(name, self.subscriber.clone(), &[Happened::TYPE], move |delivery: Delivery| {
            let (life, decide) = (life.clone(), decide.clone());
            async move {
                decide(&delivery.fact()?, &delivery)?;
                life.have_effect(&delivery).await
            }
        })
    }

    /// Every effect had, in the order of turns.
    pub async fn effects(&self) -> Vec<Happened> {
        self.db()
            .read("test.effects", |q| {
                q.query("SELECT subject, number FROM sub_effects ORDER BY turn", params![], |row| {
                    Ok(Happened { subject: row.get(0)?, number: row.get(1)? })
                })
            })
            .await
            .expect("effects")
    }

    /// Goes on until nothing is left that time alone would do.
    pub async fn run_to_the_end(&self, background: &Background) -> Settled {
        loop {
            let settled = background.settled().await.expect("settled");
            let Some(next_at) = settled.next_at else { return settled };
            self.clock.advance_to(next_at);
        }
    }

    /// Lets a second pass, so that cursors are written, and waits until they are.
    pub async fn checkpoint(&self, background: &Background) {
        background.bus.checkpoint().await.expect("a checkpoint");
    }

    /// The cursors of `sub`, as they are on disk.
    pub async fn cursors(&self) -> Vec<i64> {
        let cursors = self.subscriber.cursors;
        let all = self.db().read("test.cursors", move |q| cursors.all(q)).await.expect("cursors");
        all.into_values().collect()
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let count =
            self.db().read("test.count", move |q| q.query_one(&sql, params![], |row| row.get(0))).await;
        count.expect("a count")
    }

    /// How many transactions were written under `label` so far.
    pub fn writes(&self, label: &str) -> u64 {
        self.db().stats().labels.get(label).map_or(0, |stats| stats.write_txs)
    }
}

/// `count` facts of each of `subjects` subjects, taking turns.
pub fn facts(subjects: usize, count: i64) -> Vec<Happened> {
    (0..count)
        .flat_map(|number| (0..subjects).map(move |s| Happened { subject: format!("sbj_{s:03}"), number }))
        .collect()
}

/// How often a fact of a subject came after a later one, and how many effects each fact had.
pub fn inversions(effects: &[Happened]) -> usize {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    effects
        .iter()
        .filter(|effect| {
            last.insert(&effect.subject, effect.number).is_some_and(|before| before > effect.number)
        })
        .count()
}

/// The size of a test: what the variable says, else `usual`.
pub fn size(variable: &str, usual: i64) -> i64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => usual,
    }
}

/// The error of a part that is down.
pub fn down() -> Error {
    Error::unavailable("test.down", "down")
}

/// A database of its own for each world, gone with it.
fn fresh_database(server: &str) -> String {
    let name = format!("merx_platform_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::SeqCst));
    admin(server, &format!("CREATE DATABASE {name}"));
    format!("{}/{name}", server.trim_end_matches('/'))
}

fn admin(server: &str, sql: &str) {
    use mysql::prelude::Queryable as _;
    let opts = mysql::Opts::from_url(server).expect("MERX_TEST_MYSQL_URL is mysql://user:password@host:port");
    let opts = mysql::OptsBuilder::from_opts(opts).prefer_socket(false);
    let mut connection = mysql::Conn::new(opts).expect("the server of MERX_TEST_MYSQL_URL");
    connection.query_drop(sql).expect("allowed to create and drop databases");
}

impl Drop for World {
    fn drop(&mut self) {
        if let (Place::Mysql(url), (_, Some(server))) = (&self.place, &self.origin)
            && let Some(name) = url.rsplit('/').next()
        {
            admin(server, &format!("DROP DATABASE {name}"));
        }
    }
}
