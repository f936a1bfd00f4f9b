//! A fresh pair of tokens for a refresh token. Each is good once: an old one that comes back was stolen, or the
//! client was robbed of its answer; either way the whole session ends (RFC 9700 §4.14.2).

use merx_contracts::ids::SessionId;
use merx_kernel::{Error, ErrorKind, Result, Secret};

use crate::{
    State,
    commands::log_in::{Bearer, SessionTokens, fresh_token, token_hash, tokens},
    store::sessions::{self, TokenRow},
};

enum Outcome {
    Unknown,
    Reused(SessionId),
    Refreshed(Bearer),
}

/// Replaces the refresh token.
///
/// # Errors
/// `accounts.refresh_token_invalid`; `accounts.refresh_token_reused`, and the session has ended.
pub async fn refresh_session(state: &State, token: Secret<String>) -> Result<SessionTokens> {
    let now = state.clock.now();
    let old = token_hash(token.expose());
    let (refresh, new) = fresh_token(&state.ids);
    let expires_at = now.plus(state.settings.refresh_life());
    let outcome = state
        .write_rights("accounts.refresh_session", move |tx| {
            let Some(found) = sessions::token(tx, old)? else { return Ok(Outcome::Unknown) };
            if found.ended || found.expires_at <= now {
                return Ok(Outcome::Unknown);
            }
            if found.replaced || !sessions::replace_token(tx, old, now)? {
                sessions::end_session(tx, found.session, now)?;
                return Ok(Outcome::Reused(found.session));
            }
            if !sessions::use_session(tx, found.session, now, expires_at)? {
                return Ok(Outcome::Unknown);
            }
            sessions::insert_token(tx, new, found.session, expires_at)?;
            let TokenRow { account, session, roles, .. } = found;
            Ok(Outcome::Refreshed(Bearer { account, session, roles }))
        })
        .await?;
    let refused =
        |code: &'static str, message: &str| Err(Error::new(ErrorKind::Unauthenticated, code, message));
    match outcome {
        Outcome::Refreshed(principal) => tokens(state, &principal, refresh, expires_at),
        Outcome::Unknown => {
            refused("accounts.refresh_token_invalid", "The refresh token is not valid; log in again.")
        }
        Outcome::Reused(session) => {
            state.revoke(session, now);
            tracing::warn!(%session, "an old refresh token came back; the session has ended");
            let message = "The refresh token was used before, so its session has ended; log in again.";
            refused("accounts.refresh_token_reused", message)
        }
    }
}
