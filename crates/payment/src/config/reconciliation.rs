//! How the books are held against the bills of the providers.

use std::time::Duration;

use merx_kernel::Timestamp;
use serde::Deserialize;

use crate::domain::FeeRate;

/// The `payment.reconciliation` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconciliationConfig {
    /// When the day before is reconciled, `HH:MM` Beijing time; providers make their bills in the morning. Empty: only when
    /// somebody asks.
    pub daily_at: String,
    /// What Alipay keeps of every payment by its contract, in hundredths of a percent (0 to 1000). What its bill says is
    /// booked; what differs from this is a case.
    pub alipay_fee_basis_points: u32,
}

impl Default for ReconciliationConfig {
    fn default() -> Self {
        Self { daily_at: "10:00".to_owned(), alipay_fee_basis_points: 60 }
    }
}

const DAY_MS: i64 = 86_400_000;
/// Beijing is eight hours ahead, all year.
const EAST_MS: i64 = 8 * 3_600_000;

impl ReconciliationConfig {
    /// What is wrong with it, by key.
    pub(super) fn wrong(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if !self.daily_at.is_empty() && self.after_midnight().is_none() {
            wrong.push(("daily_at", "must be a time such as 10:00, or empty".to_owned()));
        }
        if self.alipay_fee_basis_points > 1_000 {
            wrong.push(("alipay_fee_basis_points", "must be from 0 to 1000".to_owned()));
        }
        wrong
    }

    /// The agreed fee.
    pub const fn fee_rate(&self) -> FeeRate {
        FeeRate { basis_points: self.alipay_fee_basis_points }
    }

    fn after_midnight(&self) -> Option<Duration> {
        let (hours, minutes) = self.daily_at.split_once(':')?;
        let two = |text: &str| (text.len() == 2).then(|| text.parse::<u64>().ok()).flatten();
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60).then(|| Duration::from_secs(hours * 3_600 + minutes * 60))
    }

    /// The first time of day after `now`; `None` when nothing is done by itself.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let after_midnight = self.after_midnight()?;
        let midnight = (now.as_millis() + EAST_MS).div_euclid(DAY_MS) * DAY_MS - EAST_MS;
        let today = Timestamp::from_millis(midnight).plus(after_midnight);
        Some(if today > now { today } else { today.plus(Duration::from_secs(86_400)) })
    }
}
