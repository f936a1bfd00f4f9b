//! The facts, by the context that publishes them. A fact is never changed, only followed by a new version;
//! `golden/` holds one JSON file of every version ever published.

pub mod accounts;
pub mod aftersale;
pub mod catalogue;
pub mod inventory;
pub mod notification;
pub mod ordering;
pub mod payment;
pub mod shipping;
pub mod staff;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One text in the languages the product speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalText {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}
