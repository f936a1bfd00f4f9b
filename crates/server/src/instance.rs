//! A shop on a data folder: files, database and wiring together, for serving it or for working on it while it rests.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use merx_kernel::{Clock, Entropy, Result, Secret};
use merx_payment::{AlipayConfig, PaymentConfig, provider::Network};
use merx_platform::{
    Deps,
    time::{OsEntropy, SystemClock},
};
use merx_sql::{Db, DbOptions};

use crate::{
    config::{Config, DatabaseConfig, HttpConfig, LogConfig, OrdersConfig},
    demo::{self, Demo},
    files,
    shop::{self, Settings, Shop, Topology},
};

/// What an opened data folder may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes the data lock.
    ReadWrite,
    /// Only reads, beside a running shop.
    ReadOnly,
}

/// The configuration that `merx up` makes for a data folder.
///
/// # Errors
/// `Invalid` when a key in the demo's file is broken.
pub fn demo_config(data_dir: &Path, demo: &Demo, http: HttpConfig, orders: OrdersConfig) -> Result<Config> {
    let (_, sandbox_key) = demo.sandbox_keys()?;
    let alipay = AlipayConfig {
        app_id: demo::APP_ID.to_owned(),
        seller_id: demo::SELLER_ID.to_owned(),
        gateway_url: format!("{}/gateway.do", demo.sandbox_url),
        private_key: Secret::new(demo.merchant_key.clone()),
        alipay_public_key: sandbox_key.public_key()?.to_pem()?,
        notify_url: format!("{}/v1/payments/alipay/notifications", demo.api_url),
        return_url: None,
    };
    Ok(Config {
        version: crate::config::VERSION,
        data_dir: data_dir.to_owned(),
        database: DatabaseConfig { url: demo.database_url.clone().map(Secret::new) },
        http,
        orders,
        payment: PaymentConfig { alipay },
        log: LogConfig::default(),
        accounts: merx_accounts::Settings::default(),
    })
}

/// Opens the database of a configuration and wires the shop over it.
///
/// # Errors
/// What the files, the database or the configuration say.
pub fn open(config: &Config, mode: Mode) -> Result<Shop> {
    config.check()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let mut options = DbOptions::new(clock.clone());
    options.read_only = mode == Mode::ReadOnly;
    let db = Db::open(&config.database_url(), options, &shop::sequenced())?;
    let signing_key = config.data_dir.join(files::SIGNING_KEY);
    let signing_key = merx_accounts::signing_key::load_or_create(&signing_key, &*entropy)?;
    let deps = Deps::new(db, clock, entropy);
    let settings = Settings {
        limits: config.http.limits.clone(),
        ordering: merx_ordering::Settings {
            payment_window_ms: config.orders.payment_deadline_s * 1000,
            ..merx_ordering::Settings::default()
        },
        payment: config.payment.clone(),
        accounts: config.accounts.clone(),
        signing_key,
        outbound: Arc::new(Network::new()?),
        topology: Topology::Local,
    };
    Shop::wire(deps, settings)
}

/// The shop of a data folder that `merx up` made, for working on it from the command line.
///
/// # Errors
/// As [`open`].
pub fn open_demo(data_dir: &Path, mode: Mode) -> Result<(Shop, Demo)> {
    let demo = demo_of(data_dir)?;
    let config = demo_config(data_dir, &demo, HttpConfig::default(), OrdersConfig::default())?;
    Ok((open(&config, mode)?, demo))
}

/// The demo's file of a data folder that must exist.
///
/// # Errors
/// `server.data_dir` when there is none.
pub fn demo_of(data_dir: &Path) -> Result<Demo> {
    if !data_dir.join(files::DEMO).exists() {
        return Err(merx_kernel::Error::unavailable(
            "server.data_dir",
            format!(
                "{} holds no shop. Start one there with `merx up --data {0}`, or name another folder with --data.",
                data_dir.display()
            ),
        ));
    }
    Demo::of(data_dir, &OsEntropy)
}

/// The sandbox's database file in a data folder.
pub fn sandbox_file(data_dir: &Path) -> PathBuf {
    data_dir.join("alipay-sandbox.db")
}

/// Opens the sandbox's database.
///
/// # Errors
/// What the database says.
pub fn open_sandbox_db(data_dir: &Path, mode: Mode) -> Result<Db> {
    let mut options = DbOptions::new(Arc::new(SystemClock));
    options.read_only = mode == Mode::ReadOnly;
    options.readers = 1;
    Db::open(&format!("sqlite:{}", sandbox_file(data_dir).display()), options, &[])
}
