//! Payment: takes the buyer's money through a provider, once, and gives it back, once.
//!
//! See the README beside this crate for its invariants, tables and facts.

pub mod commands;
mod config;
mod context;
pub mod domain;
pub mod http;
mod projections;
pub mod provider;
pub mod queries;
mod rpc;
pub mod store;
mod timers;

use std::sync::{Arc, atomic::AtomicI64};

use merx_contracts::payment::v1::payments_server::PaymentsServer;
use merx_http::{ContextModule, Idempotent, Limits};
use merx_kernel::Result;
use merx_platform::{Deps, Module, Projection, Store};
use tonic::service::Routes;

pub use config::{AlipayConfig, PaymentConfig};
pub use context::{Parts, Payments, Unsigned};

use provider::{Alipay, Outbound};

/// The name of the context and the prefix of its tables.
pub const NAME: &str = "payment";

/// The inline projection; it can be rebuilt from the events.
pub const PROJECTION: Projection =
    Projection { name: "payment.payments", tables: projections::TABLES, apply: projections::apply };

/// The context with its routes. `outbound` is how it reaches the provider.
///
/// # Errors
/// `Invalid` naming each wrong value of the configuration.
pub fn module(
    deps: &Deps,
    limits: &Limits,
    config: &PaymentConfig,
    outbound: Arc<dyn Outbound>,
) -> Result<ContextModule> {
    config.check()?;
    let store = Store::new(NAME);
    let payments = Payments::new(Parts {
        db: deps.db.clone(),
        store: store.clone(),
        clock: deps.clock.clone(),
        ids: deps.ids.clone(),
        metrics: deps.metrics.clone(),
        alipay: Arc::new(Alipay::new(&config.alipay, outbound)?),
        unsigned: Unsigned::new(&deps.metrics),
        calls_pruned: AtomicI64::new(i64::MIN),
    });
    let mut module = Module::new(store.clone(), store::migrations());
    module.rpc = Some(Routes::new(PaymentsServer::new(payments.clone())));
    module.timers = timers::handlers(&payments);
    module.projections = vec![PROJECTION];
    let idempotent = Idempotent::new(deps.db.clone(), store.idempotency, deps.clock.clone(), limits);
    Ok(ContextModule { module, routes: http::routes(payments, idempotent) })
}
