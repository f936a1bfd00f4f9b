//! Builds the tests with the fault switches and runs them.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::{
    plan::Row,
    result::{Figure, Outcome, Proved, outcome},
};

/// Compiles the fault switches into the crates of the workspace.
const WRAPPER: &str = "scripts/rustc-with-guard-switches";

/// The built tests of the workspace.
pub struct Runner {
    root: PathBuf,
    /// By crate: the test binary and the folder it runs in.
    tests: BTreeMap<String, (PathBuf, PathBuf)>,
    commit: String,
    full: bool,
}

/// What a run said.
struct Said {
    outcome: Outcome,
    text: String,
    seconds: u64,
}

impl Runner {
    /// Builds the tests of these crates, with the switches.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn build(root: &Path, packages: &[&str], full: bool) -> Result<Self, String> {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(root)
            .env("RUSTC_WORKSPACE_WRAPPER", root.join(WRAPPER))
            .env("CARGO_INCREMENTAL", "0");
        cargo.args(["test", "--no-run", "--locked", "--message-format=json-render-diagnostics"]);
        for package in packages {
            cargo.arg("-p").arg(format!("merx-{package}"));
        }
        let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(|e| format!("cargo: {e}"))?;
        let mut tests = BTreeMap::new();
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let message: Value = serde_json::from_str(&line.map_err(|e| e.to_string())?).unwrap_or_default();
            let (Some(test), Some(manifest)) =
                (message["executable"].as_str(), message["manifest_path"].as_str())
            else {
                continue;
            };
            let folder = Path::new(manifest).parent().unwrap_or(root).to_owned();
            if message["target"]["kind"][0] == "test"
                && let Some(name) = folder.file_name()
            {
                tests.insert(name.to_string_lossy().into_owned(), (PathBuf::from(test), folder));
            }
        }
        let status = child.wait().map_err(|e| e.to_string())?;
        if !status.success() {
            return Err("the tests do not build with the fault switches".to_owned());
        }
        Ok(Self { root: root.to_owned(), tests, commit: commit(root), full })
    }

    /// Runs a row with its guard and without.
    pub async fn prove(&self, row: &Row) -> Proved {
        let on = self.run(row, None, self.full).await;
        if matches!(on.outcome, Outcome::Fail | Outcome::Broken) {
            eprint_all(&on.text);
        }
        let off = match (&row.guard, on.outcome) {
            (Some(guard), Outcome::Pass) => {
                let off = self.run(row, Some(guard), false).await;
                if matches!(off.outcome, Outcome::Pass | Outcome::Broken) {
                    eprint_all(&off.text);
                }
                Some(off.outcome)
            }
            _ => None,
        };
        Proved {
            id: row.id.clone(),
            name: row.name(),
            figures: on.text.lines().filter_map(Figure::read).collect(),
            guard: row.guard.clone(),
            on: on.outcome,
            off,
            full: self.full || row.full.is_empty(),
            commit: self.commit.clone(),
            seconds: on.seconds,
            command: self.repeat(row),
        }
    }

    fn repeat(&self, row: &Row) -> String {
        let sizes = if self.full { row.full.iter().collect::<Vec<_>>() } else { Vec::new() };
        let sizes = sizes.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>();
        match row.command.is_empty() {
            false => format!("{sizes}{}", row.command.join(" ")),
            true => format!("{sizes}cargo test -p merx-{} --test it -- --exact '{}'", row.package, row.test),
        }
    }

    async fn run(&self, row: &Row, guard_off: Option<&str>, full: bool) -> Said {
        let mut command = if row.command.is_empty() {
            let Some((test, folder)) = self.tests.get(&row.package) else {
                return Said {
                    outcome: Outcome::Broken,
                    text: format!("no tests of {}", row.package),
                    seconds: 0,
                };
            };
            let mut command = Command::new(test);
            command.current_dir(folder).args(["--exact", &row.test, "--nocapture"]);
            command
        } else {
            let mut command = Command::new(&row.command[0]);
            command.current_dir(&self.root).args(&row.command[1..]);
            command
        };
        command.env("MERX_GUARDS_OFF", guard_off.unwrap_or_default()).env("MERX_FAULT_SWITCHES", "accepted");
        command.envs(&row.env);
        if full {
            command.envs(&row.full);
        }
        let began = Instant::now();
        let within = Duration::from_secs(60 * if full { row.minutes_max } else { row.minutes_max.min(10) });
        let (outcome, text) = match ended(command, within).await {
            Ok(output) => {
                let text =
                    [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
                let outcome = match (row.command.is_empty(), output.status.success()) {
                    (true, success) => outcome(success, &text),
                    (false, true) => Outcome::Pass,
                    (false, false) => Outcome::Fail,
                };
                (outcome, text)
            }
            Err(why) => (Outcome::Broken, why),
        };
        Said { outcome, text, seconds: began.elapsed().as_secs() }
    }
}

/// Lets it run in a group of its own, so that nothing it started outlives it when its time is over.
async fn ended(mut command: Command, within: Duration) -> Result<Output, String> {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).spawn().map_err(|e| e.to_string())?;
    let group = child.id();
    match timeout(within, child.wait_with_output()).await {
        Ok(output) => output.map_err(|e| e.to_string()),
        Err(_) => {
            if let Some(group) = group {
                let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
            }
            Err(format!("no end within {} s", within.as_secs()))
        }
    }
}

#[allow(clippy::print_stderr, reason = "who runs it wants to see what failed")]
fn eprint_all(text: &str) {
    eprintln!("{text}");
}

/// The commit of the tree, with `+` when there are changes.
pub fn commit(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(root).args(args).output();
        output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/proof.*"]);
    format!("{}{}", git(&["rev-parse", "--short", "HEAD"]), if changed.is_empty() { "" } else { "+" })
}
