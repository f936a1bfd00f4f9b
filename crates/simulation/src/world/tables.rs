//! The tables of a shop as they are before anything has happened, made once for the process: a world begins with a copy,
//! and its shop finds them up to date.

use std::sync::{Arc, OnceLock};

use axum::Router;
use futures_util::FutureExt as _;
use merx_notification::Ways;
use merx_payment::provider::InProcess;
use merx_server::shop::{self, Shop, Topology};
use merx_sql::{Db, DbOptions};
use merx_testkit::seeded_deps;

use super::{Told as _, outside, settings};
use crate::faults::{Injector, Plan};

/// A database in memory with the tables of a shop.
pub(super) fn copied(options: DbOptions) -> Db {
    static TABLES: OnceLock<Db> = OnceLock::new();
    Db::inline_copy(TABLES.get_or_init(made), options, &shop::sequenced()).told()
}

fn made() -> Db {
    let (deps, trace) = seeded_deps(shop::CONTEXTS, 0, None);
    let faults = Arc::new(Injector::new(0, Plan::default(), false, trace));
    let web = outside::ToPartners { partners: outside::Partners::default(), faults };
    let ways = Ways { mail: None, web: Arc::new(web) };
    let alipay = outside::ToAlipay { pages: InProcess(Router::new()), tasks: deps.tasks.clone() };
    let shop = Shop::wire(deps.clone(), settings(ways, Arc::new(alipay), Topology::Local)).told();
    let migrated = tokio::task::unconstrained(shop.migrate()).now_or_never();
    migrated.unwrap_or_else(|| panic!("a database in memory answers at once")).told();
    deps.db
}
