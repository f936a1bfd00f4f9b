//! The routes.

mod account;
mod addresses;
mod api_keys;
mod audit;
mod customers;
mod guests;
mod invitations;
mod me;
mod roles;
mod sessions;
mod staff;

use axum::response::Response;
use merx_contracts::ids::AccountId;
use merx_http::{Answer, Begun, IdempotencyKey, Idempotent, Limits, Route, respond};
use merx_kernel::{BoundedText, Error, Page, Result};
use merx_platform::store::Saved;

use crate::{State, store::accounts::AccountRow};

pub use addresses::{AddressView, AddressesView};
pub use me::MeView;
pub use sessions::{SessionView, SessionsView, TokensView};

/// Why something is done, for the record.
type Reason = BoundedText<1, 500>;

/// What the handlers of commands under a key work with.
#[derive(Clone)]
struct Desk {
    state: State,
    idempotent: Idempotent,
}

impl Desk {
    fn new(state: &State, limits: &Limits) -> Self {
        let keys = state.store.idempotency;
        let idempotent = Idempotent::new(state.db.clone(), keys, state.clock.clone(), limits);
        Self { state: state.clone(), idempotent }
    }

    /// `fresh` answers the first request; a repetition is answered with what was saved, which commits with the effect.
    async fn answer<K>(
        &self,
        key: &IdempotencyKey,
        begun: Begun<K>,
        fresh: impl FnOnce() -> Result<Saved>,
    ) -> Answer<Response> {
        match begun {
            Begun::Fresh => Ok(respond(fresh()?)),
            Begun::Repeated { effect, saved } => {
                self.idempotent.repeat(key, effect, saved, |_| async { Ok(None) }).await
            }
        }
    }
}

/// Every route of accounts.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let desk = Desk::new(state, limits);
    let mut routes = sessions::routes(state);
    routes.extend(me::routes(state));
    routes.extend(account::routes(state));
    routes.extend(addresses::routes(&desk));
    routes.extend(api_keys::routes(&desk));
    routes.extend(guests::routes(state));
    routes.extend(invitations::routes(state));
    routes.extend(customers::routes(&desk));
    routes.extend(staff::routes(&desk));
    routes.extend(roles::routes(&desk));
    routes.extend(audit::routes(state));
    routes
}

/// Where a list of accounts begins: the cursor is the last account of the page before.
fn before(cursor: Option<&str>) -> Result<AccountId> {
    let wrong = || Error::invalid("cursor", "must be the next_cursor of a page");
    cursor.map_or(Ok(AccountId::from_bits(u128::MAX)), |text| text.parse().map_err(|_| wrong()))
}

/// A page of accounts.
fn page<T>(rows: Vec<AccountRow>, limit: i64, view: impl Fn(AccountRow) -> T) -> Page<T> {
    let full = i64::try_from(rows.len()).is_ok_and(|n| n == limit);
    let last = rows.last().map(|row| row.id.to_string());
    Page { next_cursor: last.filter(|_| full), items: rows.into_iter().map(view).collect() }
}
