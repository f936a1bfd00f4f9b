//! HTTP out of the house, injected: over the network in a shop, within the process in tests and simulations.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{Request, header};
use merx_kernel::{Error, ErrorKind, Result};
use merx_platform::rpc::time_left;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// How long the provider may take to answer, …
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// … and how much of an ask's own time must be left to say that it did not.
const LEFT_TO_ANSWER: Duration = Duration::from_millis(500);
/// How long a file may take to come.
const FILE_MAX: Duration = Duration::from_secs(60);
/// The most bytes of a file, such as a day's bill, that are read.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Sends a form and reads the answer.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// POSTs `body` to `url` and answers the body of a 200.
    ///
    /// # Errors
    /// `Timeout` or `Unavailable` with code `payment.provider_unavailable`: whether it took effect is not known.
    async fn post(&self, url: &str, content_type: &'static str, body: String) -> Result<Vec<u8>>;

    /// GETs `url`, of at most `FILE_BYTES_MAX`, and answers the body of a 200. The URL may be a secret.
    ///
    /// # Errors
    /// As [`Self::post`].
    async fn get(&self, url: &str) -> Result<Vec<u8>>;
}

fn lost(kind: ErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(kind, "payment.provider_unavailable", "The payment provider does not answer.")
        .with_source(source)
}

/// Over the network. Clones share the limit of calls under way.
#[derive(Clone, Debug)]
pub struct Network {
    client: reqwest::Client,
    free: Arc<Semaphore>,
}

impl Network {
    /// The most calls under way at a time. More wait for their turn within their own time: a provider that has become
    /// slow must not take all our sockets and tasks, nor be hit by all of us when it comes back.
    pub const CALLS_MAX: usize = 32;

    /// A client that follows no redirects and gives up after ten seconds, or in time for the ask it serves.
    ///
    /// # Errors
    /// `Internal` when TLS cannot be set up.
    pub fn new() -> Result<Self> {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(|client| Self { client, free: Arc::new(Semaphore::new(Self::CALLS_MAX)) })
            .map_err(|e| Error::internal("the client for outgoing HTTP cannot be built").with_source(e))
    }

    async fn call(&self, request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Vec<u8>> {
        // The URL carries a signature, so errors are stripped of it.
        let failed = |e: reqwest::Error| {
            let kind = if e.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
            lost(kind, e.without_url())
        };
        let mut response =
            request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if answer.len() + chunk.len() > bytes_max {
                return Err(lost(ErrorKind::Unavailable, "the answer is too large"));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// The wait for a turn counts: whoever asks has only so much time in all.
    async fn within(
        &self,
        limit: Duration,
        request: reqwest::RequestBuilder,
        bytes_max: usize,
    ) -> Result<Vec<u8>> {
        let call = async {
            let _turn = self.free.acquire().await.map_err(|e| lost(ErrorKind::Unavailable, e))?;
            self.call(request, bytes_max).await
        };
        tokio::time::timeout(limit, call).await.unwrap_or_else(|e| Err(lost(ErrorKind::Timeout, e)))
    }
}

#[async_trait]
impl Outbound for Network {
    async fn post(&self, url: &str, content_type: &'static str, body: String) -> Result<Vec<u8>> {
        let limit =
            time_left().map_or(ANSWER_MAX, |left| left.saturating_sub(LEFT_TO_ANSWER).min(ANSWER_MAX));
        let request = self.client.post(url).header(header::CONTENT_TYPE, content_type).body(body);
        self.within(limit, request, ANSWER_BYTES_MAX).await
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>> {
        let limit = time_left().map_or(FILE_MAX, |left| left.saturating_sub(LEFT_TO_ANSWER).min(FILE_MAX));
        self.within(limit, self.client.get(url), FILE_BYTES_MAX).await
    }
}

/// A router of this process, whatever the host of the URL: no sockets, so a simulated run is a function of its seed.
#[derive(Clone, Debug)]
pub struct InProcess(pub Router);

#[async_trait]
impl Outbound for InProcess {
    async fn post(&self, url: &str, content_type: &'static str, body: String) -> Result<Vec<u8>> {
        let request = Request::post(url).header(header::CONTENT_TYPE, content_type).body(Body::from(body));
        self.call(request, ANSWER_BYTES_MAX).await
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>> {
        self.call(Request::get(url).body(Body::empty()), FILE_BYTES_MAX).await
    }
}

impl InProcess {
    async fn call(&self, request: http::Result<Request<Body>>, bytes_max: usize) -> Result<Vec<u8>> {
        let request =
            request.map_err(|e| Error::internal("the gateway's URL cannot be called").with_source(e))?;
        let Ok(response) = self.0.clone().oneshot(request).await;
        if !response.status().is_success() {
            return Err(lost(ErrorKind::Unavailable, response.status().to_string()));
        }
        let bytes = axum::body::to_bytes(response.into_body(), bytes_max).await;
        bytes.map(|b| b.to_vec()).map_err(|e| lost(ErrorKind::Unavailable, e))
    }
}
