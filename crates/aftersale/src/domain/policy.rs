//! What a shop may set about times.

use std::{ops::RangeInclusive, time::Duration};

use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use serde::Deserialize;

/// How long things may be asked, and how long each side may take; the part `[aftersale]` of the configuration. Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How long after the receipt money may be asked back without the goods; before the receipt always.
    pub refund_window_s: u64,
    /// How long after the delivery or the receipt, whichever is later, goods may be sent back or exchanged.
    pub return_window_s: u64,
    /// In which time staff answer what was asked.
    pub answer_within_s: u64,
    /// In which time the buyer sends the goods after the approval; then the case is closed.
    pub send_within_s: u64,
    /// In which time what the buyer sent arrives.
    pub arrive_within_s: u64,
    /// In which time what arrived is inspected.
    pub inspect_within_s: u64,
    /// In which time money is back, or a replacement on its way.
    pub settle_within_s: u64,
}

const DAY_S: u64 = 86_400;

impl Default for Policy {
    /// Fifteen days to ask; two days to answer, seven to send, fifteen to arrive, three to inspect, three to settle.
    fn default() -> Self {
        Self {
            refund_window_s: 15 * DAY_S,
            return_window_s: 15 * DAY_S,
            answer_within_s: 2 * DAY_S,
            send_within_s: 7 * DAY_S,
            arrive_within_s: 15 * DAY_S,
            inspect_within_s: 3 * DAY_S,
            settle_within_s: 3 * DAY_S,
        }
    }
}

impl Policy {
    /// Each time at least and at most: a minute for a trial, a year.
    pub const SECONDS: RangeInclusive<u64> = 60..=31_536_000;

    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` with each wrong value by its path.
    pub fn check(&self) -> Result<()> {
        let mut all = Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.");
        for (name, seconds) in [
            ("refund_window_s", self.refund_window_s),
            ("return_window_s", self.return_window_s),
            ("answer_within_s", self.answer_within_s),
            ("send_within_s", self.send_within_s),
            ("arrive_within_s", self.arrive_within_s),
            ("inspect_within_s", self.inspect_within_s),
            ("settle_within_s", self.settle_within_s),
        ] {
            if !Self::SECONDS.contains(&seconds) {
                let (min, max) = Self::SECONDS.into_inner();
                let text = format!("must be from {min} to {max} seconds");
                all = all.with_field(format!("aftersale.{name}"), text);
            }
        }
        if all.fields().is_empty() { Ok(()) } else { Err(all) }
    }
}

/// `seconds` after `at`.
pub(super) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(Duration::from_secs(seconds))
}
