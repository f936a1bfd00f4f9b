//! Log-out, here or from another device.

use merx_contracts::ids::{AccountId, SessionId};
use merx_kernel::{Error, Guard, Result};

use crate::{State, store};

/// Ends a session of the account. Ending it again changes nothing.
///
/// # Errors
/// `accounts.session_not_found`, also when it is another's.
pub async fn end_session(state: &State, account: AccountId, session: SessionId) -> Result<()> {
    let now = state.clock.now();
    let found = state
        .db
        .write("accounts.end_session", move |tx| {
            let owner = store::session_owner(tx, session)?;
            if owner.is_none_or(|owner| Guard::Owner.on() && owner != account) {
                return Ok(false);
            }
            store::end_session(tx, session, now)?;
            Ok(true)
        })
        .await?;
    if !found {
        return Err(Error::not_found("accounts.session_not_found", "You have no such session."));
    }
    // After the commit, also when it had ended: whoever asks is told that no token of it passes.
    state.revoke(session, now);
    Ok(())
}
