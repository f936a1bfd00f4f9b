//! `merx ledger`, `merx reconcile`.

use std::process::ExitCode;

use axum::http::Method;
use merx_kernel::{Error, Result};
use merx_payment::{
    queries::{
        PostingView, ReconciliationView,
        ledger::{CSV_HEAD, csv_cell, known_account, postings, trial_balance},
    },
    store::ledger::PostingFilter,
};
use merx_sql::Db;

use super::{
    admin_client::AdminClient,
    reading::{self, say_json},
};
use crate::{
    admin::CaseLine,
    cli::{Account, Ledger, Place, Printed, Reconcile, TrialBalance},
    instance::{self, Mode},
    run::say,
};

/// Postings read at a time.
const CHUNK: i64 = 1_000;

/// `merx ledger …`. It only reads, beside a running shop too.
pub async fn ledger(command: Ledger) -> Result<ExitCode> {
    match command {
        Ledger::TrialBalance(args) => balance(args).await,
        Ledger::Account(args) => account(args).await,
    }
}

async fn open(place: &Place) -> Result<Db> {
    Ok(reading::open(&instance::config_of(place)?).await?.deps.db.clone())
}

const fn exit(is_balanced: bool) -> ExitCode {
    if is_balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn balance(args: TrialBalance) -> Result<ExitCode> {
    let told = trial_balance(&open(&args.place).await?, args.as_of).await?;
    match args.figures.printed() {
        Printed::Json => say_json(&told)?,
        Printed::Csv => {
            let mut text = "account,nature,currency,debit,credit,balance,postings\n".to_owned();
            for line in &told.accounts {
                let cells = [
                    line.account.clone(),
                    line.nature.clone(),
                    line.balance.currency.code().to_owned(),
                    line.debit.to_decimal(),
                    line.credit.to_decimal(),
                    line.balance.to_decimal(),
                    line.postings.to_string(),
                ];
                text.push_str(&cells.map(|cell| csv_cell(&cell)).join(","));
                text.push('\n');
            }
            say(&text);
        }
        Printed::Text => {
            let mut text = String::new();
            for line in &told.accounts {
                let [debit, credit, balance] =
                    [line.debit, line.credit, line.balance].map(|m| m.to_decimal());
                let currency = line.balance.currency;
                text.push_str(&format!(
                    "{:<20} {debit:>16} {credit:>16} {balance:>16} {currency}\n",
                    line.account
                ));
            }
            say(&format!("{:<20} {:>16} {:>16} {:>16}\n{text}", "account", "debit", "credit", "balance"));
        }
    }
    if args.figures.printed() == Printed::Text {
        for booking in &told.unbalanced {
            say(&format!("{} at version {} does not sum to zero\n", booking.payment_id, booking.version));
        }
        say(if told.is_balanced { "The books balance.\n" } else { "The books do NOT balance.\n" });
    }
    Ok(exit(told.is_balanced))
}

async fn account(args: Account) -> Result<ExitCode> {
    known_account(&args.name)?;
    let db = open(&args.place).await?;
    let told = trial_balance(&db, None).await?;
    let printed = args.figures.printed();
    if printed == Printed::Csv {
        say(CSV_HEAD);
    }
    let filter = PostingFilter { account: Some(args.name), from: args.from, to: args.to };
    let (mut left, mut after, mut count) = (i64::from(args.limit), None, 0usize);
    while left > 0 {
        let wanted = left.min(CHUNK);
        let rows = postings(&db, filter.clone(), after, wanted).await?;
        let mut text = String::new();
        for row in &rows {
            text.push_str(&line(row, printed)?);
        }
        say(&text);
        count += rows.len();
        left -= wanted;
        after = rows.last().map(PostingView::cursor);
        if i64::try_from(rows.len()).unwrap_or(wanted) < wanted {
            break;
        }
    }
    if printed == Printed::Text {
        say(&format!("{count} postings\n"));
        if !told.is_balanced {
            say("The books do NOT balance; see `merx ledger trial-balance`.\n");
        }
    }
    Ok(exit(told.is_balanced))
}

fn line(row: &PostingView, printed: Printed) -> Result<String> {
    Ok(match printed {
        Printed::Csv => row.to_csv(),
        Printed::Json => {
            let text = serde_json::to_string(row)
                .map_err(|e| Error::internal("the posting cannot be written as JSON").with_source(e))?;
            format!("{text}\n")
        }
        Printed::Text => {
            format!(
                "{}  {:>20}  {:<10}  {}\n",
                row.posted_at,
                row.amount.to_string(),
                row.kind,
                row.payment_id
            )
        }
    })
}

/// `merx reconcile`: through the running shop, or in its place when it rests. Exits 1 when something waits for a person.
pub async fn reconcile(args: Reconcile) -> Result<ExitCode> {
    let client = AdminClient::connect(&args.place, Mode::ReadWrite).await?;
    let told: ReconciliationView =
        client.ask(Method::POST, &format!("/reconciliations/{}", args.date)).await?;
    let client = AdminClient::connect(&args.place, Mode::ReadOnly).await?;
    let cases: Vec<CaseLine> =
        client.ask(Method::GET, &format!("/reconciliations/{}/cases", args.date)).await?;
    if args.format.json {
        say_json(&serde_json::json!({ "reconciliation": told, "open_cases": cases }))?;
        return Ok(exit(cases.is_empty()));
    }
    if told.status == "no_bill" {
        say(&format!("{} has no bill of {} yet, and money moved on it.\n", told.provider, told.date));
        return Ok(ExitCode::FAILURE);
    }
    say(&format!(
        "{} {}: {} captures of {}, {} refunds of {}, fees {}\n",
        told.provider, told.date, told.captures, told.captured, told.refunds, told.refunded, told.fees
    ));
    for case in &cases {
        say(&format!("  {case}\n"));
    }
    say(&match cases.len() {
        0 => "The bill and the books agree.\n".to_owned(),
        open => format!("{open} cases wait for a person; see GET /v1/admin/reconciliations/cases\n"),
    });
    Ok(exit(cases.is_empty()))
}
