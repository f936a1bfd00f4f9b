//! What an operator may set.

use std::{ops::RangeInclusive, time::Duration};

use merx_kernel::{Error, ErrorKind, Result};
use serde::Deserialize;

/// How long carts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a guest's cart is kept after its last change.
    pub guest_expiry_s: u64,
    /// How long a member's cart is kept after its last change.
    pub member_expiry_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { guest_expiry_s: 30 * 86_400, member_expiry_s: 180 * 86_400 }
    }
}

impl Settings {
    /// How long a cart may be kept at least and at most: an hour for a trial, five years.
    pub const EXPIRY_S: RangeInclusive<u64> = 3_600..=157_680_000;

    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` with each wrong value by its path.
    pub fn check(&self) -> Result<()> {
        let mut all = Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.");
        for (name, seconds) in
            [("cart.guest_expiry_s", self.guest_expiry_s), ("cart.member_expiry_s", self.member_expiry_s)]
        {
            if !Self::EXPIRY_S.contains(&seconds) {
                let (min, max) = Self::EXPIRY_S.into_inner();
                all = all.with_field(name, format!("must be from {min} to {max} seconds"));
            }
        }
        if all.fields().is_empty() { Ok(()) } else { Err(all) }
    }

    /// How long a cart is kept after its last change.
    pub(crate) const fn expiry(&self, guest: bool) -> Duration {
        Duration::from_secs(if guest { self.guest_expiry_s } else { self.member_expiry_s })
    }
}
