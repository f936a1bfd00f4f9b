//! Configuration: defaults, then a TOML file, then the environment.
//!
//! The file begins `version = 1`. `MERX__HTTP__PORT=8081` overrides `port` of `[http]`. A key nobody reads is an
//! error that names its place and the nearest key there is; a value of the wrong type names its place, where it
//! came from, and what was expected. Types only need `#[serde(default)]`: the check is the loader's.

mod value;

use std::path::Path;

use merx_kernel::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use value::{Node, Origin, Problem};

/// The version of the file's layout that this program reads.
pub const VERSION: i64 = 1;
/// What the names of environment variables begin with.
pub const ENV_PREFIX: &str = "MERX__";

/// Loads a configuration: every key missing from `file` and `env` keeps its default.
///
/// # Errors
/// `Invalid` `config.invalid` with the path of the key as the refused property; `NotFound` or `Internal`
/// `config.unreadable` when the file cannot be read.
pub fn load<T>(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<T>
where
    T: DeserializeOwned,
{
    let mut root = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, e))?;
            parse(&text, path)?
        }
        None => Node::empty(),
    };
    for (name, text) in overrides(env) {
        let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        root.set(&path, &name, text).map_err(invalid)?;
    }
    T::deserialize(root).map_err(invalid)
}

/// Loads from a text in place of a file; `name` stands for the file in errors.
///
/// # Errors
/// As [`load`].
pub fn load_text<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    T::deserialize(parse(text, Path::new(name))?).map_err(invalid)
}

/// The environment variables that are ours, in order of name.
fn overrides(env: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut ours: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    ours.sort();
    ours
}

fn parse(text: &str, path: &Path) -> Result<Node> {
    let origin = Origin::File(path.to_owned());
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let detail = format!("{}, line {line}: {}", path.display(), e.message());
        Error::new(ErrorKind::Invalid, "config.invalid", "The configuration file is not TOML.")
            .with_field("", detail)
    })?;
    let version = table.remove("version");
    let wrong = |detail: String| Problem::at(&["version"], &origin, detail);
    match version {
        Some(toml::Value::Integer(VERSION)) => Ok(Node::new(toml::Value::Table(table), origin)),
        Some(toml::Value::Integer(other)) if other > VERSION => Err(invalid(wrong(format!(
            "is {other}; this program reads version {VERSION}: use a newer program"
        )))),
        Some(other) => Err(invalid(wrong(format!("is {other}, expected {VERSION}")))),
        None => Err(invalid(wrong(format!("is missing: begin the file with `version = {VERSION}`")))),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    let message = format!("The configuration file {} cannot be read: {error}.", path.display());
    Error::new(kind, "config.unreadable", message).with_source(error)
}

fn invalid(problem: Problem) -> Error {
    Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.")
        .with_field(problem.path(), problem.detail())
}
