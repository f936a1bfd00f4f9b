//! A shop on a data folder: files, database and wiring together, for serving it or for working on it while it rests.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use merx_kernel::{Clock, Entropy, Error, Result, Secret};
use merx_payment::{AlipayConfig, PaymentConfig, provider::Network};
use merx_platform::{
    Deps,
    telemetry::LogOptions,
    time::{OsEntropy, SystemClock},
};
use merx_sql::{Db, DbOptions};

use crate::{
    cli::Place,
    config::{self, Config, DatabaseConfig, HttpConfig, OrdersConfig},
    demo::{self, Demo},
    files,
    shop::{self, Settings, Shop, Topology},
};

/// What an opened shop may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything; the caller has claimed the data folder.
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
        data_dir: data_dir.to_owned(),
        database: DatabaseConfig { url: demo.database_url.clone().map(Secret::new) },
        http,
        orders,
        payment: PaymentConfig { alipay },
        log: LogOptions::default(),
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
    let signing_key = match mode {
        Mode::ReadWrite => {
            merx_accounts::signing_key::load_or_create(&config.data_dir.join(files::SIGNING_KEY), &*entropy)?
        }
        Mode::ReadOnly => unused_key(&*entropy),
    };
    let deps = Deps::new(db, clock, entropy);
    let settings = Settings {
        limits: config.http.limits.clone(),
        trusted_proxies: config.http.trusted_proxies.clone(),
        ordering: merx_ordering::Settings {
            payment_window_ms: config.orders.payment_deadline_s * 1000,
            receipt_window_ms: config.orders.receipt_after_s * 1000,
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

/// A shop that is only read signs nothing.
fn unused_key(entropy: &dyn Entropy) -> Secret<Vec<u8>> {
    let mut key = vec![0; 32];
    entropy.fill(&mut key);
    Secret::new(key)
}

/// The configuration of a shop that was started before, with `up` or with `serve`.
///
/// # Errors
/// What the configuration file or the data folder says.
pub fn config_of(place: &Place) -> Result<Config> {
    match &place.config {
        Some(file) => Config::load(file),
        None => {
            demo_config(&place.dir, &demo_of(&place.dir)?, HttpConfig::default(), OrdersConfig::default())
        }
    }
}

/// The demo's file of a data folder that must exist.
///
/// # Errors
/// `server.data_dir` when there is none.
pub fn demo_of(data_dir: &Path) -> Result<Demo> {
    if !data_dir.join(files::DEMO).exists() {
        return Err(Error::unavailable(
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
    open_file(&sandbox_file(data_dir), mode)
}

fn open_file(path: &Path, mode: Mode) -> Result<Db> {
    let mut options = DbOptions::new(Arc::new(SystemClock));
    options.read_only = mode == Mode::ReadOnly;
    options.readers = 1;
    Db::open(&format!("sqlite:{}", path.display()), options, &[])
}

/// Refuses a folder whose database `merx up` did not make: a real shop gets no demo by mistake.
///
/// # Errors
/// `server.data_dir`; what the database says when it is not even ours.
pub fn refuse_stranger(data_dir: &Path) -> Result<()> {
    let database = data_dir.join(config::DATABASE);
    if data_dir.join(files::DEMO).exists() || !database.exists() {
        return Ok(());
    }
    drop(open_file(&database, Mode::ReadOnly)?);
    let text = format!(
        "{} holds a shop without a demo. Start it with `merx serve --config FILE`, restore its demo.json from a backup, \
         or give another folder with --data.",
        data_dir.display()
    );
    Err(Error::unavailable("server.data_dir", text))
}
