//! The router: all routes behind their guards, the routes of the edge itself, and what is done for every
//! request whether or not it finds a route.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use merx_kernel::{Clock, Entropy, Error, ErrorKind, IdGen, Timestamp};
use merx_platform::{
    tasks::Tasks,
    telemetry::Metrics,
    trace::{self, TraceContext},
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    access::Access,
    client::ClientAddress,
    guard::{Client, Guarded, Served, guard},
    health::{Health, Readiness},
    json::Json,
    limits::Limits,
    metrics::HttpMetrics,
    openapi::{Info, openapi},
    problem::{Answer, Problem, ProblemCode},
    rate::RateLimiter,
    reader::reader,
    request,
    route::Route,
    token::TokenVerifier,
};

/// What all routes share, made by the server.
pub struct Edge {
    /// The limits.
    pub limits: Limits,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for trace ids.
    pub entropy: Arc<dyn Entropy>,
    /// Makes request ids.
    pub ids: IdGen,
    /// Supervises the tasks of changing handlers.
    pub tasks: Tasks,
    /// Verifies access tokens.
    pub tokens: Arc<TokenVerifier>,
    /// What `/readyz` answers.
    pub health: Health,
    /// Where the counters are registered, and what `/metrics` shows.
    pub metrics: Metrics,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Title and version of the API.
    pub info: Info,
}

pub(crate) struct Shared {
    pub limits: Limits,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    pub tokens: Arc<TokenVerifier>,
    pub metrics: HttpMetrics,
    pub rate: RateLimiter<Client>,
    pub signed: RateLimiter<ClientAddress>,
    pub in_flight: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
    ids: IdGen,
    trusted_proxies: Vec<IpAddr>,
}

/// The router over all routes, with `/livez`, `/readyz`, `/metrics` and `/openapi.json` beside them.
pub fn router(routes: Vec<Route>, edge: Edge) -> Router {
    let routes = with_edge_routes(routes, &edge);
    let limits = edge.limits;
    let shared = Arc::new(Shared {
        rate: RateLimiter::new(
            limits.client_requests_per_minute_max,
            limits.client_burst_max,
            limits.clients_tracked_max,
        ),
        signed: RateLimiter::new(
            limits.signed_requests_per_minute_max,
            limits.signed_requests_per_minute_max / 10,
            limits.clients_tracked_max,
        ),
        in_flight: Arc::new(Semaphore::new(limits.requests_in_flight_max)),
        limits,
        clock: edge.clock,
        tasks: edge.tasks,
        tokens: edge.tokens,
        metrics: HttpMetrics::register(&edge.metrics),
        entropy: edge.entropy,
        ids: edge.ids,
        trusted_proxies: edge.trusted_proxies,
    });
    let mut router = Router::new();
    for Route { facts, handler } in routes {
        let path = facts.path;
        let guarded = Guarded { route: Arc::new(facts), shared: shared.clone() };
        router = router.route(path, handler.route_layer(middleware::from_fn_with_state(guarded, guard)));
    }
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(shared, outer))
}

async fn no_route() -> Problem {
    Error::not_found("request.no_route", "There is nothing at this path; see /openapi.json.").into()
}
async fn no_method() -> Problem {
    let message = "This path does not take this method; the Allow header names those it takes.";
    Error::new(ErrorKind::Invalid, "request.method_not_allowed", message).into()
}

/// The description of the routes, and as a page. Each is made when somebody first asks: a start does not wait for it.
struct Description {
    routes: Vec<Route>,
    info: Info,
    value: OnceLock<Value>,
    text: OnceLock<Bytes>,
    page: OnceLock<Bytes>,
}

impl Description {
    fn value(&self) -> &Value {
        self.value.get_or_init(|| openapi(&self.routes, &self.info))
    }
    fn text(&self) -> Bytes {
        self.text.get_or_init(|| self.value().to_string().into()).clone()
    }
    fn page(&self) -> Bytes {
        self.page.get_or_init(|| reader(self.value()).into()).clone()
    }
}

fn with_edge_routes(mut routes: Vec<Route>, edge: &Edge) -> Vec<Route> {
    const PROBE: &str = "probes and scrapers ask steadily and cost nothing";
    let livez = || async { "ok\n" };
    let readyz = |State((health, clock)): State<(Health, Arc<dyn Clock>)>| async move {
        let readiness = health.readiness(&*clock).await;
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(readiness))
    };
    let metrics = |State(metrics): State<Metrics>| async move {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Answer::Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.render()?))
    };
    routes.push(
        Route::get("/livez", Access::Public, livez, &())
            .id("livez")
            .group("service")
            .summary("Whether the process lives")
            .raw_response(200, &["text/plain"])
            .unlimited(PROBE),
    );
    routes.push(
        Route::get("/readyz", Access::Public, readyz, &(edge.health.clone(), edge.clock.clone()))
            .id("readyz")
            .group("service")
            .summary("Whether the process should be sent requests")
            .response::<Readiness>(200)
            .response::<Readiness>(503)
            .unlimited(PROBE),
    );
    routes.push(
        Route::get("/metrics", Access::Public, metrics, &edge.metrics)
            .id("metrics")
            .group("service")
            .summary("Counters in the OpenMetrics text format")
            .raw_response(200, &["application/openmetrics-text"])
            .unlimited(PROBE),
    );
    with_description(routes, edge.info.clone())
}

/// Adds the two routes that describe the others: they are about the description and not in it.
fn with_description(mut routes: Vec<Route>, info: Info) -> Vec<Route> {
    let description = Arc::new(Description {
        routes: routes.clone(),
        info,
        value: OnceLock::new(),
        text: OnceLock::new(),
        page: OnceLock::new(),
    });
    let serve = |State(description): State<Arc<Description>>| async move {
        ([(header::CONTENT_TYPE, "application/json")], description.text())
    };
    let read = |State(description): State<Arc<Description>>| async move {
        const ONLY_ITSELF: &str =
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
        let head = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, ONLY_ITSELF),
        ];
        (head, description.page())
    };
    routes.push(
        Route::get("/docs", Access::Public, read, &description)
            .id("docs")
            .summary("This description as a page to read")
            .empty_response(200),
    );
    routes.push(
        Route::get("/openapi.json", Access::Public, serve, &description)
            .id("openapi")
            .summary("This description, OpenAPI 3.1")
            .empty_response(200),
    );
    routes
}

/// Around everything: request id, trace, counters, one line in the log.
async fn outer(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let began = shared.clock.now();
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>().map(|c| c.0.ip());
    let client = ClientAddress::of(peer, request.headers(), &shared.trusted_proxies);
    request.extensions_mut().insert(client);
    let id = request::id_of(request.headers(), &shared.ids);
    let sent =
        request.headers().get(trace::TRACEPARENT).and_then(|v| v.to_str().ok()?.parse::<TraceContext>().ok());
    let context = match sent {
        Some(sent) => sent.child(&*shared.entropy),
        None => TraceContext::new(&*shared.entropy),
    };
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = %id);
    let inner = async {
        let mut response = admit(&shared, request, next).await;
        finish(&mut response, &request::current(), context);
        log(&shared, &method, began, &response);
        response
    };
    trace::scope(Some(context), request::scope(id, inner.instrument(span))).await
}

async fn admit(shared: &Shared, request: Request, next: Next) -> Response {
    let _in_flight = shared.metrics.begin();
    let target = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if target > shared.limits.uri_bytes_max {
        let message = format!("The path and query are longer than {} bytes.", shared.limits.uri_bytes_max);
        return Problem::from(Error::new(ErrorKind::Invalid, "request.uri_too_long", message))
            .into_response();
    }
    next.run(request).await
}

fn finish(response: &mut Response<Body>, id: &str, context: TraceContext) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    };
    set(request::HEADER, id);
    set(trace::TRACEPARENT, &context.to_string());
    set("x-content-type-options", "nosniff");
    set("cache-control", "no-store");
}

/// The path is left out on purpose: with ids and search words in it, it says who looks at what.
fn log(shared: &Shared, method: &http::Method, began: Timestamp, response: &Response) {
    let took = shared.clock.now().since(began);
    let route = response.extensions().get::<Served>().map_or("none", |s| s.route);
    let code = response.extensions().get::<ProblemCode>().map(|c| c.0.as_str());
    let status = response.status().as_u16();
    shared.metrics.answered(route, status, took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(target: "merx::access", %method, route, status, code, took_ms, "answered");
}
