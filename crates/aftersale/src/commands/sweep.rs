//! Pictures that nobody may see any more are removed: of persons that were erased, and of uploads that never ended.

use std::time::Duration;

use merx_kernel::Result;

use crate::{State, pictures::key_of, store::evidence};

/// How long an upload may take.
pub const UPLOAD_MAX: Duration = Duration::from_secs(60 * 60);
/// Pictures looked at in one go.
const CHUNK: i64 = 100;

/// Removes them, objects before rows; answers how many.
///
/// # Errors
/// What the database or the store of objects answers; what was removed until then is.
pub async fn sweep(state: &State) -> Result<usize> {
    let before = state.clock.now().minus(UPLOAD_MAX);
    state.db.write_low("aftersale.give_up", move |tx| evidence::give_up(tx, before)).await?;
    let mut gone = 0;
    loop {
        let going = state.db.read("aftersale.going", |q| evidence::going(q, CHUNK)).await?;
        if going.is_empty() {
            return Ok(gone);
        }
        for id in going {
            state.objects.delete(&key_of(id)?).await?;
            state.db.write_low("aftersale.removed", move |tx| evidence::removed(tx, id)).await?;
            gone += 1;
        }
    }
}
