//! The configuration of a shop. `config/embedded.toml` documents every key; a test reads it against this type.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use merx_http::Limits;
use merx_kernel::{Error, ErrorKind, Result, Secret};
use merx_notification::NotificationConfig;
use merx_payment::PaymentConfig;
use merx_platform::{objects::ObjectsConfig, rpc::Token, telemetry::LogOptions};
use serde::Deserialize;

/// The SQLite file in the data folder.
pub const DATABASE: &str = "merx.db";

/// The whole configuration. The file's `version` is the loader's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of the shop's files: database, keys, lock, admin socket.
    pub data_dir: PathBuf,
    /// Where rows are kept.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// The public API.
    #[serde(default)]
    pub http: HttpConfig,
    /// Log-in.
    #[serde(default)]
    pub accounts: merx_accounts::Settings,
    /// Carts.
    #[serde(default)]
    pub cart: merx_cart::Settings,
    /// Orders.
    #[serde(default)]
    pub orders: OrdersConfig,
    /// What is asked after the sale.
    #[serde(default)]
    pub aftersale: merx_aftersale::Policy,
    /// Payment.
    pub payment: PaymentConfig,
    /// Mails.
    #[serde(default)]
    pub mail: merx_notification::MailConfig,
    /// Webhooks.
    #[serde(default)]
    pub webhooks: merx_notification::WebhooksConfig,
    /// Pictures.
    #[serde(default)]
    pub objects: ObjectsConfig,
    /// The asks between contexts, for other processes.
    #[serde(default)]
    pub grpc: GrpcConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogOptions,
}

/// Where rows are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `mysql://user:password@host:port/name`; `None` is the SQLite file `merx.db` in the data folder.
    pub url: Option<Secret<String>>,
}

/// The public API.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Proxies in front of it, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Its limits.
    pub limits: Limits,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// How long an order may stay unpaid.
    pub payment_deadline_s: u64,
    /// How long after its last delivery an order counts as received although nobody said so.
    pub receipt_after_s: u64,
    /// How long after its last dispatch an order counts as received although not even the carrier said that it arrived.
    pub undelivered_after_s: u64,
}

/// The asks between contexts, for other processes and operators.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Where they are served; nowhere unless told.
    pub listen: Option<SocketAddr>,
    /// What a caller must show.
    pub token: Option<Secret<String>>,
}

impl GrpcConfig {
    /// Where to listen and the token to demand, if the asks are to be served.
    ///
    /// # Errors
    /// `config.invalid` naming what is missing or wrong.
    pub fn checked(&self) -> Result<Option<(SocketAddr, Token)>> {
        let wrong = |pointer: &str, text: String| {
            Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.")
                .with_field(pointer, text)
        };
        match (self.listen, &self.token) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(wrong("grpc.listen", "must be given with grpc.token".to_owned())),
            (Some(_), None) => Err(wrong("grpc.token", "must be given with grpc.listen".to_owned())),
            (Some(listen), Some(token)) => {
                let token = Token::new(token).map_err(|e| {
                    wrong(
                        "grpc.token",
                        e.fields().first().map_or_else(|| e.to_string(), |f| f.detail.to_string()),
                    )
                })?;
                Ok(Some((listen, token)))
            }
        }
    }
}

impl OrdersConfig {
    /// How long an order may stay unpaid at least and at most: a pay link ends a minute before it, a day is enough.
    pub const DEADLINE_S: RangeInclusive<u64> = 61..=86_400;
    /// How long a parcel may be on its way at least and at most: an hour for a trial, half a year.
    pub const RECEIPT_S: RangeInclusive<u64> = 3_600..=15_552_000;
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self { payment_deadline_s: 1_800, receipt_after_s: 1_296_000, undelivered_after_s: 2_592_000 }
    }
}

impl Config {
    /// Reads a file, with the environment's `MERX__…` over it, and checks every value.
    ///
    /// # Errors
    /// `config.unreadable`; `config.invalid` with each wrong key by its path.
    pub fn load(file: &Path) -> Result<Self> {
        // A variable that is no text cannot be one of ours.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let config: Self = merx_platform::config::load(Some(file), env)?;
        config.check()?;
        Ok(config)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` with each wrong value by its path.
    pub fn check(&self) -> Result<()> {
        let mut all = Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.");
        let orders = &self.orders;
        for (name, seconds, range) in [
            ("orders.payment_deadline_s", orders.payment_deadline_s, OrdersConfig::DEADLINE_S),
            ("orders.receipt_after_s", orders.receipt_after_s, OrdersConfig::RECEIPT_S),
            ("orders.undelivered_after_s", orders.undelivered_after_s, OrdersConfig::RECEIPT_S),
        ] {
            if !range.contains(&seconds) {
                let (min, max) = range.into_inner();
                all = all.with_field(name, format!("must be from {min} to {max} seconds"));
            }
        }
        if self.database.url.as_ref().is_some_and(|url| !url.expose().starts_with("mysql://")) {
            all = all.with_field("database.url", "must begin with mysql://; leave it out for SQLite");
        }
        for part in [
            self.http.limits.check(),
            self.accounts.check(),
            self.cart.check(),
            self.aftersale.check(),
            self.payment.check(),
            self.notification().check(),
            self.objects.check(),
            self.grpc.checked().map(drop),
        ] {
            match part {
                Ok(()) => {}
                Err(error) if error.fields().is_empty() => return Err(error),
                Err(error) => {
                    all = error
                        .fields()
                        .iter()
                        .fold(all, |all, wrong| all.with_field(&wrong.pointer, &wrong.detail));
                }
            }
        }
        if all.fields().is_empty() { Ok(()) } else { Err(all) }
    }

    /// Mails and webhooks, as their context takes them.
    pub fn notification(&self) -> NotificationConfig {
        NotificationConfig { mail: self.mail.clone(), webhooks: self.webhooks.clone() }
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        self.database.url.as_ref().map_or_else(
            || format!("sqlite:{}", self.data_dir.join(DATABASE).display()),
            |url| url.expose().clone(),
        )
    }
}
