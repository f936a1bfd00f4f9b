//! The command line. What operators do to a shop is in `cli/operator.rs`.

mod books;
mod operator;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, value_parser};

pub use self::books::{Account, Figures, Ledger, Printed, Reconcile, TrialBalance};
pub use self::operator::{
    Backup, DeadLetterRef, DeadLetters, DeadLettersList, DropLetter, Events, Outbox, Payment, Rebuild,
    ReloadKeys, Restore, Saga, SagaList, SagaRef, StaffAudit, StaffAuditList, StaffAuditPlace,
    StaffAuditVerify, Timers,
};
use crate::config::OrdersConfig;

/// The whole of Merx in one binary. Without a command it is `up`: a whole shop to try, on this machine.
#[derive(Debug, Parser)]
#[command(name = "merx", version, about, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; without one, `up`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `merx` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the whole shop on this machine: demo catalogue, demo accounts, Alipay sandbox. Loopback only.
    Up(Up),
    /// Start the shop from a configuration file, with neither demo data nor sandbox.
    Serve(Configured),
    /// Bring the database's tables up to this version, and stop.
    Migrate(Migrate),
    /// Check that the books agree: orders, payments, stock, messages, sagas. Exits 1 on a violation.
    Audit(Audit),
    /// Walk through the shop as a shopper would.
    #[command(subcommand)]
    Demo(Demo),
    /// List, look at, retry or abandon the running steps of orders and refunds.
    #[command(subcommand)]
    Saga(Saga),
    /// Show what is on its way: facts in outboxes, and how far each subscription is behind.
    Outbox(Outbox),
    /// List, look at, redrive or drop messages that could not be handled.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Look at the books of payment: every account, and what was posted to one.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Hold a day's bill of Alipay against payments and ledger. Exits 1 when they do not agree.
    Reconcile(Reconcile),
    /// Look after the providers of payment.
    #[command(subcommand)]
    Payment(Payment),
    /// List the durable timers, the next first.
    Timers(Timers),
    /// Print the stored events of one context or of all, oldest first.
    Events(Events),
    /// Build the read models of one context or of all again from their events, beside a running shop or with it stopped.
    Rebuild(Rebuild),
    /// Copy a shop, also while it runs: one consistent moment, with checksums, looked through when it is done.
    Backup(Backup),
    /// Put a back-up into an empty data folder.
    Restore(Restore),
    /// Let the first administrator of a new shop in.
    #[command(subcommand)]
    Staff(Staff),
    /// Look at what staff did: a chain of hashes that shows every change made to it afterwards.
    #[command(subcommand)]
    StaffAudit(StaffAudit),
    /// Look at configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what an error code means and what to do.
    Explain(Explain),
}

/// Which shop: the one of `up` in a data folder, or the one of `serve` with its configuration file.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The data folder of a shop started with `up`.
    #[arg(long = "data", value_name = "DIR", default_value = "./data")]
    pub dir: PathBuf,
    /// The configuration file of a shop started with `serve`, instead of --data.
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub config: Option<PathBuf>,
}

/// `merx up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// The folder of the shop's files; made when missing.
    #[arg(long = "data", value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,
    /// Where the API listens; loopback only. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Where the Alipay sandbox listens; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081", value_parser = loopback)]
    pub sandbox_listen: SocketAddr,
    /// Where the mails of the shop can be read; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082", value_parser = loopback)]
    pub mail_listen: SocketAddr,
    /// Where the asks between the parts of the shop can be called over gRPC; loopback only. Its token is in demo.json.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8083", value_parser = loopback)]
    pub grpc_listen: SocketAddr,
    /// Open without what was bought before: accounts and catalogue only.
    #[arg(long)]
    pub without_history: bool,
    /// Another database than the SQLite file in the data folder: mysql://user:password@host:port/name
    #[arg(long, value_name = "URL", env = "MERX_DATABASE_URL", hide_env_values = true)]
    pub database: Option<String>,
    /// How long an order may stay unpaid, in seconds (61 to 86400).
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = value_parser!(u64).range(OrdersConfig::DEADLINE_S))]
    pub payment_deadline_s: u64,
    /// How many requests one client may send in a minute, a fifth of them at once; log-ins in proportion (60 to 60000000).
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = value_parser!(u32).range(60..=60_000_000))]
    pub requests_per_minute: u32,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected an address and a port such as 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("must be a loopback address such as 127.0.0.1:8080: the demo's passwords and its sandbox are not for a \
         network; `merx serve` is"
        .to_owned())
}

impl Default for Up {
    /// What the flags say when none is given.
    fn default() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            up: Up,
        }
        Alone::parse_from(["merx"]).up
    }
}

/// A command that reads a configuration file.
#[derive(Clone, Debug, Args)]
pub struct Configured {
    /// The configuration file (TOML); `config/embedded.toml` documents every key.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `merx migrate`.
#[derive(Clone, Debug, Args)]
pub struct Migrate {
    /// The configuration file (TOML); `config/embedded.toml` documents every key.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print what would run, and run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Format {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `merx audit`.
#[derive(Clone, Debug, Args)]
pub struct Audit {
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
    /// Nothing may be in flight either: what a finished test demands.
    #[arg(long)]
    pub drained: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `merx demo`.
#[derive(Debug, Subcommand)]
pub enum Demo {
    /// Buy something from start to end, telling every step; then audit.
    Purchase(DemoPurchase),
}

/// `merx demo purchase`.
#[derive(Clone, Debug, Args)]
pub struct DemoPurchase {
    /// Where the shop's API is; found in the data folder unless told.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The data folder of the running shop, for the demo accounts' passwords and the audit.
    #[arg(long = "data", value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,
}

/// `merx staff`.
#[derive(Debug, Subcommand)]
pub enum Staff {
    /// Print a code with which the first administrator chooses a password; the shop is stopped meanwhile. Everybody else is
    /// invited through the API.
    InviteFirst(InviteFirst),
}

/// `merx staff invite-first`.
#[derive(Clone, Debug, Args)]
pub struct InviteFirst {
    /// The administrator's mail address.
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// The administrator's name.
    #[arg(long, value_name = "NAME", default_value = "Administrator")]
    pub name: String,
    /// The configuration file of the shop.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `merx config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration file and say what is wrong with it.
    Check(ConfigArgs),
    /// Print every key as it takes effect, where its value comes from, and no secret.
    Show(ConfigArgs),
}

/// `merx config check`, `merx config show`.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML); `config/embedded.toml` documents every key.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
}

/// `merx explain`.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The code, as errors name it: `inventory.sold_out`.
    pub code: String,
}
