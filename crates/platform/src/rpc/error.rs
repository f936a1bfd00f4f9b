//! Errors across an ask: kind, code, message, refused properties and `retry_after` survive; internals do not.

use std::time::Duration;

use merx_kernel::{Error, ErrorKind, FieldError, Result};
use tonic::{
    Code, Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

const CODE: &str = "merx-code";
const FIELDS: &str = "merx-fields-bin";
const RETRY_AFTER_MS: &str = "merx-retry-after-ms";

/// What a service method answers: the message, or the error as a status.
///
/// # Errors
/// The status of the error.
pub fn answer<T>(result: Result<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| status_of(&error))
}

/// What a caller makes of a generated client's answer: the message, or the error the service meant.
///
/// # Errors
/// The error of the status.
pub fn ask<T>(result: Result<Response<T>, Status>) -> Result<T> {
    result.map(Response::into_inner).map_err(|status| error_of(&status))
}

/// The status an error travels as. The text and the causes of an `Internal` error stay here, in the log.
pub fn status_of(error: &Error) -> Status {
    let code = code_of(error.kind());
    let mut metadata = MetadataMap::new();
    if let Ok(value) = error.code().parse() {
        metadata.insert(CODE, value);
    }
    if error.kind() == ErrorKind::Internal {
        tracing::error!(error = %error.chain(), "an ask failed");
        return Status::with_metadata(code, "an internal error", metadata);
    }
    if !error.fields().is_empty()
        && let Ok(json) = serde_json::to_vec(error.fields())
    {
        metadata.insert_bin(FIELDS, MetadataValue::from_bytes(&json));
    }
    if let Some(after) = error.retry_after()
        && let Ok(value) = after.as_millis().to_string().parse()
    {
        metadata.insert(RETRY_AFTER_MS, value);
    }
    Status::with_metadata(code, error.message(), metadata)
}

/// The error a status stands for. A status that did not come from Merx (the transport's own) is mapped by its gRPC
/// code alone.
pub fn error_of(status: &Status) -> Error {
    let metadata = status.metadata();
    let Some(code) = metadata.get(CODE).and_then(|v| v.to_str().ok()) else {
        return foreign(status);
    };
    let Some(kind) = kind_of(status.code()) else {
        return foreign(status);
    };
    let mut error = Error::new(kind, code.to_owned(), status.message());
    let fields = metadata.get_bin(FIELDS).and_then(|v| v.to_bytes().ok());
    for FieldError { pointer, detail } in
        fields.and_then(|json| serde_json::from_slice::<Vec<FieldError>>(&json).ok()).unwrap_or_default()
    {
        error = error.with_field(pointer, detail);
    }
    let after = metadata.get(RETRY_AFTER_MS).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    match after {
        Some(millis) => error.with_retry_after(Duration::from_millis(millis)),
        None => error,
    }
}

fn foreign(status: &Status) -> Error {
    let (kind, code, message) = match status.code() {
        Code::DeadlineExceeded => (
            ErrorKind::Timeout,
            "rpc.deadline_exceeded",
            "There was no answer in time; whether it took effect is not known.",
        ),
        // A cancelled or unknown call may have taken effect: the caller must ask again under the same identity.
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::ResourceExhausted => {
            (ErrorKind::Unavailable, "rpc.unavailable", "A part of the shop does not answer at the moment.")
        }
        other => {
            let text = format!("an ask was answered {other:?}: {}", status.message());
            return Error::internal(text);
        }
    };
    Error::new(kind, code, message).with_source(status.clone())
}

const fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Rejected => Code::FailedPrecondition,
        ErrorKind::RateLimited => Code::ResourceExhausted,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    }
}

const fn kind_of(code: Code) -> Option<ErrorKind> {
    Some(match code {
        Code::InvalidArgument => ErrorKind::Invalid,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => ErrorKind::Forbidden,
        Code::NotFound => ErrorKind::NotFound,
        Code::Aborted => ErrorKind::Conflict,
        Code::FailedPrecondition => ErrorKind::Rejected,
        Code::ResourceExhausted => ErrorKind::RateLimited,
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::Internal => ErrorKind::Internal,
        _ => return None,
    })
}
