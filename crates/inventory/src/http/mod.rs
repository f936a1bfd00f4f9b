//! The routes of the warehouse: figures, ledger, receipts, adjustments, thresholds, warehouses, transfers, counts,
//! orphans.

mod counts;
mod stock;
mod transfers;
mod views;
mod warehouses;

use axum::response::Response;
use http::StatusCode;
use merx_contracts::ids::WarehouseId;
use merx_http::{
    Access, Answer, Begun, Caller, IdempotencyKey, Idempotent, Limits, Owner, Route, answer, respond,
};
use merx_kernel::{Id, Permission, Result};
use merx_sql::Tx;
use serde::Serialize;

use crate::{
    State,
    commands::{Act, keep_warehouses::not_found},
    store::Warehouse,
};

const READ: Access = Access::Permission {
    permission: Permission::InventoryRead,
    owner: Owner::None("stock belongs to the shop"),
};
const WRITE: Access = Access::Permission {
    permission: Permission::InventoryWrite,
    owner: Owner::None("stock belongs to the shop"),
};
/// The most characters of a reason.
const REASON_MAX: usize = 500;

/// The routes of inventory.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let staff = Staff {
        state: state.clone(),
        idempotent: Idempotent::new(state.db.clone(), state.store.idempotency, state.clock.clone(), limits),
    };
    let mut all = warehouses::routes(&staff);
    all.extend(stock::routes(&staff));
    all.extend(transfers::routes(&staff));
    all.extend(counts::routes(&staff));
    all
}

#[derive(Clone)]
struct Staff {
    state: State,
    idempotent: Idempotent,
}

impl Staff {
    fn act(&self, caller: &Caller) -> Act {
        Act::new(&self.state, Some(caller.0.account))
    }

    /// The warehouse a path names.
    async fn warehouse_in_path(&self, id: WarehouseId) -> Result<Warehouse> {
        let found = self.state.warehouse(Some(id)).await;
        found.map_err(|e| if e.is("inventory.warehouse_unknown") { not_found() } else { e })
    }

    /// Does `work` once for the request's key, whose effect is `effect`: key, effect and answer in one transaction.
    async fn once<K, T, W>(
        &self,
        label: &'static str,
        key: IdempotencyKey,
        effect: Id<K>,
        status: StatusCode,
        work: W,
    ) -> Answer<Response>
    where
        K: 'static,
        T: Serialize,
        W: Fn(&mut Tx<'_>) -> Result<T> + Send + Sync + 'static,
    {
        let (keys, at) = (self.state.store.idempotency, self.state.clock.now());
        let write = move |tx: &mut Tx<'_>| {
            let begun = key.begin(keys, tx, effect, at)?;
            let Begun::Repeated { effect, saved } = begun else {
                let saved = answer(status, &work(tx)?)?;
                key.complete(keys, tx, effect, &saved)?;
                return Ok(Ok(saved));
            };
            Ok(Err((effect, saved)))
        };
        match self.state.db.write(label, write).await? {
            Ok(saved) => Ok(respond(saved)),
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => self.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await,
        }
    }
}
