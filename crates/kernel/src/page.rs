//! Cursor pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller asks of a list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The most items of a page.
    pub const LIMIT_MAX: u32 = 100;
    /// Items of a page unless told.
    pub const LIMIT_DEFAULT: u32 = 20;

    /// The checked limit.
    ///
    /// # Errors
    /// `Invalid` naming the limit.
    pub fn checked_limit(&self) -> crate::Result<i64> {
        match self.limit.unwrap_or(Self::LIMIT_DEFAULT) {
            n @ 1..=Self::LIMIT_MAX => Ok(i64::from(n)),
            _ => Err(crate::Error::invalid("limit", format!("must be from 1 to {}", Self::LIMIT_MAX))),
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Page_of_{T}")]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
