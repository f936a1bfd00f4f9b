//! The whole shop: in process on a virtual clock (`world`), and as the built binary under a harness (`process`).

mod crowds;
mod process;
mod process_faults;
mod routes;
mod shop_rules;
mod simulation;
mod world;
mod wrong_ways;
