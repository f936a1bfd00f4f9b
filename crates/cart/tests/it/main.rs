//! The tests of cart. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod bench;
mod changes;
mod expiry;
mod filling;
mod merging;
mod neighbours;
mod races;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [changes::trials(), expiry::trials(), filling::trials(), merging::trials(), races::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
