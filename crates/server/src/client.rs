//! A small client of the public API, as any program that buys would write it: the demo walk, the tests and the
//! measurements use it.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use merx_kernel::{Error, ErrorKind, IdGen, IdKind, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// How long a connection may take, and how long an answer: longer than any handler of a shop is given.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The largest answer that is read from a shop in this process.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

enum KeyKind {}
impl IdKind for KeyKind {
    const PREFIX: &'static str = "key";
}

/// How a shop is reached.
#[derive(Clone)]
enum Way {
    Network {
        http: reqwest::Client,
        base: String,
    },
    /// A shop of this process, without a socket between.
    Within(Router),
}

/// One visitor of a shop.
#[derive(Clone)]
pub struct ApiClient {
    way: Way,
    ids: IdGen,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body; null when there was none.
    pub body: Value,
}

impl Reply {
    /// The body, if the status is a success.
    ///
    /// # Errors
    /// The problem's code and sentence.
    pub fn ok(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let code = self.text("/code");
        let detail = format!("{} {} {}", self.status.as_u16(), self.text("/title"), self.text("/detail"));
        let fields = self.body.pointer("/errors").and_then(Value::as_array).into_iter().flatten();
        Err(fields.fold(Error::new(ErrorKind::Rejected, code, detail), |error, field| {
            error.with_field(text(field, "/pointer"), text(field, "/detail"))
        }))
    }
    /// The text at a JSON Pointer; empty when there is none.
    pub fn text(&self, pointer: &str) -> String {
        text(&self.body, pointer)
    }
}

/// The text at a JSON Pointer; empty when there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl ApiClient {
    /// A visitor who is not logged in. `base` is the API's address without a path.
    ///
    /// # Errors
    /// `Internal` when TLS cannot be set up.
    pub fn new(base: &str, ids: IdGen) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .build()
            .map_err(|e| Error::internal("the HTTP client cannot be built").with_source(e))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { way: Way::Network { http, base }, ids, token: None })
    }

    /// A visitor of a shop in this process, who is not logged in.
    pub const fn within(router: Router, ids: IdGen) -> Self {
        Self { way: Way::Within(router), ids, token: None }
    }

    /// The same visitor with an access token.
    #[must_use]
    pub fn with_token(&self, token: String) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// A key no request had yet, for [`Self::post_as`].
    pub fn new_key(&self) -> String {
        self.ids.next::<KeyKind>().to_string()
    }

    /// Logs in; answers the visitor with the session's token.
    ///
    /// # Errors
    /// What the shop answers.
    pub async fn log_in(&self, email: &str, password: &str) -> Result<Self> {
        let body = self.post("/v1/sessions", &json!({"email": email, "password": password})).await?.ok()?;
        Ok(self.with_token(text(&body, "/access_token")))
    }

    /// GET.
    ///
    /// # Errors
    /// `client.unreachable` when nobody answers.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, None, None).await
    }
    /// PUT.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::PUT, path, Some(body), None).await
    }
    /// POST under a fresh idempotency key.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.post_as(&self.new_key(), path, body).await
    }
    /// POST under a given idempotency key.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_as(&self, key: &str, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::POST, path, Some(body), Some(key)).await
    }

    /// Pays at the cashier of the sandbox, as a browser would: opens the page and presses its button.
    ///
    /// # Errors
    /// `client.cashier` when the cashier does not take the money; as [`Self::get`].
    pub async fn pay(&self, pay_url: &str) -> Result<()> {
        let refused = |status: StatusCode| {
            let text = format!("The cashier did not take the payment ({status}).");
            Error::rejected("client.cashier", text)
        };
        let (status, page) = self.browse(Method::GET, pay_url).await?;
        let mut forms = page.split("action=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let action = forms.find(|action| action.ends_with("/payment")).ok_or_else(|| refused(status))?;
        let (status, _) = self.browse(Method::POST, action).await?;
        if status.is_success() || status.is_redirection() { Ok(()) } else { Err(refused(status)) }
    }

    async fn browse(&self, method: Method, url: &str) -> Result<(StatusCode, String)> {
        let Way::Network { http, .. } = &self.way else {
            return Err(Error::internal("a shop within the process has no cashier to browse"));
        };
        let response = http.request(method, url).send().await.map_err(|e| unreachable(url, e))?;
        let status = response.status();
        Ok((status, response.text().await.map_err(|e| unreachable(url, e))?))
    }

    /// Any request.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Reply> {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: String| {
            let value = HeaderValue::try_from(value)
                .map_err(|e| Error::internal("a header cannot be sent").with_source(e))?;
            headers.insert(name, value);
            Ok::<_, Error>(())
        };
        if let Some(token) = &self.token {
            put(header::AUTHORIZATION, format!("Bearer {token}"))?;
        }
        if let Some(key) = key {
            put(HeaderName::from_static("idempotency-key"), key.to_owned())?;
        }
        match &self.way {
            Way::Network { http, base } => {
                let url = format!("{base}{path}");
                let mut request = http.request(method, &url).headers(headers);
                if let Some(body) = body {
                    request = request.json(body);
                }
                let response = request.send().await.map_err(|e| unreachable(&url, e))?;
                let status = response.status();
                let bytes = response.bytes().await.map_err(|e| unreachable(&url, e))?;
                Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
            }
            Way::Within(router) => within(router.clone(), method, path, headers, body).await,
        }
    }
}

async fn within(
    router: Router,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: Option<&Value>,
) -> Result<Reply> {
    let failed = |e: axum::http::Error| Error::internal("a request cannot be made").with_source(e);
    let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = axum::http::Request::new(content);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|e| failed(axum::http::Error::from(e)))?;
    *request.headers_mut() = headers;
    if body.is_some() {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
    let bytes = bytes.map_err(|e| Error::internal("an answer cannot be read").with_source(e))?;
    Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}

fn unreachable(url: &str, cause: reqwest::Error) -> Error {
    let text = format!("{url} does not answer. Is the shop running? Start it with `merx up`.");
    Error::unavailable("client.unreachable", text).with_source(cause.without_url())
}
