//! What handlers take from a request besides JSON.

use axum::{
    extract::path::ErrorKind as PathError,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request, rejection::PathRejection},
};
use http::request::Parts;
use http_body_util::BodyExt as _;
use merx_kernel::{Error, ErrorKind, Principal};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::{
    json::{expect_media_type, read_body},
    plain::{plain, thing},
    problem::Problem,
};

/// The parameters of the path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let raw = RawPathParams::from_request_parts(parts, state).await;
                let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                let raw: Vec<_> = raw.ok().map(|raw| raw.iter().map(own).collect()).unwrap_or_default();
                Err(path_error(rejection, wrong_one::<T>(&raw)).into())
            }
        }
    }
}

/// The name of the parameter that does not fit, where axum does not tell: of several, what reading them one by one as
/// texts stumbles over.
fn wrong_one<T: DeserializeOwned>(raw: &[(String, String)]) -> String {
    let values: Vec<_> = raw.iter().map(|(_, value)| serde_json::Value::from(value.as_str())).collect();
    let stumbled = serde_path_to_error::deserialize::<_, T>(serde_json::Value::from(values)).err();
    let index = stumbled.and_then(|error| match error.path().iter().next() {
        Some(Segment::Seq { index }) => Some(*index),
        _ => None,
    });
    raw.get(index.unwrap_or(0)).map(|(name, _)| name.clone()).unwrap_or_default()
}

fn path_error(rejection: PathRejection, only: String) -> Error {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Error::internal("the route has no path parameters").with_source(rejection.body_text());
    };
    match failed.into_kind() {
        PathError::ParseErrorAtKey { key, expected_type, .. } => {
            Error::invalid(key, format!("must be {}", thing(expected_type)))
        }
        PathError::DeserializeError { key, message, .. } => Error::invalid(key, plain(&message)),
        PathError::InvalidUtf8InPathParam { key } => Error::invalid(key, "must be UTF-8"),
        PathError::ParseError { expected_type, .. } => {
            Error::invalid(only, format!("must be {}", thing(expected_type)))
        }
        PathError::Message(message) => Error::invalid(only, plain(&message)),
        other => Error::internal("path parameters do not fit their type").with_source(other.to_string()),
    }
}

/// The query parameters; each at most once. Types that deny unknown fields refuse unknown parameters by name.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or("");
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text)
            .map_err(|e| Error::invalid("query", format!("is not a query string: {e}")))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::invalid(name, "is there twice").into());
            }
        }
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        serde_path_to_error::deserialize(reader).map(Self).map_err(|error| {
            let name = error.path().to_string();
            let name = if name == "." { "query".to_owned() } else { name };
            Error::invalid(name, plain(&error.into_inner().to_string())).into()
        })
    }
}

/// A form body (`application/x-www-form-urlencoded`) as the pairs it came in, each name at most once.
#[derive(Clone, Debug)]
pub struct Form(pub Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_media_type(request.headers(), "application/x-www-form-urlencoded")?;
        let body = read_body(request, state).await?;
        let text = std::str::from_utf8(&body).map_err(|_| {
            Error::new(ErrorKind::Invalid, "request.malformed_form", "The form is not ASCII or UTF-8.")
        })?;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Invalid, "request.malformed_form", format!("The form cannot be read: {e}."))
        })?;
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(Error::invalid(twice[0], "is there twice").into());
        }
        Ok(Self(pairs))
    }
}

/// The body as it came, for what is not JSON. The guard has collected it under the route's own limit; no
/// `Content-Type` is believed.
#[derive(Clone, Debug)]
pub struct RawBody(pub bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let whole = request.into_body().collect().await.map_err(|e| {
            Error::new(ErrorKind::Invalid, "request.body_incomplete", "The body did not come whole.")
                .with_source(e.to_string())
        })?;
        Ok(Self(whole.to_bytes()))
    }
}

/// Who makes the request. The guard of the route has authenticated and authorised before the handler runs.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only when a handler of a public route asks for a caller: a mistake of ours, not of the client.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Error::internal("a public route asks for its caller").into())
    }
}

/// The key of a request that may be repeated, as two hashes: which request, and which content.
///
/// The scope hashes the caller, the route and the key; the content hashes path, query and body. Hashes only, so
/// that nothing a client put in is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of caller, route id and key.
    pub scope: [u8; 32],
    /// SHA-256 of method, path, query and body.
    pub body_hash: [u8; 32],
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = parts.extensions.get::<Self>().copied();
        key.ok_or_else(|| Error::internal("a route without required idempotency asks for its key").into())
    }
}
