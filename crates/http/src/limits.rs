//! Every limit of the HTTP surface, by name.

use std::time::Duration;

use merx_kernel::{Error, Result};
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
    /// Connections of one network (an IPv4 address, an IPv6 /64) at once; more are closed. Trusted proxies, which
    /// bring many clients, may have any number.
    pub connections_per_network_max: usize,
    /// Requests being served at once, from when the body is there; more are answered 503.
    pub requests_in_flight_max: usize,
    /// Milliseconds a handler may take before the client is answered 504.
    pub handler_ms_max: u64,
    /// Milliseconds a duplicate waits for the answer of the request it repeats.
    pub idempotency_wait_ms_max: u64,
    /// Requests of one client (account, key, or network when nobody or a guest is logged in) in a minute.
    pub client_requests_per_minute_max: u32,
    /// Requests one client may send at once after a rest.
    pub client_burst_max: u32,
    /// Requests of one network in a minute to the routes where machines sign; a tenth of them at once.
    pub signed_requests_per_minute_max: u32,
    /// Clients whose rate is remembered; beyond it the one that rested longest is forgotten.
    pub clients_tracked_max: usize,
    /// Milliseconds between telling balancers (`/readyz` answers 503) and taking no more connections.
    pub drain_notice_ms: u64,
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
            connections_per_network_max: 256,
            requests_in_flight_max: 2_048,
            handler_ms_max: 10_000,
            idempotency_wait_ms_max: 5_000,
            client_requests_per_minute_max: 1_200,
            client_burst_max: 240,
            signed_requests_per_minute_max: 60_000,
            clients_tracked_max: 100_000,
            drain_notice_ms: 0,
            drain_ms_max: 25_000,
        }
    }
}

impl Limits {
    /// Checks every limit against what the server can carry out.
    ///
    /// # Errors
    /// `Invalid` naming each key that is out of range, and the range.
    pub fn check(&self) -> Result<()> {
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ranges = [
            ("body_bytes_max", size(self.body_bytes_max), 1, 64 << 20),
            ("body_read_ms_max", self.body_read_ms_max, 1, 30_000),
            ("uri_bytes_max", size(self.uri_bytes_max), 1, 64 << 10),
            ("header_read_ms_max", self.header_read_ms_max, 1, 30_000),
            ("headers_max", size(self.headers_max), 1, 1_000),
            ("header_bytes_max", size(self.header_bytes_max), 8 << 10, 1 << 20),
            ("write_stall_ms_max", self.write_stall_ms_max, 1, 30_000),
            ("connections_max", size(self.connections_max), 1, 1_000_000),
            ("connections_per_network_max", size(self.connections_per_network_max), 1, 1_000_000),
            ("requests_in_flight_max", size(self.requests_in_flight_max), 1, 1_000_000),
            ("handler_ms_max", self.handler_ms_max, 1, 600_000),
            ("idempotency_wait_ms_max", self.idempotency_wait_ms_max, 1, self.handler_ms_max),
            ("client_requests_per_minute_max", self.client_requests_per_minute_max.into(), 1, 60_000_000),
            ("client_burst_max", self.client_burst_max.into(), 1, 1_000_000_000),
            ("signed_requests_per_minute_max", self.signed_requests_per_minute_max.into(), 1, 60_000_000),
            ("clients_tracked_max", size(self.clients_tracked_max), 1, 10_000_000),
            ("drain_notice_ms", self.drain_notice_ms, 0, 60_000),
            ("drain_ms_max", self.drain_ms_max, 1, 600_000),
        ];
        let wrong = ranges.into_iter().filter(|(_, given, min, max)| !(min..=max).contains(&given));
        let mut error = None;
        for (key, given, min, max) in wrong {
            let (pointer, detail) =
                (format!("http.limits.{key}"), format!("is {given}, must be from {min} to {max}"));
            error = Some(match error {
                None => Error::invalid(pointer, detail),
                Some(error) => Error::with_field(error, pointer, detail),
            });
        }
        error.map_or(Ok(()), Err)
    }

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
    /// [`Self::drain_notice_ms`].
    pub const fn drain_notice(&self) -> Duration {
        Duration::from_millis(self.drain_notice_ms)
    }
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}
