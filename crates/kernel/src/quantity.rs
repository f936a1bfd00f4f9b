//! How many of a SKU.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A number of units, 1 to [`Quantity::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Quantity(u32);

impl Quantity {
    /// The most units one line may have.
    pub const MAX: u32 = 9_999;

    /// Checks the range.
    ///
    /// # Errors
    /// `Invalid` naming the limit.
    pub fn new(units: i64) -> Result<Self> {
        match u32::try_from(units) {
            Ok(n) if (1..=Self::MAX).contains(&n) => Ok(Self(n)),
            _ => Err(Error::invalid("/quantity", Self::rule())),
        }
    }
    fn rule() -> String {
        format!("must be a whole number from 1 to {}", Self::MAX)
    }
    /// The number of units.
    pub const fn get(self) -> i64 {
        self.0 as i64
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let units = i64::deserialize(deserializer)?;
        Self::new(units).map_err(|_| serde::de::Error::custom(Self::rule()))
    }
}
impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": Self::MAX})
    }
}
