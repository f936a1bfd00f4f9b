//! What SKUs cost, kept in memory: every cart, quote and order asks for it. The database is the truth; a change forgets
//! what is kept before it is answered, so that a buyer never sees an older price than the last change.
//!
//! What is kept is not a price but the rules of it, those to come included, and the planned moments of the listing: the
//! price in force is computed when it is asked for, so that a planned change needs nobody to forget anything.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use merx_contracts::ids::Sku;
use merx_kernel::{Result, Timestamp};
use merx_sql::Db;

use crate::store::prices::{self as store, QuotedSku};

/// SKUs kept; a shop with more asks the database for the rest.
const KEPT_MAX: usize = 50_000;

/// The prices. Clones share one memory.
#[derive(Clone, Default)]
pub struct Prices(Arc<RwLock<Kept>>);

#[derive(Default)]
struct Kept {
    /// Rises with every change: what was read before a change must not be kept after it.
    generation: u64,
    skus: BTreeMap<Sku, Arc<QuotedSku>>,
}

impl Prices {
    /// The SKUs among `codes` that exist, good for `now` and later.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn of(&self, db: &Db, codes: &[Sku], now: Timestamp) -> Result<BTreeMap<Sku, Arc<QuotedSku>>> {
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        let generation = {
            let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
            for code in codes {
                match kept.skus.get(code) {
                    Some(sku) => drop(found.insert(code.clone(), sku.clone())),
                    None => missing.push(code.clone()),
                }
            }
            kept.generation
        };
        if missing.is_empty() {
            return Ok(found);
        }
        let read = db.read("catalogue.quote", move |q| store::quoted(q, &missing, now)).await?;
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for sku in read.into_iter().map(Arc::new) {
            if kept.generation == generation && kept.skus.len() < KEPT_MAX {
                kept.skus.insert(sku.sku.clone(), sku.clone());
            }
            found.insert(sku.sku.clone(), sku);
        }
        Ok(found)
    }

    /// Something changed: to be called after the commit and before anybody is told.
    pub fn forget(&self) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.generation += 1;
        kept.skus.clear();
    }
}
