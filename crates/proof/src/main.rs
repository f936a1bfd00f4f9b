//! `cargo run -p merx-proof`: every fault test with its guard and without, in one table.

#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use clap::Parser;
use merx_proof::{
    plan::{Plan, Row},
    report,
    result::Outcome,
    runner::Runner,
};

/// Proves the fault tests both ways.
#[derive(Parser)]
struct Args {
    /// Only these: ids (`T22`) or parts of a test's name.
    only: Vec<String>,
    /// At the sizes of the list, and the long runs too. It takes hours.
    #[arg(long)]
    full: bool,
    /// Keep what came out: docs/proof.json and docs/proof.md.
    #[arg(long)]
    write: bool,
    /// Only write docs/proof.md anew from what was kept.
    #[arg(long)]
    page: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match prove(Args::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// How many rows do not hold.
async fn prove(args: Args) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no workspace")?;
    let (plan, docs) = (Plan::read(&root.join("crates/proof/rows.toml"))?, root.join("docs"));
    let mut kept = report::read(&docs.join("proof.json"))?;
    // What is no row any more is no proof any more.
    kept.retain(|name, _| plan.rows.iter().any(|row| row.name() == *name));
    if args.page {
        return report::write(&docs, &kept, &plan).map(|()| 0);
    }
    let rows: Vec<&Row> = plan.chosen(&args.only, args.full).collect();
    if rows.is_empty() {
        return Err("no row is called that".to_owned());
    }
    let packages: BTreeSet<&str> =
        rows.iter().map(|r| r.package.as_str()).filter(|p| !p.is_empty()).collect();
    let runner = Runner::build(root, &packages.into_iter().collect::<Vec<_>>(), args.full)?;
    println!("{:<5} {:<24} {:<8} {:<8} {:>7}  test", "id", "guard", "on", "off", "time");
    let (mut held, mut not_run, mut failed) = (0, 0, 0);
    for row in rows {
        let proved = runner.prove(row).await;
        println!("{}", report::line(&proved));
        match proved.on {
            Outcome::NotRun => not_run += 1,
            _ if proved.holds() => held += 1,
            _ => failed += 1,
        }
        kept.insert(proved.name.clone(), proved);
        if args.write {
            report::write(&docs, &kept, &plan)?;
        }
    }
    println!("{held} held, {failed} failed, {not_run} not run");
    Ok(failed)
}
