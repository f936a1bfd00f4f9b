//! An endpoint that is told of facts.

use merx_contracts::ids::WebhookId;
use merx_kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signature::Scheme;

/// The types of facts endpoints are told of. Not told: codes, who logged in as whom, and what staff did.
pub const TOLD: &[&str] = &[
    "accounts.person_erased.v1",
    "catalogue.price_changed.v1",
    "catalogue.product_changed.v1",
    "inventory.stock_low.v1",
    "ordering.order_awaiting_payment.v2",
    "ordering.order_cancelled.v2",
    "ordering.order_completed.v2",
    "ordering.order_paid.v2",
    "ordering.order_refunded.v1",
    "ordering.order_shipped.v2",
    "payment.captured.v1",
    "payment.refunded.v1",
    "shipping.delivered.v1",
    "shipping.shipped.v2",
];

/// The most types or prefixes of one endpoint.
pub const TYPES_MAX: usize = 20;
/// The type of a test event; it goes to the endpoint that asked for it, whatever its types.
pub const TEST_TYPE: &str = "notification.test.v1";

/// Whether an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// It is.
    Enabled,
    /// It is not; what happens meanwhile is kept for a replay.
    Disabled,
    /// It was removed.
    Deleted,
}

impl WebhookState {
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled, Self::Deleted].into_iter().find(|s| s.name() == name)
    }
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// Somebody of the staff did it.
    Staff,
    /// It answered 410.
    Gone,
    /// It only failed for five days.
    Failing,
}

impl DisabledBecause {
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Staff, Self::Gone, Self::Failing].into_iter().find(|s| s.name() == name)
    }
}

/// An endpoint as it is kept. Its secrets are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its identity.
    pub id: WebhookId,
    /// Where it is.
    pub url: String,
    /// What it is told: types, or their beginnings at a point.
    pub types: Vec<String>,
    /// What it is for.
    pub description: String,
    /// How it is signed for.
    pub signature: Scheme,
    /// Whether it is told.
    pub state: WebhookState,
    /// Why not.
    pub disabled_because: Option<DisabledBecause>,
    /// Rises with every change somebody makes.
    pub version: i64,
    /// Failures since the last success.
    pub failures: i64,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When it last answered 2xx.
    pub last_success_at: Option<Timestamp>,
    /// When it last did not.
    pub last_failure_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether `wanted` (a type, or the words before one of its points) covers the type `kind`.
pub fn covers(wanted: &str, kind: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Everything [`covers`] a type that is told: the types, and the words before each of their points.
pub fn types_to_ask_for() -> Vec<&'static str> {
    let beginnings = TOLD.iter().flat_map(|kind| kind.match_indices('.').map(|(point, _)| &kind[..point]));
    let mut all: Vec<&str> = beginnings.chain(TOLD.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Webhook {
    /// Whether it is told of facts of the type `kind`.
    pub fn wants(&self, kind: &str) -> bool {
        self.types.iter().any(|wanted| covers(wanted, kind))
    }
}

/// Checks what an endpoint wants to be told; answers it in order and without doubles.
///
/// # Errors
/// A sentence naming the rule.
pub fn checked_types(types: &[String]) -> Result<Vec<String>, String> {
    if !(1..=TYPES_MAX).contains(&types.len()) {
        return Err(format!("must name 1 to {TYPES_MAX} types or prefixes"));
    }
    if let Some(unknown) = types.iter().find(|wanted| !TOLD.iter().any(|kind| covers(wanted, kind))) {
        let shown: String = unknown.chars().take(100).collect();
        return Err(format!("`{shown}` covers no fact that is told; they are {}", TOLD.join(", ")));
    }
    let mut types = types.to_vec();
    types.sort();
    types.dedup();
    Ok(types)
}
