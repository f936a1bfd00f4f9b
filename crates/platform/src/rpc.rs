//! Asks between contexts: one [`Peer`] type whose holder cannot tell a service in this process from one elsewhere.
//!
//! A `Peer` is a tower service and so the transport of any generated client: `InventoryClient::new(peer)`.
//! Deadline (`grpc-timeout`), trace (`traceparent`), caller (`merx-caller`) and errors travel as metadata in every
//! case; nothing else of the calling task is visible to the called code.

mod error;
mod faulty;
mod wire;

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt as _};

use crate::{faults::Seam, tasks::panic_text, trace};

pub use error::{answer, ask, error_of, status_of};
pub use wire::{Served, Token};

/// The deadline of an ask that names none and whose caller has none.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// The metadata key of the caller's name.
pub const CALLER: &str = "merx-caller";
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// What the called code knows of the call it serves.
#[derive(Clone, Debug)]
struct Call {
    deadline: Instant,
    caller: Option<Arc<str>>,
}

tokio::task_local! {
    static CALL: Call;
}

/// How much time the call being served has left; `None` outside a call. Asks made inside inherit it.
pub fn time_left() -> Option<Duration> {
    CALL.try_with(|call| call.deadline.saturating_duration_since(Instant::now())).ok()
}

/// Who makes the call being served, by its own word (services of one shop trust each other).
pub fn caller() -> Option<Arc<str>> {
    CALL.try_with(|call| call.caller.clone()).ok().flatten()
}

/// The way to a context's service, wherever it runs. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    transport: Arc<dyn Transport>,
    caller: Option<HeaderValue>,
}

trait Transport: Send + Sync {
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>>;
}

impl Peer {
    /// Hands over a service of this process: `tonic::service::Routes` or one generated server.
    pub fn local<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        Self::over(Local(service))
    }

    /// A service of this process behind everything a wire does to a call: headers, body and trailers pass as
    /// bytes, and nothing else passes. For the topology tests.
    pub fn loopback<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        Self::over(Loopback { inner: Arc::new(Local(service)), deliveries: 1 })
    }

    /// As [`Self::loopback`], and each call is carried out twice, the second answer counting: what a retry after a
    /// lost answer does. Every ask must bear it.
    pub fn loopback_twice<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        Self::over(Loopback { inner: Arc::new(Local(service)), deliveries: 2 })
    }

    fn over(transport: impl Transport + 'static) -> Self {
        Self { transport: Arc::new(transport), caller: None }
    }

    /// The same way to `context` with the faults of a simulation on it.
    #[must_use]
    pub fn with_faults(self, faults: &Seam, context: &'static str) -> Self {
        if faults.is_empty() {
            return self;
        }
        let transport = Arc::new(faulty::Faulty::new(self.transport, faults.clone(), context));
        Self { transport, ..self }
    }

    /// The same way, used in the name of `caller` (the name of a context).
    #[must_use]
    pub fn called_by(&self, caller: &'static str) -> Self {
        Self { transport: self.transport.clone(), caller: Some(HeaderValue::from_static(caller)) }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let timeout = timeout_of(request.headers())
            .unwrap_or(DEADLINE_DEFAULT)
            .min(time_left().unwrap_or(Duration::MAX));
        if timeout.is_zero() {
            return Box::pin(async { Ok(out_of_time().into_http()) });
        }
        write_headers(request.headers_mut(), timeout, self.caller.clone());
        let answer = self.transport.call(request);
        Box::pin(async move {
            match tokio::time::timeout(timeout, answer).await {
                Ok(response) => Ok(response),
                Err(_) => Ok(out_of_time().into_http()),
            }
        })
    }
}

fn out_of_time() -> Status {
    status_of(&merx_kernel::Error::new(
        merx_kernel::ErrorKind::Timeout,
        "rpc.deadline_exceeded",
        "There was no answer in time; whether it took effect is not known.",
    ))
}

fn write_headers(headers: &mut HeaderMap, timeout: Duration, caller: Option<HeaderValue>) {
    let micros = timeout.as_micros();
    // At most eight digits (gRPC over HTTP/2, "Timeout"): microseconds up to 100 s, then milliseconds.
    let text = if micros < 100_000_000 {
        format!("{}u", micros.max(1))
    } else {
        format!("{}m", timeout.as_millis().min(99_999_999))
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(GRPC_TIMEOUT, value);
    }
    if !headers.contains_key(trace::TRACEPARENT)
        && let Some(value) = trace::current_traceparent().and_then(|t| HeaderValue::try_from(t).ok())
    {
        headers.insert(trace::TRACEPARENT, value);
    }
    if let Some(caller) = caller {
        headers.insert(CALLER, caller);
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The server's side of every call: opens the scope the headers describe, enforces the deadline, turns a panic
/// into an error.
async fn serve<F>(headers: &HeaderMap, handler: F) -> Response<Body>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    let timeout = timeout_of(headers).unwrap_or(DEADLINE_DEFAULT);
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let traced = text(trace::TRACEPARENT).and_then(|t| t.parse().ok());
    let call = Call { deadline: Instant::now() + timeout, caller: text(CALLER).map(Arc::from) };
    let deadline = call.deadline;
    let scoped = trace::scope(traced, CALL.scope(call, AssertUnwindSafe(handler).catch_unwind()));
    match tokio::time::timeout_at(deadline, scoped).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => {
            let error = merx_kernel::Error::internal(format!("a service panicked: {}", panic_text(&*panic)));
            status_of(&error).into_http()
        }
        Err(_) => out_of_time().into_http(),
    }
}

struct Local<S>(S);

impl<S> Transport for Local<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        let service = self.0.clone();
        Box::pin(async move {
            let headers = request.headers().clone();
            serve(&headers, service.oneshot(request)).await
        })
    }
}

struct Loopback {
    inner: Arc<dyn Transport>,
    deliveries: usize,
}

impl Transport for Loopback {
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        let (inner, deliveries) = (self.inner.clone(), self.deliveries);
        Box::pin(async move { carried(&*inner, request, deliveries).await.unwrap_or_else(Status::into_http) })
    }
}

/// Carries a call out so many times, each from its bytes; the last answer counts.
async fn carried(
    inner: &dyn Transport,
    request: Request<Body>,
    deliveries: usize,
) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let body = Carried::collect(body).await?;
    let mut response = None;
    for _ in 0..deliveries {
        // Only what a wire carries: method, path, headers, bytes. Extensions stay behind.
        let mut delivered = Request::new(body.replay());
        *delivered.method_mut() = parts.method.clone();
        *delivered.uri_mut() = parts.uri.clone();
        *delivered.headers_mut() = parts.headers.clone();
        let (head, body) = inner.call(delivered).await.into_parts();
        let mut answered = Response::new(Carried::collect(body).await?.replay());
        *answered.status_mut() = head.status;
        *answered.headers_mut() = head.headers;
        response = Some(answered);
    }
    response.ok_or_else(|| Status::internal("the call was never delivered"))
}

/// A body as the bytes and trailers it is on a wire.
struct Carried {
    data: bytes::Bytes,
    trailers: Option<HeaderMap>,
}

impl Carried {
    async fn collect(body: Body) -> Result<Self, Status> {
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned();
        Ok(Self { data: collected.to_bytes(), trailers })
    }

    fn replay(&self) -> Body {
        let trailers = self.trailers.clone().map(Ok);
        Body::new(http_body_util::Full::new(self.data.clone()).with_trailers(async move { trailers }))
    }
}
