//! Whether the process lives, and whether it should be sent requests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use merx_kernel::{Result, clock::BoxFuture};
use schemars::JsonSchema;
use serde::Serialize;

/// Something that must work before requests are welcome.
pub type Check = Arc<dyn Fn() -> BoxFuture<Result<()>> + Send + Sync>;

/// The health of the process, shared by its clones.
#[derive(Clone, Default)]
pub struct Health {
    draining: Arc<AtomicBool>,
    checks: Arc<BTreeMap<&'static str, Check>>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Readiness {
    /// Whether requests are welcome.
    pub ready: bool,
    /// Each check by name: `ok`, or the code of its error.
    pub checks: BTreeMap<&'static str, String>,
}

impl Health {
    /// Health with these checks.
    pub fn new(checks: impl IntoIterator<Item = (&'static str, Check)>) -> Self {
        Self { draining: Arc::default(), checks: Arc::new(checks.into_iter().collect()) }
    }
    /// From now on `/readyz` answers 503, so that balancers send requests elsewhere. The server calls it first
    /// when it is told to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
    pub(crate) async fn readiness(&self) -> Readiness {
        let mut checks = BTreeMap::new();
        let draining = self.draining.load(Ordering::Acquire);
        let mut ready = !draining;
        for (name, check) in &*self.checks {
            let outcome = match check().await {
                Ok(()) => "ok".to_owned(),
                Err(error) => {
                    tracing::warn!(check = name, error = %error.chain(), "not ready");
                    ready = false;
                    error.code().to_owned()
                }
            };
            checks.insert(*name, outcome);
        }
        if draining {
            checks.insert("draining", "server.shutting_down".to_owned());
        }
        Readiness { ready, checks }
    }
}
