//! A stock count. What is counted is compared with what the books say *at that moment*; only the difference is posted
//! when the count is closed, so that what is sold or received meanwhile is not lost.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{AccountId, Sku, WarehouseId};
use merx_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::stock::UNITS_MAX;

/// The most SKUs of one count.
pub const SKUS_MAX: usize = 200;

/// One counted figure, and the books at the moment it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Units somebody found on the shelf.
    pub counted: i64,
    /// Units the books said were there: available and reserved.
    pub expected: i64,
    /// The sum of corrections at that moment. One posted before the close has told of the difference, or a part of
    /// it, already.
    pub adjusted: i64,
}

impl Figure {
    /// What is to be posted when the sum of corrections is `adjusted_now`.
    pub const fn difference(self, adjusted_now: i64) -> i64 {
        self.counted - self.expected - (adjusted_now - self.adjusted)
    }
}

/// What the count found of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedLine {
    /// The SKU.
    pub sku: Sku,
    /// Units that are posted; 0 when the books were right.
    pub difference: i64,
}

/// Where a count stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Nothing was ever heard of it.
    #[default]
    Unknown,
    /// Figures are being entered.
    Open {
        /// Where.
        warehouse: WarehouseId,
        /// What is to be counted; anything when empty.
        skus: BTreeSet<Sku>,
        /// The last figure of each SKU.
        figures: BTreeMap<Sku, Figure>,
    },
    /// The differences are posted.
    Closed,
    /// Given up, nothing was posted.
    Abandoned,
}

/// What staff may do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountCommand {
    /// Begin.
    Open {
        /// Where.
        warehouse: WarehouseId,
        /// What is to be counted; anything when empty.
        skus: Vec<Sku>,
        /// Why.
        reason: String,
    },
    /// Enter what was found; a second figure of a SKU replaces the first.
    Enter {
        /// The SKU.
        sku: Sku,
        /// What was found, and the books at this moment.
        figure: Figure,
    },
    /// Post the differences.
    Close {
        /// The present sum of corrections of each SKU with a figure.
        adjusted: BTreeMap<Sku, i64>,
        /// What the ledger says of it.
        reason: String,
    },
    /// Give it up.
    Abandon {
        /// Why.
        reason: String,
    },
}

/// What has happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the command, and who did it")]
#[serde(untagged)]
pub enum CountEvent {
    /// It was begun.
    CountOpened { warehouse: WarehouseId, skus: Vec<Sku>, reason: String, by: Option<AccountId> },
    /// A figure was entered.
    CountEntered { sku: Sku, counted: i64, expected: i64, adjusted: i64, by: Option<AccountId> },
    /// The differences were posted.
    CountClosed { warehouse: WarehouseId, lines: Vec<CountedLine>, reason: String, by: Option<AccountId> },
    /// It was given up.
    CountAbandoned { reason: String, by: Option<AccountId> },
}

/// The rule.
///
/// # Errors
/// `Invalid` naming what is wrong; `inventory.count_not_found`, `inventory.count_ended`, `inventory.count_incomplete`.
pub fn decide(state: &Count, command: CountCommand, by: Option<AccountId>) -> Result<CountEvent> {
    use CountCommand as C;
    match (command, state) {
        (C::Open { warehouse, skus, reason }, Count::Unknown) => {
            let skus: BTreeSet<Sku> = skus.into_iter().collect();
            if skus.len() > SKUS_MAX {
                return Err(Error::invalid("/skus", format!("at most {SKUS_MAX} SKUs")));
            }
            Ok(CountEvent::CountOpened { warehouse, skus: skus.into_iter().collect(), reason, by })
        }
        (_, Count::Unknown) => Err(not_found()),
        (C::Enter { sku, figure }, Count::Open { skus, figures, .. }) => {
            enter(skus, figures, sku, figure, by)
        }
        (C::Close { adjusted, reason }, Count::Open { warehouse, skus, figures }) => {
            let missing: Vec<&str> =
                skus.iter().filter(|sku| !figures.contains_key(*sku)).map(Sku::as_str).take(5).collect();
            if !missing.is_empty() || figures.is_empty() {
                let text = match missing.as_slice() {
                    [] => "Nothing was counted yet.".to_owned(),
                    some => format!("Not counted yet: {}.", some.join(", ")),
                };
                return Err(Error::rejected("inventory.count_incomplete", text));
            }
            let line = |(sku, figure): (&Sku, &Figure)| {
                let now = adjusted.get(sku).copied().unwrap_or(figure.adjusted);
                CountedLine { sku: sku.clone(), difference: figure.difference(now) }
            };
            let lines = figures.iter().map(line).collect();
            Ok(CountEvent::CountClosed { warehouse: *warehouse, lines, reason, by })
        }
        (C::Abandon { reason }, Count::Open { .. }) => Ok(CountEvent::CountAbandoned { reason, by }),
        _ => Err(Error::rejected(
            "inventory.count_ended",
            "The count is closed or was given up; open a new one.",
        )),
    }
}

fn enter(
    skus: &BTreeSet<Sku>,
    figures: &BTreeMap<Sku, Figure>,
    sku: Sku,
    figure: Figure,
    by: Option<AccountId>,
) -> Result<CountEvent> {
    if !skus.is_empty() && !skus.contains(&sku) {
        return Err(Error::invalid("/sku", "is not part of this count"));
    }
    if !figures.contains_key(&sku) && figures.len() >= SKUS_MAX {
        return Err(Error::invalid("/sku", format!("is one too many: a count has at most {SKUS_MAX} SKUs")));
    }
    let Figure { counted, expected, adjusted } = figure;
    if !(0..=UNITS_MAX).contains(&counted) {
        return Err(Error::invalid("/counted", format!("must be a whole number from 0 to {UNITS_MAX}")));
    }
    Ok(CountEvent::CountEntered { sku, counted, expected, adjusted, by })
}

/// The refusal for a count nobody has heard of.
pub fn not_found() -> Error {
    Error::not_found("inventory.count_not_found", "There is no such stock count.")
}

/// The state after an event.
#[must_use]
pub fn evolve(state: Count, event: &CountEvent) -> Count {
    match event {
        CountEvent::CountOpened { warehouse, skus, .. } => Count::Open {
            warehouse: *warehouse,
            skus: skus.iter().cloned().collect(),
            figures: BTreeMap::new(),
        },
        CountEvent::CountEntered { sku, counted, expected, adjusted, .. } => match state {
            Count::Open { warehouse, skus, mut figures } => {
                let figure = Figure { counted: *counted, expected: *expected, adjusted: *adjusted };
                figures.insert(sku.clone(), figure);
                Count::Open { warehouse, skus, figures }
            }
            other => other,
        },
        CountEvent::CountClosed { .. } => Count::Closed,
        CountEvent::CountAbandoned { .. } => Count::Abandoned,
    }
}

impl Count {
    /// The stored and public name of where it stands.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Open { .. } => "open",
            Self::Closed => "closed",
            Self::Abandoned => "abandoned",
        }
    }
}
