//! Tests of payment. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod asks;
mod attempts;
mod books;
mod config;
mod contract;
mod domain;
mod events;
mod gateway;
mod history;
mod keys;
mod ledger;
mod modes;
mod money_in;
mod network;
mod notifications;
mod offline;
mod qr;
mod quarantine;
mod reconciliation;
mod refunds;
mod routes;
mod sequences;
mod t21;
mod timers;
mod upgrade;
mod world;

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        domain::trials(),
        books::trials(),
        events::trials(),
        config::trials(),
        keys::trials(),
        contract::trials(),
        network::trials(),
        routes::trials(),
        asks::trials(),
        attempts::trials(),
        qr::trials(),
        notifications::trials(),
        offline::trials(),
        money_in::trials(),
        quarantine::trials(),
        history::trials(),
        refunds::trials(),
        ledger::trials(),
        reconciliation::trials(),
        timers::trials(),
        sequences::trials(),
        t21::trials(),
        upgrade::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
