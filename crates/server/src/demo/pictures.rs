//! The demo's pictures, drawn: a motif from `demo/motifs.json` in the colours of its product, as SVG.

use std::{collections::BTreeMap, sync::LazyLock};

use merx_kernel::{Error, Result};

/// Main colour, accent, dark line, and the field behind them: quiet colours that stand beside each other.
const PALETTES: [[&str; 4]; 8] = [
    ["#2f6f5e", "#e0a458", "#1f3b36", "#eef3ee"],
    ["#3d5a80", "#ee6c4d", "#293241", "#eef2f7"],
    ["#7b4b94", "#f2c14e", "#3c2a4d", "#f4eff7"],
    ["#a44a3f", "#f0c987", "#4a2622", "#f8efec"],
    ["#37737d", "#f4a259", "#1d3b40", "#ecf4f5"],
    ["#5f7a3a", "#d9594c", "#2f3d1d", "#f2f5ea"],
    ["#8a5a2b", "#5b8e7d", "#40290f", "#f7f1e8"],
    ["#4a5568", "#e9a23b", "#1f2733", "#f1f3f6"],
];
const LIGHT: &str = "#fdfaf4";

static MOTIFS: LazyLock<std::result::Result<BTreeMap<String, String>, serde_json::Error>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../demo/motifs.json")));

/// The picture of a motif; `turn` chooses the colours and how it lies, so that a product may have several.
///
/// # Errors
/// `Internal` for a motif that is not drawn.
pub fn draw(motif: &str, turn: usize) -> Result<String> {
    let motifs =
        MOTIFS.as_ref().map_err(|e| Error::internal(format!("the demo's motifs cannot be read: {e}")))?;
    let drawn =
        motifs.get(motif).ok_or_else(|| Error::internal(format!("the demo has no motif `{motif}`")))?;
    let [main, accent, dark, field] = PALETTES[turn % PALETTES.len()];
    let coloured = [("a", main), ("b", accent), ("c", dark), ("w", LIGHT)].iter().fold(
        drawn.clone(),
        |svg, (letter, colour)| {
            svg.replace(&format!("fill=\"{letter}\""), &format!("fill=\"{colour}\""))
                .replace(&format!("stroke=\"{letter}\""), &format!("stroke=\"{colour}\""))
        },
    );
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 400\" width=\"1280\" height=\"1280\">\
         <rect width=\"400\" height=\"400\" fill=\"{field}\"/>\
         <ellipse cx=\"200\" cy=\"332\" rx=\"118\" ry=\"14\" fill=\"{dark}\" opacity=\".12\"/>\
         <g transform=\"translate(60 56) scale(1.4)\">{coloured}</g></svg>"
    ))
}
