//! Opening a shop to read it, beside one at work or at rest, and printing what was read.

use merx_kernel::{Error, Result};
use serde::Serialize;

use crate::{
    config::Config,
    instance::{self, Mode},
    run::say,
    shop::Shop,
};

/// Opens a shop for reading only, if its tables are those of this program.
///
/// # Errors
/// `sql.newer_schema`, `server.migrations_pending`; what the configuration or the database says.
pub async fn open(config: &Config) -> Result<Shop> {
    let shop = instance::open(config, Mode::ReadOnly)?;
    for module in &shop.modules {
        let pending = shop.deps.db.pending_migrations(module.name(), &module.all_migrations()).await?;
        if let Some(first) = pending.first() {
            let text = format!(
                "The tables are of an older Merx: `{}` has yet to see migration {} ({}). Start the shop once, or run \
                 `merx migrate --config FILE`.",
                module.name(),
                first.number,
                first.name
            );
            return Err(Error::rejected("server.migrations_pending", text));
        }
    }
    Ok(shop)
}

/// Prints a value as JSON that a person can read too.
///
/// # Errors
/// `Internal` when it cannot be written.
pub fn say_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal("the answer cannot be written as JSON").with_source(e))?;
    say(&format!("{text}\n"));
    Ok(())
}
