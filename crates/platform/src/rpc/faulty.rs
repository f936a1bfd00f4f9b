//! A way to another context on which a simulation puts faults.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::{Status, body::Body};

use super::{DEADLINE_DEFAULT, Transport, carried, status_of, timeout_of};
use crate::faults::{Point, Seam};

/// How long a call is on its way at most.
const SLOW_MAX: Duration = Duration::from_secs(2);

pub(super) struct Faulty {
    inner: Arc<dyn Transport>,
    faults: Seam,
    context: &'static str,
}

impl Faulty {
    pub(super) fn new(inner: Arc<dyn Transport>, faults: Seam, context: &'static str) -> Self {
        Self { inner, faults, context }
    }
}

impl Transport for Faulty {
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        let (inner, faults, context) = (self.inner.clone(), self.faults.clone(), self.context);
        Box::pin(async move {
            if let Some(error) = faults.error(Point::CallRefused, context) {
                return status_of(&error).into_http();
            }
            if let Some(wait) = faults.span(Point::CallSlow, context, SLOW_MAX) {
                tokio::time::sleep(wait).await;
            }
            let deadline = timeout_of(request.headers()).unwrap_or(DEADLINE_DEFAULT);
            let deliveries = if faults.strikes(Point::CallTwice, context) { 2 } else { 1 };
            let answer = match deliveries {
                1 => inner.call(request).await,
                _ => carried(&*inner, request, deliveries).await.unwrap_or_else(Status::into_http),
            };
            if faults.strikes(Point::CallLate, context) {
                // The caller's own limit ends this.
                tokio::time::sleep(deadline).await;
            }
            faults.error(Point::CallAnswerLost, context).map_or(answer, |error| status_of(&error).into_http())
        })
    }
}
