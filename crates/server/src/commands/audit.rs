//! `merx audit`.

use std::process::ExitCode;

use merx_auditor::Report;
use merx_kernel::{Error, Result};

use crate::{
    cli::{Audit, Configured},
    instance::{self, Mode},
    run::say,
    shop,
};

/// Audits a data folder or a configured shop, beside a running one if there is one; exits 1 on a violation.
pub async fn run(args: Audit) -> Result<ExitCode> {
    let report = match &args.config {
        Some(config) => {
            let config = super::load(&Configured { config: config.clone() })?;
            let shop = instance::open(&config, Mode::ReadOnly)?;
            shop.audit(None, args.drained).run().await?
        }
        None => of_data_dir(&args.data.dir, args.drained).await?,
    };
    if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|e| Error::internal("the report cannot be written as JSON").with_source(e))?;
        say(&format!("{text}\n"));
    } else {
        say(&report.to_text());
        say(if report.is_clean() { "The books agree.\n" } else { "The books do NOT agree.\n" });
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Audits the shop of a data folder against its sandbox's ledger.
///
/// # Errors
/// What the data folder or the database says.
pub async fn of_data_dir(dir: &std::path::Path, drained: bool) -> Result<Report> {
    let (shop, _) = instance::open_demo(dir, Mode::ReadOnly)?;
    let sandbox = instance::open_sandbox_db(dir, Mode::ReadOnly)?;
    let ledger = merx_alipay_sandbox::ledger(&sandbox).await?;
    shop.audit(Some(shop::provider_entries(ledger)), drained).run().await
}
