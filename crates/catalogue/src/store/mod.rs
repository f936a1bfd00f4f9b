//! Every SQL text of catalogue.

pub mod history;
pub mod listing;
pub mod pictures;
pub mod prices;
pub mod products;
pub mod structure;

use merx_contracts::ids::Sku;
use merx_kernel::{BoundedText, Error, Result};
use merx_sql::{Migration, Row};

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "products", include_str!("../../migrations/0100_products.sql")),
        Migration::same(101, "structure", include_str!("../../migrations/0101_structure.sql")),
        Migration::same(102, "revisions", include_str!("../../migrations/0102_revisions.sql")),
        Migration::same(103, "pictures", include_str!("../../migrations/0103_pictures.sql")),
    ]
}

fn text<const MIN: usize, const MAX: usize>(row: &Row<'_>, index: usize) -> Result<BoundedText<MIN, MAX>> {
    BoundedText::new(row.get::<String>(index)?).map_err(inconsistent)
}
fn sku_of(row: &Row<'_>, index: usize) -> Result<Sku> {
    Sku::new(row.get::<String>(index)?).map_err(inconsistent)
}
fn inconsistent(what: impl Into<String>) -> Error {
    Error::internal(format!("inconsistent catalogue row: {}", what.into()))
}
fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}
fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("cannot write JSON").with_source(e))
}
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| inconsistent("JSON of another shape").with_source(e))
}
