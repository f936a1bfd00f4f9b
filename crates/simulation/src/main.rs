//! Runs worlds from many seeds: `merx-simulation --first 1 --seeds 10000`. Ends with 1 when one of them fails, told with
//! its seed and the smallest plan with which it does.

#![allow(clippy::print_stdout, reason = "figures and seeds are the result")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use merx_simulation::{
    faults::Plan,
    report::{Campaign, Report},
    scenarios::{day::Day, persistent::persistent},
};

/// Runs whole shops from seeds, each twice, and compares what happened.
#[derive(Parser)]
struct Args {
    /// What the people do.
    #[arg(long, value_enum, default_value = "day")]
    scenario: Scenario,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// How many at a time; one for each core unless given.
    #[arg(long)]
    jobs: Option<usize>,
    /// What goes wrong in all of them, instead of what their seeds have; `begins=0` or such a line as a failure prints.
    #[arg(long)]
    plan: Option<Plan>,
    /// Nothing goes wrong.
    #[arg(long, conflicts_with = "plan")]
    calm: bool,
    /// Prints the hash of each seed's trace.
    #[arg(long)]
    hashes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// People who want one thing and do not give up.
    Persistent,
    /// A day in the shop: people of every kind and a staff.
    Day,
}

impl Scenario {
    fn run(self, campaign: &Campaign) -> Report {
        match self {
            Self::Persistent => campaign.run(&persistent),
            Self::Day => {
                let day = Day::default();
                let report = campaign.run(&|world| day.live(world));
                let _ = day.tell();
                report
            }
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let name = args.scenario.to_possible_value().map(|value| value.get_name().to_owned());
    let campaign = Campaign {
        scenario: name.unwrap_or_default(),
        first: args.first,
        seeds: args.seeds,
        jobs: args.jobs.unwrap_or(cores),
        plan: if args.calm { Some(Plan::default()) } else { args.plan },
        hashes: args.hashes,
    };
    let report = args.scenario.run(&campaign);
    report.tell(&campaign);
    if report.failed.is_empty() && report.hashes.len() as u64 == campaign.seeds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
