//! Every stable error code has a page, and every page a code.

use std::collections::BTreeSet;

use crate::{Breach, sources::string_literals};

/// Calls whose first code-like literal is a code.
const MAKERS: &[&str] = &[
    "Error::new(",
    "Error::rejected(",
    "Error::conflict(",
    "Error::not_found(",
    "Error::unavailable(",
    "_CODE: &str",
    "code: \"",
];
/// How many lines below its maker a code may stand.
const MAKER_LINES: usize = 4;
/// Openings after which all code-like literals are codes, with the text that ends them.
const LISTS: &[(&str, &str)] = &[(".errors(&[", "]"), ("fn code(", "\n    }")];

/// Whether a text has the form of a code, `<area>.<snake_case>`.
pub fn is_code(text: &str) -> bool {
    let Some((area, name)) = text.split_once('.') else { return false };
    let word = |w: &str| {
        !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    word(area) && word(name) && !area.bytes().next().is_some_and(|b| b.is_ascii_digit())
}

/// The codes a source can answer.
pub fn codes(text: &str) -> BTreeSet<String> {
    let literals: Vec<(usize, String)> =
        string_literals(text).into_iter().filter(|(_, literal)| is_code(literal)).collect();
    let mut out = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        if MAKERS.iter().any(|m| line.contains(m)) {
            let near = index + 1..index + 1 + MAKER_LINES;
            out.extend(literals.iter().find(|(l, _)| near.contains(l)).map(|(_, code)| code.clone()));
        }
    }
    for (open, close) in LISTS {
        for (at, _) in text.match_indices(open) {
            let end = text[at..].find(close).map_or(text.len(), |length| at + length);
            let first = text[..at].matches('\n').count() + 1;
            let last = text[..end].matches('\n').count() + 1;
            out.extend(
                literals.iter().filter(|(l, _)| (first..=last).contains(l)).map(|(_, code)| code.clone()),
            );
        }
    }
    out
}

/// Everything in a source that has the form of a code, made there or compared with: a page of none of these is stale.
pub fn mentions(text: &str) -> BTreeSet<String> {
    let literals = string_literals(text).into_iter().map(|(_, literal)| literal);
    literals.filter(|l| is_code(l) || l == "internal").collect()
}

/// Compares the codes in the sources, and all that is mentioned there, with the pages in `docs/errors`.
pub fn check(
    codes: &BTreeSet<String>,
    mentioned: &BTreeSet<String>,
    pages: &BTreeSet<String>,
    page_texts: &[(String, String)],
) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = codes
        .difference(pages)
        .map(|c| {
            Breach::at(
                format!("docs/errors/{c}.md"),
                "missing: say what it means, why it happens, what to do",
            )
        })
        .collect();
    breaches.extend(
        pages
            .difference(mentioned)
            .map(|p| Breach::at(format!("docs/errors/{p}.md"), "no code of this name is left")),
    );
    for (code, text) in page_texts {
        if !text.starts_with(&format!("# {code}\n")) || text.lines().count() < 4 {
            breaches
                .push(Breach::at(format!("docs/errors/{code}.md"), "begins with `# <code>` and explains it"));
        }
    }
    breaches
}
