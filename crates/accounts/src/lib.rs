//! Who may use the shop: accounts, roles, log-in, sessions, keys of programs, guests, the record of what staff did, and
//! the addresses goods are sent to. See README.md of this crate.

pub mod audit;
pub mod commands;
pub mod domain;
mod erasure_log;
mod http;
mod keys;
mod passwords;
mod queries;
mod rpc;
mod secrets;
mod settings;
pub mod signing_key;
mod state;
mod store;
mod telling;

use std::time::Duration;

use merx_contracts::accounts::v1::accounts_server::{Accounts, AccountsServer};
use merx_http::{ContextModule, Limits};
use merx_kernel::Result;
use merx_platform::{Delivery, Deps, Module, Subscription};
use merx_sql::Migration;
use tonic::service::Routes;

pub use erasure_log::ErasureLog;
pub use http::{AddressView, AddressesView, MeView, SessionView, SessionsView, TokensView};
pub use passwords::{Password, Work as PasswordWork};
pub use settings::Settings;
pub use state::{Inner, State};
pub use telling::Actor;

/// How often what nobody needs is removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// How often what other processes changed is looked at.
const REFRESH_EVERY: Duration = Duration::from_millis(400);
/// The contexts whose staff are recorded.
pub const RECORDED: &[&str] = &[
    "accounts.staff_acted.v1",
    "catalogue.staff_acted.v1",
    "inventory.staff_acted.v1",
    "payment.staff_acted.v1",
    "shipping.staff_acted.v1",
    "cart.staff_acted.v1",
    "ordering.staff_acted.v1",
    "notification.staff_acted.v1",
];

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The service of the asks.
pub fn service(state: &State) -> AccountsServer<impl Accounts> {
    AccountsServer::new(rpc::AccountsRpc(state.clone()))
}

/// The context.
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(service(state)));
    let own = state.clone();
    let record = move |delivery: Delivery| {
        let own = own.clone();
        async move { commands::record_act::record_act(&own, delivery).await }
    };
    module.subscriptions.push(Subscription::new("accounts.audit", state.store.clone(), RECORDED, record));
    ContextModule { module, routes: http::routes(state, limits) }
}

/// Once the tables are up to date: erases again who was erased after a restored back-up was made, loads who may come
/// in, without which nobody is let in, and begins to remove what nobody needs.
///
/// # Errors
/// `accounts.erasure_log_unusable`; what the database answers.
pub async fn start(state: &State, deps: &Deps) -> Result<()> {
    let again = commands::erase_person::reconcile_erasures(state).await?;
    if again > 0 {
        tracing::warn!(people = again, "erased again: the database was older than their erasure");
    }
    state.refresh().await?;
    if state.settings.several_processes {
        let own = state.clone();
        drop(deps.tasks.spawn_every("accounts.refresh", REFRESH_EVERY, move || {
            let own = own.clone();
            async move { own.refresh().await }
        }));
    }
    let own = state.clone();
    drop(deps.tasks.spawn_every("accounts.prune", PRUNE_EVERY, move || {
        let own = own.clone();
        async move { keep_house(&own).await }
    }));
    Ok(())
}

async fn keep_house(state: &State) -> Result<()> {
    commands::prune::prune(state).await?;
    commands::erase_person::reconcile_erasures(state).await?;
    // In the log, out of reach of who can write the table.
    let head = audit::head(&state.db).await?;
    tracing::info!(%head, "the record of what staff did");
    Ok(())
}
