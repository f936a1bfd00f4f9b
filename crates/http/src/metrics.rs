//! What the HTTP surface counts. Labels are route ids and statuses, so their number is bounded.

use std::time::Duration;

use merx_platform::telemetry::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

/// Seconds: from half a millisecond, where ordinary reads lie, to the limit of a handler.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];

/// The counters of the HTTP surface.
pub(crate) struct HttpMetrics {
    requests: Family<Labels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    shed: Counter,
    rate_limited: Counter,
    panics: Counter,
}

impl HttpMetrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &Metrics) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self {
            requests: registry.register(
                "http_requests",
                "Requests answered, by route and status",
                Family::default(),
            ),
            seconds: registry.register("http_request_seconds", "Time to answer, by route", seconds),
            in_flight: registry.register(
                "http_requests_in_flight",
                "Requests begun and not answered yet",
                Gauge::default(),
            ),
            shed: registry.register(
                "http_requests_shed",
                "Requests refused for overload",
                Counter::default(),
            ),
            rate_limited: registry.register(
                "http_requests_rate_limited",
                "Requests refused for their rate",
                Counter::default(),
            ),
            panics: registry.register("http_handler_panics", "Handlers that panicked", Counter::default()),
        }
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }
    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Labels { route, status }).inc();
        self.seconds.get_or_create(&RouteLabel { route }).observe(took.as_secs_f64());
    }
    pub(crate) fn shed(&self) {
        self.shed.inc();
    }
    pub(crate) fn rate_limited(&self) {
        self.rate_limited.inc();
    }
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }
}

/// Counted down however the request ends.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
