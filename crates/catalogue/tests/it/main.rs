//! The tests of catalogue. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod bench;
mod history;
mod listing;
mod made;
mod pictures;
mod plans;
mod prices;
mod products;
mod rules;
mod structure;
mod svg;

/// Names each function as a test of a module.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) })),+]
    };
}

/// Names each function as a test of a module, on every mode of the database.
#[macro_export]
macro_rules! on_every_mode {
    ($module:literal: $($name:ident),+ $(,)?) => {
        [$($crate::bench::on_every_mode(concat!($module, "::", stringify!($name)), $name)),+]
            .into_iter().flatten().collect()
    };
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        rules::trials(),
        svg::trials(),
        made::trials(),
        structure::trials(),
        products::trials(),
        listing::trials(),
        plans::trials(),
        prices::trials(),
        pictures::trials(),
        history::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
