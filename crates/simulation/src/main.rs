//! Runs worlds from many seeds: `merx-simulation --first 1 --seeds 10000`.

#![allow(clippy::print_stdout, reason = "figures and seeds are the result")]

use clap::Parser;
use merx_simulation::{
    run::{assert_all_differ, twice},
    scenarios::day::Day,
};

/// Runs days of a shop, each twice, and compares what happened.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
}

fn main() {
    let args = Args::parse();
    let day = Day::default();
    let hashes = twice(args.first..args.first + args.seeds, |world| day.live(world));
    assert_all_differ(&hashes);
    day.assert_all_seen();
}
