//! Time as a dependency. Stored and compared as Unix milliseconds, shown as RFC 3339 in UTC.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Unix time in milliseconds, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From Unix milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Unix milliseconds, the stored form.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole Unix seconds, rounded down; used where a protocol counts in seconds (JWT, Alipay).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time passed since `earlier`; zero when `earlier` is in the future, so that a clock that jumps back
    /// never gives a negative duration.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 (`2026-11-20T08:30:00Z`, offsets allowed).
    ///
    /// # Errors
    /// The text is not RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
            .map_err(|_| format!("`{text}` is not an RFC 3339 time such as 2026-11-20T08:30:00Z"))
    }

    /// `yyyy-MM-dd HH:mm:ss` in Beijing time (UTC+8, no daylight saving since 1991), as Alipay writes it.
    pub fn to_beijing_string(self) -> String {
        let shifted = jiff::Timestamp::from_millisecond(self.0.saturating_add(8 * 3_600_000))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        shifted.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The inverse of [`Self::to_beijing_string`]; a fraction of a second may follow, as in some of Alipay's fields.
    ///
    /// # Errors
    /// The text is not `yyyy-MM-dd HH:mm:ss`.
    pub fn parse_beijing(text: &str) -> Result<Self, String> {
        let civil = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text)
            .map_err(|_| format!("`{text}` is not a time such as 2026-11-20 16:30:00"))?;
        let utc = civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|_| format!("`{text}` is out of range"))?
            .timestamp();
        Ok(Self(utc.as_millisecond() - 8 * 3_600_000))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC"})
    }
}

/// A boxed future without a runtime dependency.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Where time comes from. The system clock is in `merx-platform`, a virtual one in `merx-testkit`.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Completes after `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;
}
