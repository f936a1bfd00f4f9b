//! The contract of storage: one suite, run on every mode.
//!
//! Cases that need a server are reported as ignored with `NOT RUN: …` when it is absent, and fail instead when
//! `MERX_REQUIRE_SERVICES=1`.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test; clippy does not see it as one without libtest")]

mod backup;
mod child;
mod contract;
mod events;
mod faults;
mod file;
mod fixture;
mod migrations;
mod pace;
mod server;
mod snapshots;
mod t25;
mod t28;

use std::process::ExitCode;

use fixture::{BoxFuture, Mode, block_on};
use libtest_mimic::{Arguments, Failed, Trial};

/// A case and the modes that can show it.
pub struct Case {
    /// Module and function.
    pub name: &'static str,
    /// The modes it runs on.
    pub modes: &'static [Mode],
    /// The case itself.
    pub run: fn(Mode) -> BoxFuture,
}

/// `cases![ALL: function, …]`: a case for each function of the calling module.
#[macro_export]
macro_rules! cases {
    ($modes:expr => $($function:ident),+ $(,)?) => {
        vec![$($crate::Case {
            name: concat!(module_path!(), "::", stringify!($function)),
            modes: $modes,
            run: |mode| Box::pin($function(mode)),
        }),+]
    };
}

fn trials() -> Vec<Trial> {
    let cases = [
        contract::cases(),
        events::cases(),
        migrations::cases(),
        faults::cases(),
        pace::cases(),
        file::cases(),
        server::cases(),
        snapshots::cases(),
        backup::cases(),
        t25::cases(),
        t28::cases(),
    ];
    let mut trials = Vec::new();
    for case in cases.into_iter().flatten() {
        for mode in case.modes {
            let (mode, run) = (*mode, case.run);
            let name = case.name.trim_start_matches("it::");
            trials.push(trial(&format!("{name}@{}", mode.name()), mode, run));
        }
    }
    trials
}

fn trial(name: &str, mode: Mode, run: fn(Mode) -> BoxFuture) -> Trial {
    let absent = mode.absent();
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    match absent {
        None => Trial::test(name, move || {
            block_on(run(mode));
            Ok(())
        }),
        Some(why) if required => Trial::test(name, move || Err(Failed::from(format!("NOT RUN: {why}")))),
        Some(why) => {
            let not_run = move || Err(Failed::from(format!("NOT RUN: {why}")));
            Trial::test(format!("{name} (NOT RUN: {why})"), not_run).with_ignored_flag(true)
        }
    }
}

/// A figure, past whatever the harness captures.
pub fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn main() -> ExitCode {
    if let Some(outcome) = child::run_if_asked() {
        return outcome;
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}
