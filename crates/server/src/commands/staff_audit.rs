//! `merx staff-audit`.

use std::process::ExitCode;

use merx_accounts::audit::{self, AuditFilter, Entry, Found, hex};
use merx_kernel::Result;
use merx_sql::Db;
use serde_json::{Value, json};

use super::{
    progress::Progress,
    reading::{self, say_json},
};
use crate::{
    cli::{Place, StaffAudit, StaffAuditList, StaffAuditPlace, StaffAuditVerify},
    instance,
    run::say,
};

/// Verifies, lists, or names the end of the chain. It only reads, beside a running shop too.
pub async fn run(command: StaffAudit) -> Result<ExitCode> {
    match command {
        StaffAudit::Verify(args) => verify(args).await,
        StaffAudit::List(args) => list(args).await,
        StaffAudit::Head(args) => head(args).await,
    }
}

async fn open(place: &Place) -> Result<Db> {
    Ok(reading::open(&instance::config_of(place)?).await?.deps.db.clone())
}

async fn verify(StaffAuditVerify { known, place: args }: StaffAuditVerify) -> Result<ExitCode> {
    let db = open(&args.place).await?;
    let mut progress = Progress::new("verifying entries");
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let found = audit::verify(&db, known, |done, all| progress.at(count(done), count(all))).await?;
    drop(progress);
    let (whole, says) = match found {
        Found::Whole(head) => {
            let answer = json!({"whole": true, "entries": head.sequence, "head": head.to_string()});
            (answer, format!("{} entries, whole up to {head}\n", head.sequence))
        }
        Found::Broken(broken) => {
            let answer = json!({"whole": false, "entry": broken.at, "why": broken.to_string()});
            (answer, format!("The record is broken at {broken}.\n"))
        }
    };
    if args.format.json {
        say_json(&whole)?;
    } else {
        say(&says);
    }
    Ok(if matches!(found, Found::Whole(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn head(StaffAuditPlace { format, place }: StaffAuditPlace) -> Result<ExitCode> {
    let head = audit::head(&open(&place).await?).await?;
    if format.json {
        say_json(&json!({"entries": head.sequence, "head": head.to_string()}))?;
    } else {
        say(&format!("{head}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: StaffAuditList) -> Result<ExitCode> {
    let db = open(&args.place).await?;
    let filter = AuditFilter { actor: args.actor, action_prefix: args.action, ..AuditFilter::default() };
    let entries = audit::list(&db, filter, i64::MAX, args.limit.into()).await?;
    if args.format.json {
        say_json(&json!({"items": entries.iter().map(shown).collect::<Vec<_>>()}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for entry in &entries {
        let reason = entry.reason.as_ref().map_or(String::new(), |reason| format!("  because: {reason}"));
        say(&format!(
            "{:>6}  {}  {}  {}  {}{reason}\n",
            entry.sequence, entry.at, entry.actor, entry.action, entry.object
        ));
    }
    say(&format!("{} entries\n", entries.len()));
    Ok(ExitCode::SUCCESS)
}

fn shown(entry: &Entry) -> Value {
    let detail = serde_json::from_str(&entry.detail).unwrap_or_else(|_| Value::String(entry.detail.clone()));
    json!({
        "sequence": entry.sequence,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "reason": entry.reason,
        "detail": detail,
        "message_id": entry.message,
        "hash": hex(&entry.hash),
    })
}
