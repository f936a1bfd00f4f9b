//! The identity of the request being served.

use std::{future::Future, sync::Arc};

use http::HeaderMap;
use merx_kernel::{Id, IdGen, IdKind};

pub(crate) const HEADER: &str = "x-request-id";
const LENGTH_MAX: usize = 64;

enum RequestKind {}
impl IdKind for RequestKind {
    const PREFIX: &'static str = "req";
}

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// The id of the request this task works for, if it works for one.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|id| id.to_string()).ok()
}

/// The client's own id when it is harmless, else a fresh one.
pub(crate) fn id_of(headers: &HeaderMap, ids: &IdGen) -> Arc<str> {
    let harmless = |id: &&str| {
        (1..=LENGTH_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match headers.get(HEADER).and_then(|v| v.to_str().ok()).filter(harmless) {
        Some(id) => id.into(),
        None => {
            let id: Id<RequestKind> = ids.next();
            id.to_string().into()
        }
    }
}

pub(crate) async fn scope<F: Future>(id: Arc<str>, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The id of this task, to carry into a task it starts.
pub(crate) fn current() -> Arc<str> {
    CURRENT.try_with(Arc::clone).unwrap_or_else(|_| "".into())
}
