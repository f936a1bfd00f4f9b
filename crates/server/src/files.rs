//! The files of a data folder besides the database: its lock, secrets, and what `merx up` made up for the demo.

use std::{
    fs,
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use merx_kernel::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The key that signs access tokens.
pub const SIGNING_KEY: &str = "signing.key";
/// The key that codes and the links of guests are made from.
pub const CODES_KEY: &str = "codes.key";
/// Accounts, passwords and keys of the demo.
pub const DEMO: &str = "demo.json";
/// The mails of the demo, for the viewer.
pub const MAILS: &str = "mails";
/// Who was erased: beside the database, so that a back-up of it cannot bring anybody back.
pub const ERASURES: &str = "erasures.log";
/// Held by the process that may change the folder.
const LOCK: &str = "merx.lock";

/// A data folder that only this process may change, until it is dropped. The system lets go of it when the process
/// dies, however it dies.
#[derive(Debug)]
pub struct DataFolder {
    _lock: fs::File,
}

impl DataFolder {
    /// Takes the folder, and makes it when there is none. Nothing in it is touched before.
    ///
    /// # Errors
    /// `server.data_dir` when it cannot be made or written; `server.data_dir_locked` when another process has it.
    pub fn claim(dir: &Path) -> Result<Self> {
        // Password hashes and addresses lie in it: a folder we make is its owner's only.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| refused(dir, "make", e))?;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(dir.join(LOCK)).map_err(|e| refused(dir, "write into", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(locked(dir, lock)),
            Err(fs::TryLockError::Error(e)) => return Err(refused(dir, "lock", e)),
        }
        // Who has it is only for the message; a disk too full to say so is no reason to refuse.
        let _ = lock.set_len(0).and_then(|()| lock.rewind());
        let _ = writeln!(lock, "{}", std::process::id());
        Ok(Self { _lock: lock })
    }
}

fn locked(dir: &Path, mut lock: fs::File) -> Error {
    let mut holder = String::new();
    let _ = lock.read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => String::new(),
        process => format!(" (process {process})"),
    };
    let text = format!(
        "The data folder {} is in use by another Merx{holder}. Stop that one, or use another data folder (--data, or data_dir in the configuration).",
        dir.display()
    );
    Error::unavailable("server.data_dir_locked", text)
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
    let text = format!("Cannot {verb} {}: {cause}. Name a folder you may write to.", path.display());
    Error::unavailable("server.data_dir", text)
}
fn broken(path: &Path, why: &str) -> Error {
    let text = format!("{} cannot be understood: {why}. Restore it from a backup.", path.display());
    Error::unavailable("server.data_dir", text)
}
