//! A whole platform for tests: the real bus, timers, sagas and router over a database in memory, on a virtual clock that
//! moves when everybody waits, with seeded identities.
//!
//! A test ends with [`TestPlatform::finish`], which fails when facts, dead letters or unfinished sagas are left over;
//! a platform dropped without it fails too. Use it under `#[tokio::test(start_paused = true)]`.

mod api;
mod fixtures;
pub mod linear;
pub mod modes;
mod trace;

use std::{sync::Arc, thread};

use axum::Router;
use merx_http::{
    ContextModule, Edge, Health, Info, Limits, Revocations, Route,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, Secret, Timestamp};
use merx_platform::{
    Deps, Module,
    module::{Background, sequenced_tables},
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions, Faults, Query as _, params};

pub use api::{Answer, TestApi, request};
pub use fixtures::{event_fixtures, snapshot_fixture};
pub use trace::{Happened, Trace};

/// When every test begins: 2026-11-20T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);
/// The seed of the key that signs test tokens.
pub const TOKEN_SEED: [u8; 32] = [5; 32];

/// The deps of a seeded platform over a database in memory.
///
/// # Panics
/// The database in memory cannot be opened.
pub fn seeded_deps(
    contexts: &[&'static str],
    seed: u64,
    faults: Option<Arc<dyn Faults>>,
) -> (Deps, Arc<Trace>) {
    let trace = Arc::new(Trace::default());
    (seeded_deps_at(Arc::new(VirtualClock::new(START)), &trace, contexts, seed, faults), trace)
}

/// As [`seeded_deps`], with any clock and trace.
///
/// # Panics
/// The database in memory cannot be opened.
pub fn seeded_deps_at(
    clock: Arc<dyn Clock>,
    trace: &Arc<Trace>,
    contexts: &[&'static str],
    seed: u64,
    faults: Option<Arc<dyn Faults>>,
) -> Deps {
    let mut options = DbOptions::new(clock.clone());
    options.observer = Some(trace.clone());
    options.faults = faults;
    let db = Db::inline(options, &sequenced_tables(contexts)).unwrap_or_else(|e| panic!("{}", e.chain()));
    Deps::new(db, clock, Arc::new(SeededEntropy::new(seed)))
}

/// Limits under which a test's client is never too fast.
pub fn generous_limits() -> Limits {
    Limits {
        client_burst_max: 1_000_000,
        client_requests_per_minute_max: 1_000_000,
        signed_requests_per_minute_max: 10_000_000,
        connections_per_network_max: Limits::default().connections_max,
        ..Limits::default()
    }
}

/// A platform with some contexts at work on it.
pub struct TestPlatform {
    /// What the contexts were given.
    pub deps: Deps,
    /// Bus, timers, sagas.
    pub background: Background,
    /// The public API.
    pub api: TestApi,
    /// What was committed, in order.
    pub trace: Arc<Trace>,
    modules: Vec<Module>,
    finished: bool,
}

impl TestPlatform {
    /// Wires contexts with `wire` and sets them going.
    ///
    /// # Panics
    /// Something cannot be set up.
    pub async fn start(
        contexts: &[&'static str],
        seed: u64,
        wire: impl FnOnce(&mut Deps) -> Vec<ContextModule>,
    ) -> Self {
        let (mut deps, trace) = seeded_deps(contexts, seed, None);
        let mut modules = Vec::new();
        let mut routes = Vec::new();
        for context in wire(&mut deps) {
            context.module.migrate(&deps.db).await.unwrap_or_else(|e| panic!("{}", e.chain()));
            modules.push(context.module);
            routes.extend(context.routes);
        }
        let background =
            merx_platform::module::start(&deps, &modules).unwrap_or_else(|e| panic!("{}", e.chain()));
        let signer = signer();
        let router = router(&deps, routes, &signer);
        let api = TestApi::new(router, signer, deps.clock.clone());
        Self { deps, background, api, trace, modules, finished: false }
    }

    /// Waits until nothing is left to do at this moment.
    ///
    /// # Panics
    /// The database fails.
    pub async fn settle(&self) {
        self.background.settled().await.unwrap_or_else(|e| panic!("{}", e.chain()));
    }

    /// Ends the test: everything was handled, nothing is parked.
    ///
    /// # Panics
    /// Something is left over.
    pub async fn finish(mut self) {
        self.finished = true;
        let settled = self.background.settled().await.unwrap_or_else(|e| panic!("{}", e.chain()));
        assert_eq!((settled.waiting, settled.dead), (0, 0), "messages are left over: {settled:?}");
        for module in &self.modules {
            let name = module.name();
            let open = format!("SELECT COUNT(*) FROM {name}_sagas WHERE status NOT IN ('done', 'abandoned')");
            let left: i64 = self
                .deps
                .db
                .read("testkit.finish", move |q| q.query_one(&open, params![], |row| row.get(0)))
                .await
                .unwrap_or_else(|e| panic!("{}", e.chain()));
            assert_eq!(left, 0, "{name} has {left} unfinished sagas");
        }
    }
}

impl Drop for TestPlatform {
    fn drop(&mut self) {
        assert!(self.finished || thread::panicking(), "a test must end with `finish().await`");
    }
}

/// The signer of test tokens.
///
/// # Panics
/// The seed is not one.
pub fn signer() -> TokenSigner {
    let seed = Secret::new(TOKEN_SEED.to_vec());
    TokenSigner::new(&seed, Realm::default(), std::time::Duration::from_secs(86_400 * 3650))
        .unwrap_or_else(|e| panic!("{}", e.chain()))
}

/// A router over routes, that believes the tokens of `signer`.
pub fn router(deps: &Deps, routes: Vec<Route>, signer: &TokenSigner) -> Router {
    let revocations = Arc::new(Revocations::in_process());
    revocations.load([], deps.now());
    let tokens = TokenVerifier::new([signer.public_key()], Realm::default(), deps.clock.clone(), revocations);
    let edge = Edge {
        limits: generous_limits(),
        clock: deps.clock.clone(),
        entropy: deps.entropy.clone(),
        ids: deps.ids.clone(),
        tasks: deps.tasks.clone(),
        tokens: Arc::new(tokens),
        health: Health::default(),
        metrics: deps.metrics.clone(),
        trusted_proxies: Vec::new(),
        info: Info::default(),
    };
    merx_http::router(routes, edge)
}
