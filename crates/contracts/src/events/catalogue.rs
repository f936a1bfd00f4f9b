//! Facts of catalogue.

use merx_kernel::Money;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{ProductId, Sku},
};

/// Something buyers see of a product has changed: text, pictures, SKUs, whether it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductChanged {
    /// The product.
    pub product_id: ProductId,
    /// Whether buyers can find it now.
    pub listed: bool,
}

/// A SKU has another price from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceChanged {
    /// The SKU.
    pub sku: Sku,
    /// Its product.
    pub product_id: ProductId,
    /// The price until now.
    pub before: Money,
    /// The price from now on.
    pub after: Money,
}

impl Fact for ProductChanged {
    const TYPE: &'static str = "catalogue.product_changed.v1";
    fn subject(&self) -> String {
        self.product_id.to_string()
    }
}
impl Fact for PriceChanged {
    const TYPE: &'static str = "catalogue.price_changed.v1";
    fn subject(&self) -> String {
        self.product_id.to_string()
    }
}
