//! The tests of shipping. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod api;
mod bench;
mod freight;
mod holds;
mod parcels;
mod shipments;
mod splits;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials =
        [freight::trials(), holds::trials(), parcels::trials(), shipments::trials(), splits::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
