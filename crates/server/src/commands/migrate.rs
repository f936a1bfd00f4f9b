//! `merx migrate`.

use std::process::ExitCode;

use merx_kernel::Result;
use merx_sql::PendingMigration;
use serde_json::json;

use super::{archive::Staging, configured, reading::say_json};
use crate::{
    cli::Migrate,
    config::{Config, DatabaseConfig},
    files::DataFolder,
    instance::{self, Mode},
    run::say,
    shop::Shop,
};

/// Brings the tables up to date, or says what would be done for that.
pub async fn run(args: &Migrate) -> Result<ExitCode> {
    let config = configured(&args.config)?;
    if args.dry_run {
        return dry_run(&config, args.json).await;
    }
    let _folder = DataFolder::claim(&config.data_dir)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    shop.deps.db.close().await;
    if args.json {
        say_json(&json!({"migrated": true}))?;
    } else {
        say("The tables are up to date.\n");
    }
    Ok(ExitCode::SUCCESS)
}

/// Touches nothing: it only reads, also where there is no database yet.
async fn dry_run(config: &Config, json: bool) -> Result<ExitCode> {
    let pending = match instance::open(config, Mode::ReadOnly) {
        Ok(shop) => {
            let pending = left(&shop).await?;
            shop.deps.db.close().await;
            pending
        }
        Err(error) if error.is("sql.cannot_open") => from_nothing(config).await?,
        Err(error) => return Err(error),
    };
    if json {
        let one = |(context, one): &(&str, PendingMigration)| {
            let PendingMigration { number, name, statements } = one;
            json!({"context": context, "number": number, "name": name, "statements": statements})
        };
        say_json(&json!({"pending": pending.iter().map(one).collect::<Vec<_>>()}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (context, one) in &pending {
        say(&format!("-- {context} {} {}\n", one.number, one.name));
        for statement in &one.statements {
            say(&format!("{statement};\n"));
        }
    }
    let said = match pending.len() {
        0 => "-- The tables are up to date; nothing would run.\n".to_owned(),
        n => format!("-- {n} migrations would run. Nothing was changed.\n"),
    };
    say(&said);
    Ok(ExitCode::SUCCESS)
}

async fn left(shop: &Shop) -> Result<Vec<(&'static str, PendingMigration)>> {
    let mut all = Vec::new();
    for module in &shop.modules {
        let pending = shop.deps.db.pending_migrations(module.name(), &module.all_migrations()).await?;
        all.extend(pending.into_iter().map(|one| (module.name(), one)));
    }
    Ok(all)
}

/// Every migration of every context, as a shop in a folder of its own has them, which goes again.
async fn from_nothing(config: &Config) -> Result<Vec<(&'static str, PendingMigration)>> {
    let folder = Staging::beside(&std::env::temp_dir().join("merx-dry-run"))?;
    let elsewhere = Config {
        data_dir: folder.folder().to_owned(),
        database: DatabaseConfig::default(),
        ..config.clone()
    };
    let shop = instance::open(&elsewhere, Mode::ReadWrite)?;
    let mut all = Vec::new();
    for module in &shop.modules {
        let pending =
            PendingMigration::of_nothing(&config.database_url(), module.name(), &module.all_migrations())?;
        all.extend(pending.into_iter().map(|one| (module.name(), one)));
    }
    shop.deps.db.close().await;
    Ok(all)
}
