//! Between the wire's shapes and the kernel's.

use merx_kernel::{Error, Money, Quantity, Result};

use crate::{common::v1 as wire, ids::Sku};

impl From<Money> for wire::Money {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}

impl TryFrom<wire::Money> for Money {
    type Error = Error;
    fn try_from(money: wire::Money) -> Result<Self> {
        Ok(Self::new(money.minor, money.currency.parse()?))
    }
}

impl wire::SkuQuantity {
    /// From the kernel's shapes.
    pub fn new(sku: &Sku, quantity: Quantity) -> Self {
        Self { sku: sku.as_str().to_owned(), quantity: quantity.get() }
    }

    /// Checked into the kernel's shapes.
    ///
    /// # Errors
    /// `Invalid` naming the property.
    pub fn checked(&self) -> Result<(Sku, Quantity)> {
        let sku = Sku::new(&self.sku).map_err(|e| Error::invalid("/sku", e))?;
        Ok((sku, Quantity::new(self.quantity)?))
    }
}
