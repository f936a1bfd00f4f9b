//! The allocation rule: from which warehouses an order is served.
//!
//! 1. If one warehouse holds every line whole, it serves the order: the one with the lowest priority number, among
//!    equals the one with the lowest id.
//! 2. Else warehouses are chosen one after the other: each time the one that adds most units of what is still missing,
//!    among equals the first by (1). Then whoever is not needed is dropped again, the last by (1) first.
//! 3. Each line comes whole from the first chosen warehouse that holds it whole; else it is split, by (1).
//! 4. All or nothing: what the warehouses hold together is what can be had, and no more is refused than that.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};

use super::lines::{Lines, PlacedLine};

/// What one active warehouse has of a SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// The SKU.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseId,
    /// Lower serves first.
    pub priority: i64,
    /// Free to be reserved.
    pub available: i64,
}

/// There is too little of a SKU, all warehouses together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Of which SKU.
    pub sku: Sku,
    /// How many were wanted.
    pub wanted: i64,
    /// How many can be had.
    pub available: i64,
}

/// A warehouse's shelves, in the order of the lines.
struct Place {
    warehouse: WarehouseId,
    available: Vec<i64>,
}

/// Where each line comes from, sorted by SKU; the same whatever the order of `shelves`.
///
/// # Errors
/// The first SKU there is too little of.
pub fn allocate(lines: &Lines, shelves: &[Shelf]) -> Result<Vec<PlacedLine>, Shortage> {
    let lines = lines.as_slice();
    let places = places_of(lines, shelves);
    for (index, line) in lines.iter().enumerate() {
        let available = places.iter().fold(0i64, |sum, place| sum.saturating_add(place.available[index]));
        if available < line.quantity {
            return Err(Shortage { sku: line.sku.clone(), wanted: line.quantity, available });
        }
    }
    let wanted: Vec<i64> = lines.iter().map(|line| line.quantity).collect();
    let single = places.iter().position(|place| covers(&[place], &wanted));
    let chosen: Vec<&Place> = match single {
        Some(index) => vec![&places[index]],
        None => choose(&places, &wanted),
    };
    let mut placed = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let whole = chosen.iter().find(|place| place.available[index] >= line.quantity);
        let from = whole.map_or_else(|| chosen.clone(), |place| vec![*place]);
        let mut left = line.quantity;
        for place in from {
            let quantity = place.available[index].min(left);
            if quantity > 0 {
                placed.push(PlacedLine { sku: line.sku.clone(), warehouse: place.warehouse, quantity });
                left -= quantity;
            }
        }
    }
    Ok(placed)
}

/// The warehouses that have any of it, the first by priority and id first.
fn places_of(lines: &[super::Line], shelves: &[Shelf]) -> Vec<Place> {
    let mut places: BTreeMap<(i64, WarehouseId), Place> = BTreeMap::new();
    for shelf in shelves.iter().filter(|shelf| shelf.available > 0) {
        let Ok(index) = lines.binary_search_by(|line| line.sku.cmp(&shelf.sku)) else { continue };
        let empty = || Place { warehouse: shelf.warehouse, available: vec![0; lines.len()] };
        let place = places.entry((shelf.priority, shelf.warehouse)).or_insert_with(empty);
        place.available[index] = shelf.available;
    }
    places.into_values().collect()
}

fn covers(places: &[&Place], wanted: &[i64]) -> bool {
    wanted.iter().enumerate().all(|(index, wanted)| {
        places.iter().fold(0i64, |sum, place| sum.saturating_add(place.available[index])) >= *wanted
    })
}

/// Rule 2. Together the places cover `wanted`.
fn choose<'a>(places: &'a [Place], wanted: &[i64]) -> Vec<&'a Place> {
    let mut left = wanted.to_vec();
    let mut chosen: Vec<usize> = Vec::new();
    while left.iter().any(|units| *units > 0) {
        let adds = |index: usize| -> i64 {
            places[index].available.iter().zip(&left).map(|(have, left)| (*have).min(*left)).sum()
        };
        // Of equals `max_by_key` takes the last, hence the reversal.
        let best = (0..places.len()).rev().filter(|i| !chosen.contains(i)).max_by_key(|i| adds(*i));
        let Some(best) = best else { break };
        for (left, have) in left.iter_mut().zip(&places[best].available) {
            *left -= (*have).min(*left);
        }
        chosen.push(best);
    }
    chosen.sort_unstable();
    for index in chosen.clone().into_iter().rev() {
        let rest: Vec<&Place> = chosen.iter().filter(|i| **i != index).map(|i| &places[*i]).collect();
        if covers(&rest, wanted) {
            chosen.retain(|i| *i != index);
        }
    }
    chosen.into_iter().map(|index| &places[index]).collect()
}
