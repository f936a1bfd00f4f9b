//! How notifications leave: over the network, or wherever a test or a simulation routes them.

use std::time::Duration;

use merx_kernel::{Error, Result, clock::BoxFuture};

/// What the merchant answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, as far as it is text.
    pub body: String,
}

impl Reply {
    /// Whether the notification need not be sent again: 200 and exactly the seven bytes `success`.
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.body == merx_alipay::REPLY_SUCCESS
    }
}

/// Posts forms.
pub trait Outbound: Send + Sync + 'static {
    /// Posts `form` to `url`. The text of an error is shown in the ledger of notifications.
    fn post_form(&self, url: String, form: String) -> BoxFuture<Result<Reply, String>>;
}

/// Any function of the same shape.
impl<F> Outbound for F
where
    F: Fn(String, String) -> BoxFuture<Result<Reply, String>> + Send + Sync + 'static,
{
    fn post_form(&self, url: String, form: String) -> BoxFuture<Result<Reply, String>> {
        self(url, form)
    }
}

/// Posts over the network.
#[derive(Clone, Debug)]
pub struct Web(reqwest::Client);

impl Web {
    /// The most bytes of a reply that are read.
    const REPLY_BYTES_MAX: usize = 1024;

    /// A client that gives up after ten seconds and follows no redirects.
    ///
    /// # Errors
    /// `Internal` when the TLS library cannot be set up.
    pub fn new() -> Result<Self> {
        reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self)
            .map_err(|e| Error::internal("cannot set up the HTTP client").with_source(e))
    }
}

impl Outbound for Web {
    fn post_form(&self, url: String, form: String) -> BoxFuture<Result<Reply, String>> {
        let request =
            self.0.post(url).header("content-type", merx_alipay::SignedRequest::CONTENT_TYPE).body(form);
        Box::pin(async move {
            let mut response = request.send().await.map_err(|e| e.without_url().to_string())?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| e.without_url().to_string())? {
                body.extend_from_slice(&chunk);
                if body.len() > Self::REPLY_BYTES_MAX {
                    body.truncate(Self::REPLY_BYTES_MAX);
                    break;
                }
            }
            Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
        })
    }
}
