//! What each word of the command line does.

mod admin_client;
mod audit;
mod demo_purchase;
mod events;
mod operate;
mod rebuild;

use std::process::ExitCode;

use merx_kernel::{Error, Result};
use merx_platform::telemetry::{self, LogOptions};

pub use crate::error_pages::find as page_of;
use crate::{
    cli::{Cli, Command, ConfigCommand, Configured, DeadLetters, Demo, Explain, Saga, Up},
    config::Config,
    files::DataFolder,
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
            let config = configured(&args)?;
            run::serve_configured(config).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Migrate(args)) => migrate(&args).await,
        Some(Command::Audit(args)) => audit::run(args).await,
        Some(Command::Demo(Demo::Purchase(args))) => demo_purchase::run(args).await,
        Some(Command::Saga(command)) => match command {
            Saga::List(place) => operate::list_sagas(&place).await,
            Saga::Retry(saga) => operate::change_saga(&saga.place, saga.id, "retry").await,
            Saga::Abandon(saga) => operate::change_saga(&saga.place, saga.id, "abandon").await,
        },
        Some(Command::DeadLetters(command)) => match command {
            DeadLetters::List(place) => operate::list_dead_letters(&place).await,
            DeadLetters::Redrive(letter) => {
                operate::redrive(&letter.place, &letter.subscription, letter.message).await
            }
        },
        Some(Command::Events(args)) => events::run(args).await,
        Some(Command::Rebuild(args)) => rebuild::run(args).await,
        Some(Command::Config(ConfigCommand::Check(args))) => {
            configured(&args)?;
            run::say(&format!("{}: valid\n", args.config.display()));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Explain(Explain { code })) => explain(&code),
    }
}

async fn up(args: Up) -> Result<ExitCode> {
    telemetry::init(&LogOptions { level: "warn".to_owned(), ..LogOptions::default() })?;
    run::up(args).await.map(|()| ExitCode::SUCCESS)
}

async fn migrate(args: &Configured) -> Result<ExitCode> {
    let config = configured(args)?;
    let _folder = DataFolder::claim(&config.data_dir)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    shop.deps.db.close().await;
    run::say("The tables are up to date.\n");
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration file, and begins to log as it says.
fn configured(args: &Configured) -> Result<Config> {
    let config = Config::load(&args.config)?;
    telemetry::init(&config.log)?;
    Ok(config)
}

fn explain(code: &str) -> Result<ExitCode> {
    let Some(page) = page_of(code) else {
        let text =
            format!("There is no page about `{code}`. Codes are `<context>.<code>`, as errors name them.");
        return Err(Error::not_found("request.no_error_page", text));
    };
    run::say(page);
    Ok(ExitCode::SUCCESS)
}
