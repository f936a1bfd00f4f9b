//! Logs and metrics: how the process tells what it does.

use std::{
    io::IsTerminal as _,
    sync::{Arc, Mutex, PoisonError},
};

use merx_kernel::{Error, Result};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family},
    registry::{Metric, Registry},
};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `log` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// How log lines look.
    pub format: LogFormat,
    /// What is logged: `info`, or directives such as `info,merx_payment=debug`. The environment variable
    /// `RUST_LOG` wins over it.
    pub level: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Sends this process's log lines to standard error. Called once, first thing.
///
/// # Errors
/// `Invalid` when the level cannot be read; `Internal` when a log is installed already.
pub fn init(options: &LogOptions) -> Result<()> {
    let directives = std::env::var("RUST_LOG").ok().filter(|d| !d.is_empty());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or(&options.level))
        .map_err(|e| Error::invalid("log.level", format!("is not a log level such as `info`: {e}")))?;
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let installed = match options.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    installed.map_err(|e| Error::internal("the log cannot be installed").with_source(e))
}

/// The labels of the alert counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    alert: &'static str,
}

/// The labels of the saga counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SagaLabels {
    saga: String,
    end: &'static str,
}

/// The metrics of this process. Clones share one registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    alerts: Family<AlertLabels, Counter>,
    sagas: Family<SagaLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty registry, all of whose names begin `merx_`.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("merx"))),
            alerts: Family::default(),
            sagas: Family::default(),
        };
        metrics.register("alerts", "What needs a person, by name", metrics.alerts.clone());
        metrics.register("saga_runs", "How runs of sagas came out", metrics.sagas.clone());
        metrics
    }

    /// Registers a metric and hands it back. The encoder adds `merx_` before and, for a counter, `_total` after
    /// `name`. Each name is registered once a process.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric.clone());
        metric
    }

    /// Hands out the registry itself, for a crate that registers its own metrics.
    pub fn with_registry<T>(&self, f: impl FnOnce(&mut Registry) -> T) -> T {
        f(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts an alert: something a person must look at. The place that raises it logs the particulars.
    pub fn alert(&self, alert: &'static str) {
        self.alerts.get_or_create(&AlertLabels { alert }).inc();
    }

    /// How often an alert was raised; for tests.
    pub fn alerts(&self, alert: &'static str) -> u64 {
        self.alerts.get_or_create(&AlertLabels { alert }).get()
    }

    pub(crate) fn saga_ended(&self, saga: &str, done: bool) {
        self.saga(saga, if done { "done" } else { "refused" });
    }

    pub(crate) fn saga_failed(&self, saga: &str) {
        self.saga(saga, "failed");
    }

    fn saga(&self, saga: &str, end: &'static str) {
        self.sagas.get_or_create(&SagaLabels { saga: saga.to_owned(), end }).inc();
    }

    /// The text of `/metrics` (OpenMetrics).
    ///
    /// # Errors
    /// `Internal` when the encoder fails.
    pub fn render(&self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))
            .map_err(|e| Error::internal("metrics cannot be encoded").with_source(e))?;
        Ok(text)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
