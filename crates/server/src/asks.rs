//! Counts the asks between contexts: how often each is called, for the cost account and `/metrics`.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::http::{Request, Response};
use merx_platform::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tonic::body::Body;
use tower::Service;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ask {
    context: &'static str,
    method: &'static str,
}

/// How often each ask was carried out. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Asks(Family<Ask, Counter>);

impl Asks {
    /// Registers the counts as `merx_asks_total`.
    pub fn register(metrics: &Metrics) -> Self {
        let help = "Asks carried out for other contexts, by the context asked and the method";
        Self(metrics.register("asks", help, Family::default()))
    }

    /// The service of `context`, counted.
    pub fn counted<S>(&self, context: &'static str, service: S) -> Counted<S> {
        Counted { asks: self.clone(), context, service }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    asks: Asks,
    context: &'static str,
    service: S,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        // A path is `/package.Service/Method`. Whoever calls from outside may make one up: it gets no label of its own.
        let named = request.uri().path().rsplit('/').next().unwrap_or_default();
        let method =
            merx_contracts::METHODS.binary_search(&named).map_or("unknown", |at| merx_contracts::METHODS[at]);
        self.asks.0.get_or_create(&Ask { context: self.context, method }).inc();
        self.service.call(request)
    }
}
