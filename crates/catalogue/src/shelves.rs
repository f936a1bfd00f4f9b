//! Categories, brands and definitions, kept in memory: every page of products needs them, and they change rarely. The
//! database is the truth; a change forgets what is kept before it is answered.

use std::sync::{Arc, PoisonError, RwLock};

use merx_kernel::Result;
use merx_sql::Db;

use crate::store::structure::{self, Structure};

/// The present structure. Clones share one memory.
#[derive(Clone, Default)]
pub struct Shelves(Arc<RwLock<Kept>>);

#[derive(Default)]
struct Kept {
    /// Rises with every change: what was read before a change must not be kept after it.
    generation: u64,
    structure: Option<Arc<Structure>>,
}

impl Shelves {
    /// The structure.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn now(&self, db: &Db) -> Result<Arc<Structure>> {
        let generation = {
            let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(structure) = &kept.structure {
                return Ok(structure.clone());
            }
            kept.generation
        };
        let read = Arc::new(db.read("catalogue.structure", |q| structure::structure(q)).await?);
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.generation == generation {
            kept.structure = Some(read.clone());
        }
        Ok(read)
    }

    /// Something changed: to be called after the commit and before anybody is told.
    pub fn forget(&self) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.generation += 1;
        kept.structure = None;
    }
}
