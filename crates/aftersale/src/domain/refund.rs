//! How much goes back. What was paid for a line is shared over its units by the largest remainder
//! ([`Money::split`]): whichever units go back in whichever cases, together they are the line's share to the minor unit.

use std::collections::BTreeMap;

use merx_contracts::ids::{AccountId, Sku};
use merx_kernel::{Error, Money, Result, Timestamp};

/// One line as it was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoughtLine {
    /// Units.
    pub bought: i64,
    /// What was paid for all of them, discounts taken off.
    pub paid: Money,
    /// Units the buyer has.
    pub arrived: i64,
}

/// What was agreed and how far it came, as ordering tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The buyer.
    pub account_id: AccountId,
    /// By SKU.
    pub lines: BTreeMap<Sku, BoughtLine>,
    /// What was paid for sending.
    pub freight: Money,
    /// When the latest of it arrived.
    pub delivered_at: Option<Timestamp>,
    /// When it was received.
    pub received_at: Option<Timestamp>,
}

/// What goes back for `units` of a line of `bought` units for which `paid` was paid, when `before` of them have been
/// refunded already.
///
/// # Errors
/// `Internal` for more units than were bought.
pub fn share(paid: Money, bought: i64, before: i64, units: i64) -> Result<Money> {
    let beyond = || Error::internal(format!("{units} units after {before} of {bought} cannot be refunded"));
    let (count, from) = (usize::try_from(bought).map_err(|_| beyond())?, usize::try_from(before));
    let (from, units) = (from.map_err(|_| beyond())?, usize::try_from(units).map_err(|_| beyond())?);
    let parts = paid.split(&vec![1; count])?;
    let parts = parts.get(from..from.saturating_add(units)).ok_or_else(beyond)?;
    Money::sum(paid.currency, parts.iter().copied())
}
