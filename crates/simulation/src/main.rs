//! Runs worlds from many seeds: `merx-simulation --first 1 --seeds 10000`. Ends with 1 when one of them fails, told with
//! its seed and the smallest plan with which it does, or when what so many days must show was never seen.
//!
//! `MERX_SIM_FIRST` and `MERX_SIM_SEEDS` say which seeds when the arguments do not.

#![allow(clippy::print_stdout, reason = "figures and seeds are the result")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use merx_simulation::{
    faults::Plan,
    report::{Campaign, Report},
    run::number,
    scenarios::{day::Day, persistent::persistent},
};

/// Runs whole shops from seeds, each twice, and compares what happened.
#[derive(Parser)]
struct Args {
    /// What the people do.
    #[arg(long, value_enum, default_value = "day")]
    scenario: Scenario,
    /// The first seed; 1 unless given.
    #[arg(long)]
    first: Option<u64>,
    /// How many; 200 unless given.
    #[arg(long)]
    seeds: Option<u64>,
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
    /// For how many seconds the plan of a seed that fails is made smaller, at most.
    #[arg(long, default_value_t = 120)]
    shrink_for: u64,
    /// Writes what came out to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// People who want one thing and do not give up.
    Persistent,
    /// A day in the shop: people of every kind and a staff.
    Day,
}

impl Scenario {
    /// Runs it; answers also what was to be seen and never was.
    fn run(self, campaign: &Campaign) -> (Report, Vec<&'static str>) {
        match self {
            Self::Persistent => (campaign.run(&persistent), Vec::new()),
            Self::Day => {
                let day = Day::default();
                let report = campaign.run(&|world| day.live(world));
                let never = day.tell();
                // A few days with people of a few kinds do not show everything.
                let are_enough = day.are_many() && campaign.is_usual();
                (report, if are_enough { never } else { Vec::new() })
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
        first: args.first.unwrap_or_else(|| number("MERX_SIM_FIRST", 1)),
        seeds: args.seeds.unwrap_or_else(|| number("MERX_SIM_SEEDS", 200)),
        jobs: args.jobs.unwrap_or(cores),
        plan: if args.calm { Some(Plan::default()) } else { args.plan },
        hashes: args.hashes,
        shrink_for: Duration::from_secs(args.shrink_for),
    };
    let (report, never) = args.scenario.run(&campaign);
    report.tell(&campaign);
    if let Some(file) = args.json
        && let Err(error) = std::fs::write(&file, format!("{:#}\n", report.json(&campaign, &never)))
    {
        println!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    if report.failed.is_empty() && never.is_empty() && report.hashes.len() as u64 == campaign.seeds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
