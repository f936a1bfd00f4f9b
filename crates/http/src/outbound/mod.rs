//! Requests to URLs that people gave us: webhooks, and whatever else is fetched for somebody.
//!
//! The one way out for such URLs. It speaks HTTPS only, looks each name up itself, refuses it when any of its addresses
//! is not of the public internet, and connects to the very addresses it has checked, so that a name that changes
//! between check and connection (DNS rebinding) changes nothing. It follows no redirect, knows no proxy, and reads a
//! bounded part of the answer within a bounded time. URLs of the operator's own configuration (payment provider, mail
//! server) do not come here.

mod address;
mod policy;
mod web;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};

pub use address::not_public;
pub use policy::{Reach, URL_BYTES_MAX};
pub use web::{Names, SystemNames, Web};

/// One request to somebody's URL.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// The URL as it was given.
    pub url: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long all of it may take.
    pub time_max: Duration,
    /// How many bytes of the answer are read.
    pub answer_bytes_max: usize,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct OutboundAnswer {
    /// The status, whatever it is; a redirect is an answer.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body.
    pub body: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundFailure {
    /// The URL is not one we go to; a sentence says why. Nothing was connected to.
    Refused(String),
    /// The name could not be looked up.
    Unresolved,
    /// No connection, or no TLS with a certificate we believe.
    Unreachable,
    /// Not within the time; whether it was received is not known.
    Timeout,
    /// The connection broke or what came is not HTTP; whether it was received is not known.
    Broken,
}

impl OutboundFailure {
    /// A word for it, to keep and to show.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
        }
    }
}

/// Sends requests to URLs people gave us: over the network in a shop, wherever a test routes them.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// Sends one request, once.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure>;
}
