//! What happens between the router and a handler: authentication, rate, permission, body, idempotency key, a
//! place among the requests being served, time limit, and a task of its own for what changes something.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use merx_kernel::{Clock, Credential, Error, ErrorKind, Principal, Result, Role};
use merx_platform::tasks::panic_text;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use crate::{
    access::Access,
    client::ClientAddress,
    edge::Shared,
    extract::{Caller, IdempotencyKey},
    problem::Problem,
    rate::Verdict,
    request,
    route::{Idempotency, RouteFacts},
};

/// One route and what all routes share.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub route: Arc<RouteFacts>,
    pub shared: Arc<Shared>,
}

/// Left in the extensions of a response for the access log and the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub route: &'static str,
}

/// Whom a rate is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Account(u128),
    Key(u128),
    Address(ClientAddress),
}

impl Client {
    /// A program is counted for itself, not for who made its key. A guest is counted like who is not logged in: another
    /// guest is to be had for the asking, and would have a rate of its own.
    fn of(caller: &Principal, address: ClientAddress) -> Self {
        match caller.credential {
            Credential::Session(_) if caller.roles.iter().any(|role| *role == Role::Guest) => {
                Self::Address(address.network())
            }
            Credential::Session(_) => Self::Account(caller.account.bits()),
            Credential::Key(key) => Self::Key(key.bits()),
        }
    }
}

pub(crate) async fn guard(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    let mut verdict = None;
    let mut response = match guarded.admit(request, &mut verdict).await {
        Ok((request, place)) => guarded.run(request, place, next).await,
        Err(error) => Problem::from(error).into_response(),
    };
    if let Some(verdict) = verdict {
        verdict.write(response.headers_mut());
    }
    response.extensions_mut().insert(Served { route: guarded.route.id });
    response
}

impl Guarded {
    /// Everything that can refuse the request before the handler sees it. Who you are comes first, because the
    /// rate is counted for the account; how often you ask comes before whether you may. A place is taken last: who
    /// sends slowly, or nothing, keeps nobody else out.
    async fn admit(
        &self,
        request: Request,
        verdict: &mut Option<Verdict>,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>)> {
        // With no place free now, not even the body is worth reading.
        drop(self.place()?);
        let (mut parts, body) = request.into_parts();
        let address = parts.extensions.get::<ClientAddress>().copied().unwrap_or(ClientAddress::UNKNOWN);
        let caller = self.authenticate(&parts.headers, address).await;
        self.count(caller.as_ref().ok().and_then(Option::as_ref), address, verdict)?;
        if let Some(caller) = caller? {
            self.authorise(&caller)?;
            parts.extensions.insert(Caller(caller));
        }
        let body = match self.route.body {
            Some(_) => self.collect(&parts.headers, body).await?,
            None => Bytes::new(),
        };
        if self.route.idempotency == Some(Idempotency::Required) {
            let caller = parts.extensions.get::<Caller>();
            let key = self.idempotency_key(&parts, caller, &body)?;
            parts.extensions.insert(key);
        }
        let place = self.place()?;
        Ok((Request::from_parts(parts, Body::from(body)), place))
    }

    /// A place among the requests being served; probes need none.
    fn place(&self) -> Result<Option<OwnedSemaphorePermit>> {
        if self.route.unlimited.is_some() {
            return Ok(None);
        }
        self.shared.in_flight.clone().try_acquire_owned().map(Some).map_err(|_| {
            self.shared.metrics.shed();
            Error::unavailable("request.overloaded", "Too much at once; try again shortly.")
        })
    }

    async fn authenticate(&self, headers: &HeaderMap, address: ClientAddress) -> Result<Option<Principal>> {
        if !self.route.access.needs_login() {
            return Ok(None);
        }
        let missing = || Error::new(ErrorKind::Unauthenticated, "request.unauthenticated", "Log in first.");
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().and_then(|v| v.to_str().ok()).ok_or_else(missing)?;
        if values.next().is_some() {
            return Err(Error::invalid("Authorization", "is there twice"));
        }
        let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        self.shared.tokens.authenticate(token.trim(), address).await.map(Some)
    }

    fn count(
        &self,
        caller: Option<&Principal>,
        address: ClientAddress,
        seen: &mut Option<Verdict>,
    ) -> Result<()> {
        if self.route.unlimited.is_some() {
            return Ok(());
        }
        let (shared, now) = (&self.shared, self.shared.clock.now());
        let verdict = match (self.route.access, caller) {
            (Access::Signed(_), _) => shared.signed.take(&address.network(), now),
            (_, Some(caller)) => shared.rate.take(&Client::of(caller, address), now),
            (_, None) => shared.rate.take(&Client::Address(address.network()), now),
        };
        *seen = Some(verdict);
        if verdict.allowed {
            return Ok(());
        }
        self.shared.metrics.rate_limited();
        Err(Error::new(ErrorKind::RateLimited, "request.rate_limited", "Too many requests; slow down.")
            .with_retry_after(verdict.retry_after))
    }

    fn authorise(&self, caller: &Principal) -> Result<()> {
        let forbidden =
            |code: &'static str, message: &str| Err(Error::new(ErrorKind::Forbidden, code, message));
        if self.route.access.session_only() && caller.session().is_none() {
            return forbidden("request.session_required", "This takes a person who is logged in, not a key.");
        }
        match self.route.access.permission() {
            Some(permission) if !caller.may(permission) => {
                forbidden("request.forbidden", "Your account may not do this.")
            }
            _ => Ok(()),
        }
    }

    async fn collect(&self, headers: &HeaderMap, body: Body) -> Result<Bytes> {
        let limits = &self.shared.limits;
        let max = self.route.body_bytes_max.unwrap_or(limits.body_bytes_max);
        let too_large = || {
            let message = format!("The body is larger than {max} bytes.");
            Error::new(ErrorKind::Invalid, "request.body_too_large", message)
        };
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > max as u64) {
            return Err(too_large());
        }
        let whole = Limited::new(body, max).collect();
        tokio::select! {
            biased;
            whole = whole => match whole {
                Ok(whole) => Ok(whole.to_bytes()),
                Err(e) if e.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
                Err(e) => Err(Error::new(ErrorKind::Invalid, "request.body_incomplete", "The body did not come whole.")
                    .with_source(e.to_string())),
            },
            () = self.shared.clock.sleep(limits.body_read()) => {
                let message = format!("The body did not come within {} ms.", limits.body_read_ms_max);
                Err(Error::new(ErrorKind::Timeout, "request.body_timeout", message))
            }
        }
    }

    fn idempotency_key(
        &self,
        parts: &http::request::Parts,
        caller: Option<&Caller>,
        body: &Bytes,
    ) -> Result<IdempotencyKey> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let key = match (values.next(), values.next()) {
            (Some(key), None) => key.as_bytes(),
            (None, _) => {
                let message = "Send an Idempotency-Key header: any text of your own, new for each intent.";
                return Err(Error::new(ErrorKind::Invalid, "request.idempotency_key_missing", message));
            }
            (Some(_), Some(_)) => return Err(Error::invalid("Idempotency-Key", "is there twice")),
        };
        if !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Error::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters"));
        }
        let account = caller.map_or([0; 16], |c| c.0.account.to_bytes());
        let target = parts.uri.path_and_query().map_or("", |p| p.as_str());
        Ok(IdempotencyKey {
            scope: hash(&[&account, self.route.id.as_bytes(), key]),
            body_hash: hash(&[parts.method.as_str().as_bytes(), target.as_bytes(), body]),
        })
    }

    /// Runs the handler. A reading handler is dropped when the client goes or the time is over; a changing one
    /// runs to its end in a task of its own, whoever still listens, and keeps its place until then.
    async fn run(&self, request: Request, place: Option<OwnedSemaphorePermit>, next: Next) -> Response {
        let shared = self.shared.clone();
        let id = self.route.id;
        let work = request::scope(request::current(), async move {
            let _place = place;
            match AssertUnwindSafe(next.run(request)).catch_unwind().await {
                Ok(response) => response,
                Err(panic) => {
                    shared.metrics.panicked();
                    let error =
                        Error::internal(format!("the handler of {id} panicked: {}", panic_text(&*panic)));
                    Problem::from(error).into_response()
                }
            }
        });
        let limit = self.route.handler_ms_max.map_or(self.shared.limits.handler(), Duration::from_millis);
        let answer = async {
            if self.route.mutates() {
                let task = self.shared.tasks.spawn("http.command", work.in_current_span());
                task.await.unwrap_or_else(|error| Problem::from(error).into_response())
            } else {
                work.await
            }
        };
        within(limit, &*self.shared.clock, answer).await
    }
}

async fn within(limit: Duration, clock: &dyn Clock, answer: impl Future<Output = Response>) -> Response {
    tokio::select! {
        biased;
        response = answer => response,
        () = clock.sleep(limit) => {
            let message = "It took too long. It may still be done; ask again under the same Idempotency-Key.";
            Problem::from(Error::new(ErrorKind::Timeout, "request.timeout", message)).into_response()
        }
    }
}

/// SHA-256 over the parts, each with its length before it so that no two lists of parts hash alike.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0u8; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
