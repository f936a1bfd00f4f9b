//! A2: stock.

use std::collections::BTreeMap;

use merx_contracts::ids::WarehouseId;
use merx_kernel::Result;
use merx_sql::{Query, Reader, Row, params};

use crate::Check;

const LEVELS: &str =
    "SELECT sku, warehouse, received, adjusted, available, reserved, sold FROM inventory_stock";
const FROM_MOVEMENTS: &str = "SELECT sku, warehouse,
 SUM(CASE WHEN kind = 'received' THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'adjusted' THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind IN ('received', 'adjusted', 'released') THEN quantity
          WHEN kind = 'reserved' THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'reserved' THEN quantity WHEN kind IN ('released', 'sold') THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'sold' THEN quantity ELSE 0 END)
 FROM inventory_movements GROUP BY sku, warehouse";

struct Level {
    sku: String,
    warehouse: WarehouseId,
    /// Received, adjusted, available, reserved, sold.
    figures: [i64; 5],
}

fn level(row: &Row) -> Result<Level> {
    let mut figures = [0; 5];
    for (index, figure) in figures.iter_mut().enumerate() {
        *figure = row.get(index + 2)?;
    }
    Ok(Level { sku: row.get(0)?, warehouse: row.get(1)?, figures })
}

/// A2: received + adjusted = available + reserved + sold for every SKU and warehouse, no figure below 0, and the
/// movement ledger explains every unit. (Returns and write-offs come with after-sale.)
pub(crate) fn check(q: &mut Reader<'_>) -> Result<Check> {
    let mut check =
        Check::new("A2", "received + adjusted = available + reserved + sold, none below 0, all explained");
    let levels = q.query(LEVELS, params![], level)?;
    let explained = q.query(FROM_MOVEMENTS, params![], level)?;
    let mut explained: BTreeMap<(String, WarehouseId), [i64; 5]> =
        explained.into_iter().map(|l| ((l.sku, l.warehouse), l.figures)).collect();
    for Level { sku, warehouse, figures } in &levels {
        check.examined += 1;
        let [received, adjusted, available, reserved, sold] = *figures;
        if received + adjusted != available + reserved + sold {
            check.violation(format!(
                "{sku} in {warehouse}: {received} received + {adjusted} adjusted, but {available} available + \
                 {reserved} reserved + {sold} sold"
            ));
        }
        if [received, available, reserved, sold].iter().any(|f| *f < 0) {
            check.violation(format!("{sku} in {warehouse}: a figure is below 0: {figures:?}"));
        }
        let moved = explained.remove(&(sku.clone(), *warehouse)).unwrap_or_default();
        if moved != *figures {
            check.violation(format!("{sku} in {warehouse}: the movements do not explain {figures:?}"));
        }
    }
    for (sku, warehouse) in explained.keys() {
        check.violation(format!("{sku} in {warehouse}: movements without a stock row"));
    }
    Ok(check)
}
