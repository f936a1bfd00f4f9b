//! JSON in and out.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use merx_kernel::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use crate::{plain::plain, problem::Problem, strict_json};

/// A JSON body, in and out. Coming in it is checked for its Content-Type, duplicate properties and depth, and a
/// property that does not fit is named by its JSON Pointer.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

/// 201 with the place of what was made.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// Path of what was made.
    pub location: String,
    /// The body.
    pub body: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_media_type(request.headers(), "application/json")?;
        let body = read_body(request, state).await?;
        Ok(Self(parse(&body)?))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => {
                ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
            }
            Err(error) => {
                Problem::from(Error::internal("a response cannot be written as JSON").with_source(error))
                    .into_response()
            }
        }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// Reads strict JSON.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    strict_json::check(text)?;
    // serde would read an array into a struct by the order of its fields, which is no part of our contract.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::invalid("", "the body must be a JSON object"));
    }
    let text = strict_json::whole_numbers(text);
    let mut reader = serde_json::Deserializer::from_slice(&text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = json_pointer(error.path());
        let detail = error.into_inner().to_string();
        // The position in the text says less than the pointer.
        let detail = detail.rfind(" at line ").map_or(detail.as_str(), |end| &detail[..end]);
        Error::invalid(pointer, plain(detail))
    })
}

/// The whole body; the guard has collected it under its limits before, so this does not wait.
pub(crate) async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|refused| {
        let code = "request.body_incomplete";
        Error::new(ErrorKind::Invalid, code, "The body did not come whole.")
            .with_source(refused.body_text())
            .into()
    })
}

/// Refuses a body of another media type; parameters other than a UTF-8 charset are refused too.
pub(crate) fn expect_media_type(headers: &HeaderMap, expected: &str) -> Result<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut parts = given.split(';').map(str::trim);
    let same_type = parts.next().is_some_and(|t| t.eq_ignore_ascii_case(expected));
    let utf8 = parts.filter(|p| !p.is_empty()).all(|p| {
        p.split_once('=').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    });
    if same_type && utf8 && headers.get(header::CONTENT_ENCODING).is_none_or(|v| v == "identity") {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "request.unsupported_media_type",
        format!("Send the body as {expected}, in UTF-8 and without a Content-Encoding."),
    ))
}

/// RFC 6901.
fn json_pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}
