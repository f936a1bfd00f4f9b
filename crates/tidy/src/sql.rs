//! One SQL text serves SQLite and MySQL, and a context touches only its own tables (design: Storage).

use crate::{Breach, dependencies::contexts, sources::string_literals};

/// Words that only one engine knows, or that break a promise of the store, each with what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("RETURNING", "MySQL has none; make ids beforehand"),
    ("NOW()", "time comes from the injected clock"),
    ("CURRENT_TIMESTAMP", "time comes from the injected clock"),
    ("REPLACE INTO", "deletes and inserts; use tx.insert_new and a guarded update"),
    ("INSERT OR", "SQLite only; use tx.insert_new"),
    ("INSERT IGNORE", "MySQL only; use tx.insert_new"),
    ("ON CONFLICT", "SQLite only; use tx.insert_new"),
    ("ON DUPLICATE KEY", "MySQL only; use tx.insert_new"),
    ("FOR UPDATE", "SQLite has none; use a guarded update or a guard row"),
    ("JSON_", "engines differ; JSON is text"),
    ("AUTO_INCREMENT", "gives positions before commit"),
    ("AUTOINCREMENT", "gives positions before commit"),
    ("LAST_INSERT_ID", "ids are made by us"),
    ("RANDOM()", "randomness is injected"),
    ("RAND()", "randomness is injected"),
    ("||", "means OR on MySQL; join in the program"),
    ("IFNULL", "use COALESCE"),
];

const VERBS: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

fn is_sql(literal: &str) -> bool {
    let head = literal.trim_start();
    VERBS.iter().any(|v| head.starts_with(v))
        && (head.contains(" FROM ")
            || head.contains(" INTO ")
            || head.contains(" SET ")
            || head.contains("FROM "))
}

/// Checks a Rust source of a context: SQL stands in `store.rs` (or a file below `store/`) only, uses the common words only, and names
/// no table of another context.
pub fn check_source(path: &str, text: &str) -> Vec<Breach> {
    let context = path.strip_prefix("crates/").and_then(|p| p.split('/').next()).unwrap_or_default();
    let mut breaches = Vec::new();
    for (line, literal) in string_literals(text) {
        if !is_sql(&literal) {
            continue;
        }
        let place = format!("{path}:{line}");
        let is_store = path.ends_with("/src/store.rs") || path.contains("/src/store/");
        if contexts().contains(&context) && !is_store && path.contains("/src/") {
            breaches.push(Breach::at(&place, "SQL stands in store.rs only"));
        }
        breaches.extend(check_words(&place, &literal));
        if contexts().contains(&context) {
            breaches.extend(check_tables(&place, context, &literal));
        }
    }
    breaches
}

/// The words rule on one text.
pub fn check_words(place: &str, sql: &str) -> Vec<Breach> {
    let upper = sql.to_uppercase();
    BANNED
        .iter()
        .filter(|(word, _)| upper.contains(word))
        .map(|(word, why)| Breach::at(place, format!("`{word}`: {why}")))
        .collect()
}

/// The tables rule on one text: a name after FROM, JOIN, INTO, UPDATE or TABLE that begins `<other context>_` is
/// another's table.
pub fn check_tables(place: &str, context: &str, sql: &str) -> Vec<Breach> {
    let words: Vec<&str> =
        sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let names_table = |word: &str| ["FROM", "JOIN", "INTO", "UPDATE", "TABLE"].contains(&word);
    words
        .windows(2)
        .filter(|pair| names_table(&pair[0].to_uppercase()))
        .filter_map(|pair| {
            let owner =
                contexts().iter().find(|c| **c != context && pair[1].starts_with(&format!("{c}_")))?;
            Some(Breach::at(place, format!("`{}` belongs to {owner}; ask it", pair[1])))
        })
        .collect()
}
