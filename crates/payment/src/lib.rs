//! Payment: takes the buyer's money through a provider, once, and gives it back, once.
//!
//! See the README beside this crate for its invariants, tables and facts.

pub mod commands;
mod config;
mod context;
pub mod domain;
pub mod http;
mod keys;
mod projections;
pub mod provider;
pub mod queries;
mod reactions;
mod rpc;
pub mod store;
mod timers;

use std::sync::{Arc, atomic::AtomicI64};

use merx_contracts::payment::v1::payments_server::PaymentsServer;
use merx_http::{ContextModule, Idempotent, Limits};
use merx_kernel::Result;
use merx_platform::{Deps, Module, Projection, Store, Tasks};
use merx_sql::Db;
use tonic::service::Routes;

pub use config::{AlipayConfig, Instructions, OfflineConfig, PaymentConfig, ReconciliationConfig};
pub use context::{Parts, Payments, Unsigned};

use provider::{Alipay, Offline, Outbound, Providers};

/// The name of the context and the prefix of its tables.
pub const NAME: &str = "payment";

/// The inline projection; it can be rebuilt from the events.
pub const PROJECTION: Projection = projections::PAYMENTS;

/// Builds the rows anew where an older program wrote them. To be awaited once the tables are up to date and before the
/// first request.
///
/// # Errors
/// `projection.unsequenced` when events wait too long for their positions; what the database answers.
pub async fn bring_up_to_date(db: &Db) -> Result<()> {
    projections::bring_up_to_date(db, &Store::new(NAME)).await
}

/// The payments of a shop. `outbound` is how its providers are reached.
///
/// # Errors
/// `Invalid` naming each wrong value of the configuration.
pub fn payments(deps: &Deps, config: &PaymentConfig, outbound: Arc<dyn Outbound>) -> Result<Payments> {
    config.check()?;
    let alipay = config.alipay.clone().map(|alipay| Alipay::new(alipay, outbound)).transpose()?;
    let offline = config.offline.clone().map(|offline| Arc::new(Offline::new(deps.db.clone(), offline)));
    let providers = Providers { alipay: alipay.map(Arc::new), offline, offered: config.offered() };
    Ok(Payments::new(Parts {
        db: deps.db.clone(),
        store: Store::new(NAME),
        clock: deps.clock.clone(),
        ids: deps.ids.clone(),
        metrics: deps.metrics.clone(),
        providers,
        unsigned: Unsigned::new(&deps.metrics),
        calls_pruned: AtomicI64::new(i64::MIN),
        reconciliation: config.reconciliation.clone(),
    }))
}

/// The context with its routes.
pub fn context(deps: &Deps, limits: &Limits, payments: &Payments) -> ContextModule {
    let store = Store::new(NAME);
    let mut module = Module::new(store.clone(), store::migrations());
    module.rpc = Some(Routes::new(PaymentsServer::new(payments.clone())));
    module.subscriptions = reactions::subscriptions(payments);
    module.timers = timers::handlers(payments);
    module.projections = vec![PROJECTION];
    let idempotent = Idempotent::new(deps.db.clone(), store.idempotency, deps.clock.clone(), limits);
    ContextModule { module, routes: http::routes(payments.clone(), idempotent) }
}

/// [`payments`] and their [`context`].
///
/// # Errors
/// As [`payments`].
pub fn module(
    deps: &Deps,
    limits: &Limits,
    config: &PaymentConfig,
    outbound: Arc<dyn Outbound>,
) -> Result<ContextModule> {
    Ok(context(deps, limits, &payments(deps, config, outbound)?))
}

/// Sets the watch over files of keys going, where keys are in files.
pub fn start(payments: &Payments, tasks: &Tasks) {
    keys::start(payments, tasks);
}
