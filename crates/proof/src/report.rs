//! `docs/proof.json`, and `docs/proof.md` from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use crate::{
    plan::{NotRun, Plan, Row},
    result::{Figure, Outcome, Proved},
};

/// What is proved so far, by the name of the row.
pub type Kept = BTreeMap<String, Proved>;

/// Reads what was kept.
///
/// # Errors
/// The file is not what this program wrote.
pub fn read(file: &Path) -> Result<Kept, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display())),
        Err(_) => Ok(Kept::new()),
    }
}

/// Writes what is kept, and the report made of it.
///
/// # Errors
/// The files cannot be written.
pub fn write(folder: &Path, kept: &Kept, plan: &Plan) -> Result<(), String> {
    let json = serde_json::to_string_pretty(kept).map_err(|e| e.to_string())? + "\n";
    for (name, text) in [("proof.json", json), ("proof.md", page(kept, plan))] {
        std::fs::write(folder.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// The page.
pub fn page(kept: &Kept, plan: &Plan) -> String {
    let mut out = String::from(HEAD);
    let mut ids: BTreeSet<(u32, &str)> = kept.values().map(|p| key(&p.id)).collect();
    ids.extend(plan.not_run.iter().map(|n| key(&n.id)));
    // What has not been run yet is no proof: a row of the list passes only whole.
    let waiting: Vec<&Row> = plan.rows.iter().filter(|row| !kept.contains_key(&row.name())).collect();
    ids.extend(waiting.iter().map(|row| key(&row.id)));
    for (_, id) in &ids {
        let of_it: Vec<&Proved> = kept.values().filter(|p| p.id == *id).collect();
        let missing = plan.not_run.iter().filter(|n| n.id == *id).count()
            + waiting.iter().filter(|row| row.id == *id).count();
        let _ = writeln!(out, "| {id} | {} |", verdict(&of_it, missing));
    }
    out.push_str(ROWS);
    for (_, id) in ids {
        for proved in kept.values().filter(|p| p.id == id) {
            rows(&mut out, proved);
        }
        for row in waiting.iter().filter(|row| row.id == id) {
            let _ = writeln!(out, "| {id} | {} | – | not kept yet | NOT RUN | | | | |", row.name());
        }
        for NotRun { sub_case, why, .. } in plan.not_run.iter().filter(|n| n.id == id) {
            let _ = writeln!(out, "| {id} | {sub_case} | – | {why} | NOT RUN | | | | |");
        }
    }
    out.push_str("\n## How to repeat each\n\n");
    for proved in kept.values() {
        let _ = writeln!(out, "- {}: `{}`", proved.id, proved.command);
    }
    out
}

const HEAD: &str = "# Proof

Written by `cargo run --release -p merx-proof -- --full --write`, never by hand. The list of faults and figures that a row must reach is in the \
design; a row is PASS when every sub-case of it ran and held, with its guard failing when it is taken away. A size smaller than \
the list's is said so. Times are of a shared machine with two cores.

| id | verdict |
| --- | --- |
";
const ROWS: &str = "
## Every sub-case

| id | sub-case | size run | figure | guard on | guard off | seed | commit | time |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// `T9` before `T10`; what has no number is last.
fn key(id: &str) -> (u32, &str) {
    (id.trim_start_matches('T').parse().unwrap_or(u32::MAX), id)
}

fn verdict(proved: &[&Proved], missing: usize) -> String {
    let failed = proved.iter().filter(|p| !p.holds() && p.on != Outcome::NotRun).count();
    let not_run = missing + proved.iter().filter(|p| p.on == Outcome::NotRun).count();
    let held = proved.iter().filter(|p| p.holds()).count();
    match (failed, not_run, held) {
        (0, 0, _) => "PASS".to_owned(),
        (0, _, 0) => "NOT RUN".to_owned(),
        (0, some, _) => format!("held as far as it ran; {some} sub-case(s) NOT RUN"),
        (some, ..) => format!("FAIL ({some})"),
    }
}

fn rows(out: &mut String, proved: &Proved) {
    let nothing = Figure {
        id: proved.id.clone(),
        sub_case: proved.name.clone(),
        size: "–".to_owned(),
        figure: "holds".to_owned(),
        seed: "-".to_owned(),
    };
    let figures = if proved.figures.is_empty() { std::slice::from_ref(&nothing) } else { &proved.figures };
    let (guard, size) =
        (proved.guard.as_deref().unwrap_or_default(), if proved.full { "" } else { " (short)" });
    let off = proved.off.map_or(String::from("–"), |off| format!("{} ({guard})", off.word()));
    for Figure { id, sub_case, size: count, figure, seed } in figures {
        let (on, commit, seconds) = (proved.on.word(), &proved.commit, proved.seconds);
        let _ = writeln!(
            out,
            "| {id} | {sub_case} | {count}{size} | {figure} | {on} | {off} | {seed} | {commit} | {seconds} s |"
        );
    }
}

/// One line for who waits for it.
pub fn line(proved: &Proved) -> String {
    let off = proved.off.map_or("–", Outcome::word);
    let guard = proved.guard.as_deref().unwrap_or("-");
    let mut line = format!(
        "{:<5} {:<24} {:<8} {off:<8} {:>5} s  {}",
        proved.id,
        guard,
        proved.on.word(),
        proved.seconds,
        proved.name
    );
    for figure in &proved.figures {
        let Figure { id, sub_case, size, figure, seed } = figure;
        let _ = write!(line, "\n      {id}: {sub_case}: {size}: {figure} (seed {seed})");
    }
    line
}
