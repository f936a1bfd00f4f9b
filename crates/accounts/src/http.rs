//! The routes.

mod addresses;
mod me;
mod sessions;

use merx_http::{Limits, Route};

use crate::State;

pub use addresses::{AddressView, AddressesView};
pub use me::MeView;
pub use sessions::{SessionView, SessionsView, TokensView};

/// Every route of accounts.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let mut routes = sessions::routes(state);
    routes.extend(me::routes(state));
    routes.extend(addresses::routes(state, limits));
    routes
}
