//! Facts of inventory.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{Sku, WarehouseId},
};

/// Less can be had of a SKU in a warehouse than its threshold: told once until it has been above again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLow {
    /// What.
    pub sku: Sku,
    /// Where.
    pub warehouse_id: WarehouseId,
    /// What can be had.
    pub available: i64,
    /// What there should be at least.
    pub threshold: i64,
}

impl Fact for StockLow {
    const TYPE: &'static str = "inventory.stock_low.v1";
    fn subject(&self) -> String {
        self.sku.to_string()
    }
}
