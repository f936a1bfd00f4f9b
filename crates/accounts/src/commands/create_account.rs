//! An account for a person, made by the operator or the demo. (Registration by oneself comes later.)

use std::sync::Arc;

use merx_contracts::ids::AccountId;
use merx_kernel::{BoundedText, Error, Result, Role};

use crate::{
    State,
    domain::email::Email,
    passwords::Password,
    store::{self, NewAccount},
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
    command.password.checked_as_new()?;
    if command.roles.is_empty() {
        return Err(Error::invalid("/roles", "must name at least one role"));
    }
    let (id, now) = (state.ids.next(), state.clock.now());
    let password_hash = state.passwords.hash(command.password).await?;
    let name = command.name.into_string();
    let new = Arc::new(NewAccount { id, email: command.email, name, password_hash, roles: command.roles });
    let added =
        state.db.write("accounts.create_account", move |tx| store::insert_account(tx, &new, now)).await?;
    if added {
        Ok(id)
    } else {
        Err(Error::conflict("accounts.email_taken", "There is an account with this e-mail address."))
    }
}
