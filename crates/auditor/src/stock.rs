//! A2: stock.

use std::collections::BTreeMap;

use merx_contracts::ids::WarehouseId;
use merx_kernel::Result;
use merx_sql::{Query, Reader, Row, params};

use crate::Check;

/// How many figures a level has.
const FIGURES: usize = 9;
const LEVELS: &str = "SELECT sku, warehouse, received, adjusted, returned, transferred, written_off,
 available, reserved, in_transit, sold FROM inventory_stock";
const FROM_MOVEMENTS: &str = "SELECT sku, warehouse,
 SUM(CASE WHEN kind = 'received' THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind IN ('adjusted', 'found', 'counted') THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'returned' THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'arrived' THEN quantity WHEN kind = 'departed' THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind IN ('damaged', 'stolen', 'written_off', 'lost') THEN quantity ELSE 0 END),
 SUM(CASE WHEN kind IN ('received', 'adjusted', 'found', 'counted', 'released', 'returned', 'recalled', 'arrived')
          THEN quantity
          WHEN kind IN ('damaged', 'stolen', 'written_off', 'reserved', 'sent') THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'reserved' THEN quantity WHEN kind IN ('released', 'sold') THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'sent' THEN quantity WHEN kind IN ('recalled', 'departed', 'lost') THEN -quantity ELSE 0 END),
 SUM(CASE WHEN kind = 'sold' THEN quantity ELSE 0 END)
 FROM inventory_movements GROUP BY sku, warehouse";
const ON_THE_WAY: &str = "SELECT l.sku, t.source, SUM(l.sent) FROM inventory_transfer_lines l
 JOIN inventory_transfers t ON t.transfer = l.transfer WHERE t.status = 'sent' GROUP BY l.sku, t.source";

/// A SKU in a warehouse.
type Place = (String, WarehouseId);

struct Level {
    place: Place,
    /// Received, adjusted, returned, transferred, written off; available, reserved, in transit, sold.
    figures: [i64; FIGURES],
}

fn level(row: &Row) -> Result<Level> {
    let mut figures = [0; FIGURES];
    for (index, figure) in figures.iter_mut().enumerate() {
        *figure = row.get(index + 2)?;
    }
    Ok(Level { place: (row.get(0)?, row.get(1)?), figures })
}

/// A2: received + adjusted + returned + transferred - written off = available + reserved + in transit + sold for every
/// SKU and warehouse (sold counts what came back too: returned stands on the other side), no stock figure below 0, no
/// more returned than sold; the movement ledger explains every unit; what is in transit is what open transfers carry;
/// and what left one warehouse for another arrived there.
/// Alone it is for the tests of inventory.
///
/// # Errors
/// What the database answers.
pub fn check(q: &mut Reader<'_>) -> Result<Check> {
    let mut check = Check::new(
        "A2",
        "received + adjusted + returned + transferred - written off = available + reserved + in transit + sold, \
         none below 0, all explained",
    );
    let levels = q.query(LEVELS, params![], level)?;
    let explained = q.query(FROM_MOVEMENTS, params![], level)?;
    let mut explained: BTreeMap<Place, [i64; FIGURES]> =
        explained.into_iter().map(|l| (l.place, l.figures)).collect();
    let on_the_way =
        q.query(ON_THE_WAY, params![], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<i64>(2)?)))?;
    let mut on_the_way: BTreeMap<Place, i64> = on_the_way.into_iter().collect();
    let mut moved_between: BTreeMap<&str, i64> = BTreeMap::new();
    for Level { place, figures } in &levels {
        check.examined += 1;
        one_level(&mut check, place, figures);
        let (sku, warehouse) = place;
        let moved = explained.remove(place).unwrap_or_default();
        if moved != *figures {
            check.violation(format!("{sku} in {warehouse}: the movements do not explain {figures:?}"));
        }
        let carried = on_the_way.remove(place).unwrap_or_default();
        if carried != figures[7] {
            let in_transit = figures[7];
            check.violation(format!(
                "{sku} in {warehouse}: {in_transit} in transit, but open transfers carry {carried}"
            ));
        }
        *moved_between.entry(sku).or_default() += figures[3];
    }
    for ((sku, warehouse), figures) in &explained {
        check.violation(format!("{sku} in {warehouse}: movements without a stock row: {figures:?}"));
    }
    for ((sku, warehouse), carried) in &on_the_way {
        check
            .violation(format!("{sku} in {warehouse}: transfers carry {carried}, but there is no stock row"));
    }
    for (sku, sum) in moved_between.into_iter().filter(|(_, sum)| *sum != 0) {
        check.violation(format!("{sku}: between the warehouses {sum} came from nowhere or went there"));
    }
    Ok(check)
}

fn one_level(check: &mut Check, (sku, warehouse): &Place, figures: &[i64; FIGURES]) {
    let [received, adjusted, returned, transferred, written_off, available, reserved, in_transit, sold] =
        *figures;
    if received + adjusted + returned + transferred - written_off != available + reserved + in_transit + sold
    {
        check.violation(format!(
            "{sku} in {warehouse}: {received} received + {adjusted} adjusted + {returned} returned + {transferred} \
             transferred - {written_off} written off, but {available} available + {reserved} reserved + {in_transit} \
             in transit + {sold} sold"
        ));
    }
    let never_negative = [received, returned, written_off, available, reserved, in_transit, sold];
    if never_negative.iter().any(|f| *f < 0) || returned > sold {
        check.violation(format!("{sku} in {warehouse}: a figure is below 0 or too high: {figures:?}"));
    }
}
