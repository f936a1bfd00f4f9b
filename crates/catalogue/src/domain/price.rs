//! What a SKU costs at a moment. A price is a rule with a beginning and perhaps an end; the price in force is computed
//! from the rules whenever it is asked for, so that a change takes effect at its moment whatever runs or does not.
//!
//! **Overlaps**: of the rules in force the one that began last counts; of those that began together, the one made last.
//! When none is in force the first price counts, the one the SKU was published with.

use merx_kernel::{Id, IdKind, Timestamp};

/// Marks price ids.
pub enum PriceKind {}
impl IdKind for PriceKind {
    const PREFIX: &'static str = "prc";
}
/// A price rule; ids rise in the order of making.
pub type PriceId = Id<PriceKind>;

/// Where a rule without an end ends.
pub const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// A price from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRule {
    /// Its identity.
    pub id: PriceId,
    /// Minor units.
    pub minor: i64,
    /// From then on, …
    pub from: Timestamp,
    /// … until just before then; [`NEVER`] without an end.
    pub until: Timestamp,
}

impl PriceRule {
    /// Whether it is in force.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// The rule that counts at a moment.
pub fn rule_at(rules: &[PriceRule], at: Timestamp) -> Option<&PriceRule> {
    rules.iter().filter(|rule| rule.holds(at)).max_by_key(|rule| (rule.from, rule.id))
}

/// The price at a moment; `first` is the price without any rule.
pub fn price_at(first: i64, rules: &[PriceRule], at: Timestamp) -> i64 {
    rule_at(rules, at).map_or(first, |rule| rule.minor)
}

/// When the price may next be another, after `at`.
pub fn next_moment(rules: &[PriceRule], at: Timestamp) -> Option<Timestamp> {
    let moments = rules.iter().filter(|r| r.from < r.until).flat_map(|rule| [rule.from, rule.until]);
    moments.filter(|moment| *moment > at && *moment < NEVER).min()
}

/// The change at a moment, as the rule `by` is to tell it: the price before and after. `None` when the price stays, or
/// when another rule tells it. Several rules may begin and end at one moment, each with a timer of its own; the one
/// that counts from then on tells the change if it begins then, else the one that counted until then.
pub fn change_at(first: i64, rules: &[PriceRule], at: Timestamp, by: PriceId) -> Option<(i64, i64)> {
    let just_before = Timestamp::from_millis(at.as_millis() - 1);
    let (was, is) = (rule_at(rules, just_before), rule_at(rules, at));
    let teller = is.filter(|rule| rule.from == at).or(was).map(|rule| rule.id);
    let (before, after) = (was.map_or(first, |r| r.minor), is.map_or(first, |r| r.minor));
    (before != after && teller == Some(by)).then_some((before, after))
}
