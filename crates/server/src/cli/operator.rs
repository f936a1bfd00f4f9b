//! What operators do to a shop.

use merx_accounts::audit::Head;
use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};
use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::{Timestamp, principal::AccountId};
use merx_sql::StreamId;

use super::{Format, Place};
use crate::shop::CONTEXTS;

/// Contexts whose events are their truth.
const EVENT_SOURCED: [&str; 5] = ["ordering", "payment", "inventory", "aftersale", "all"];

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
}

/// An id of any kind: the 26 characters after the prefix say which stream it is.
fn stream(text: &str) -> Result<StreamId, String> {
    let bare = text.rsplit('_').next().unwrap_or(text);
    merx_kernel::Id::<()>::parse_bare(bare)
        .map(StreamId::from)
        .map_err(|_| "expected an id such as ord_0679q6fq70x1vb1gdv1h9c8k2r".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || [b'.', b'_', b'-'].contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("expected a name as `list` prints it".to_owned())
    }
}

/// A subscription's name; it becomes part of a path.
fn subscription(text: &str) -> Result<String, String> {
    name(text).map_err(|_| "expected a name as `merx dead-letters list` prints it".to_owned())
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why, for those who will ask".to_owned()),
        text if text.chars().count() > crate::admin::REASON_CHARS_MAX => {
            Err(format!("at most {} characters", crate::admin::REASON_CHARS_MAX))
        }
        text => Ok(text.to_owned()),
    }
}

/// How much of a list is wanted, and how it is printed.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Of this context only.
    #[arg(long, value_name = "CONTEXT", value_parser = clap::builder::PossibleValuesParser::new(CONTEXTS))]
    pub context: Option<String>,
    /// At most so many (1 to 10000).
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx saga`.
#[derive(Debug, Subcommand)]
pub enum Saga {
    /// List what is not finished, or what has one of the given statuses, the newest first.
    List(SagaList),
    /// Show one, with its steps.
    Show(SagaRef),
    /// Try a waiting or stuck saga again now.
    Retry(SagaRef),
    /// Give a stuck saga up; somebody has settled it by hand.
    Abandon(SagaRef),
}

/// `merx saga list`.
#[derive(Clone, Debug, Args)]
pub struct SagaList {
    /// In this status; may be given several times. Without it: all that are not finished.
    #[arg(long, value_name = "STATUS", value_parser = ["running", "compensating", "waiting", "stuck", "done", "abandoned"])]
    pub status: Vec<String>,
    /// Of this name, such as `place-order`.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,
    /// Which, and how many.
    #[command(flatten)]
    pub list: ListArgs,
}

/// One saga.
#[derive(Clone, Debug, Args)]
pub struct SagaRef {
    /// The saga's id, as `list` prints it.
    pub id: SagaId,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx outbox`.
#[derive(Clone, Debug, Args)]
pub struct Outbox {
    /// What this context publishes, and its subscriptions, only.
    #[arg(long, value_name = "CONTEXT", value_parser = clap::builder::PossibleValuesParser::new(CONTEXTS))]
    pub context: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, oldest first.
    List(DeadLettersList),
    /// Show one with what is in it.
    Show(DeadLetterRef),
    /// Hand one to its subscription again. It comes after the later facts of its subject, which went on without it.
    Redrive(DeadLetterRef),
    /// Give one up for good; it stays on record with the reason.
    Drop(DropLetter),
}

/// `merx dead-letters list`.
#[derive(Clone, Debug, Args)]
pub struct DeadLettersList {
    /// Of this subscription only.
    #[arg(long, value_name = "NAME", value_parser = subscription)]
    pub subscription: Option<String>,
    /// Those that were dropped instead, the latest first.
    #[arg(long)]
    pub dropped: bool,
    /// Which, and how many.
    #[command(flatten)]
    pub list: ListArgs,
}

/// One dead letter.
#[derive(Clone, Debug, Args)]
pub struct DeadLetterRef {
    /// The subscription, as `list` prints it.
    #[arg(value_parser = subscription)]
    pub subscription: String,
    /// The message's id, as `list` prints it.
    pub message: MessageId,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx dead-letters drop`.
#[derive(Clone, Debug, Args)]
pub struct DropLetter {
    /// Which.
    #[command(flatten)]
    pub letter: DeadLetterRef,
    /// Why, in a sentence (1 to 500 characters). No personal data: it is kept for good.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
}

/// `merx payment`.
#[derive(Debug, Subcommand)]
pub enum Payment {
    /// Read the files of keys and certificates again now; a running shop also does it every minute. What the provider
    /// signed with its key of before is taken for a while longer.
    ReloadKeys(ReloadKeys),
}

/// `merx payment reload-keys`.
#[derive(Clone, Debug, Args)]
pub struct ReloadKeys {
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx timers`.
#[derive(Clone, Debug, Args)]
pub struct Timers {
    /// Of this kind, such as `order_deadline`.
    #[arg(long, value_name = "KIND", value_parser = name)]
    pub kind: Option<String>,
    /// Only those that are due now.
    #[arg(long)]
    pub due: bool,
    /// Which, and how many.
    #[command(flatten)]
    pub list: ListArgs,
}

/// `merx events`.
#[derive(Clone, Debug, Args)]
pub struct Events {
    /// Whose events; `all` for every context's in one order.
    #[arg(value_parser = EVENT_SOURCED)]
    pub context: String,
    /// Of one aggregate: the id of an order, a payment, a reservation.
    #[arg(long, value_name = "ID", value_parser = stream)]
    pub stream: Option<StreamId>,
    /// Of this name, such as `OrderPlaced`; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Vec<String>,
    /// Only those after this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0, allow_negative_numbers = true, value_parser = value_parser!(i64).range(0..))]
    pub after: i64,
    /// Only those recorded at this time (RFC 3339) or before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
    /// Every aggregate as it stood at this time (RFC 3339): its events up to the first recorded after it.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["until", "follow"])]
    pub as_of: Option<Timestamp>,
    /// At most so many (1 to 100000).
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(i64).range(1..=100_000))]
    pub limit: i64,
    /// Print all there are, and go on with what comes, until Ctrl-C.
    #[arg(long)]
    pub follow: bool,
    /// How they are printed: JSON is one event a line.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx rebuild`.
#[derive(Clone, Debug, Args)]
pub struct Rebuild {
    /// Whose read models.
    #[arg(value_parser = EVENT_SOURCED)]
    pub context: String,
    /// How the outcome is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx backup`.
#[derive(Clone, Debug, Args)]
pub struct Backup {
    /// A folder that is not there yet, or a file that ends in .tar.
    pub target: PathBuf,
    /// How the outcome is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx restore`.
#[derive(Clone, Debug, Args)]
pub struct Restore {
    /// The folder or the .tar file that `merx backup` made.
    pub backup: PathBuf,
    /// The list of erased people kept beside the lost shop's database, newer than the back-up: they are erased again.
    #[arg(long, value_name = "FILE")]
    pub erasures: Option<PathBuf>,
    /// How the outcome is printed.
    #[command(flatten)]
    pub format: Format,
    /// Where the shop is put: its data folder must be empty or not there.
    #[command(flatten)]
    pub place: Place,
}

/// `merx staff-audit`.
#[derive(Debug, Subcommand)]
pub enum StaffAudit {
    /// Compute every hash again. Exits 1 when the chain is broken, and says where.
    Verify(StaffAuditVerify),
    /// Print what was done, the latest first.
    List(StaffAuditList),
    /// Print the last number and hash, to be kept elsewhere: with it a cut at the end shows too.
    Head(StaffAuditPlace),
}

/// `merx staff-audit verify`.
#[derive(Clone, Debug, Args)]
pub struct StaffAuditVerify {
    /// A head that was noted earlier, as `head` printed it: entries cut off at the end, or a chain written anew, show too.
    #[arg(long, value_name = "HEAD", value_parser = Head::parse)]
    pub known: Option<Head>,
    /// How, and which shop.
    #[command(flatten)]
    pub place: StaffAuditPlace,
}

/// `merx staff-audit head`.
#[derive(Clone, Debug, Args)]
pub struct StaffAuditPlace {
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}

/// `merx staff-audit list`.
#[derive(Clone, Debug, Args)]
pub struct StaffAuditList {
    /// By this account only.
    #[arg(long, value_name = "ID")]
    pub actor: Option<AccountId>,
    /// Of actions that begin so, such as `inventory.` or `inventory.stock_adjusted`.
    #[arg(long, value_name = "ACTION", value_parser = name)]
    pub action: Option<String>,
    /// At most so many (1 to 10000).
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// How it is printed.
    #[command(flatten)]
    pub format: Format,
    /// Which shop.
    #[command(flatten)]
    pub place: Place,
}
