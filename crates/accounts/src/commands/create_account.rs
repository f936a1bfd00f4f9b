//! An account for a person, made by the operator or the demo. (Registration by oneself comes later.)

use std::sync::Arc;

use merx_contracts::ids::AccountId;
use merx_kernel::{BoundedText, Error, Result, Role, RoleName};

use crate::{
    State,
    domain::{
        email::Email,
        person::{Kind, Locale, Status},
    },
    passwords::Password,
    store::accounts::{self, NewAccount},
};

/// What to make.
#[derive(Clone, Debug)]
pub struct CreateAccount {
    /// The log-in name; one account for each.
    pub email: Email,
    /// How the person is called.
    pub name: BoundedText<1, 80>,
    /// The password.
    pub password: Password,
    /// What the account may be; at least one.
    pub roles: Vec<Role>,
}

/// Makes the account.
///
/// # Errors
/// `accounts.email_taken`; `Invalid` for a short password or no role; `accounts.login_busy`.
pub async fn create_account(state: &State, command: CreateAccount) -> Result<AccountId> {
    command.password.checked_as_new("/password")?;
    if command.roles.is_empty() {
        return Err(Error::invalid("/roles", "must name at least one role"));
    }
    let (id, now) = (state.ids.next(), state.clock.now());
    let password_hash = state.passwords.hash(command.password).await?;
    let buys = command.roles.iter().all(|role| matches!(role, Role::Customer | Role::Guest));
    let new = Arc::new(NewAccount {
        id,
        email: Some(command.email),
        name: command.name.into_string(),
        password_hash,
        roles: command.roles.into_iter().map(RoleName::from).collect(),
        kind: if buys { Kind::Member } else { Kind::Staff },
        status: Status::Active,
        locale: Locale::default(),
        sweep_at: None,
    });
    let added =
        state.db.write("accounts.create_account", move |tx| accounts::insert_account(tx, &new, now)).await?;
    if added { Ok(id) } else { Err(email_taken()) }
}

/// There is an account with this e-mail address.
pub(crate) fn email_taken() -> Error {
    Error::conflict("accounts.email_taken", "There is an account with this e-mail address.")
}
