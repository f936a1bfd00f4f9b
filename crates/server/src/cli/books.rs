//! What finance does to a shop.

use clap::{Args, Subcommand, ValueEnum, value_parser};
use merx_kernel::Timestamp;
use merx_payment::provider::BillDate;

use super::{Format, Place};

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
}

fn day(text: &str) -> Result<BillDate, String> {
    let day = BillDate::parse(text).ok().filter(|day| day.to_string() == text);
    day.ok_or_else(|| "expected a day such as 2026-11-20".to_owned())
}

/// `merx ledger`.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Print every account. Exits 1 when the books do not balance.
    TrialBalance(TrialBalance),
    /// Print the postings of an account, oldest first. Exits 1 when the books do not balance.
    Account(Account),
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Printed {
    /// For people.
    #[default]
    Text,
    /// JSON.
    Json,
    /// CSV.
    Csv,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Figures {
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV, for a spreadsheet.
    #[arg(long)]
    pub csv: bool,
}

impl Figures {
    /// The one that was asked for.
    pub const fn printed(self) -> Printed {
        match self {
            Self { json: true, .. } => Printed::Json,
            Self { csv: true, .. } => Printed::Csv,
            _ => Printed::Text,
        }
    }
}

/// `merx ledger trial-balance`.
#[derive(Clone, Debug, Args)]
pub struct TrialBalance {
    /// Of what was posted up to this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub as_of: Option<Timestamp>,
    /// How it is printed.
    #[command(flatten)]
    pub figures: Figures,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx ledger account`.
#[derive(Clone, Debug, Args)]
pub struct Account {
    /// The account, as `merx ledger trial-balance` prints it, such as `clearing:alipay`.
    pub name: String,
    /// Posted at this time (RFC 3339) or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Timestamp>,
    /// Posted before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Timestamp>,
    /// At most so many (1 to 1000000).
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// How they are printed: JSON is one posting a line.
    #[command(flatten)]
    pub figures: Figures,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx reconcile`.
#[derive(Clone, Debug, Args)]
pub struct Reconcile {
    /// The day of Beijing time, such as 2026-11-20; it must be over.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub date: BillDate,
    /// How the outcome is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}
