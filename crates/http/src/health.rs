//! Whether the process lives, and whether it should be sent requests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use merx_kernel::{Clock, Result, Timestamp, clock::BoxFuture};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;

/// How long the outcome of the checks is told again, so that who asks often costs nothing: `/readyz` is public.
const FRESH: Duration = Duration::from_secs(1);

/// Something that must work before requests are welcome.
pub type Check = Arc<dyn Fn() -> BoxFuture<Result<()>> + Send + Sync>;

/// The health of the process, shared by its clones.
#[derive(Clone, Default)]
pub struct Health {
    draining: Arc<AtomicBool>,
    checks: Arc<BTreeMap<&'static str, Check>>,
    /// When the checks were carried out last, and how they came out. Held while they are.
    last: Arc<Mutex<Option<(Timestamp, Readiness)>>>,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Readiness {
    /// Whether requests are welcome.
    pub ready: bool,
    /// Each check by name: `ok`, or the code of its error.
    pub checks: BTreeMap<&'static str, String>,
}

impl Health {
    /// Health with these checks, each carried out once in a second at most.
    pub fn new(checks: impl IntoIterator<Item = (&'static str, Check)>) -> Self {
        Self { checks: Arc::new(checks.into_iter().collect()), ..Self::default() }
    }
    /// From now on `/readyz` answers 503, so that balancers send requests elsewhere. The server calls it first
    /// when it is told to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
    pub(crate) async fn readiness(&self, clock: &dyn Clock) -> Readiness {
        let mut readiness = self.checked(clock).await;
        if self.draining.load(Ordering::Acquire) {
            readiness.ready = false;
            readiness.checks.insert("draining", "server.shutting_down".to_owned());
        }
        readiness
    }

    async fn checked(&self, clock: &dyn Clock) -> Readiness {
        let mut last = self.last.lock().await;
        let now = clock.now();
        match &*last {
            Some((at, readiness)) if *at <= now && now.since(*at) < FRESH => return readiness.clone(),
            _ => {}
        }
        let mut readiness = Readiness { ready: true, checks: BTreeMap::new() };
        for (name, check) in &*self.checks {
            let outcome = match check().await {
                Ok(()) => "ok".to_owned(),
                Err(error) => {
                    tracing::warn!(check = name, error = %error.chain(), "not ready");
                    readiness.ready = false;
                    error.code().to_owned()
                }
            };
            readiness.checks.insert(*name, outcome);
        }
        *last = Some((clock.now(), readiness.clone()));
        readiness
    }
}
