//! The files of a data folder besides the database: secrets, and what `merx up` made up for the demo.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use merx_kernel::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The key that signs access tokens.
pub const SIGNING_KEY: &str = "signing.key";
/// Accounts, passwords and keys of the demo.
pub const DEMO: &str = "demo.json";

/// Makes the data folder.
///
/// # Errors
/// `server.data_dir` when it cannot be made or written.
pub fn prepare(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    // Password hashes and addresses lie in it: a folder we make is its owner's only.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| refused(dir, "make", e))?;
    let probe = dir.join(".write-probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|e| refused(dir, "write into", e))
}

/// Reads a JSON file; `None` when there is none.
///
/// # Errors
/// `server.data_dir` when it is there and cannot be read.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused(path, "read", e)),
    };
    serde_json::from_str(&text).map(Some).map_err(|e| broken(path, &e.to_string()))
}

/// Writes a JSON file that only its owner may read: wholly or not at all, also when the power fails.
///
/// # Errors
/// `server.data_dir` when it cannot be written.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal("a file cannot be written as JSON").with_source(e))?;
    let beside: PathBuf = path.with_extension("json.new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all());
    written.map_err(|e| refused(path, "write", e))
}

fn refused(path: &Path, verb: &str, cause: std::io::Error) -> Error {
    let text =
        format!("Cannot {verb} {}: {cause}. Give a folder you may write to with --data.", path.display());
    Error::unavailable("server.data_dir", text)
}
fn broken(path: &Path, why: &str) -> Error {
    let text = format!("{} cannot be understood: {why}. Restore it from a backup.", path.display());
    Error::unavailable("server.data_dir", text)
}
