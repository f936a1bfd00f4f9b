//! Removes carts nobody has touched for long.

use merx_kernel::Result;
use merx_sql::{Reader, Tx};

use crate::{State, store};

/// Carts of one transaction: a handful of statements each, so that nobody waits long behind it.
const CHUNK: i64 = 20;
/// The most transactions of one sweep; what is left waits for the next.
const CHUNKS_MAX: usize = 500;

/// Removes the carts that were left alone longer than they are kept; answers how many were looked at.
///
/// # Errors
/// The database's.
pub async fn sweep(state: &State) -> Result<usize> {
    let mut seen = 0;
    for guest in [true, false] {
        let before = state.clock.now().minus(state.settings.expiry(guest));
        for _ in 0..CHUNKS_MAX {
            let read = move |q: &mut Reader<'_>| store::expired(q, guest, before, CHUNK);
            let carts = state.db.read("cart.expired", read).await?;
            if carts.is_empty() {
                break;
            }
            seen += carts.len();
            let write =
                move |tx: &mut Tx<'_>| carts.iter().try_for_each(|cart| store::expire(tx, *cart, before));
            state.db.write_low("cart.sweep", write).await?;
        }
    }
    Ok(seen)
}
