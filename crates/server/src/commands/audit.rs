//! `merx audit`.

use std::process::ExitCode;

use merx_auditor::{ProviderLedger, Report};
use merx_kernel::{Error, Result};

use crate::{
    cli::{Audit, Place},
    instance::{self, Mode},
    run::say,
    shop,
};

/// Audits a shop, beside it while it runs; exits 1 on a violation.
pub async fn run(args: Audit) -> Result<ExitCode> {
    let report = of(&args.place, args.drained).await?;
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

/// Audits a shop; one made by `up` against the ledger of its sandbox.
///
/// # Errors
/// What the configuration, the data folder or the database says.
pub async fn of(place: &Place, drained: bool) -> Result<Report> {
    let shop = instance::open(&instance::config_of(place)?, Mode::ReadOnly)?;
    let mut audit = shop.audit(None, drained);
    if place.config.is_none() {
        let sandbox = instance::open_sandbox_db(&place.dir, Mode::ReadOnly)?;
        audit.provider = Some(ProviderLedger::live(move || {
            let sandbox = sandbox.clone();
            Box::pin(async move { Ok(shop::provider_entries(merx_alipay_sandbox::ledger(&sandbox).await?)) })
        }));
    }
    audit.run().await
}
