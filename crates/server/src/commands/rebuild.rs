//! `merx rebuild`.

use std::process::ExitCode;

use merx_kernel::Result;
use merx_platform::projection;

use crate::{
    cli::Rebuild,
    files::DataFolder,
    instance::{self, Mode},
    run::say,
};

/// Builds the read models of one context again from its events. It takes the data lock: one writer replays the whole
/// log in one transaction, which a shop at work could not wait for.
pub async fn run(args: Rebuild) -> Result<ExitCode> {
    let config = instance::config_of(&args.place)?;
    let _folder = DataFolder::claim(&config.data_dir)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    for module in shop.modules.iter().filter(|m| m.name() == args.context) {
        for projection in &module.projections {
            let name = projection.name;
            let events = projection::rebuild(&shop.deps.db, &module.store, *projection).await?;
            say(&format!("{name}: built again from {events} events\n"));
        }
    }
    shop.deps.db.close().await;
    Ok(ExitCode::SUCCESS)
}
