//! The tests of inventory. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod against_model;
mod allocate;
mod api;
mod bench;
mod commands;
mod concurrency;
mod counts;
mod decide;
mod events;
mod linear;
mod low_stock;
mod model;
mod properties;
mod returns;
mod routes;
mod staff_routes;
mod transfers;
mod upgrade;
mod warehouses;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

/// The size of a test: what the variable says, else `usual`.
fn size<T: std::str::FromStr>(variable: &str, usual: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => usual,
    }
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        decide::trials(),
        allocate::trials(),
        properties::trials(),
        against_model::trials(),
        commands::trials(),
        concurrency::trials(),
        counts::trials(),
        linear::trials(),
        low_stock::trials(),
        returns::trials(),
        transfers::trials(),
        warehouses::trials(),
        staff_routes::trials(),
        upgrade::trials(),
        events::trials(),
        routes::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
