//! Objects in memory: for tests and simulation.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use merx_kernel::Result;

use super::{LIST_MAX, ObjectKey, ObjectStore, check_size};

/// Keeps objects until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<ObjectKey, Bytes>>);

impl MemoryStore {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put(&self, key: &ObjectKey, bytes: Bytes, _: &str) -> Result<()> {
        check_size(&bytes)?;
        self.all().insert(key.clone(), bytes);
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        Ok(self.all().get(key).cloned())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.all().remove(key);
        Ok(())
    }

    async fn list(
        &self,
        prefix: &ObjectKey,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.all();
        let found = all.range((from, Bound::Unbounded)).map(|(key, _)| key);
        Ok(found.filter(|key| key.is_in(prefix)).take(limit.min(LIST_MAX)).cloned().collect())
    }
}
