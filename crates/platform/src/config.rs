//! Configuration: defaults, then a TOML file, then the environment.
//!
//! The file begins `version = 1`. `MERX__HTTP__PORT=8081` overrides `port` of `[http]`. A key nobody reads is an
//! error that names its place and the nearest key there is; a value of the wrong type names its place, where it
//! came from, and what was expected. Types only need `#[serde(default)]`: the check is the loader's.

mod value;

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use merx_kernel::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use value::{Node, Origin, Problem};

/// The version of the file's layout that this program reads.
pub const VERSION: i64 = 1;
/// What the names of environment variables begin with.
pub const ENV_PREFIX: &str = "MERX__";

/// Loads a configuration: every key missing from `file` and `env` keeps its default.
///
/// # Errors
/// `Invalid` `config.invalid` with the path of each wrong key as a refused property; `NotFound` or `Internal`
/// `config.unreadable` when the file cannot be read.
pub fn load<T>(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<T>
where
    T: DeserializeOwned,
{
    taken(read(file, env)?)
}

fn read(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Result<Node> {
    let mut root = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, e))?;
            parse(&text, Origin::File(path.to_owned()))?
        }
        None => Node::empty(),
    };
    for (name, text) in overrides(env) {
        let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        root.set(&path, &name, text).map_err(invalid)?;
    }
    Ok(root)
}

/// One key of a configuration as it takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its path, `http.listen`.
    pub key: String,
    /// Its value as TOML; a secret shows as `"[secret]"`.
    pub value: String,
    /// Where the value comes from: the file, an environment variable, or `default`.
    pub source: String,
}

/// Every key that has a value, after `file` and `env`, with where it comes from. `documented` is a configuration of type `T`
/// whose values are the defaults.
///
/// # Errors
/// As [`load`].
pub fn show<T: DeserializeOwned>(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    documented: &str,
) -> Result<Vec<Shown>> {
    let given = read(file, env)?;
    taken::<T>(given.clone())?;
    let mut all = parse(documented, Origin::Default)?;
    all.overlay(given);
    let secrets = Arc::default();
    // What is read as a secret says so itself; no list of names is kept beside the types.
    T::deserialize(all.clone().watched("", &secrets)).map_err(invalid)?;
    let secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let is_secret = |key: &str| {
        let inside =
            |secret: &String| key.strip_prefix(secret.as_str()).is_some_and(|rest| rest.starts_with('.'));
        secrets.contains(key) || secrets.iter().any(inside)
    };
    let shown = |(key, value, origin): (String, String, Origin)| {
        let value = if is_secret(&key) { "\"[secret]\"".to_owned() } else { value };
        Shown { key, value, source: origin.to_string() }
    };
    Ok(all.leaves("").into_iter().map(shown).collect())
}

/// Loads from a text in place of a file; `name` stands for the file in errors.
///
/// # Errors
/// As [`load`].
pub fn load_text<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    taken(parse(text, Origin::File(name.into()))?)
}

/// Wrong keys that are told of at once.
const TOLD_MAX: usize = 20;

/// Reads the values. A reader stops at what is wrong; so that all of it is told at once, it is taken out, and the rest read
/// again.
fn taken<T: DeserializeOwned>(mut root: Node) -> Result<T> {
    let mut wrong = match T::deserialize(root.clone()) {
        Ok(taken) => return Ok(taken),
        Err(problem) => vec![problem],
    };
    while wrong.len() < TOLD_MAX && wrong.last().is_some_and(|problem| root.take_out(problem)) {
        match T::deserialize(root.clone()) {
            // What was taken out may be missed now.
            Err(problem) if wrong.iter().all(|known| known.path() != problem.path()) => wrong.push(problem),
            _ => break,
        }
    }
    let error = Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.");
    Err(wrong.into_iter().fold(error, |error, problem| error.with_field(problem.path(), problem.detail())))
}

/// The environment variables that are ours, in order of name.
fn overrides(env: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut ours: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    ours.sort();
    ours
}

fn parse(text: &str, origin: Origin) -> Result<Node> {
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let detail = format!("{origin}, line {line}: {}", e.message());
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
