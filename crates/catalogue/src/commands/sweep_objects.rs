//! Objects that no picture uses are removed: what is left of pictures that were deleted, of uploads that were refused
//! after their files were put, and of rows that a restored database has no more.

use std::time::Duration;

use merx_kernel::{Error, Result};

use crate::{
    State,
    pictures::{FOLDER, key_of},
    store::pictures as store,
};
use merx_platform::objects::ObjectKey;

/// How long an object may lie unused: longer than any upload takes.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Objects looked at in one go.
const CHUNK: usize = 100;

/// Removes the objects whose rows no picture uses; answers how many.
///
/// # Errors
/// What the database or the store answers; what was removed until then is.
pub async fn sweep_objects(state: &State) -> Result<usize> {
    let mut gone = 0;
    loop {
        let at = state.clock.now();
        let before = at.minus(ORPHAN_AFTER);
        let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let found = state.db.read("catalogue.orphans", move |q| store::orphans(q, before, limit)).await?;
        let count = found.len();
        for object in found {
            let own = object.clone();
            let begin = move |tx: &mut merx_sql::Tx<'_>| store::begin_removal(tx, &own, before, at);
            if state.db.write_low("catalogue.sweep", begin).await? {
                remove(state, object).await?;
                gone += 1;
            }
        }
        if count < CHUNK {
            return Ok(gone);
        }
    }
}

/// Looks through the whole store and removes the objects that have no row; answers how many.
///
/// # Errors
/// What the database or the store answers; what was removed until then is.
pub async fn sweep_unknown(state: &State) -> Result<usize> {
    let folder = ObjectKey::new(FOLDER).map_err(|e| Error::internal("a folder's name").with_source(e))?;
    let mut gone = 0;
    let mut after: Option<ObjectKey> = None;
    loop {
        let keys = state.objects.list(&folder, after.as_ref(), CHUNK).await?;
        let Some(last) = keys.last().cloned() else { return Ok(gone) };
        let names: Vec<String> =
            keys.iter().filter_map(|key| key.as_str().strip_prefix("pictures/").map(str::to_owned)).collect();
        let unknown = state.db.read("catalogue.unknown", move |q| store::unknown(q, &names)).await?;
        for object in unknown {
            let (own, at) = (object.clone(), state.clock.now());
            let adopt = move |tx: &mut merx_sql::Tx<'_>| store::adopt_for_removal(tx, &own, at);
            // Claimed since we looked: an upload, which puts its rows first.
            if state.db.write_low("catalogue.sweep", adopt).await? {
                remove(state, object).await?;
                gone += 1;
            }
        }
        after = Some(last);
    }
}

/// The row says that the object is going away, so nobody can take it: the object goes first, then the row.
async fn remove(state: &State, object: String) -> Result<()> {
    state.objects.delete(&key_of(&object)?).await?;
    state.db.write_low("catalogue.sweep", move |tx| store::end_removal(tx, &object)).await
}
