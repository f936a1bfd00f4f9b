//! Opening a file: whose it is, who holds it, how it is set up.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use merx_kernel::{Error, Guard, Result};
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
};

use crate::{error, sqlite::session::meaning};

/// "MERX", in the header of every file of ours.
const APPLICATION_ID: i32 = 0x4d45_5258;
const STATEMENTS_CACHED: usize = 256;
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The lock that keeps two processes from one file. Held until dropped; the system frees it when the process dies.
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(crate) fn take(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let shown = database.display().to_string();
        let mut file =
            open_own(&path).map_err(|e| error::cannot_open(&shown, &e.to_string()).with_source(e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(error::locked(&shown, &holder));
            }
            Err(TryLockError::Error(e)) => {
                return Err(error::cannot_open(&shown, &e.to_string()).with_source(e));
            }
        }
        // Who holds it is only for the message; a disk too full to say so is no reason to refuse.
        let _ = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }
}

/// Opens a file for reading and writing. One that is not there yet is made for this user's eyes only: the database
/// holds names and addresses. SQLite gives its log and its index the mode of the database.
pub(crate) fn open_own(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens the writer's connection: the file is ours or becomes ours. `None` is a database in memory.
pub(crate) fn open_writer(path: Option<&Path>, pages_max: Option<u32>) -> Result<Connection> {
    let shown = path.map_or_else(|| ":memory:".to_owned(), |p| p.display().to_string());
    if let Some(path) = path.filter(|path| !path.exists()) {
        open_own(path).map_err(|e| error::cannot_open(&shown, &e.to_string()).with_source(e))?;
    }
    let opened = path.map_or_else(Connection::open_in_memory, Connection::open);
    let conn = opened.map_err(|e| opening(e, &shown))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(|e| opening(e, &shown))?;
    keep_plans(&conn).map_err(|e| opening(e, &shown))?;
    claim(&conn, &shown)?;
    let synchronous = if Guard::Fsync.on() { "FULL" } else { "OFF" };
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = OFF; \
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864; \
         PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; \
         CREATE TABLE IF NOT EXISTS merx_sequencer (id BIGINT PRIMARY KEY, ceiling BIGINT NOT NULL); \
         INSERT INTO merx_sequencer (id, ceiling) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM merx_sequencer);"
    ))
    .map_err(|e| opening(e, &shown))?;
    if let Some(pages) = pages_max {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .map_err(|e| opening(e, &shown))?;
    }
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    if let Some(path) = path {
        lengthen_log(path);
    }
    Ok(conn)
}

/// How much of the log is there from the start: as much as it grows to before a checkpoint.
const LOG_LENGTH: u64 = 1_024 * 4_120;

/// Gives the log its length at once. A commit that writes over blocks the file has already needs to sync data only;
/// one that makes the file longer waits for the file system's journal too. SQLite takes the zeros for the end of the
/// log. A disk without the room is no error: the log is left as it was.
fn lengthen_log(database: &Path) {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let Ok(mut file) = OpenOptions::new().write(true).open(&name) else { return };
    let Ok(before) = file.seek(SeekFrom::End(0)) else { return };
    let missing = usize::try_from(LOG_LENGTH.saturating_sub(before)).unwrap_or(0);
    if file.write_all(&vec![0; missing]).and_then(|()| file.sync_all()).is_err() {
        let _ = file.set_len(before);
    }
}

/// Refuses a file that holds something else; marks an empty one as ours.
fn claim(conn: &Connection, shown: &str) -> Result<()> {
    let id: i32 =
        conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(|e| opening(e, shown))?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables: i64 = conn
        .query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(|e| opening(e, shown))?;
    if id != 0 || tables != 0 {
        return Err(error::foreign_file(shown, "an SQLite file of another program"));
    }
    conn.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}")).map_err(|e| opening(e, shown))
}

/// Opens a connection that only reads. The file must be there and ours.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let shown = path.display().to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| opening(e, &shown))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(|e| opening(e, &shown))?;
    keep_plans(&conn).map_err(|e| opening(e, &shown))?;
    let id: i32 =
        conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(|e| opening(e, &shown))?;
    if id != APPLICATION_ID {
        return Err(error::foreign_file(&shown, "an SQLite file of another program"));
    }
    conn.execute_batch("PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY;")
        .map_err(|e| opening(e, &shown))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(conn)
}

/// A statement keeps the plan it was given. Otherwise SQLite parses and plans every one anew that has a `LIMIT ?`
/// whenever it is run, since the number could change the plan; that costs more than most of them do.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Gives `conn`, which nobody has used yet, everything that `from` holds.
pub(crate) fn fill(conn: &mut Connection, from: &Connection) -> Result<()> {
    let filled = Backup::new(from, conn).and_then(|copy| copy.step(-1));
    match filled.map_err(|e| meaning(e, "copy a database in memory"))? {
        StepResult::Done => Ok(()),
        other => Err(Error::internal(format!("a database in memory was not copied: {other:?}"))),
    }
}

fn opening(cause: rusqlite::Error, shown: &str) -> Error {
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => error::foreign_file(shown, "not an SQLite file").with_source(cause),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            error::cannot_open(shown, "no such folder, or no right to write").with_source(cause)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            error::locked(shown, " or by another program").with_source(cause)
        }
        _ => meaning(cause, "open the database"),
    }
}
