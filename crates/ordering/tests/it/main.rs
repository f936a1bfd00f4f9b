//! The tests of ordering. What needs a MariaDB is reported as NOT RUN (ignored) without one.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; without the usual harness clippy cannot tell"
)]

mod after_sale;
mod as_of;
mod cancel_order;
mod cancel_paid;
mod confirm_receipt;
mod decide;
mod engines;
mod event_fixtures;
mod given;
mod limits;
mod neighbours;
mod notes;
mod number;
mod on_engines;
mod order_states;
mod orders;
mod payments;
mod place_order;
mod properties;
mod quote;
mod quote_checkout;
mod returns;
mod revivals;
mod sagas;
mod search;
mod settlement;
mod shipments;
mod shop;
mod t21;
mod timeline;
mod world;

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        after_sale::trials(),
        as_of::trials(),
        cancel_order::trials(),
        cancel_paid::trials(),
        confirm_receipt::trials(),
        decide::trials(),
        event_fixtures::trials(),
        limits::trials(),
        notes::trials(),
        number::trials(),
        on_engines::trials(),
        order_states::trials(),
        orders::trials(),
        payments::trials(),
        place_order::trials(),
        properties::trials(),
        quote::trials(),
        quote_checkout::trials(),
        returns::trials(),
        revivals::trials(),
        sagas::trials(),
        search::trials(),
        settlement::trials(),
        shipments::trials(),
        t21::trials(),
        timeline::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
