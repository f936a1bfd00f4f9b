//! `merx audit`.

use std::process::ExitCode;

use merx_auditor::{ProviderLedger, Report};
use merx_kernel::Result;

use super::reading::{self, say_json};
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
        say_json(&report)?;
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
    let shop = reading::open(&instance::config_of(place)?).await?;
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
