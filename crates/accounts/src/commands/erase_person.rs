//! Erasing a person: names, addresses and whatever else says who it is are gone at once, here and in every context
//! that hears of it. What is left is an id. Orders keep it, and an address that was not delivered to yet is gone too:
//! the warehouse sees `erased`.

use std::{path::Path, sync::Arc};

use merx_contracts::{
    Envelope,
    events::accounts::PersonErased,
    ids::{AccountId, MessageId, SessionId},
};
use merx_http::{Begun, IdempotencyKey, answer};
use merx_kernel::{IdGen, Result, Role, Timestamp, principal::AccountKind};
use merx_platform::Store;
use merx_sql::{Db, Tx};
use serde_json::json;

use crate::{
    State,
    commands::{end_session::customer, invite_staff::keep_an_administrator, set_staff::account_not_found},
    domain::person::Status,
    erasure_log::ErasureLog,
    store::{
        accounts::{self, GuardRow},
        erasures, sessions,
    },
    telling::{Actor, Telling, envelope},
};

/// A person erases himself; the caller has checked that it is he.
///
/// # Errors
/// `accounts.account_not_found`; `accounts.last_administrator`.
pub async fn erase_myself(state: &State, account: AccountId) -> Result<()> {
    let (told, now, store) =
        (envelope(state, &PersonErased { account_id: account })?, state.clock.now(), state.store.clone());
    let ended = state
        .write_rights("accounts.erase_myself", move |tx| {
            accounts::pass_guard(tx, GuardRow::Staff)?;
            let found = accounts::account(tx, account)?
                .filter(|row| row.status == Status::Active)
                .ok_or_else(account_not_found)?;
            let ended = erase(tx, &store, account, &told, now)?;
            if found.roles.iter().any(|role| *role == Role::Administrator) {
                keep_an_administrator(tx)?;
            }
            Ok(ended)
        })
        .await?;
    erased(state, account, ended, now).await;
    Ok(())
}

/// Staff erase a customer who asked for it, once for the key.
///
/// # Errors
/// `accounts.account_not_found`, also for an account of staff.
pub(crate) async fn erase_customer(
    state: &State,
    by: Actor,
    account: AccountId,
    reason: String,
    key: IdempotencyKey,
) -> Result<Begun<AccountKind>> {
    let (told, now, store) =
        (envelope(state, &PersonErased { account_id: account })?, state.clock.now(), state.store.clone());
    let telling = Telling::new(state, by, "accounts.person_erased", account, Some(reason));
    let (own, keys) = (state.clone(), state.store.idempotency);
    let (begun, ended) = state
        .write_rights("accounts.erase_customer", move |tx| {
            let begun = key.begin(keys, tx, account, now)?;
            if !matches!(begun, Begun::Fresh) {
                return Ok((begun, Vec::new()));
            }
            customer(tx, account)?;
            let ended = erase(tx, &store, account, &told, now)?;
            telling.tell(&own, tx, json!({}))?;
            key.complete(keys, tx, account, &answer(http::StatusCode::OK, &json!({ "id": account }))?)?;
            Ok((begun, ended))
        })
        .await?;
    if matches!(begun, Begun::Fresh) {
        erased(state, account, ended, now).await;
    }
    Ok(begun)
}

/// In one transaction: whoever was erased before stays so, and is told of once.
fn erase(
    tx: &mut Tx<'_>,
    store: &Store,
    account: AccountId,
    told: &Envelope,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    let ended = sessions::end_sessions(tx, account, None, now)?;
    if erasures::erase(tx, account, now)? {
        store.outbox.publish(tx, std::slice::from_ref(told))?;
    }
    Ok(ended)
}

/// After the commit.
async fn erased(state: &State, account: AccountId, ended: Vec<SessionId>, now: Timestamp) {
    state.sessions_ended(account, ended, now);
    let Some(log) = state.erasure_log.get().cloned() else { return };
    let written = tokio::task::spawn_blocking(move || log.append(&[(account, now)])).await;
    if let Ok(Err(error)) = written {
        // The row is there; the next start, and the hourly look, write it down.
        tracing::error!(error = %error.chain(), "an erasure could not be written to its list");
    }
}

/// Brings table and file together: who is only in the table is written to the file, who is only in the file is erased
/// (again): the database is older than the erasure.
///
/// # Errors
/// `accounts.erasure_log_unusable`; what the database answers.
pub async fn reconcile_erasures(state: &State) -> Result<u64> {
    let Some(log) = state.erasure_log.get().cloned() else { return Ok(0) };
    reconcile(&state.db, &state.store, &state.ids, &log).await
}

/// Erases again everybody the file names and the database does not: to be done after a restore, before anybody is let
/// in. Answers how many.
///
/// # Errors
/// `accounts.erasure_log_unusable`; what the database answers.
pub async fn reapply_erasures(db: &Db, ids: &IdGen, file: &Path) -> Result<u64> {
    reconcile(db, &Store::new("accounts"), ids, &Arc::new(ErasureLog::new(file))).await
}

async fn reconcile(db: &Db, store: &Store, ids: &IdGen, log: &Arc<ErasureLog>) -> Result<u64> {
    let reader = log.clone();
    let in_file = blocking(move || reader.read()).await?;
    let in_table = db.read("accounts.erasures", |q| erasures::erasures(q)).await?;
    let known: std::collections::BTreeSet<AccountId> = in_table.iter().map(|(account, _)| *account).collect();
    let mut again = 0;
    for (account, at) in in_file.iter().filter(|(account, _)| !known.contains(account)) {
        let (account, at, store, message): (_, _, _, MessageId) = (*account, *at, store.clone(), ids.next());
        let done = db
            .write_low("accounts.erase_again", move |tx| {
                let told = Envelope::new(message, at, None, &PersonErased { account_id: account })?;
                let done = erasures::erase(tx, account, at)?;
                if done {
                    store.outbox.publish(tx, &[told])?;
                }
                Ok(done)
            })
            .await?;
        again += u64::from(done);
    }
    let written: std::collections::BTreeSet<AccountId> =
        in_file.iter().map(|(account, _)| *account).collect();
    let missing: Vec<_> = in_table.into_iter().filter(|(account, _)| !written.contains(account)).collect();
    let writer = log.clone();
    blocking(move || writer.append(&missing)).await?;
    Ok(again)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| merx_kernel::Error::internal("a look at the list of erasures died").with_source(e))?
}
