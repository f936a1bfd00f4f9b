//! The first administrator of a shop: who sets the shop up invites himself, and is shown the code instead of being
//! mailed it. Not reachable by the API; where an administrator can log in it is refused.

use std::sync::Arc;

use merx_contracts::ids::{AccountId, CodeId};
use merx_kernel::{BoundedText, Error, Result, Role, Secret};
use merx_sql::Tx;

use crate::{
    State,
    commands::create_account::email_taken,
    domain::{
        code::{self, INVITATION_LIFE, Purpose},
        email::Email,
        person::{Kind, Locale, Status},
    },
    store::{
        accounts::{self, GuardRow, NewAccount},
        codes::{self, CodeRow},
    },
};

/// Invites the first administrator; answers the code, which `POST /v1/invitations/acceptance` takes with the password
/// to be. Done again for the same person it makes another code.
///
/// # Errors
/// `accounts.administrator_exists`; `accounts.email_taken` by anybody but an administrator who was invited.
pub async fn invite_first_administrator(
    state: &State,
    email: Email,
    name: BoundedText<1, 80>,
    locale: Locale,
) -> Result<(AccountId, Secret<String>)> {
    let (id, fresh, now): (AccountId, CodeId, _) = (state.ids.next(), state.ids.next(), state.clock.now());
    let new = Arc::new(NewAccount {
        id,
        email: Some(email.clone()),
        name: name.into_string(),
        password_hash: String::new(),
        roles: vec![Role::Administrator.into()],
        kind: Kind::Staff,
        status: Status::Invited,
        locale,
        sweep_at: None,
    });
    let code = state
        .db
        .write("accounts.invite_first_administrator", move |tx| {
            accounts::pass_guard(tx, GuardRow::Staff)?;
            refuse_where_there_is_one(tx)?;
            let expires_at = now.plus(INVITATION_LIFE);
            if accounts::insert_account(tx, &new, now)? {
                codes::insert_code(tx, fresh, id, Purpose::StaffInvitation, expires_at)?;
            } else {
                let earlier = invited_before(tx, &email)?;
                codes::renew_code(tx, earlier.id, expires_at)?;
            }
            codes::code_of_email(tx, &email, Purpose::StaffInvitation)?
                .ok_or_else(|| Error::internal("a code that was just made is not there"))
        })
        .await?;
    let shown = code::shown(state.secrets.code(code.id, code.generation));
    Ok((code.account, Secret::new(shown)))
}

fn refuse_where_there_is_one(tx: &mut Tx<'_>) -> Result<()> {
    let roles = accounts::active_staff(tx)?;
    if !roles.iter().flatten().any(|role| *role == Role::Administrator) {
        return Ok(());
    }
    let message = "There is an administrator who can log in; he invites others by POST /v1/staff.";
    Err(Error::conflict("accounts.administrator_exists", message))
}

fn invited_before(tx: &mut Tx<'_>, email: &Email) -> Result<CodeRow> {
    let found = accounts::account_by_email(tx, email)?
        .filter(|row| row.status == Status::Invited && row.roles.iter().any(|r| *r == Role::Administrator))
        .ok_or_else(email_taken)?;
    codes::code_of(tx, found.id, Purpose::StaffInvitation)?.ok_or_else(email_taken)
}
