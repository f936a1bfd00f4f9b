//! The tests of notification. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod bench;
mod config;
mod facts;
mod mail_rules;
mod mails;
mod routes;
mod smtp;
mod smtp_server;
mod viewer;
mod webhook_rules;
mod webhooks;
mod whole;
mod words;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        config::trials(),
        mail_rules::trials(),
        mails::trials(),
        routes::trials(),
        smtp::trials(),
        viewer::trials(),
        webhook_rules::trials(),
        webhooks::trials(),
        whole::trials(),
        words::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
