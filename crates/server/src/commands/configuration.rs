//! `merx config`.

use std::{path::Path, process::ExitCode};

use merx_kernel::Result;
use merx_platform::config::{self, Shown};
use serde_json::json;

use super::reading::say_json;
use crate::{
    cli::{ConfigArgs, ConfigCommand},
    config::Config,
    run::say,
};

/// Every key with its default; a test compares it with the types.
const DOCUMENTED: &str = include_str!("../../../../config/embedded.toml");

/// Reads a configuration file.
pub fn run(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => show(args),
    }
}

fn check(args: &ConfigArgs) -> Result<ExitCode> {
    let config = Config::load(&args.config)?;
    merx_platform::telemetry::init(&config.log)?;
    if args.format.json {
        say_json(&json!({"config": args.config, "valid": true}))?;
    } else {
        say(&format!("{}: valid\n", args.config.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ConfigArgs) -> Result<ExitCode> {
    Config::load(&args.config)?;
    let shown = effective(&args.config)?;
    if args.format.json {
        say_json(&shown)?;
        return Ok(ExitCode::SUCCESS);
    }
    for Shown { key, value, source } in shown {
        say(&format!("{:<56} # {source}\n", format!("{key} = {value}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn effective(file: &Path) -> Result<Vec<Shown>> {
    // A variable that is no text cannot be one of ours.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::show::<Config>(Some(file), env, DOCUMENTED)
}
