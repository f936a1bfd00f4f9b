//! What came out.

use serde::{Deserialize, Serialize};

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and held.
    Pass,
    /// It ran and did not hold.
    Fail,
    /// It needs what is not here.
    NotRun,
    /// It did not run: no such test, no build, no end in time.
    Broken,
}

impl Outcome {
    /// In the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::NotRun => "NOT RUN",
            Self::Broken => "BROKEN",
        }
    }
}

/// What a test printed of one sub-case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Of the list of fault tests.
    pub id: String,
    /// What ran.
    pub sub_case: String,
    /// How much of it.
    pub size: String,
    /// What was measured.
    pub figure: String,
    /// From what it can be repeated, or `-`.
    pub seed: String,
}

impl Figure {
    /// Reads a line `PROOF | id | sub-case | size=N | figure | seed=N`.
    pub fn read(line: &str) -> Option<Self> {
        let rest = &line[line.find("PROOF | ")?..];
        let fields: Vec<&str> = rest.split(" | ").map(str::trim).collect();
        let [_, id, sub_case, size, figure, seed] = fields[..] else { return None };
        let (size, seed) = (size.strip_prefix("size=")?, seed.strip_prefix("seed=")?);
        let own = str::to_owned;
        Some(Self {
            id: own(id),
            sub_case: own(sub_case),
            size: own(size),
            figure: own(figure),
            seed: own(seed),
        })
    }
}

/// One test, both ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// The row's id.
    pub id: String,
    /// The row's name.
    pub name: String,
    /// What it printed with its guard.
    pub figures: Vec<Figure>,
    /// The guard.
    pub guard: Option<String>,
    /// With the guard.
    pub on: Outcome,
    /// Without it.
    pub off: Option<Outcome>,
    /// Whether at the size of the list, or the only size there is.
    pub full: bool,
    /// The commit it ran at, with `+` when there were changes.
    pub commit: String,
    /// The time it took with its guard, in seconds.
    pub seconds: u64,
    /// What repeats it.
    pub command: String,
}

impl Proved {
    /// It holds with its guard and does not without.
    pub fn holds(&self) -> bool {
        self.on == Outcome::Pass && self.off.is_none_or(|off| off == Outcome::Fail)
    }
}

/// How a test binary ended, by what it printed.
pub fn outcome(success: bool, output: &str) -> Outcome {
    let count = |word: &str| -> u64 {
        let results = output.lines().filter(|line| line.starts_with("test result:"));
        let before =
            |line: &str| line[..line.find(word)?].split_whitespace().next_back()?.parse::<u64>().ok();
        results.filter_map(before).sum()
    };
    match (success, count(" passed"), count(" failed"), count(" ignored")) {
        (true, 1.., 0, _) => Outcome::Pass,
        (false, _, 1.., _) => Outcome::Fail,
        (true, 0, 0, 1..) => Outcome::NotRun,
        _ => Outcome::Broken,
    }
}
