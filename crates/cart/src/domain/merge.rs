//! What becomes of a guest's cart when the guest logs in as a member.
//!
//! Quantities of a SKU add up, as far as a line and the purchase limits go; lines beyond the most of a cart are dropped,
//! the last put in first; what the member had is never less than before.

use std::collections::BTreeMap;

use merx_contracts::ids::Sku;
use merx_kernel::{Money, Quantity, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit::Limit;

/// A line as it lies in a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineHad {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// What one cost when it was put in.
    pub price_when_added: Option<Money>,
    /// When it was first added.
    pub added_at: Timestamp,
}

/// What became of a guest's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it is in the member's cart.
    Added,
    /// Some or none of it, for no more may be bought.
    Capped,
    /// None of it, for the cart is full.
    Dropped,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] = &[Self::Added, Self::Capped, Self::Dropped];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Capped => "capped",
            Self::Dropped => "dropped",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.name() == name)
    }
}

/// One line of a guest's cart, merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The guest's line.
    pub line: LineHad,
    /// What became of it.
    pub outcome: Outcome,
    /// How many units came over.
    pub added: i64,
    /// How many the member's line has now; nothing when there is none.
    pub now: Option<Quantity>,
    /// Whether the member's cart had the line before.
    pub had: bool,
}

/// Merges a guest's lines into a member's, each in the order they were first added.
///
/// # Errors
/// `Internal` when a quantity comes out beyond its range, which the rule prevents.
pub fn merge(
    member: &[LineHad],
    guest: &[LineHad],
    limits: &BTreeMap<Sku, Limit>,
    lines_max: usize,
) -> Result<Vec<Merged>> {
    let had: BTreeMap<&Sku, i64> = member.iter().map(|line| (&line.sku, line.quantity.get())).collect();
    let mut places = lines_max.saturating_sub(member.len());
    let mut merged = Vec::with_capacity(guest.len());
    for line in guest {
        let before = had.get(&line.sku).copied();
        if before.is_none() && places == 0 {
            let outcome = Outcome::Dropped;
            merged.push(Merged { line: line.clone(), outcome, added: 0, now: None, had: false });
            continue;
        }
        let (mine, theirs) = (before.unwrap_or(0), line.quantity.get());
        let limit = limits.get(&line.sku).copied().unwrap_or_default().most();
        let most = limit.unwrap_or(i64::MAX).min(i64::from(Quantity::MAX));
        let now = (mine + theirs).min(most).max(mine);
        let outcome = if now == mine + theirs { Outcome::Added } else { Outcome::Capped };
        if before.is_none() {
            places -= 1;
        }
        merged.push(Merged {
            line: line.clone(),
            outcome,
            added: now - mine,
            now: Some(Quantity::new(now)?),
            had: before.is_some(),
        });
    }
    Ok(merged)
}
