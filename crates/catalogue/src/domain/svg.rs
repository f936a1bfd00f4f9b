//! SVG pictures, which are programs unless one looks closely. What is kept is not the text that came: it is read by a
//! strict list of elements and attributes that can only draw, and written again from what was read.

use merx_kernel::{Error, ErrorKind, Result};
use roxmltree::{Document, Node, NodeType, ParsingOptions};

/// The most bytes of an SVG.
pub const SVG_BYTES_MAX: usize = 512 * 1024;
/// The most elements and texts.
const NODES_MAX: u32 = 20_000;
/// The most namespaces that are declared, and equals signs of one tag with the text behind it. The reader looks each
/// namespace and each attribute up among the others of its element.
const NAMESPACES_MAX: usize = 32;
const EQUALS_MAX: usize = 1_000;
/// The deepest nesting.
const DEPTH_MAX: usize = 40;
/// The widest and highest, in its own units.
const SIDE_MAX: f64 = 20_000.0;

const SVG: &str = "http://www.w3.org/2000/svg";

/// Elements that draw or say what is drawn. Left out on purpose: script, style, foreignObject, animation, image, a, use
/// (copies of copies), pattern, mask and filter (work without end).
const ELEMENTS: &[&str] = &[
    "svg",
    "g",
    "defs",
    "title",
    "desc",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "linearGradient",
    "radialGradient",
    "stop",
    "clipPath",
];

const ATTRIBUTES: &[&str] = &[
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "baseProfile",
    "clip-path",
    "clip-rule",
    "clipPathUnits",
    "cx",
    "cy",
    "d",
    "display",
    "dominant-baseline",
    "dx",
    "dy",
    "fill",
    "fill-opacity",
    "fill-rule",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "fr",
    "fx",
    "fy",
    "gradientTransform",
    "gradientUnits",
    "height",
    "id",
    "lang",
    "lengthAdjust",
    "letter-spacing",
    "offset",
    "opacity",
    "paint-order",
    "pathLength",
    "points",
    "preserveAspectRatio",
    "r",
    "role",
    "rotate",
    "rx",
    "ry",
    "shape-rendering",
    "spreadMethod",
    "stop-color",
    "stop-opacity",
    "stroke",
    "stroke-dasharray",
    "stroke-dashoffset",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-miterlimit",
    "stroke-opacity",
    "stroke-width",
    "text-anchor",
    "text-rendering",
    "textLength",
    "transform",
    "vector-effect",
    "version",
    "viewBox",
    "visibility",
    "width",
    "word-spacing",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
];

/// Attributes that may point at another element of the same picture: `url(#name)`.
const REFERENCES: &[&str] = &["fill", "stroke", "clip-path"];

/// An SVG that can only draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Its text, written by us.
    pub text: String,
    /// Its width in its own units, rounded up.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Whether the bytes look like an SVG: text whose first element is `svg`.
pub fn looks_like_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<') && text.contains("<svg")
}

/// Reads an SVG and writes it again with what is allowed; anything else refuses the whole.
///
/// # Errors
/// `catalogue.picture_refused` saying what.
pub fn drawing(bytes: &[u8]) -> Result<Drawing> {
    if bytes.len() > SVG_BYTES_MAX {
        return Err(refused(format!("an SVG has at most {SVG_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| refused("an SVG must be UTF-8"))?;
    refuse_long_lists(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|e| refused(format!("it is not the XML we take: {e}")))?;
    let root = document.root_element();
    if root.tag_name().name() != "svg" {
        return Err(refused("the first element must be svg"));
    }
    let (width, height) = size(&root)?;
    let mut out = String::with_capacity(text.len());
    write(&root, 1, &mut out)?;
    Ok(Drawing { text: out, width, height })
}

/// What would make reading itself a long work, seen before it is read: in XML no `<` stands inside a tag.
fn refuse_long_lists(text: &str) -> Result<()> {
    if text.matches("xmlns").nth(NAMESPACES_MAX).is_some() {
        return Err(refused(format!("it declares at most {NAMESPACES_MAX} namespaces")));
    }
    if text.split('<').any(|tag| tag.matches('=').nth(EQUALS_MAX).is_some()) {
        return Err(refused(format!("a tag has at most {EQUALS_MAX} attributes")));
    }
    Ok(())
}

/// Why a picture is not taken.
pub(crate) fn refused(why: impl Into<String>) -> Error {
    let message = format!("The picture is refused: {}.", why.into());
    Error::new(ErrorKind::Invalid, "catalogue.picture_refused", message)
}

fn size(root: &Node<'_, '_>) -> Result<(u32, u32)> {
    let length = |name: &str| root.attribute(name)?.trim().trim_end_matches("px").parse::<f64>().ok();
    let view_box = root.attribute("viewBox").map(|text| {
        text.split([' ', ',', '\n', '\t'])
            .filter(|p| !p.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<f64>, _>>()
    });
    let (width, height) = match (view_box, length("width"), length("height")) {
        (Some(Ok(edges)), ..) if edges.len() == 4 => (edges[2], edges[3]),
        (None, Some(width), Some(height)) => (width, height),
        _ => return Err(refused("it needs a viewBox, or a width and a height in pixels")),
    };
    let side = |side: f64| {
        let fits = side > 0.0 && side <= SIDE_MAX;
        // In range, so the cast keeps the value.
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "checked just above")]
        fits.then(|| side.ceil() as u32)
    };
    match (side(width), side(height)) {
        (Some(width), Some(height)) => Ok((width, height)),
        _ => Err(refused(format!("each side must be more than 0 and at most {SIDE_MAX}"))),
    }
}

fn write(node: &Node<'_, '_>, depth: usize, out: &mut String) -> Result<()> {
    let tag = node.tag_name();
    if depth > DEPTH_MAX {
        return Err(refused(format!("elements lie at most {DEPTH_MAX} deep")));
    }
    if tag.namespace() != Some(SVG) || !ELEMENTS.contains(&tag.name()) {
        return Err(refused(format!("the element `{}` is not allowed", shown(tag.name()))));
    }
    out.push('<');
    out.push_str(tag.name());
    if depth == 1 {
        out.push_str(&format!(" xmlns=\"{SVG}\""));
    }
    for attribute in node.attributes() {
        let name = attribute.name();
        if attribute.namespace().is_some() || !ATTRIBUTES.contains(&name) {
            return Err(refused(format!("the attribute `{}` is not allowed", shown(name))));
        }
        if !is_harmless(name, attribute.value()) {
            return Err(refused(format!("the value of `{name}` is not allowed")));
        }
        out.push_str(&format!(" {name}=\""));
        escape(attribute.value(), out);
        out.push('"');
    }
    out.push('>');
    for child in node.children() {
        match child.node_type() {
            NodeType::Element => write(&child, depth + 1, out)?,
            NodeType::Text => escape(child.text().unwrap_or_default(), out),
            NodeType::Comment => {}
            NodeType::PI | NodeType::Root => return Err(refused("processing instructions are not allowed")),
        }
    }
    out.push_str(&format!("</{}>", tag.name()));
    Ok(())
}

/// A value draws or names; it never points outside the picture.
fn is_harmless(name: &str, value: &str) -> bool {
    let plain: String = value.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    if let Some(rest) = plain.strip_prefix("url(") {
        let target = rest.strip_suffix(')').map(|t| t.trim_matches(['"', '\'']));
        let own = |t: &str| {
            t.strip_prefix('#').is_some_and(|id| {
                !id.is_empty()
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            })
        };
        return REFERENCES.contains(&name) && target.is_some_and(own);
    }
    let foreign = ["url(", "://", "javascript:", "data:", "expression(", "@import", "\\", "/*"];
    !foreign.iter().any(|word| plain.contains(word))
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(character),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')).take(40).collect()
}
