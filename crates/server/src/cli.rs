//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, value_parser};
use merx_contracts::ids::{MessageId, SagaId};

use crate::config::OrdersConfig;

/// The whole of Merx in one binary.
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
    Migrate(Configured),
    /// Check that the books agree: orders, payments, stock, messages, sagas. Exits 1 on a violation.
    Audit(Audit),
    /// Walk through the shop as a shopper would.
    #[command(subcommand)]
    Demo(Demo),
    /// List, retry or abandon the running steps of orders and refunds.
    #[command(subcommand)]
    Saga(Saga),
    /// List or redrive messages that could not be handled.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Print the stored events of one context, oldest first, one JSON a line.
    Events(Events),
    /// Build the read models of one context again from its events, with the shop stopped.
    Rebuild(Rebuild),
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
    /// Another database than the SQLite file in the data folder: mysql://user:password@host:port/name
    #[arg(long, value_name = "URL", env = "MERX_DATABASE_URL", hide_env_values = true)]
    pub database: Option<String>,
    /// How long an order may stay unpaid, in seconds (61 to 86400).
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = value_parser!(u64).range(OrdersConfig::DEADLINE_S))]
    pub payment_deadline_s: u64,
    /// How many requests one client may send in a minute, a fifth of them at once (60 to 60000000).
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

/// `merx saga`.
#[derive(Debug, Subcommand)]
pub enum Saga {
    /// List what is not finished.
    List(Place),
    /// Try a waiting or stuck saga again now.
    Retry(SagaRef),
    /// Give a stuck saga up; somebody has settled it by hand.
    Abandon(SagaRef),
}

/// One saga.
#[derive(Clone, Debug, Args)]
pub struct SagaRef {
    /// The saga's id, as `list` prints it.
    pub id: SagaId,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them.
    List(Place),
    /// Hand one to its subscription again.
    Redrive(DeadLetterRef),
}

/// One dead letter.
#[derive(Clone, Debug, Args)]
pub struct DeadLetterRef {
    /// The subscription, as `list` prints it.
    #[arg(value_parser = subscription)]
    pub subscription: String,
    /// The message's id, as `list` prints it.
    pub message: MessageId,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

fn subscription(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    if plain {
        Ok(text.to_owned())
    } else {
        Err("expected a name as `merx dead-letters list` prints it".to_owned())
    }
}

/// `merx events`.
#[derive(Clone, Debug, Args)]
pub struct Events {
    /// Whose events.
    #[arg(value_parser = ["ordering", "payment", "inventory"])]
    pub context: String,
    /// Only those after this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0, allow_negative_numbers = true, value_parser = value_parser!(i64).range(0..))]
    pub after: i64,
    /// At most so many (1 to 100000).
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx rebuild`.
#[derive(Clone, Debug, Args)]
pub struct Rebuild {
    /// Whose read models.
    #[arg(value_parser = ["ordering", "payment", "inventory"])]
    pub context: String,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration file and say what is wrong with it.
    Check(Configured),
}

/// `merx explain`.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The code, as errors name it: `inventory.sold_out`.
    pub code: String,
}
