//! Every limit of the HTTP surface, by name.

use std::time::Duration;

use serde::Deserialize;

/// The limits of the HTTP surface. Each is a key of the configuration under `[http.limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request body, unless the route says otherwise.
    pub body_bytes_max: usize,
    /// Milliseconds in which the whole body must have come.
    pub body_read_ms_max: u64,
    /// Bytes of the request target.
    pub uri_bytes_max: usize,
    /// Milliseconds in which the head of a request must have come; also how long an idle connection is kept.
    pub header_read_ms_max: u64,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of the head of a request.
    pub header_bytes_max: usize,
    /// Milliseconds a client may leave our bytes unread.
    pub write_stall_ms_max: u64,
    /// Connections at once; more wait in the listener's backlog.
    pub connections_max: usize,
    /// Requests being served at once; more are answered 503.
    pub requests_in_flight_max: usize,
    /// Milliseconds a handler may take before the client is answered 504.
    pub handler_ms_max: u64,
    /// Milliseconds a duplicate waits for the answer of the request it repeats.
    pub idempotency_wait_ms_max: u64,
    /// Requests of one client (account, or address when nobody is logged in) in a minute.
    pub client_requests_per_minute_max: u32,
    /// Requests one client may send at once after a rest.
    pub client_burst_max: u32,
    /// Clients whose rate is remembered; beyond it the one that rested longest is forgotten.
    pub clients_tracked_max: usize,
    /// Milliseconds that requests in flight get to finish at shutdown.
    pub drain_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 * 1024,
            body_read_ms_max: 15_000,
            uri_bytes_max: 8 * 1024,
            header_read_ms_max: 10_000,
            headers_max: 100,
            header_bytes_max: 16 * 1024,
            write_stall_ms_max: 20_000,
            connections_max: 4_096,
            requests_in_flight_max: 2_048,
            handler_ms_max: 10_000,
            idempotency_wait_ms_max: 5_000,
            client_requests_per_minute_max: 1_200,
            client_burst_max: 240,
            clients_tracked_max: 100_000,
            drain_ms_max: 25_000,
        }
    }
}

impl Limits {
    pub(crate) const fn body_read(&self) -> Duration {
        Duration::from_millis(self.body_read_ms_max)
    }
    pub(crate) const fn header_read(&self) -> Duration {
        Duration::from_millis(self.header_read_ms_max)
    }
    pub(crate) const fn write_stall(&self) -> Duration {
        Duration::from_millis(self.write_stall_ms_max)
    }
    pub(crate) const fn handler(&self) -> Duration {
        Duration::from_millis(self.handler_ms_max)
    }
    pub(crate) const fn idempotency_wait(&self) -> Duration {
        Duration::from_millis(self.idempotency_wait_ms_max)
    }
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}
