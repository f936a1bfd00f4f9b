//! The configuration of a shop. `config/embedded.toml` documents every key; a test reads it against this type.

use std::{net::SocketAddr, path::PathBuf};

use merx_http::Limits;
use merx_kernel::{Error, ErrorKind, Result};
use merx_payment::PaymentConfig;
use serde::Deserialize;

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of the file's shape: 1.
    pub version: u32,
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
    /// Orders.
    #[serde(default)]
    pub orders: OrdersConfig,
    /// Payment.
    pub payment: PaymentConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
}

/// Where rows are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `mysql://user:password@host:port/name`; `None` is the SQLite file `merx.db` in the data folder.
    pub url: Option<merx_kernel::Secret<String>>,
}

/// The public API.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its limits.
    pub limits: Limits,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), limits: Limits::default() }
    }
}

/// Orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// How long an order may stay unpaid.
    pub payment_deadline_s: u64,
}

impl OrdersConfig {
    /// The shortest time an order may stay unpaid: a pay link ends a minute before it.
    pub const DEADLINE_S_MIN: u64 = 61;
    /// The longest time: one day.
    pub const DEADLINE_S_MAX: u64 = 86_400;
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self { payment_deadline_s: 1_800 }
    }
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` for people, `json` for collectors.
    pub format: String,
    /// `error`, `warn`, `info`, `debug`, or directives such as `info,merx_sql=debug`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: "text".to_owned(), level: "info".to_owned() }
    }
}

/// The version of the file's shape that this program reads.
pub const VERSION: u32 = 1;

impl Config {
    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` with each wrong value by its path.
    pub fn check(&self) -> Result<()> {
        let mut wrong: Vec<(&str, String)> = Vec::new();
        if self.version != VERSION {
            wrong.push(("version", format!("this program reads version {VERSION}")));
        }
        let deadline = OrdersConfig::DEADLINE_S_MIN..=OrdersConfig::DEADLINE_S_MAX;
        if !deadline.contains(&self.orders.payment_deadline_s) {
            let (min, max) = deadline.into_inner();
            wrong.push(("orders.payment_deadline_s", format!("must be from {min} to {max} seconds")));
        }
        if !["text", "json"].contains(&self.log.format.as_str()) {
            wrong.push(("log.format", "must be `text` or `json`".to_owned()));
        }
        if let Some(url) = &self.database.url
            && !url.expose().starts_with("mysql://")
        {
            wrong.push(("database.url", "must begin with mysql://; leave it out for SQLite".to_owned()));
        }
        if wrong.is_empty() {
            return self.payment.check();
        }
        let start = Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.");
        Err(wrong.into_iter().fold(start, |e, (path, detail)| e.with_field(path, detail)))
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        self.database.url.as_ref().map_or_else(
            || format!("sqlite:{}", self.data_dir.join("merx.db").display()),
            |url| url.expose().clone(),
        )
    }
}
