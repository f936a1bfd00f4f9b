//! The platform's tests: the tables on every mode of the database, the bus, timers, idempotency keys, projections,
//! sagas, calls. What needs a server that is not there is reported as ignored, with its reason in the name.

#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod bus;
mod bus_faults;
mod config;
mod idempotency;
mod linear;
mod objects;
mod paused;
mod projection;
mod rebuild_beside;
mod rpc;
mod saga;
mod saga_background;
mod saga_log;
mod saga_machine;
mod saga_world;
mod snapshots;
mod store;
mod t08_t09;
mod t12_t13;
mod tasks;
mod timers;
mod trace;
mod world;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        store::trials(),
        bus::trials(),
        bus_faults::trials(),
        timers::trials(),
        idempotency::trials(),
        linear::trials(),
        objects::trials(),
        projection::trials(),
        rebuild_beside::trials(),
        snapshots::trials(),
        t08_t09::trials(),
        t12_t13::trials(),
        config::trials(),
        trace::trials(),
        tasks::trials(),
        rpc::trials(),
        saga_machine::trials(),
        saga_log::trials(),
        saga::trials(),
        saga_background::trials(),
    ]
    .concat_trials();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Flattens lists of trials, which cannot be cloned.
trait Concat {
    fn concat_trials(self) -> Vec<libtest_mimic::Trial>;
}

impl<const N: usize> Concat for [Vec<libtest_mimic::Trial>; N] {
    fn concat_trials(self) -> Vec<libtest_mimic::Trial> {
        self.into_iter().flatten().collect()
    }
}
