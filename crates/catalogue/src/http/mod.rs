//! The routes: everybody may look at what is on sale; staff keep the catalogue.

mod history;
mod pictures;
mod prices;
mod products;
mod public;
mod structure;
pub mod views;

use axum::response::Response;
use http::StatusCode;
use merx_http::{Access, Answer, Begun, IdempotencyKey, Idempotent, Limits, Owner, Route, answer, respond};
use merx_kernel::{Id, Permission, Result};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{State, domain::Reason};

const READ: Access = Access::Permission {
    permission: Permission::CatalogueRead,
    owner: Owner::None("the catalogue belongs to the shop"),
};
const WRITE: Access = Access::Permission {
    permission: Permission::CatalogueWrite,
    owner: Owner::None("the catalogue belongs to the shop"),
};

/// The routes of catalogue.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let staff = Staff {
        state: state.clone(),
        idempotent: Idempotent::new(state.db.clone(), state.store.idempotency, state.clock.clone(), limits),
    };
    let mut all = public::routes(state);
    all.extend(structure::routes(&staff));
    all.extend(products::routes(&staff));
    all.extend(prices::routes(&staff));
    all.extend(pictures::routes(&staff));
    all.extend(history::routes(&staff));
    all
}

/// What the routes of staff work with.
#[derive(Clone)]
struct Staff {
    state: State,
    idempotent: Idempotent,
}

impl Staff {
    /// Has an effect under the request's key: key, effect and answer in one transaction.
    async fn once<K, T>(
        &self,
        key: IdempotencyKey,
        (label, effect): (&'static str, Id<K>),
        act: impl Fn(&mut Tx<'_>, &State) -> Result<T> + Send + 'static,
    ) -> Answer<Response>
    where
        K: 'static,
        T: Serialize,
    {
        let (state, at) = (self.state.clone(), self.state.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            let keys = state.store.idempotency;
            if let Begun::Repeated { effect, saved } = key.begin(keys, tx, effect, at)? {
                return Ok(Err((effect, saved)));
            }
            let saved = answer(StatusCode::CREATED, &act(tx, &state)?)?;
            key.complete(keys, tx, effect, &saved)?;
            Ok(Ok(saved))
        };
        let written = self.state.db.write(label, write).await;
        self.state.forget();
        match written? {
            Ok(saved) => Ok(respond(saved)),
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => self.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await,
        }
    }

    /// Has an effect that a repetition finds done, or stale.
    async fn write<T: Send + 'static>(
        &self,
        label: &'static str,
        act: impl Fn(&mut Tx<'_>, &State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = self.state.clone();
        let written = self.state.db.write(label, move |tx| act(tx, &state)).await;
        self.state.forget();
        written
    }
}

/// Why something is removed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// What the history says of it.
    reason: Option<Reason>,
}

fn why(reason: Option<Reason>) -> Option<String> {
    reason.map(Reason::into_string)
}
