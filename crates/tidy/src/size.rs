//! How long files and functions may grow. The exceptions may only shrink.

use crate::Breach;

/// Lines of a file.
pub const FILE_LINES_MAX: usize = 500;
/// Lines of a function from its signature to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;

/// Checks one Rust source. `exceptions` are lines `path lines` or `path::function lines`: what they allow, and that they are still needed.
pub fn check(path: &str, text: &str, exceptions: &[(String, usize)]) -> Vec<Breach> {
    let allowed = |name: &str, usual: usize| {
        exceptions.iter().find(|(n, _)| n == name).map_or(usual, |(_, lines)| *lines)
    };
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    let most = allowed(path, FILE_LINES_MAX);
    if lines > most {
        breaches.push(Breach::at(path, format!("{lines} lines; at most {most}: split it by subject")));
    }
    for (name, line, length) in functions(text) {
        let most = allowed(&format!("{path}::{name}"), FUNCTION_LINES_MAX);
        if length > most {
            breaches.push(Breach::at(
                format!("{path}:{line}"),
                format!("fn {name} has {length} lines; at most {most}"),
            ));
        }
    }
    breaches
}

/// Exceptions that no longer excuse anything, or excuse more than is there: the list may only shrink.
pub fn stale(exceptions: &[(String, usize)], sources: &[(String, String)]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (name, lines) in exceptions {
        let (path, function) = name.split_once("::").map_or((name.as_str(), None), |(p, f)| (p, Some(f)));
        let text = sources.iter().find(|(p, _)| p == path).map(|(_, t)| t.as_str());
        let actual = match (text, function) {
            (None, _) => 0,
            (Some(text), None) => text.lines().count(),
            (Some(text), Some(f)) => {
                functions(text).into_iter().filter(|(n, ..)| n == f).map(|(.., l)| l).max().unwrap_or(0)
            }
        };
        let usual = if function.is_some() { FUNCTION_LINES_MAX } else { FILE_LINES_MAX };
        if actual <= usual {
            breaches.push(Breach::at(name, "needs no exception any more: remove the line"));
        } else if actual < *lines {
            breaches.push(Breach::at(name, format!("has {actual} lines now: lower the exception to that")));
        }
    }
    breaches
}

/// Functions of a source as (name, first line, lines), found by rustfmt's indentation: a function ends at the
/// first line that is its own indentation and a closing brace.
pub fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else { continue };
        let indent = &line[..line.len() - trimmed.len()];
        let close = format!("{indent}}}");
        let Some(open) = (index..lines.len()).find(|i| {
            lines[*i].ends_with('{') || lines[*i].trim_end().ends_with(';') || lines[*i].ends_with('}')
        }) else {
            continue;
        };
        if !lines[open].ends_with('{') {
            continue;
        }
        let end = (open + 1..lines.len()).find(|i| lines[*i] == close).unwrap_or(open);
        out.push((name, index + 1, end - index + 1));
    }
    out
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "pub" | "async" | "const" | "unsafe" | "extern" => {}
            w if w.starts_with("pub(") => {}
            "fn" => {
                let name: String =
                    words.next()?.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                return Some(name);
            }
            _ => return None,
        }
    }
    None
}
