//! What the bus tells about itself.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use crate::telemetry::Metrics;

/// The labels of the bus's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BusLabels {
    /// The subscription.
    pub subscription: String,
}

/// The metrics of the bus.
#[derive(Clone, Debug)]
pub struct BusMetrics {
    handled: Family<BusLabels, Counter>,
    failed: Family<BusLabels, Counter>,
    dead: Family<BusLabels, Counter>,
    lag: Family<BusLabels, Gauge>,
    lag_ms: Family<BusLabels, Gauge>,
    metrics: Metrics,
}

impl BusMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        Self {
            handled: metrics.register("bus_handled", "Facts handled", Family::default()),
            failed: metrics.register("bus_failed", "Tries that failed", Family::default()),
            dead: metrics.register("bus_dead_letters", "Facts that became dead letters", Family::default()),
            lag: metrics.register("bus_lag", "Facts published and not yet handled", Family::default()),
            lag_ms: metrics.register(
                "bus_lag_ms",
                "Age of the oldest of them in milliseconds",
                Family::default(),
            ),
            metrics: metrics.clone(),
        }
    }

    fn labels(subscription: &str) -> BusLabels {
        BusLabels { subscription: subscription.to_owned() }
    }

    pub(super) fn handled(&self, subscription: &str, ok: bool) {
        let family = if ok { &self.handled } else { &self.failed };
        family.get_or_create(&Self::labels(subscription)).inc();
    }

    pub(super) fn dead_letter(&self, subscription: &str) {
        self.dead.get_or_create(&Self::labels(subscription)).inc();
        self.metrics.alert("dead_letter");
    }

    pub(super) fn lag(&self, subscription: &str, facts: i64, age_ms: i64) {
        self.lag.get_or_create(&Self::labels(subscription)).set(facts);
        self.lag_ms.get_or_create(&Self::labels(subscription)).set(age_ms);
    }
}
