//! How much of a SKU one may buy.

use merx_contracts::{catalogue::v1::QuotedLine, ids::Sku};
use merx_kernel::{Error, Quantity, Result};

/// The purchase limits of a SKU, as the catalogue tells them now. Ordering enforces them; the cart tells early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// The most of one order.
    pub per_order: Option<i64>,
    /// The most one buyer may ever buy.
    pub per_buyer: Option<i64>,
}

impl Limit {
    /// What the catalogue answered; it writes 0 for no limit.
    pub fn of(quoted: &QuotedLine) -> Self {
        let limit = |units: i64| (units > 0).then_some(units);
        Self { per_order: limit(quoted.limit_per_order), per_buyer: limit(quoted.limit_per_buyer) }
    }

    /// The most one line may have; nothing when there is no limit but that of every line.
    pub fn most(self) -> Option<i64> {
        [self.per_order, self.per_buyer].into_iter().flatten().min()
    }

    /// Refuses a quantity above a limit.
    ///
    /// # Errors
    /// `cart.limit_exceeded`.
    pub fn check(self, sku: &Sku, quantity: Quantity) -> Result<()> {
        let detail = match (self.per_order, self.per_buyer) {
            (Some(most), _) if quantity.get() > most && self.most() == Some(most) => {
                format!("One order may have at most {most} of `{sku}`.")
            }
            (_, Some(most)) if quantity.get() > most => {
                format!("Each buyer may buy at most {most} of `{sku}`, all orders together.")
            }
            _ => return Ok(()),
        };
        Err(Error::rejected("cart.limit_exceeded", detail))
    }
}
