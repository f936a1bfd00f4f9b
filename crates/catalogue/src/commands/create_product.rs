//! A product of the shop's own making, on sale at once: for tests and small demos.

use merx_contracts::ids::ProductId;
use merx_kernel::Result;

use super::seed::{Seed, SeedProduct, seed};
use crate::{
    State,
    domain::{Content, Status},
};

/// Creates and lists the product; creating the same id again changes nothing.
///
/// # Errors
/// `catalogue.not_ready` for a product that breaks a rule; `catalogue.sku_taken` when another product has one of its
/// SKUs.
pub async fn create_product(state: &State, id: ProductId, content: Content) -> Result<()> {
    let product = SeedProduct { id, content, status: Status::Listed, pictures: Vec::new() };
    seed(state, Seed { products: vec![product], ..Seed::default() }).await
}
