//! Puts a product with its SKUs into the catalogue, on sale at once.

use merx_kernel::{Error, Result};
use merx_sql::Inserted;

use crate::{State, domain::Product, store};

/// Creates the product; creating the same id again changes nothing.
///
/// # Errors
/// `Invalid` for a product that breaks a rule; `catalogue.sku_taken` when another product has one of its SKUs.
pub async fn create_product(state: &State, product: Product) -> Result<()> {
    product.check()?;
    let at = state.clock.now();
    state
        .db
        .write("catalogue.create_product", move |tx| {
            let taken = store::quoted(tx, &product.skus.iter().map(|s| s.sku.clone()).collect::<Vec<_>>())?;
            if let Some(other) = taken.iter().find(|t| t.product != product.id) {
                return Err(Error::conflict(
                    "catalogue.sku_taken",
                    format!("The SKU {} belongs to another product.", other.sku),
                ));
            }
            match store::insert(tx, &product, at)? {
                Inserted::New | Inserted::Exists => Ok(()),
            }
        })
        .await?;
    state.prices.forget();
    Ok(())
}
