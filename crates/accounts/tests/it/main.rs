//! Tests of accounts. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise; without the usual harness clippy cannot tell that it is one"
)]

mod account;
mod addresses;
mod api_keys;
mod asks;
mod attackers;
mod audit;
mod customers;
mod domain;
mod erasures;
mod guests;
mod invitations;
mod kit;
mod log_in;
mod modes;
mod permissions;
mod roles;
mod routes;
mod sessions;
mod signing_key;
mod staff;
mod throttle;

/// Names each function as a test of a module: those that wait run on a clock that moves when everybody waits.
#[macro_export]
macro_rules! trials {
    ($module:literal: $($name:ident),* ; waiting $($waiting:ident),* $(,)?) => {{
        let mut trials: Vec<libtest_mimic::Trial> = Vec::new();
        $(trials.push(libtest_mimic::Trial::test(concat!($module, "::", stringify!($name)), || { $name(); Ok(()) }));)*
        $(trials.push(libtest_mimic::Trial::test(concat!($module, "::", stringify!($waiting)), || {
            $crate::modes::on_virtual_time($waiting());
            Ok(())
        }));)*
        trials
    }};
}

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        account::trials(),
        addresses::trials(),
        api_keys::trials(),
        asks::trials(),
        attackers::trials(),
        audit::trials(),
        customers::trials(),
        domain::trials(),
        erasures::trials(),
        guests::trials(),
        invitations::trials(),
        log_in::trials(),
        permissions::trials(),
        roles::trials(),
        routes::trials(),
        sessions::trials(),
        signing_key::trials(),
        staff::trials(),
        throttle::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
