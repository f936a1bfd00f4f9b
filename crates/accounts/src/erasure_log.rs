//! Who was erased, in a file beside the database: a back-up taken before an erasure knows nothing of it, and a restore
//! of it must not bring the person back.
//!
//! One line for each: `<Unix milliseconds> <account>`, in the order of time. Written after the commit of the erasure
//! and compared with the table at each start, so that a crash between the two leaves no gap. A last line that was not
//! written whole is passed over.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use merx_contracts::ids::AccountId;
use merx_kernel::{Error, Result, Timestamp};

/// No line of ours is longer.
const LINE_BYTES_MAX: u64 = 128;

/// The file.
pub struct ErasureLog {
    path: PathBuf,
    /// One writer at a time.
    turn: Mutex<()>,
}

impl ErasureLog {
    /// The log in this file, made with its first line.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Mutex::new(()) }
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everybody in the file.
    ///
    /// # Errors
    /// `accounts.erasure_log_unusable` when the file cannot be read, or a line other than the last is broken.
    pub fn read(&self) -> Result<Vec<(AccountId, Timestamp)>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.unusable("cannot be read").with_source(error)),
        };
        // What stands after the last line end was not written whole.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().enumerate().map(|(index, line)| self.line(index + 1, line)).collect()
    }

    fn line(&self, number: usize, line: &str) -> Result<(AccountId, Timestamp)> {
        let parts = line.split_once(' ').and_then(|(at, account)| {
            Some((account.parse().ok()?, Timestamp::from_millis(at.parse().ok()?)))
        });
        parts.ok_or_else(|| self.unusable(&format!("has a line {number} that is none of ours")))
    }

    /// Adds people, durably. Blocks; once somebody is in the file, adding them again does no harm.
    ///
    /// # Errors
    /// `accounts.erasure_log_unusable`.
    pub fn append(&self, erased: &[(AccountId, Timestamp)]) -> Result<()> {
        if erased.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(erased).map_err(|e| self.unusable("cannot be written").with_source(e))
    }

    fn write(&self, erased: &[(AccountId, Timestamp)]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        let end = end_of_lines(&mut file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let lines: String =
            erased.iter().map(|(account, at)| format!("{} {account}\n", at.as_millis())).collect();
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    }

    fn unusable(&self, what: &str) -> Error {
        let message = format!(
            "The list of erased people {} {what}. Mend it: without it a restored back-up would bring them back.",
            self.path.display()
        );
        Error::unavailable("accounts.erasure_log_unusable", message)
    }
}

/// Where the last whole line ends.
fn end_of_lines(file: &mut fs::File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LINE_BYTES_MAX);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Ok(from + at as u64 + 1),
        None => Ok(from),
    }
}
