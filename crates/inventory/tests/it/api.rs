//! The routes behind a real edge, asked without a socket.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use merx_http::{
    Edge, Health, Info, Limits, Revocations, Route, router,
    token::{Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, Id, Principal, Role, Secret};
use merx_platform::Deps;
use serde_json::Value;
use tower::ServiceExt as _;

pub struct Api {
    router: Router,
    signer: TokenSigner,
    clock: Arc<dyn Clock>,
}

pub struct Reply {
    pub status: StatusCode,
    pub replayed: bool,
    pub etag: String,
    pub body: Value,
}

impl Reply {
    /// The status and the code of a problem.
    pub fn problem(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or(""))
    }
}

impl Api {
    pub fn new(deps: &Deps, routes: Vec<Route>) -> Self {
        assert_eq!(Route::check(&routes), Vec::<String>::new());
        let clock = deps.clock.clone();
        let revocations = Arc::new(Revocations::in_process());
        revocations.load([], clock.now());
        let life = Duration::from_secs(600);
        let signer = TokenSigner::new(&Secret::new(vec![9; 32]), Realm::default(), life).unwrap();
        let tokens = TokenVerifier::new([signer.public_key()], Realm::default(), clock.clone(), revocations);
        let edge = Edge {
            limits: Limits::default(),
            clock: clock.clone(),
            entropy: deps.entropy.clone(),
            ids: deps.ids.clone(),
            tasks: deps.tasks.clone(),
            tokens: Arc::new(tokens),
            health: Health::new([]),
            metrics: deps.metrics.clone(),
            trusted_proxies: Vec::new(),
            info: Info::default(),
        };
        Self { router: router(routes, edge), signer, clock }
    }

    async fn ask(&self, role: Role, request: http::request::Builder, body: Body) -> Reply {
        let principal = Principal::of_session(Id::from_bits(5), Id::from_bits(6), &[role]);
        let token = self.signer.sign(&principal, self.clock.now()).unwrap();
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let replayed = head.headers.contains_key("idempotency-replayed");
        let etag =
            head.headers.get(header::ETAG).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        Reply {
            status: head.status,
            replayed,
            etag,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub async fn get(&self, role: Role, path: &str) -> Reply {
        self.ask(role, Request::get(path), Body::empty()).await
    }

    /// A PUT of what was read with this ETag; empty for none.
    pub async fn put(&self, role: Role, path: &str, etag: &str, body: Value) -> Reply {
        let mut request = Request::put(path).header(header::CONTENT_TYPE, "application/json");
        if !etag.is_empty() {
            request = request.header(header::IF_MATCH, etag);
        }
        self.ask(role, request, Body::from(body.to_string())).await
    }

    /// A POST with a key; `Value::Null` is no body.
    pub async fn post(&self, role: Role, path: &str, key: &str, body: Value) -> Reply {
        let request = Request::builder().method(Method::POST).uri(path).header("idempotency-key", key);
        if body.is_null() {
            return self.ask(role, request, Body::empty()).await;
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.ask(role, request, Body::from(body.to_string())).await
    }
}
