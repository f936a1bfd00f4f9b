//! What is to be proved: `rows.toml`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

/// The rows and what is not there yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Tests of the workspace and commands.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
    /// Sub-cases whose feature or engine does not exist yet.
    #[serde(default, rename = "not-run")]
    pub not_run: Vec<NotRun>,
}

/// One test, run with its guard and without.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// Of the list of fault tests: `T22`; or `-` for a guard that no row of the list is about.
    pub id: String,
    /// The crate whose test it is, without `merx-`.
    #[serde(rename = "crate", default)]
    pub package: String,
    /// The exact name of the test.
    #[serde(default)]
    pub test: String,
    /// Instead of a test: a command, run with `--full` only.
    #[serde(default)]
    pub command: Vec<String>,
    /// The guard whose absence must make it fail.
    pub guard: Option<String>,
    /// The environment of the size of the list.
    #[serde(default)]
    pub full: BTreeMap<String, String>,
    /// The environment in every run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Minutes it may take at most; 5 unless told.
    #[serde(default = "five")]
    pub minutes_max: u64,
    /// Whether it is for `--full` only.
    #[serde(default)]
    pub full_only: bool,
}

/// A sub-case that cannot run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotRun {
    /// Of the list of fault tests.
    pub id: String,
    /// What would run.
    pub sub_case: String,
    /// What is missing.
    pub why: String,
}

fn five() -> u64 {
    5
}

impl Plan {
    /// Reads the rows of the file.
    ///
    /// # Errors
    /// What is wrong with the file, or a row that is neither test nor command.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let plan: Self = toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        for row in &plan.rows {
            if row.command.is_empty() == (row.package.is_empty() || row.test.is_empty()) {
                return Err(format!(
                    "{}: row {}: either crate and test, or command",
                    file.display(),
                    row.name()
                ));
            }
        }
        Ok(plan)
    }

    /// The rows that are asked for: all, or those whose id or name holds one of the words.
    pub fn chosen<'a>(&'a self, words: &'a [String], full: bool) -> impl Iterator<Item = &'a Row> {
        let wanted = move |row: &&Row| {
            words.is_empty()
                || words.iter().any(|w| row.id == *w || (w.len() > 3 && row.name().contains(w.as_str())))
        };
        let now = move |row: &&Row| full || (!row.full_only && row.command.is_empty());
        self.rows.iter().filter(wanted).filter(now)
    }
}

impl Row {
    /// What it is called in the report of a run.
    pub fn name(&self) -> String {
        if self.command.is_empty() {
            format!("{}::{}", self.package, self.test)
        } else {
            self.command.join(" ")
        }
    }
}
