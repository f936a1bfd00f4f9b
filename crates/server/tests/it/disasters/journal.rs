//! The log that `shim.c` writes, read.

use merx_kernel::Timestamp;

/// A change to the data folder.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// Bytes at an offset.
    Write { offset: usize, data: &'a [u8] },
    /// The file has this length.
    Truncate { len: usize },
    /// A sync of the file or folder is asked for …
    SyncBegin { number: u64 },
    /// … and has been answered.
    SyncEnd { number: u64 },
    /// The file is new.
    Create,
    /// The file has another name.
    Rename { to: &'a str },
    /// The file has no name any more.
    Unlink,
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where in the log it ends: from this moment on it has happened.
    pub end: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The file, while it has a name.
    pub inode: u64,
    /// Its name below the data folder; empty for the folder itself.
    pub path: &'a str,
    /// What was done.
    pub call: Call<'a>,
}

/// Reads a log. A record that was being written when its process was killed is left out.
///
/// # Panics
/// The shop changed a file in a way that is not modelled.
pub fn read(log: &[u8]) -> Vec<Record<'_>> {
    const HEAD: usize = 40;
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(head) = log.get(at..at + HEAD) {
        let word = |from: usize| u64::from_le_bytes(head[from..from + 8].try_into().expect("eight bytes"));
        let (kind, path_len) = (word(0) & 0xffff_ffff, (word(0) >> 32) as usize);
        let (inode, offset, data_len) = (word(8), word(16), word(24) as usize);
        let end = at + HEAD + path_len + data_len;
        let Some(rest) = log.get(at + HEAD..end) else { break };
        let (path, data) = rest.split_at(path_len);
        let path = std::str::from_utf8(path).expect("a plain path");
        let call = match kind {
            1 => Call::Write { offset: offset as usize, data },
            2 => Call::Truncate { len: offset as usize },
            3 => Call::SyncBegin { number: offset },
            4 => Call::SyncEnd { number: offset },
            5 => Call::Create,
            6 => Call::Rename { to: std::str::from_utf8(data).expect("a plain path") },
            7 => Call::Unlink,
            _ => panic!("the shop uses `{path}` on a file of its data folder, which is not modelled"),
        };
        let at_ms = i64::try_from(word(32)).expect("a time");
        records.push(Record { end: end as u64, at: Timestamp::from_millis(at_ms), inode, path, call });
        at = end;
    }
    records
}
