//! When a webhook is tried (Standard Webhooks 1.0, "Deliverability and reliability").

use std::time::Duration;

/// How long after a failure the next attempt begins; the first attempt is at once.
pub const DELAYS: &[Duration] = &[
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// The most a receiver's `Retry-After` puts an attempt off.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// An endpoint that has only failed for so long is disabled.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3600);

/// The wait after the `tries`-th attempt failed (1 is the first); `None` when it was the last. `random` spreads it by
/// up to a tenth, upwards, so that what failed together does not come back together. What the receiver asked for by
/// `Retry-After` counts when it is longer.
pub fn wait_after(tries: i64, random: u64, retry_after: Option<Duration>) -> Option<Duration> {
    let index = usize::try_from(tries.checked_sub(1)?).ok()?;
    let delay = *DELAYS.get(index)?;
    let tenth = u64::try_from(delay.as_millis() / 10).unwrap_or(u64::MAX).saturating_add(1);
    let spread = delay + Duration::from_millis(random % tenth);
    Some(spread.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)))
}
