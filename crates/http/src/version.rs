//! Versions of what people edit: told by `ETag`, sent back in `If-Match` (RFC 9110 §8.8.3 and §13.1.1), so that nobody
//! overwrites what they have not seen.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header, request::Parts};
use merx_kernel::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{json::Json, problem::Problem};

/// The version the client has seen, from `If-Match: "<version>"`. A route that takes it says so by
/// [`crate::Route::if_match`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub i64);

impl IfMatch {
    /// Whether what is there is what the client has seen. Called in the transaction of the change.
    ///
    /// # Errors
    /// `request.version_stale`.
    pub fn check(self, present: i64) -> Result<()> {
        if self.0 == present { Ok(()) } else { Err(Self::stale()) }
    }
    /// What a guarded update that matched no row is answered with: 412.
    pub fn stale() -> Error {
        Error::conflict(
            "request.version_stale",
            "It was changed since you read it; read it again, then decide.",
        )
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else {
            let message =
                "Send the ETag you read as If-Match, so that nobody's change is overwritten unseen.";
            return Err(Error::new(ErrorKind::Invalid, "request.version_missing", message).into());
        };
        let wrong = || Error::invalid("If-Match", "must be the one ETag you read, such as \"3\"");
        if values.next().is_some() {
            return Err(wrong().into());
        }
        let text = value.to_str().map_err(|_| wrong())?.trim();
        let version = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
        Ok(Self(version.ok_or_else(wrong)?))
    }
}

/// 200 with the version of what is shown as its `ETag`.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// Its version.
    pub version: i64,
    /// The body.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        set_etag(&mut response, self.version);
        response
    }
}

pub(crate) fn set_etag(response: &mut Response, version: i64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// The version an answer tells of what it shows.
pub(crate) fn told_version(body: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Told {
        version: i64,
    }
    serde_json::from_str::<Told>(body).ok().map(|told| told.version)
}
