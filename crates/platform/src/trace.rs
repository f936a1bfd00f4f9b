//! W3C Trace Context (level 1): which piece of work belongs to which request, through tasks, calls and messages. A
//! timer that fires begins a trace of its own.
//!
//! A scope is a property of the running task: [`scope`] opens one, [`current`] reads it, `Tasks` carry it into
//! what they spawn, `Peer` through calls, the outbox into messages. Log lines inside carry `trace_id`.

use std::{fmt, future::Future, str::FromStr};

use merx_kernel::Entropy;
use tracing::Instrument as _;

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// The name of the header and of the metadata key.
pub const TRACEPARENT: &str = "traceparent";

/// A parsed `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// Begins a new trace.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut random = [0u8; 16];
        entropy.fill(&mut random);
        // Zero is "invalid" in the standard, hence the lowest bit.
        Self { trace_id: u128::from_be_bytes(random) | 1, span_id: 1, sampled: true }.child(entropy)
    }

    /// The same trace with a span of its own: what a server makes of the `traceparent` it was sent.
    #[must_use]
    pub fn child(self, entropy: &dyn Entropy) -> Self {
        let mut random = [0u8; 8];
        entropy.fill(&mut random);
        Self { span_id: u64::from_be_bytes(random) | 1, ..self }
    }

    /// The 32 hexadecimal digits of the trace.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceContext {
    type Err = String;

    /// Reads a `traceparent`. As the standard asks, a later version is read by its first four fields, version
    /// `ff`, upper-case digits and zero ids are refused.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a traceparent such as 00-<32 hex digits>-<16 hex digits>-01".to_owned();
        let mut fields = text.split('-');
        let mut hex = |digits: usize| {
            let field = fields.next().filter(|f| f.len() == digits)?;
            let lower = field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            lower.then(|| u128::from_str_radix(field, 16).ok()).flatten()
        };
        let version = hex(2).filter(|v| *v != 0xff).ok_or_else(wrong)?;
        let trace_id = hex(32).filter(|id| *id != 0).ok_or_else(wrong)?;
        let span_id =
            hex(16).and_then(|id| u64::try_from(id).ok()).filter(|id| *id != 0).ok_or_else(wrong)?;
        let flags = hex(2).ok_or_else(wrong)?;
        if version == 0 && fields.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// The trace of the running task, if it is in one.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok().flatten()
}

/// [`current`] in its text form, for a header or a message.
pub fn current_traceparent() -> Option<String> {
    current().map(|context| context.to_string())
}

/// Runs `work` inside `context`; `None` runs it outside any trace.
pub async fn scope<F: Future>(context: Option<TraceContext>, work: F) -> F::Output {
    let span = match context {
        Some(context) => tracing::info_span!("trace", trace_id = %context.trace_id()),
        None => tracing::Span::none(),
    };
    CURRENT.scope(context, work.instrument(span)).await
}
