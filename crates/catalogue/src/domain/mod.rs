//! The rules of the catalogue. Pure: time and what is in the tables come in as facts.

pub mod attribute;
pub mod category;
pub mod content;
pub mod decimal;
pub mod listing;
pub mod price;
pub mod slug;
pub mod svg;

use merx_kernel::{BoundedText, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attribute::{AttributeKind, AttributeSpec, AttributeValue, Choice};
pub use category::{Category, CategoryAttribute, Tree};
pub use content::{Content, ProductOption, PublishRules, SkuSpec};
pub use decimal::Decimal;
pub use listing::{Listing, Status};
pub use price::{PriceId, PriceRule};
pub use slug::Slug;

/// One text in the languages the product speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LocalText_{MAX}")]
pub struct LocalText<const MAX: usize> {
    /// Chinese.
    pub zh: BoundedText<1, MAX>,
    /// English.
    pub en: BoundedText<1, MAX>,
}

/// Why somebody changes something.
pub type Reason = BoundedText<1, 500>;

/// What is wrong with the parts of an input, by JSON Pointer.
#[derive(Debug, Default)]
pub struct Wrong(Vec<(String, String)>);

impl Wrong {
    /// One more thing that is wrong.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push((pointer.into(), detail.into()));
    }
    /// One more, unless `holds`.
    pub fn unless(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.add(pointer, detail);
        }
    }
    /// `Ok` when nothing is wrong, else `error` with each.
    ///
    /// # Errors
    /// `error`, naming each property.
    pub fn into_result(self, error: impl FnOnce() -> Error) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(self.0.into_iter().fold(error(), |e, (pointer, detail)| e.with_field(pointer, detail)))
    }
    /// `Ok` when nothing is wrong, else `request.invalid` with each.
    ///
    /// # Errors
    /// `Invalid`, naming each property.
    pub fn invalid(self) -> Result<()> {
        self.into_result(|| {
            Error::new(merx_kernel::ErrorKind::Invalid, "request.invalid", "The request is not valid.")
        })
    }
}
