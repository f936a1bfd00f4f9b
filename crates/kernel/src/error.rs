//! One closed set of error kinds, mapped once to HTTP, once to gRPC and once to retry-or-dead-letter.

use std::{borrow::Cow, fmt, time::Duration};

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is malformed or beyond a limit; the same input will fail again.
    Invalid,
    /// Nobody is logged in, or the token is no longer good.
    Unauthenticated,
    /// Logged in, but without the permission.
    Forbidden,
    /// It does not exist, or belongs to somebody else.
    NotFound,
    /// It collides with the present state (a version, a duplicate in flight); read again, then decide.
    Conflict,
    /// A rule of the domain says no; the code says which.
    Rejected,
    /// Too many; come back after `retry_after`.
    RateLimited,
    /// No answer in time; the outcome is unknown.
    Timeout,
    /// A part is down or overloaded; the same request may succeed later.
    Unavailable,
    /// A broken invariant or an unexpected fault; details are in the log only.
    Internal,
}

impl ErrorKind {
    /// Whether trying the same thing again later may succeed without anybody changing anything.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::Unavailable | Self::RateLimited | Self::Internal | Self::Conflict
        )
    }
}

/// One property of the input that was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) to the property, or the name of a query or path parameter.
    pub pointer: String,
    /// What is wrong, naming the limit.
    pub detail: String,
}

/// An error as it travels through Merx. Its text never repeats its source; the chain is logged once, where the
/// error becomes a response or a retry.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of almost everything.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a stable code `<context>.<code>` (documented in `docs/errors/<code>.md`) and a
    /// sentence that may be shown to the caller.
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }
    /// A rule of the domain refused.
    pub fn rejected(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, code, message)
    }
    /// It does not exist for this caller.
    pub fn not_found(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }
    /// It collides with the present state.
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }
    /// One property of the input is wrong; `pointer` is a JSON Pointer or parameter name.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "request.invalid", "The request is not valid.")
            .with_field(pointer, detail)
    }
    /// A part is down; try again later.
    pub fn unavailable(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }
    /// A broken invariant or unexpected fault. The message is for the log, never for the caller.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", message)
    }

    /// Adds a refused property.
    #[must_use]
    pub fn with_field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.fields.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }
    /// Says when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }
    /// Keeps what caused it, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }
    /// The sentence; for `Internal` it is for the log only.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The refused properties.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }
    /// When to come back, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
    /// Whether it carries this code.
    pub fn is(&self, code: &str) -> bool {
        self.code() == code
    }
    /// The whole chain in one line, for the log.
    pub fn chain(&self) -> String {
        let mut out = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            out.push_str(": ");
            out.push_str(&source.to_string());
            next = source.source();
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.code)?;
        for field in &self.0.fields {
            write!(f, "; {}: {}", field.pointer, field.detail)?;
        }
        Ok(())
    }
}
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}
