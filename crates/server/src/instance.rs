//! A shop on a data folder: files, database and wiring together, for serving it or for working on it while it rests.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use merx_kernel::{Clock, Currency, Entropy, Error, Result, Secret};
use merx_notification::{MailConfig, Ways, WebhooksConfig};
use merx_payment::{
    AlipayConfig, Instructions, OfflineConfig, PaymentConfig, domain::Method, provider::Network,
};
use merx_platform::{
    Deps,
    objects::{FolderStore, ObjectStore, ObjectsConfig, ObjectsPlace},
    telemetry::LogOptions,
    time::{OsEntropy, SystemClock},
};
use merx_s3::S3Store;
use merx_sql::{Db, DbOptions};

use crate::{
    cli::Place,
    config::{self, Config, DatabaseConfig, GrpcConfig, HttpConfig, OrdersConfig},
    demo::{self, Demo},
    files, kill_points,
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
    let alipay = AlipayConfig::new(
        demo::APP_ID,
        demo::SELLER_ID,
        format!("{}/gateway.do", demo.place.sandbox_url),
        Secret::new(demo.merchant_key.clone()),
        sandbox_key.public_key()?.to_pem()?,
        format!("{}/v1/payments/alipay/notifications", demo.place.api_url),
    );
    let told = |text: &str| Instructions::new(text).map(Some).map_err(Error::internal);
    let offline = OfflineConfig {
        bank_transfer: told(
            "演示银行 6222 0000 0000 0000，户名：Merx 演示商店。 Demo bank, account 6222 0000 0000 0000.",
        )?,
        cash_on_delivery: told("把现金交给送货员。 Give the cash to whoever brings the parcel.")?,
    };
    let payment = PaymentConfig {
        methods: Some(Method::ALL.to_vec()),
        alipay: Some(alipay),
        offline: Some(offline),
        ..PaymentConfig::default()
    };
    Ok(Config {
        data_dir: data_dir.to_owned(),
        database: DatabaseConfig { url: demo.place.database_url.clone().map(Secret::new) },
        http,
        orders,
        payment,
        cart: merx_cart::Settings::default(),
        aftersale: merx_aftersale::Policy::default(),
        mail: MailConfig {
            url: Some(format!("folder:{}", absolute(&data_dir.join(files::MAILS))?.display())),
            public_url: demo.place.api_url.clone(),
            from: "Merx 演示商店 <orders@demo.merx.test>".to_owned(),
            ..MailConfig::default()
        },
        // Whoever tries the demo may have an endpoint on the same machine.
        webhooks: WebhooksConfig { allow_loopback: true, ..WebhooksConfig::default() },
        objects: ObjectsConfig::default(),
        grpc: GrpcConfig::default(),
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
    let db = Db::open(&config.database_url(), kill_points::in_steps(options), &shop::sequenced())?;
    let keys = match mode {
        Mode::ReadWrite => Keys::load(config, &*entropy)?,
        Mode::ReadOnly => Keys { signing: unused_key(&*entropy), codes: unused_key(&*entropy) },
    };
    let settings = settings(config, mode, keys, clock.clone(), entropy.clone())?;
    Shop::wire(Deps::new(db, clock, entropy), settings)
}

/// The secrets a shop makes for itself and keeps in its data folder.
pub struct Keys {
    signing: Secret<Vec<u8>>,
    codes: Secret<Vec<u8>>,
}

impl Keys {
    /// Those of a data folder; made when they are missing.
    ///
    /// # Errors
    /// `server.data_dir` for files that cannot be read or written.
    pub fn load(config: &Config, entropy: &dyn Entropy) -> Result<Self> {
        let of =
            |name: &str| merx_accounts::signing_key::load_or_create(&config.data_dir.join(name), entropy);
        Ok(Self { signing: of(files::SIGNING_KEY)?, codes: of(files::CODES_KEY)? })
    }
}

/// What a configuration makes of a shop.
///
/// # Errors
/// `config.invalid`; `Internal` when a client for what is outside cannot be set up.
pub fn settings(
    config: &Config,
    mode: Mode,
    keys: Keys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Settings> {
    let objects: Arc<dyn ObjectStore> = match config.objects.place(&config.data_dir)? {
        // What a running shop has not finished writing is not for who only reads to clear away.
        ObjectsPlace::Folder(folder) if mode == Mode::ReadOnly => Arc::new(FolderStore::beside(folder)),
        ObjectsPlace::Folder(folder) => Arc::new(FolderStore::open(folder)?),
        ObjectsPlace::S3 { .. } => Arc::new(S3Store::open(&config.objects, clock, entropy)?),
    };
    let notification = config.notification();
    Ok(Settings {
        limits: config.http.limits.clone(),
        trusted_proxies: config.http.trusted_proxies.clone(),
        ordering: merx_ordering::Settings {
            payment_window_ms: config.orders.payment_deadline_s * 1000,
            receipt_window_ms: config.orders.receipt_after_s * 1000,
            undelivered_window_ms: config.orders.undelivered_after_s * 1000,
            ..merx_ordering::Settings::default()
        },
        payment: config.payment.clone(),
        accounts: config.accounts.clone(),
        cart: config.cart,
        aftersale: config.aftersale,
        signing_key: keys.signing,
        code_key: keys.codes,
        erasures: Some(config.data_dir.join(files::ERASURES)),
        outbound: Arc::new(Network::new()?),
        catalogue: merx_catalogue::Settings { currency: Currency::CNY, objects },
        ways: Ways::of_config(&notification)?,
        notification,
        topology: Topology::Local,
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| {
        Error::unavailable("server.data_dir", "The data folder has no absolute path.").with_source(e)
    })
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
    Db::open(&format!("sqlite:{}", path.display()), kill_points::in_steps(options), &[])
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
