//! A plan as it is drawn, printed and read again.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use merx_kernel::{Entropy as _, Timestamp};
use merx_platform::time::SeededEntropy;

use super::every_point;

const MINUTE_MS: i64 = 60_000;
/// Where a run may begin: an ordinary day; shortly before the year ends in UTC and in Beijing; shortly before the clocks
/// of Europe and of North America are put forward, and back.
const BEGINNINGS: &[i64] = &[
    1_795_132_800_000,
    1_798_759_800_000,
    1_798_731_000_000,
    1_806_195_600_000 - 30 * MINUTE_MS,
    1_805_007_600_000 - 30 * MINUTE_MS,
    1_824_944_400_000 - 30 * MINUTE_MS,
];

/// The shop stops and starts again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restart {
    /// When, in thousandths of the troubled time.
    pub at: u64,
    /// Without a word: what was not committed is lost.
    pub is_crash: bool,
    /// How long nobody is there.
    pub down_ms: u64,
}

/// The shop's clock is wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Jump {
    /// When, in thousandths of the troubled time.
    pub at: u64,
    /// By how much.
    pub by_ms: i64,
    /// When it is put right again, in thousandths of the troubled time.
    pub until: u64,
}

/// What goes wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When the run begins.
    pub begins: Timestamp,
    /// The points that strike.
    pub active: BTreeSet<&'static str>,
    /// Restarts.
    pub restarts: Vec<Restart>,
    /// Wrong clocks.
    pub jumps: Vec<Jump>,
    /// The most people in front of the shop; as many as the scenario wants unless given.
    pub people_max: Option<u64>,
}

impl Default for Plan {
    /// Nothing goes wrong.
    fn default() -> Self {
        Self {
            begins: Timestamp::from_millis(BEGINNINGS[0]),
            active: BTreeSet::new(),
            restarts: Vec::new(),
            jumps: Vec::new(),
            people_max: None,
        }
    }
}

struct Draw(SeededEntropy);

impl Draw {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
    fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }
}

impl Plan {
    /// What goes wrong in the run of `seed`.
    pub fn of(seed: u64) -> Self {
        let draw = Draw(SeededEntropy::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x706c_616e));
        let begins = BEGINNINGS[usize::try_from(draw.below(BEGINNINGS.len() as u64)).unwrap_or(0)];
        let active = every_point().into_iter().filter(|_| draw.one_in(4)).collect();
        let restarts = if draw.one_in(2) { 1 + draw.below(4) } else { 0 };
        let jumps = if draw.one_in(3) { 1 + draw.below(2) } else { 0 };
        let restart = |_| Restart {
            at: draw.below(1_000),
            is_crash: !draw.one_in(4),
            down_ms: if draw.one_in(3) { draw.below(60_000) } else { draw.below(3_000) },
        };
        let mut restarts: Vec<Restart> = (0..restarts).map(restart).collect();
        restarts.sort();
        let jump = |_| {
            let at = draw.below(900);
            let by_ms = [10 * MINUTE_MS, -10 * MINUTE_MS, -60 * MINUTE_MS];
            let by_ms = by_ms[usize::try_from(draw.below(3)).unwrap_or(0)];
            Jump { at, by_ms, until: at + 1 + draw.below(1_000 - at) }
        };
        let mut jumps: Vec<Jump> = (0..jumps).map(jump).collect();
        jumps.sort();
        Self { begins: Timestamp::from_millis(begins), active, restarts, jumps, people_max: None }
    }

    /// As many people as a scenario wants, or as the plan allows.
    pub fn people(&self, wanted: u64) -> u64 {
        wanted.min(self.people_max.unwrap_or(u64::MAX))
    }

    /// How long after the beginning of `span` the part `at` of it is.
    pub(crate) fn moment(at: u64, span: Duration) -> Duration {
        span.saturating_mul(u32::try_from(at).unwrap_or(u32::MAX)) / 1_000
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "begins={}", self.begins.as_millis())?;
        let points: Vec<&str> = self.active.iter().copied().collect();
        if !points.is_empty() {
            write!(f, " points={}", points.join(","))?;
        }
        let restart =
            |r: &Restart| format!("{}:{}:{}", if r.is_crash { "crash" } else { "orderly" }, r.at, r.down_ms);
        if !self.restarts.is_empty() {
            write!(f, " restarts={}", self.restarts.iter().map(restart).collect::<Vec<_>>().join(","))?;
        }
        let jump = |j: &Jump| format!("{}:{}:{}", j.at, j.by_ms, j.until);
        if !self.jumps.is_empty() {
            write!(f, " jumps={}", self.jumps.iter().map(jump).collect::<Vec<_>>().join(","))?;
        }
        self.people_max.map_or(Ok(()), |people| write!(f, " people={people}"))
    }
}

impl FromStr for Plan {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for part in text.split_whitespace() {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not key=value"))?;
            let each = || value.split(',');
            match key {
                "begins" => plan.begins = Timestamp::from_millis(number(value)?),
                "points" => plan.active = each().map(point).collect::<Result<_, _>>()?,
                "restarts" => plan.restarts = each().map(restart).collect::<Result<_, _>>()?,
                "jumps" => plan.jumps = each().map(jump).collect::<Result<_, _>>()?,
                "people" => plan.people_max = Some(number(value)?),
                _ => return Err(format!("a plan has no `{key}`")),
            }
        }
        Ok(plan)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

fn point(name: &str) -> Result<&'static str, String> {
    every_point()
        .into_iter()
        .find(|point| *point == name)
        .ok_or_else(|| format!("there is no point `{name}`"))
}

fn three(text: &str) -> Result<[&str; 3], String> {
    let parts: Vec<&str> = text.split(':').collect();
    parts.try_into().map_err(|_| format!("`{text}` does not have three parts"))
}

fn restart(text: &str) -> Result<Restart, String> {
    let [kind, at, down] = three(text)?;
    let is_crash = match kind {
        "crash" => true,
        "orderly" => false,
        _ => return Err(format!("`{kind}` is neither crash nor orderly")),
    };
    Ok(Restart { at: number(at)?, is_crash, down_ms: number(down)? })
}

fn jump(text: &str) -> Result<Jump, String> {
    let [at, by, until] = three(text)?;
    Ok(Jump { at: number(at)?, by_ms: number(by)?, until: number(until)? })
}
