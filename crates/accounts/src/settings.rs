//! What can be set about accounts.

use std::time::Duration;

use merx_kernel::{Error, Result};
use serde::Deserialize;

use crate::passwords::Work;

/// The settings of accounts, `[accounts]` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds an access token lives.
    pub access_token_seconds: u64,
    /// Days a session lives without being refreshed.
    pub refresh_token_days: u32,
    /// Log-ins from one network in a minute.
    pub logins_per_minute_max: u32,
    /// Log-ins from one network at once, after a rest.
    pub login_burst_max: u32,
    /// Guests made from one network in a minute.
    pub guests_per_minute_max: u32,
    /// Guests made from one network at once, after a rest.
    pub guest_burst_max: u32,
    /// Other processes change the same tables: roles, ended sessions and keys are looked at again all the time.
    pub several_processes: bool,
    /// Passwords hashed at the same time, each with 19 MiB.
    pub password_workers: usize,
    /// Log-ins that wait for a worker; more are answered 503.
    pub password_queue_max: usize,
    /// How much work a password is. No file says it: nobody is to make it less.
    #[serde(skip)]
    pub password_work: Work,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token_seconds: 600,
            refresh_token_days: 30,
            logins_per_minute_max: 60,
            login_burst_max: 30,
            guests_per_minute_max: 30,
            guest_burst_max: 10,
            several_processes: false,
            password_workers: 2,
            password_queue_max: 128,
            password_work: Work::default(),
        }
    }
}

impl Settings {
    /// Checks every setting.
    ///
    /// # Errors
    /// `Invalid` naming each key that is out of range, and the range.
    pub fn check(&self) -> Result<()> {
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ranges = [
            ("access_token_seconds", self.access_token_seconds, 30, 3_600),
            ("refresh_token_days", self.refresh_token_days.into(), 1, 365),
            ("logins_per_minute_max", self.logins_per_minute_max.into(), 1, 1_000_000),
            ("login_burst_max", self.login_burst_max.into(), 1, 1_000_000),
            ("guests_per_minute_max", self.guests_per_minute_max.into(), 1, 1_000_000),
            ("guest_burst_max", self.guest_burst_max.into(), 1, 1_000_000),
            ("password_workers", size(self.password_workers), 1, 64),
            ("password_queue_max", size(self.password_queue_max), 0, 100_000),
        ];
        let mut error = None;
        for (key, given, min, max) in
            ranges.into_iter().filter(|(_, given, min, max)| !(min..=max).contains(&given))
        {
            let (pointer, detail) =
                (format!("accounts.{key}"), format!("is {given}, must be from {min} to {max}"));
            error = Some(match error {
                None => Error::invalid(pointer, detail),
                Some(error) => Error::with_field(error, pointer, detail),
            });
        }
        error.map_or(Ok(()), Err)
    }

    pub(crate) const fn access_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds)
    }
    pub(crate) fn refresh_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_token_days) * 24 * 3600)
    }
}
