//! The door of the shop: one address for everybody, whatever process is behind it. A request that is under way when the
//! process dies is lost, and so is one that comes while nobody is there.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, StatusCode},
};
use futures_util::future::BoxFuture;
use merx_contracts::ids::OrderId;
use merx_testkit::Answer;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A process behind the door.
#[derive(Clone)]
struct Open {
    router: Router,
    /// Cancelled when it dies.
    gone: CancellationToken,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    answers: BTreeMap<String, u64>,
    acknowledged: Vec<OrderId>,
}

/// The door. Clones are the same one.
#[derive(Clone, Default)]
pub struct Door {
    state: Arc<Mutex<State>>,
    under_way: Arc<AtomicUsize>,
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// From now on this is behind it.
    pub fn open(&self, router: Router) {
        self.state().open = Some(Open { router, gone: CancellationToken::new() });
    }
    /// Nobody is behind it any more; whoever waits for an answer gets none.
    pub fn slam(&self) {
        let open = self.state().open.take();
        if let Some(open) = open {
            open.gone.cancel();
        }
    }
    /// Nobody new is let in; answers the token of those who are inside.
    pub(crate) fn close(&self) -> Option<CancellationToken> {
        self.state().open.take().map(|open| open.gone)
    }
    /// How many wait for an answer.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
    /// How often what was answered: the status, and the code of the problem.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.state().answers.clone()
    }
    /// The orders whose placing was acknowledged.
    pub fn acknowledged(&self) -> Vec<OrderId> {
        self.state().acknowledged.clone()
    }

    /// Goes on where another door ended.
    pub(super) fn inherit(&self, before: &Self) {
        let (answers, acknowledged) = (before.answers(), before.acknowledged());
        let mut state = self.state();
        (state.answers, state.acknowledged) = (answers, acknowledged);
    }

    /// One request; `None` when the connection was lost.
    async fn carry(&self, request: Request<Body>) -> Option<Response<Body>> {
        let Open { router, gone } = self.state().open.clone()?;
        let places = request.method() == Method::POST && is_placing(request.uri().path());
        let _under_way = UnderWay::new(&self.under_way);
        let answered = async {
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.ok()?;
            Some((parts, bytes))
        };
        let (parts, bytes) = tokio::select! {
            biased;
            () = gone.cancelled() => None,
            answered = answered => answered,
        }?;
        self.note(parts.status, &bytes, places);
        Some(Response::from_parts(parts, Body::from(bytes)))
    }

    fn note(&self, status: StatusCode, bytes: &[u8], places: bool) {
        let mut state = self.state();
        let is_problem = status.as_u16() >= 400;
        let body: Value = match is_problem || places {
            true => serde_json::from_slice(bytes).unwrap_or_default(),
            false => Value::Null,
        };
        let code = body["code"].as_str().unwrap_or_default();
        *state.answers.entry(format!("{} {code}", status.as_u16()).trim_end().to_owned()).or_insert(0) += 1;
        if places && status.is_success() {
            let order = body["id"].as_str().and_then(|id| id.parse().ok());
            state.acknowledged.push(order.unwrap_or_else(|| panic!("acknowledged without an order: {body}")));
        }
    }

    /// The door as a router, for whoever speaks to one. A lost connection is [`Answer::LOST`] there.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }
}

/// `POST /v1/checkouts/{cart}/orders`.
fn is_placing(path: &str) -> bool {
    path.strip_prefix("/v1/checkouts/")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, rest)| rest == "orders")
}

impl Service<Request<Body>> for Door {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move {
            let lost = || {
                *door.state().answers.entry("lost connection".to_owned()).or_insert(0) += 1;
                let mut lost = Response::new(Body::from("the connection was lost"));
                *lost.status_mut() = Answer::LOST;
                lost
            };
            Ok(door.carry(request).await.unwrap_or_else(lost))
        })
    }
}

struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        let _ = count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
