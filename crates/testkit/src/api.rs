//! The public API, called in process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use merx_http::token::TokenSigner;
use merx_kernel::{Clock, Id, Principal, Role, principal::AccountId};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::Trace;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

/// 599: no shop answers with it.
const LOST: u16 = 599;

impl Answer {
    /// What stands for an answer when the connection was lost: nobody knows what became of the request.
    pub const LOST: StatusCode = match StatusCode::from_u16(LOST) {
        Ok(status) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    /// Whether there is none: see [`Self::LOST`].
    pub fn is_lost(&self) -> bool {
        self.status == Self::LOST
    }
    /// The problem's code, or the empty text.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
    /// The text at a JSON Pointer, or the empty text.
    pub fn text_at(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
    /// This answer, whose status must be `status`.
    ///
    /// # Panics
    /// It is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
    /// The answer must be this problem.
    ///
    /// # Panics
    /// It is another.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.text);
    }
}

/// The router with somebody in front of it.
#[derive(Clone)]
pub struct TestApi {
    router: Router,
    signer: Arc<TokenSigner>,
    clock: Arc<dyn Clock>,
    who: Option<(AccountId, Role)>,
    keys: Arc<AtomicU64>,
    trace: Option<Arc<Trace>>,
}

impl TestApi {
    /// Nobody logged in, before `router`.
    pub fn new(router: Router, signer: TokenSigner, clock: Arc<dyn Clock>) -> Self {
        Self { router, signer: Arc::new(signer), clock, who: None, keys: Arc::default(), trace: None }
    }
    /// The same client before another router: a shop that was started again.
    #[must_use]
    pub fn before(&self, router: Router) -> Self {
        Self { router, ..self.clone() }
    }
    /// The same API, whose answers are part of `trace`.
    #[must_use]
    pub fn traced(&self, trace: Arc<Trace>) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }
    /// The same API with an account logged in.
    #[must_use]
    pub fn as_account(&self, account: AccountId, role: Role) -> Self {
        Self { who: Some((account, role)), ..self.clone() }
    }
    /// The router itself.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The access token of whom this speaks for, made now.
    ///
    /// # Panics
    /// It cannot be signed.
    pub fn token(&self) -> Option<String> {
        let (account, role) = self.who?;
        let principal = Principal::of_session(account, Id::from_bits(account.bits()), &[role]);
        Some(self.signer.sign(&principal, self.clock.now()).unwrap_or_else(|e| panic!("{}", e.chain())))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }
    /// PUT.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body), None).await
    }
    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, None).await
    }
    /// POST under a fresh idempotency key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let key = format!("test-key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        self.post_as(&key, path, body).await
    }
    /// POST under a given idempotency key.
    pub async fn post_as(&self, key: &str, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), Some(key)).await
    }

    /// Any request.
    ///
    /// # Panics
    /// The request cannot be built or the token not signed.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Answer {
        let asked = self.trace.as_ref().map(|trace| (trace, format!("{method} {path}")));
        let mut builder = Request::builder().method(method).uri(path);
        if let Some(token) = self.token() {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            builder = builder.header("idempotency-key", key);
        }
        let request = match body {
            Some(body) => {
                builder.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => builder.body(Body::empty()),
        };
        let answer = request_on(&self.router, request.unwrap_or_else(|e| panic!("{e}"))).await;
        if let Some((trace, asked)) = asked {
            trace.see(format!("{} {asked} -> {} {}", self.clock.now(), answer.status.as_u16(), answer.text));
        }
        answer
    }
}

async fn request_on(router: &Router, request: Request<Body>) -> Answer {
    let Ok(response) = router.clone().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap_or_else(|e| panic!("{e}")).to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, text, body }
}

/// Sends any request to any router: a double's pages, for example.
pub async fn request(router: &Router, request: Request<Body>) -> Answer {
    request_on(router, request).await
}
