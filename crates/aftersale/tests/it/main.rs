//! The tests of after-sale. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod bench;
mod cases;
mod events;
mod neighbours;
mod rules;
mod sagas;
mod shares;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! plain {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [cases::trials(), events::trials(), rules::trials(), sagas::trials(), shares::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
