//! The asks on an internal port: for other processes of the shop, and for `grpcurl`. Every call carries the internal
//! token; health (`grpc.health.v1`) and reflection are served beside the asks, behind the same token.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use merx_kernel::{Error, Result};
use merx_platform::rpc::{Served, Token};
use tokio::net::TcpListener;
use tonic::{
    body::Body,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower::{Service, ServiceExt as _, layer::layer_fn};

use crate::asks::Counted;

/// Asks of one connection that are carried out at a time; more wait.
const CALLS_PER_CONNECTION_MAX: usize = 256;
/// How often a silent connection is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// The services of all contexts, by the context's name.
pub type Services = BTreeMap<&'static str, Counted<Routes>>;

/// Serves the asks on the listener until `shutdown` completes and the calls under way have ended.
///
/// # Errors
/// `Internal` when reflection cannot be set up; `server.listen` when the listener fails.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    token: Token,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for service in merx_contracts::SERVICES {
        let wired = context_of(service).is_some_and(|context| services.contains_key(context));
        if wired {
            health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        }
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(merx_contracts::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|e| Error::internal("gRPC reflection cannot be set up").with_source(e))?;
    let outside = layer_fn(move |others: Routes| {
        Served::new(Asks { services: services.clone(), others }, token.clone())
    });
    Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WITHIN))
        .layer(outside)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown)
        .await
        .map_err(|e| Error::unavailable("server.listen", "The internal port ended.").with_source(e))
}

/// The context of `merx.<context>.v1.<Service>`.
fn context_of(service: &str) -> Option<&str> {
    service.strip_prefix("merx.")?.split('.').next()
}

/// Hands a call to the context its path names, `/merx.<context>.v1.<Service>/<Method>`, and anything else on.
#[derive(Clone)]
struct Asks {
    services: Services,
    others: Routes,
}

impl Service<Request<Body>> for Asks {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let context = request.uri().path().strip_prefix('/').and_then(context_of);
        match context.and_then(|context| self.services.get(context)) {
            Some(service) => Box::pin(service.clone().oneshot(request)),
            None => Box::pin(self.others.clone().oneshot(request)),
        }
    }
}
