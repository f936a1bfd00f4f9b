//! What a disk may hold when the power goes.
//!
//! What was written to a file before a sync of it began is kept once that sync has answered. Of the rest anything may be
//! there or not, in any order, torn at sectors. Names (new files, renames, removals) go through the ordered journal of a
//! file system: a prefix of them is kept, at least up to the last sync of their folder or of a file they name.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use merx_kernel::Entropy;
use merx_platform::time::SeededEntropy;

use super::journal::{Call, Record};

const SECTOR: usize = 512;

/// How much of what was not synced a disk had written all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// Each sector of each write with this chance in a hundred.
    Percent(u64),
}

impl Luck {
    fn strikes(self, random: &SeededEntropy) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Percent(percent) => below(random, 100) < percent,
        }
    }
}

fn below(random: &SeededEntropy, below: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Write { offset: usize, data: &'a [u8] },
    Truncate { len: usize },
}

#[derive(Clone)]
enum Naming {
    Named { path: String, file: usize },
    Renamed { from: String, to: String, file: usize },
    Removed { path: String },
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Named { path, file } => {
                names.insert(path.clone(), *file);
            }
            Self::Renamed { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed { path } => {
                names.remove(path);
            }
        }
    }
    fn is_about(&self, wanted: usize) -> bool {
        match self {
            Self::Named { file, .. } | Self::Renamed { file, .. } => *file == wanted,
            Self::Removed { .. } => false,
        }
    }
}

/// A file, whatever its name.
#[derive(Default)]
struct File<'a> {
    kept: Vec<u8>,
    /// Not synced, each with the number of its record.
    pending: Vec<(usize, Change<'a>)>,
}

/// A disk under a data folder, carried along a log.
#[derive(Default)]
pub struct Disk<'a> {
    files: Vec<File<'a>>,
    /// The file behind an inode: one number may be given to one file after another.
    inodes: HashMap<u64, usize>,
    /// The names as the running shop sees them.
    seen: BTreeMap<String, usize>,
    names_kept: BTreeMap<String, usize>,
    names_pending: Vec<(usize, Naming)>,
    /// Syncs that were begun, with the number of their record.
    begun: HashMap<u64, usize>,
    records: usize,
}

impl<'a> Disk<'a> {
    /// A disk that has all of a folder.
    pub fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let found = entry.metadata().expect("a file");
            assert!(found.is_file(), "a flat folder");
            let name = entry.file_name().into_string().expect("a plain name");
            let file = disk.new_file(found.ino());
            disk.files[file].kept = fs::read(entry.path()).expect("readable");
            disk.seen.insert(name.clone(), file);
            disk.names_kept.insert(name, file);
        }
        disk
    }

    fn new_file(&mut self, inode: u64) -> usize {
        self.files.push(File::default());
        self.inodes.insert(inode, self.files.len() - 1);
        self.files.len() - 1
    }

    /// The next record of the log has happened.
    pub fn take(&mut self, record: &Record<'a>) {
        self.records += 1;
        let number = self.records;
        let path = record.path.to_owned();
        match record.call {
            Call::Create => {
                let file = self.new_file(record.inode);
                self.rename(number, Naming::Named { path, file });
            }
            Call::Rename { to } => {
                let file = self.seen[&path];
                self.rename(number, Naming::Renamed { from: path, to: to.to_owned(), file });
            }
            Call::Unlink => self.rename(number, Naming::Removed { path }),
            Call::Write { offset, data } => self.change(number, record, Change::Write { offset, data }),
            Call::Truncate { len } => self.change(number, record, Change::Truncate { len }),
            Call::SyncBegin { number: sync } => {
                self.begun.insert(sync, number);
            }
            Call::SyncEnd { number: sync } => {
                let begun = self.begun.remove(&sync).expect("a sync that ends has begun");
                self.sync(record, begun);
            }
        }
    }

    fn rename(&mut self, number: usize, naming: Naming) {
        naming.apply(&mut self.seen);
        self.names_pending.push((number, naming));
    }

    fn change(&mut self, number: usize, record: &Record<'a>, change: Change<'a>) {
        let file =
            *self.inodes.get(&record.inode).unwrap_or_else(|| panic!("{record:?} is of no known file"));
        self.files[file].pending.push((number, change));
    }

    fn sync(&mut self, record: &Record<'a>, begun: usize) {
        let names_until = match self.seen.get(record.path) {
            Some(_) => {
                let id = self.inodes[&record.inode];
                let file = &mut self.files[id];
                let later = file.pending.partition_point(|(number, _)| *number < begun);
                for (_, change) in file.pending.drain(..later) {
                    apply(&mut file.kept, change, &mut |_| true);
                }
                let named = self.names_pending.iter().rposition(|(n, name)| *n < begun && name.is_about(id));
                named.map_or(0, |last| last + 1)
            }
            // A folder.
            None => self.names_pending.partition_point(|(number, _)| *number < begun),
        };
        for (_, naming) in self.names_pending.drain(..names_until) {
            naming.apply(&mut self.names_kept);
        }
    }

    /// How many changes no sync has made safe.
    pub fn unsynced(&self) -> usize {
        self.files.iter().map(|file| file.pending.len()).sum::<usize>() + self.names_pending.len()
    }

    /// Writes what the disk may hold now into an empty folder.
    pub fn image(&self, luck: Luck, seed: u64, folder: &Path) {
        let random = SeededEntropy::new(seed);
        let mut names = self.names_kept.clone();
        let lasting = match luck {
            Luck::None => 0,
            Luck::All => self.names_pending.len(),
            Luck::Percent(_) => below(&random, self.names_pending.len() as u64 + 1) as usize,
        };
        for (_, naming) in &self.names_pending[..lasting] {
            naming.apply(&mut names);
        }
        for (name, file) in names {
            let file = &self.files[file];
            let mut content = file.kept.clone();
            for (_, change) in &file.pending {
                apply(&mut content, *change, &mut |_| luck.strikes(&random));
            }
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, content).expect("written");
        }
    }
}

/// Carries out a change as far as `strikes` says, sector by sector.
fn apply(content: &mut Vec<u8>, change: Change<'_>, strikes: &mut dyn FnMut(usize) -> bool) {
    match change {
        Change::Truncate { len } if strikes(len) => content.resize(len, 0),
        Change::Truncate { .. } => {}
        Change::Write { offset, data } => {
            let end = offset + data.len();
            let mut at = offset;
            while at < end {
                let next = end.min((at / SECTOR + 1) * SECTOR);
                if strikes(at) {
                    content.resize(content.len().max(next), 0);
                    content[at..next].copy_from_slice(&data[at - offset..next - offset]);
                }
                at = next;
            }
        }
    }
}
