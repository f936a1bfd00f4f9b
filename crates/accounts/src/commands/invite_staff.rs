//! Somebody of the staff is invited: an account without a password, and a code by mail.

use std::sync::Arc;

use http::StatusCode;
use merx_contracts::{
    Envelope,
    events::accounts::CodeRequested,
    ids::{AccountId, CodeId},
};
use merx_http::{Begun, IdempotencyKey, answer};
use merx_kernel::{BoundedText, Error, Permissions, Result, RoleName, principal::AccountKind};
use merx_sql::{Query, Tx};
use serde::Serialize;
use serde_json::json;

use crate::{
    State,
    commands::set_role,
    domain::{
        code::{INVITATION_LIFE, Purpose},
        email::Email,
        grants::{self, STAFF_MAX},
        person::{Kind, Locale, Status},
    },
    store::{
        accounts::{self, GuardRow, NewAccount},
        codes, roles,
    },
    telling::{Actor, Telling, envelope},
};

/// Whom to invite.
#[derive(Clone, Debug)]
pub struct InviteStaff {
    /// The log-in name.
    pub email: Email,
    /// How the person is called.
    pub name: BoundedText<1, 80>,
    /// What the account may be.
    pub roles: Vec<RoleName>,
    /// The language of the mail.
    pub locale: Locale,
    /// Why.
    pub reason: Option<String>,
}

/// What is kept with the idempotency key: an id and nothing personal. The answer is made from the account's row.
#[derive(Serialize)]
struct StaffInvited {
    id: AccountId,
}

/// Makes the account and asks for the mail, once for the key.
///
/// # Errors
/// `accounts.email_taken`, `accounts.staff_limit`, `accounts.role_not_found`, `accounts.grant_above_own`.
pub(crate) async fn invite_staff(
    state: &State,
    by: Actor,
    command: InviteStaff,
    key: IdempotencyKey,
) -> Result<(AccountId, Begun<AccountKind>)> {
    let (id, code, now): (AccountId, CodeId, _) = (state.ids.next(), state.ids.next(), state.clock.now());
    let new = Arc::new(NewAccount {
        id,
        email: Some(command.email),
        name: command.name.into_string(),
        password_hash: String::new(),
        roles: grants::staff_roles(&command.roles)?,
        kind: Kind::Staff,
        status: Status::Invited,
        locale: command.locale,
        sweep_at: None,
    });
    let asked = asked_for(state, code, id)?;
    let telling = Telling::new(state, by, "accounts.staff_invited", id, command.reason);
    let (own, keys) = (state.clone(), state.store.idempotency);
    let begun = state
        .db
        .write("accounts.invite_staff", move |tx| {
            let begun = key.begin(keys, tx, id, now)?;
            if matches!(begun, Begun::Fresh) {
                grants::within_own(by.may, permissions_of(tx, &new.roles)?)?;
                accounts::pass_guard(tx, GuardRow::Staff)?;
                if accounts::count_staff(tx)? >= STAFF_MAX {
                    let message =
                        format!("There are {STAFF_MAX} accounts of staff, which is all there may be.");
                    return Err(Error::rejected("accounts.staff_limit", message));
                }
                if !accounts::insert_account(tx, &new, now)? {
                    return Err(super::create_account::email_taken());
                }
                codes::insert_code(tx, code, id, Purpose::StaffInvitation, now.plus(INVITATION_LIFE))?;
                own.store.outbox.publish(tx, std::slice::from_ref(&asked))?;
                telling.tell(&own, tx, json!({ "after": { "roles": new.roles } }))?;
                key.complete(keys, tx, id, &answer(StatusCode::CREATED, &StaffInvited { id })?)?;
            }
            Ok(begun)
        })
        .await?;
    Ok((id, begun))
}

/// Makes another code for an invited account and asks for the mail, once for the key. The code of the earlier mail is
/// good for nothing from now on.
///
/// # Errors
/// `accounts.account_not_found`, `accounts.not_invited`, `accounts.grant_above_own`.
pub(crate) async fn invite_again(
    state: &State,
    by: Actor,
    account: AccountId,
    reason: Option<String>,
    key: IdempotencyKey,
) -> Result<Begun<AccountKind>> {
    let (fresh, now): (CodeId, _) = (state.ids.next(), state.clock.now());
    let telling = Telling::new(state, by, "accounts.staff_invited_again", account, reason);
    let (own, keys, message, trace) = (
        state.clone(),
        state.store.idempotency,
        state.ids.next(),
        merx_platform::trace::current_traceparent(),
    );
    state
        .db
        .write("accounts.invite_again", move |tx| {
            let begun = key.begin(keys, tx, account, now)?;
            if matches!(begun, Begun::Fresh) {
                let found = super::set_staff::staff(tx, account, by)?;
                if found.status != Status::Invited {
                    let message = "Only who was invited and has set no password can be invited again.";
                    return Err(Error::conflict("accounts.not_invited", message));
                }
                let expires_at = now.plus(INVITATION_LIFE);
                let code = match codes::code_of(tx, account, Purpose::StaffInvitation)? {
                    Some(code) => {
                        codes::renew_code(tx, code.id, expires_at)?;
                        code.id
                    }
                    None => {
                        codes::insert_code(tx, fresh, account, Purpose::StaffInvitation, expires_at)?;
                        fresh
                    }
                };
                let asked = Envelope::new(message, now, trace.clone(), &request(code, account))?;
                own.store.outbox.publish(tx, &[asked])?;
                telling.tell(&own, tx, json!({}))?;
                key.complete(
                    keys,
                    tx,
                    account,
                    &answer(StatusCode::ACCEPTED, &StaffInvited { id: account })?,
                )?;
            }
            Ok(begun)
        })
        .await
}

fn request(code_id: CodeId, account_id: AccountId) -> CodeRequested {
    CodeRequested { code_id, account_id, purpose: Purpose::StaffInvitation.name().to_owned() }
}

fn asked_for(state: &State, code: CodeId, account: AccountId) -> Result<Envelope> {
    envelope(state, &request(code, account))
}

/// What these roles may do together.
///
/// # Errors
/// `accounts.role_not_found` naming no role; what the database answers.
pub(crate) fn permissions_of(q: &mut impl Query, names: &[RoleName]) -> Result<Permissions> {
    let all = roles::roles(q)?;
    names.iter().try_fold(Permissions::NONE, |sum, name| {
        let role = all.iter().find(|role| role.name == *name).ok_or_else(set_role::not_found)?;
        Ok(sum.or(role.permissions))
    })
}

/// Nobody but an administrator can make an administrator again, so there is always one who can log in. To be called
/// at the end of a transaction that passed the guard row of staff.
pub(crate) fn keep_an_administrator(tx: &mut Tx<'_>) -> Result<()> {
    let administrator =
        |roles: Vec<RoleName>| roles.iter().any(|role| *role == merx_kernel::Role::Administrator);
    if accounts::active_staff(tx)?.into_iter().any(administrator) {
        return Ok(());
    }
    let message = "This is the last administrator who can log in; make another first.";
    Err(Error::rejected("accounts.last_administrator", message))
}
