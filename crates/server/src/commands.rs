//! What each word of the command line does.

mod admin_client;
mod audit;
mod demo_purchase;
mod events;
mod operate;

use std::{path::Path, process::ExitCode};

use merx_kernel::Result;
use merx_platform::telemetry::{self, LogFormat, LogOptions};

use crate::{
    cli::{Cli, Command, ConfigCommand, Configured, DataDir, DeadLetters, Demo, Saga, Up},
    config::{Config, LogConfig},
    files,
    instance::{self, Mode},
    run,
};

/// Carries the command out; the exit code says how it went.
///
/// # Errors
/// What went wrong and what to do next.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        None => up(Up::default()).await,
        Some(Command::Up(args)) => up(args).await,
        Some(Command::Serve(args)) => {
            let config = load(&args)?;
            init_log(&config.log)?;
            run::serve_configured(config).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Migrate(args)) => migrate(&args).await,
        Some(Command::Audit(args)) => audit::run(args).await,
        Some(Command::Demo(Demo::Purchase(args))) => demo_purchase::run(args).await,
        Some(Command::Saga(command)) => match command {
            Saga::List(DataDir { dir }) => operate::list_sagas(&dir).await,
            Saga::Retry(saga) => operate::change_saga(&saga.data.dir, &saga.id, "retry").await,
            Saga::Abandon(saga) => operate::change_saga(&saga.data.dir, &saga.id, "abandon").await,
        },
        Some(Command::DeadLetters(command)) => match command {
            DeadLetters::List(DataDir { dir }) => operate::list_dead_letters(&dir).await,
            DeadLetters::Redrive(letter) => {
                operate::redrive(&letter.data.dir, &letter.subscription, &letter.message).await
            }
        },
        Some(Command::Events(args)) => events::run(args).await,
        Some(Command::Config(ConfigCommand::Check(args))) => {
            load(&args)?.check()?;
            run::say(&format!("{}: valid\n", args.config.display()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn up(args: Up) -> Result<ExitCode> {
    init_log(&LogConfig { level: "warn".to_owned(), ..LogConfig::default() })?;
    run::up(args).await.map(|()| ExitCode::SUCCESS)
}

async fn migrate(args: &Configured) -> Result<ExitCode> {
    let config = load(args)?;
    init_log(&config.log)?;
    files::prepare(&config.data_dir)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    shop.deps.db.close().await;
    run::say("The tables are up to date.\n");
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration file with the environment's `MERX__…` over it.
fn load(args: &Configured) -> Result<Config> {
    merx_platform::config::load(Some(Path::new(&args.config)), std::env::vars())
}

fn init_log(log: &LogConfig) -> Result<()> {
    let format = if log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    let level = std::env::var("MERX_LOG").unwrap_or_else(|_| log.level.clone());
    telemetry::init(&LogOptions { format, level })
}
