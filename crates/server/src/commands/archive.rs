//! A back-up on disk: a folder of files with a manifest that names each with its length and SHA-256, or that folder as one
//! tar file. Whatever comes from a back-up is compared with the manifest before it is used.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use merx_kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the manifest's shape.
const FORMAT: u32 = 1;
/// Names the files.
const MANIFEST: &str = "manifest.json";
const BUFFER_BYTES: usize = 1 << 16;
/// No manifest of ours is longer: a million files.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// One file of a back-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the data folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
}

/// What a back-up says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this shape.
    pub format: u32,
    /// The version of the program that made it.
    pub merx: String,
    /// The moment of the database that is in it, or just before.
    pub made_at: Timestamp,
    /// The files, by path.
    pub files: Vec<Entry>,
}

impl Manifest {
    /// Of these files.
    pub fn new(made_at: Timestamp, mut files: Vec<Entry>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { format: FORMAT, merx: env!("CARGO_PKG_VERSION").to_owned(), made_at, files }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn read(text: &[u8], from: &Path) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|e| damaged(from, "its manifest cannot be understood").with_source(e))?;
        if manifest.format != FORMAT {
            let why = format!("its manifest has the format {}; this program reads {FORMAT}", manifest.format);
            return Err(damaged(from, &why));
        }
        match manifest.files.iter().find(|file| safe(&file.path).is_none()) {
            Some(file) => Err(damaged(from, &format!("it names the path `{}`", file.path.escape_debug()))),
            None => Ok(manifest),
        }
    }
}

/// A relative path of ordinary names.
fn safe(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let ordinary = |part: Component<'_>| matches!(part, Component::Normal(_));
    (!path.as_os_str().is_empty() && path.components().all(ordinary)).then(|| path.to_owned())
}

pub fn damaged(backup: &Path, why: &str) -> Error {
    let text = format!("{} is no sound back-up: {why}. Use another.", backup.display());
    Error::rejected("backup.damaged", text)
}

pub fn failed(path: &Path, verb: &str, cause: io::Error) -> Error {
    let text = format!("Cannot {verb} {}: {cause}.", path.display());
    Error::unavailable("backup.failed", text).with_source(cause)
}

/// A folder that is filled beside its place and moved there when it is whole. Dropped before that, it is gone.
pub struct Staging {
    place: PathBuf,
    folder: PathBuf,
    kept: bool,
}

impl Staging {
    /// Beside `place`, for its owner only.
    pub fn beside(place: &Path) -> Result<Self> {
        let name = place.file_name().map_or_else(|| "shop".to_owned(), |n| n.to_string_lossy().into_owned());
        let folder = parent(place).join(format!(".{name}.{}.partial", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| failed(&folder, "make", e))?;
        Ok(Self { place: place.to_owned(), folder, kept: false })
    }

    /// Where it is filled.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Moves it to its place, durably.
    pub fn keep(mut self) -> Result<()> {
        fs::rename(&self.folder, &self.place)
            .and_then(|()| sync_folder(parent(&self.place)))
            .map_err(|e| failed(&self.place, "move the finished folder to", e))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A new file for its owner only.
pub fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies to the end; answers length and SHA-256.
fn pour(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut buffer, mut bytes, mut hash) = (vec![0; BUFFER_BYTES], 0, Context::new(&SHA256));
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            let sum = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((bytes, sum));
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        bytes += read as u64;
    }
}

/// What a file of `folder` is.
pub fn entry_of(folder: &Path, path: &str) -> Result<Entry> {
    let file = folder.join(path);
    let poured = File::open(&file).and_then(|mut from| pour(&mut from, &mut io::sink()));
    let (bytes, sha256) = poured.map_err(|e| failed(&file, "read", e))?;
    Ok(Entry { path: path.to_owned(), bytes, sha256 })
}

/// Copies a file, durably; answers what is in the copy.
pub fn copy(from: &Path, folder: &Path, path: &str) -> Result<Entry> {
    let mut source = File::open(from).map_err(|e| failed(from, "read", e))?;
    write(&mut source, folder, path)
}

fn write(source: &mut impl Read, folder: &Path, path: &str) -> Result<Entry> {
    let to = folder.join(path);
    let poured = create(&to).and_then(|mut file| {
        let poured = pour(source, &mut file)?;
        file.sync_all()?;
        Ok(poured)
    });
    let (bytes, sha256) = poured.map_err(|e| failed(&to, "write", e))?;
    Ok(Entry { path: path.to_owned(), bytes, sha256 })
}

/// Writes the manifest into a folder that has its files.
pub fn seal(folder: &Path, manifest: &Manifest) -> Result<()> {
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|e| Error::internal("the manifest cannot be written").with_source(e))?;
    write(&mut text.as_slice(), folder, MANIFEST)?;
    sync_folder(folder).map_err(|e| failed(folder, "write into", e))
}

/// Makes one tar file of a sealed folder, the manifest first.
pub fn pack(folder: &Path, manifest: &Manifest, tar_file: &Path) -> Result<()> {
    let packed = create(tar_file).and_then(|file| {
        let mut tar = tar::Builder::new(io::BufWriter::new(file));
        tar.mode(tar::HeaderMode::Deterministic);
        tar.append_path_with_name(folder.join(MANIFEST), MANIFEST)?;
        for file in &manifest.files {
            tar.append_path_with_name(folder.join(&file.path), &file.path)?;
        }
        tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    });
    packed.map_err(|e| failed(tar_file, "write", e))
}

/// Copies every file of the back-up into `folder`, each compared with the manifest. The folder is useless when this fails.
///
/// # Errors
/// `backup.damaged`: a file is missing, too many, or not what was written; `backup.failed`.
pub fn unpack(backup: &Path, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Manifest> {
    if backup.is_dir() {
        return unpack_folder(backup, folder, progress);
    }
    let file = File::open(backup).map_err(|e| failed(backup, "read", e))?;
    let mut tar = tar::Archive::new(io::BufReader::new(file));
    let mut entries = tar.entries().map_err(|e| failed(backup, "read", e))?;
    let not_tar = |e: io::Error| damaged(backup, "it cannot be read to its end").with_source(e);
    let missing = || damaged(backup, "it does not begin with its manifest");
    let mut first = entries.next().ok_or_else(missing)?.map_err(not_tar)?;
    if first.path().map_err(not_tar)? != Path::new(MANIFEST) {
        return Err(missing());
    }
    let mut text = Vec::new();
    first.by_ref().take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(not_tar)?;
    let manifest = Manifest::read(&text, backup)?;
    let (mut left, mut done) = (manifest.files.iter(), 0);
    for entry in entries {
        let mut entry = entry.map_err(not_tar)?;
        let path = entry.path().map_err(not_tar)?.to_string_lossy().into_owned();
        let Some(wanted) = left.next().filter(|wanted| wanted.path == path) else {
            return Err(damaged(backup, &format!("`{}` is not where it should be", path.escape_debug())));
        };
        compare(backup, wanted, &write(&mut entry, folder, &wanted.path)?)?;
        done += wanted.bytes;
        progress(done, manifest.bytes());
    }
    match left.next() {
        Some(missing) => Err(damaged(backup, &format!("`{}` is missing", missing.path))),
        None => Ok(manifest),
    }
}

fn unpack_folder(backup: &Path, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Manifest> {
    let text = fs::read(backup.join(MANIFEST))
        .map_err(|e| damaged(backup, &format!("it has no {MANIFEST}")).with_source(e))?;
    let manifest = Manifest::read(&text, backup)?;
    let there = files_below(backup, &|_| true)?;
    let known = |path: &String| path == MANIFEST || manifest.files.iter().any(|file| file.path == *path);
    if let Some(stranger) = there.iter().find(|path| !known(path)) {
        return Err(damaged(backup, &format!("its manifest does not know `{}`", stranger.escape_debug())));
    }
    let mut done = 0;
    for wanted in &manifest.files {
        if !there.contains(&wanted.path) {
            return Err(damaged(backup, &format!("`{}` is missing", wanted.path)));
        }
        compare(backup, wanted, &copy(&backup.join(&wanted.path), folder, &wanted.path)?)?;
        done += wanted.bytes;
        progress(done, manifest.bytes());
    }
    Ok(manifest)
}

fn compare(backup: &Path, wanted: &Entry, found: &Entry) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    Err(damaged(backup, &format!("`{}` is not what was written into it", wanted.path)))
}

/// The paths of all ordinary files below a folder that `wanted` takes, sorted. A link is followed where it stands in the
/// folder itself, for a part of it may lie on another disk, and passed over further down.
pub fn files_below(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inner) = folders.pop() {
        let at = folder.join(&inner);
        for entry in fs::read_dir(&at).map_err(|e| failed(&at, "read", e))? {
            let entry = entry.map_err(|e| failed(&at, "read", e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let full = folder.join(&path);
            let kind = if inner.is_empty() { fs::metadata(&full) } else { fs::symlink_metadata(&full) };
            // A file that went in between is nobody's any more.
            let Ok(kind) = kind else { continue };
            if !wanted(&path) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                all.push(path);
            }
        }
    }
    all.sort();
    Ok(all)
}
