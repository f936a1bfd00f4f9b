//! What an account is, whether it is open, and which language its person reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody who registered.
    Member,
    /// Somebody who buys without having registered: no password, no log-in name.
    Guest,
    /// Somebody of the shop.
    Staff,
}

/// Whether an account is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Active,
    /// Invited; its person has set no password yet.
    Invited,
    /// Closed until it is opened again.
    Deactivated,
    /// The person was erased; only the id is left.
    Erased,
}

/// A language the shop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Locale {
    /// Simplified Chinese.
    #[default]
    #[serde(rename = "zh-CN")]
    ZhCn,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Member, Self::Guest, Self::Staff];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Staff => "staff",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Status {
    const ALL: [Self; 4] = [Self::Active, Self::Invited, Self::Deactivated, Self::Erased];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Invited => "invited",
            Self::Deactivated => "deactivated",
            Self::Erased => "erased",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl Locale {
    /// The stored name (BCP 47).
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::En => "en",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ZhCn, Self::En].into_iter().find(|locale| locale.name() == name)
    }
}
