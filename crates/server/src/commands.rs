//! What each word of the command line does.

mod admin_client;
mod archive;
mod audit;
mod backup;
mod books;
mod configuration;
mod demo_purchase;
mod erasures;
mod events;
mod migrate;
mod operate;
mod payment;
mod progress;
mod reading;
mod rebuild;
mod restore;
mod staff;
mod staff_audit;

use std::{path::Path, process::ExitCode};

use merx_kernel::{Error, Result};
use merx_platform::telemetry::{self, LogOptions};

pub use crate::error_pages::find as page_of;
use crate::{
    cli::{Cli, Command, Demo, Explain, Staff, Up},
    config::Config,
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
            let config = configured(&args.config)?;
            run::serve_configured(config).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Migrate(args)) => migrate::run(&args).await,
        Some(Command::Audit(args)) => audit::run(args).await,
        Some(Command::Demo(Demo::Purchase(args))) => demo_purchase::run(args).await,
        Some(Command::Saga(command)) => operate::saga(command).await,
        Some(Command::Outbox(args)) => operate::outbox(args).await,
        Some(Command::DeadLetters(command)) => operate::dead_letters(command).await,
        Some(Command::Ledger(command)) => books::ledger(command).await,
        Some(Command::Reconcile(args)) => books::reconcile(args).await,
        Some(Command::Payment(command)) => payment::run(command).await,
        Some(Command::Timers(args)) => operate::timers(args).await,
        Some(Command::Events(args)) => events::run(args).await,
        Some(Command::Rebuild(args)) => rebuild::run(args).await,
        Some(Command::Backup(args)) => backup::run(&args).await,
        Some(Command::Restore(args)) => restore::run(&args).await,
        Some(Command::Staff(Staff::InviteFirst(args))) => staff::invite_first(args).await,
        Some(Command::StaffAudit(command)) => staff_audit::run(command).await,
        Some(Command::Config(command)) => configuration::run(&command),
        Some(Command::Explain(Explain { code })) => explain(&code),
    }
}

async fn up(args: Up) -> Result<ExitCode> {
    telemetry::init(&LogOptions { level: "warn".to_owned(), ..LogOptions::default() })?;
    run::up(args).await.map(|()| ExitCode::SUCCESS)
}

/// Reads a configuration file, and begins to log as it says.
fn configured(file: &Path) -> Result<Config> {
    let config = Config::load(file)?;
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
