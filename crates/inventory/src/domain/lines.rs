//! What is asked for, and where it was found.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, WarehouseId};
use merx_kernel::{Error, Quantity, Result};
use serde::{Deserialize, Serialize};

/// How many of a SKU are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// Units, at least one.
    pub quantity: i64,
}

/// The lines of one reservation: each SKU once, sorted by SKU. The order is also the order in which stock rows
/// are locked, so two reservations never wait for each other in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// The most lines of one reservation; a cart has no more.
    pub const COUNT_MAX: usize = 100;

    /// Sorts, and adds up lines of the same SKU.
    ///
    /// # Errors
    /// `Invalid`: no line, more than [`Self::COUNT_MAX`], or more units of a SKU than a line may have.
    pub fn new(lines: impl IntoIterator<Item = (Sku, Quantity)>) -> Result<Self> {
        let mut by_sku: BTreeMap<Sku, i64> = BTreeMap::new();
        let mut count = 0usize;
        for (sku, quantity) in lines {
            count += 1;
            if count > Self::COUNT_MAX {
                break;
            }
            *by_sku.entry(sku).or_default() += quantity.get();
        }
        if !(1..=Self::COUNT_MAX).contains(&count) {
            return Err(Error::invalid("/lines", format!("must have 1 to {} lines", Self::COUNT_MAX)));
        }
        let lines = by_sku
            .into_iter()
            .map(|(sku, units)| Ok(Line { sku, quantity: Quantity::new(units)?.get() }))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self(lines))
    }

    /// The lines, by SKU.
    pub fn as_slice(&self) -> &[Line] {
        &self.0
    }

    /// Whether these are the lines that were placed, wherever.
    pub fn are(&self, placed: &[PlacedLine]) -> bool {
        let mut units: BTreeMap<&Sku, i64> = BTreeMap::new();
        for line in placed {
            *units.entry(&line.sku).or_default() += line.quantity;
        }
        units.into_iter().eq(self.0.iter().map(|line| (&line.sku, line.quantity)))
    }
}

/// A line, or a part of one, with the warehouse that serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedLine {
    /// The SKU.
    pub sku: Sku,
    /// Where it lies.
    pub warehouse: WarehouseId,
    /// Units, at least one.
    pub quantity: i64,
}
