//! Errors as RFC 9457 problem details: the one place where an [`ErrorKind`] becomes a status code, and where
//! the chain of an error is written to the log.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use merx_kernel::{Error, ErrorKind, FieldError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request;

/// What handlers answer: a response, or a problem made of a kernel error by `?`.
pub type Answer<T> = Result<T, Problem>;

/// An error on its way to the client.
pub struct Problem {
    error: Error,
    headers: HeaderMap,
}

/// The body of a problem response, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code to branch on, `<context>.<code>`.
    pub code: String,
    /// What happened, for people.
    pub detail: String,
    /// The id of the request, also in `X-Request-Id` and in the log; absent when a repetition is answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The refused properties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<FieldProblem>")]
    pub errors: Vec<FieldError>,
}

/// One refused property.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "the schema of merx_kernel::FieldError")]
struct FieldProblem {
    /// JSON Pointer to the property, or the name of a query or path parameter.
    pointer: String,
    /// What is wrong, naming the limit.
    detail: String,
}

/// Left in the extensions of a problem response for the access log.
#[derive(Clone)]
pub(crate) struct ProblemCode(pub String);

const HIDDEN: &str = "Something went wrong on our side. The id of the request helps us find it.";

impl Problem {
    /// The status this problem is answered with.
    pub fn status(&self) -> StatusCode {
        status_of(self.error.kind(), self.error.code())
    }
    /// The error inside.
    pub fn error(&self) -> &Error {
        &self.error
    }
    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// What the client is told. The text of an internal error stays with us.
    pub fn body(&self) -> ProblemBody {
        let status = self.status();
        let internal = self.error.kind() == ErrorKind::Internal;
        let code = if internal { "internal" } else { self.error.code() };
        ProblemBody {
            kind: format!("/docs/errors/{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: if internal { HIDDEN.to_owned() } else { self.error.message().to_owned() },
            instance: request::request_id().unwrap_or_default(),
            errors: if internal { Vec::new() } else { self.error.fields().to_vec() },
        }
    }

    fn log(&self, status: StatusCode) {
        let (error, code) = (&self.error, self.error.code());
        match error.kind() {
            ErrorKind::Internal => tracing::error!(code, error = %error.chain(), "request failed"),
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                tracing::warn!(code, error = %error.chain(), "request not served");
            }
            _ => tracing::debug!(code, status = status.as_u16(), "request refused"),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { error, headers: HeaderMap::new() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        self.log(status);
        let body = self.body();
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, self.headers, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.entry(header::WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = retry_after(&self.error) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        response.extensions_mut().insert(ProblemCode(body.code));
        response
    }
}

/// Seconds, rounded up: a client that waits this long is not too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

fn retry_after(error: &Error) -> Option<Duration> {
    let default = match error.kind() {
        ErrorKind::RateLimited | ErrorKind::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    };
    error.retry_after().or(default)
}

/// The status of a kind of error; a few codes have one of their own.
pub(crate) fn status_of(kind: ErrorKind, code: &str) -> StatusCode {
    match code {
        "request.method_not_allowed" => return StatusCode::METHOD_NOT_ALLOWED,
        "request.body_timeout" => return StatusCode::REQUEST_TIMEOUT,
        "request.body_too_large" => return StatusCode::PAYLOAD_TOO_LARGE,
        "request.uri_too_long" => return StatusCode::URI_TOO_LONG,
        "request.unsupported_media_type" => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "request.headers_too_large" => return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "request.version_missing" => return StatusCode::PRECONDITION_REQUIRED,
        "request.version_stale" => return StatusCode::PRECONDITION_FAILED,
        "request.idempotency_key_reused" => return StatusCode::UNPROCESSABLE_ENTITY,
        _ => {}
    }
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Rejected => StatusCode::CONFLICT,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
