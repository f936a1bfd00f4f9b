//! The public HTTP surface as data: a [`Route`] carries its handler together with its permission, owner rule,
//! idempotency, limits and documentation, and from the one list come the router, the `OpenAPI` description and
//! the walk that proves every route is guarded.
//!
//! A context hands out a [`ContextModule`]; the server joins the routes of all contexts in [`router`] over one
//! [`Edge`] and runs it with [`serve`]. Handlers are plain axum handlers over the extractors of this crate and
//! answer `Result<_, Problem>`, so that `?` on a kernel error becomes problem+json (RFC 9457).

mod access;
mod client;
mod edge;
mod example;
mod extract;
mod guard;
mod health;
mod idempotent;
mod json;
mod limits;
mod metrics;
mod networks;
mod openapi;
pub mod outbound;
mod plain;
mod problem;
mod rate;
mod reader;
mod refusals;
mod request;
mod revocation;
mod roles;
mod route;
mod serve;
mod stalls;
mod strict_json;
pub mod token;
mod version;

pub use access::{Access, Owner};
pub use client::ClientAddress;
pub use edge::{Edge, router};
pub use example::example;
pub use extract::{Caller, Form, IdempotencyKey, Path, Query, RawBody};
pub use health::{Check, Health};
pub use idempotent::{Begun, Idempotent, answer, refusal, replayed, respond};
pub use json::{Created, Json};
pub use limits::Limits;
pub use openapi::{Info, openapi};
pub use problem::{Answer, Problem, ProblemBody};
pub use rate::{RateLimiter, Verdict};
pub use reader::reader;
pub use request::request_id;
pub use revocation::Revocations;
pub use roles::{Changed, Roles};
pub use route::{Idempotency, Route};
pub use serve::serve;
pub use strict_json::check as check_json;
pub use version::{IfMatch, Versioned};

/// What a context brings to the server: its inner module, and the routes beside it.
pub struct ContextModule {
    /// Storage, subscriptions, sagas, timers, calls.
    pub module: merx_platform::module::Module,
    /// The public routes.
    pub routes: Vec<Route>,
}
