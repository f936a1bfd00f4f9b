//! Every SQL text of inventory.

mod counts;
mod ledger;
mod reservations;
mod stock;
mod transfers;
mod warehouses;

use merx_kernel::{Error, Result};
use merx_sql::{Migration, Value};

use merx_contracts::ids::Sku;

pub use counts::{
    CountFilter, CountLineRow, CountRow, count, count_lines, counts, end_count, enter_figure, insert_count,
    post_difference,
};
pub use ledger::{
    Effect, LedgerCursor, LedgerFilter, LedgerLine, Reference, insert_movement, insert_movements, movements,
    sums_until,
};
pub use reservations::{
    Orphan, close_orphans, insert_orphan, insert_reservation, new_orphans, open_orphans, orphans,
    reserved_lines, update_reservation,
};
pub use stock::{
    Pass, StockCursor, StockFilter, StockRow, add_stock, adjusted_sums, availability, change_stock,
    insert_stock, level, levels, overwrite_stock, set_threshold, shelves, stock_page,
};
pub use transfers::{
    TransferFilter, TransferLineRow, TransferRow, arrive, end_transfer, insert_transfer, transfer,
    transfer_lines, transfers,
};
pub use warehouses::{
    Warehouse, insert_warehouse, update_warehouse, use_warehouse, warehouse, warehouse_in_use, warehouses,
};

/// The migrations of the context, after those of the platform.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "stock", include_str!("../../migrations/0100_stock.sql")),
        Migration::same(101, "main_warehouse", include_str!("../../migrations/0101_main_warehouse.sql")),
        Migration::same(102, "figures", include_str!("../../migrations/0102_figures.sql")),
        Migration::each(
            103,
            "movements",
            include_str!("../../migrations/0103_movements.sqlite.sql"),
            include_str!("../../migrations/0103_movements.mysql.sql"),
        ),
        Migration::same(
            104,
            "transfers_and_counts",
            include_str!("../../migrations/0104_transfers_and_counts.sql"),
        ),
    ]
}

fn sku_of(code: String) -> Result<Sku> {
    Sku::new(&code).map_err(|_| Error::internal("a row has a SKU that is none"))
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn sku_values(skus: &[Sku]) -> Vec<Value> {
    skus.iter().map(|sku| Value::from(sku.as_str())).collect()
}
