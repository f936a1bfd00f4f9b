//! Objects as files of a folder of this machine.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use merx_kernel::{Error, Result};
use tokio::sync::Semaphore;

use super::{LIST_MAX, OBJECT_BYTES_MAX, ObjectKey, ObjectStore, check_size, unavailable};

/// Files being read or written at once; more wait.
const WORKERS_MAX: usize = 8;
/// Where files are written before they get their name. No key begins with a dot.
const UNFINISHED: &str = ".unfinished";

/// A folder of one process. Clones share it.
#[derive(Clone, Debug)]
pub struct FolderStore {
    root: Arc<Path>,
    workers: Arc<Semaphore>,
    written: Arc<AtomicU64>,
}

impl FolderStore {
    /// Opens the folder, makes it when it is missing, and removes what a killed process left unfinished.
    ///
    /// # Errors
    /// `objects.folder_unusable` naming it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root: PathBuf = root.into();
        let open = || -> io::Result<()> {
            let unfinished = root.join(UNFINISHED);
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)
        };
        open().map_err(|e| {
            let message =
                format!("The folder {} of pictures cannot be used: {e}. Set [objects] url.", root.display());
            Error::unavailable("objects.folder_unusable", message).with_source(e)
        })?;
        Ok(Self::beside(root))
    }

    /// The folder of a shop that another process may be running, for reading: touches nothing in it.
    pub fn beside(root: impl Into<PathBuf>) -> Self {
        let root: PathBuf = root.into();
        Self { root: root.into(), workers: Arc::new(Semaphore::new(WORKERS_MAX)), written: Arc::default() }
    }

    /// Runs `job` off the async threads.
    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.workers.clone().acquire_owned().await;
        let store = self.clone();
        let job = move || {
            let _place = place;
            job(&store)
        };
        let done = tokio::task::spawn_blocking(job).await;
        done.map_err(|e| Error::internal("a file worker died").with_source(e))?.map_err(unavailable)
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// The bytes are on the disk before the name is, and the name before this answers.
    fn write(&self, key: &ObjectKey, bytes: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.root.join(UNFINISHED).join(number.to_string());
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if !folder.is_dir() {
                fs::create_dir_all(folder)?;
                // Each folder made must be there after a crash too.
                for made in folder.ancestors().skip(1).take_while(|p| p.starts_with(&self.root)) {
                    File::open(made)?.sync_all()?;
                }
            }
            fs::rename(&unfinished, &path)?;
            File::open(folder)?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    fn read(&self, key: &ObjectKey) -> io::Result<Option<Bytes>> {
        let file = match File::open(self.path(key)) {
            Ok(file) => file,
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(OBJECT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(io::Error::other("the file is larger than an object may be"));
        }
        Ok(Some(bytes.into()))
    }

    fn remove(&self, key: &ObjectKey) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Ok(()) => Ok(()),
            Err(e) if is_missing(&e) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn keys(
        &self,
        prefix: &ObjectKey,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> io::Result<Vec<ObjectKey>> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.path(prefix)];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if is_missing(&e) => continue,
                Err(e) => return Err(e),
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
                // A file with another name is none of ours.
                let Some(key) = name.and_then(|n| ObjectKey::new(n).ok()) else { continue };
                if after.is_none_or(|after| key > *after) {
                    found.insert(key);
                }
                if found.len() > limit {
                    found.pop_last();
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put(&self, key: &ObjectKey, bytes: Bytes, _: &str) -> Result<()> {
        check_size(&bytes)?;
        let key = key.clone();
        self.work(move |store| store.write(&key, &bytes)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        let key = key.clone();
        self.work(move |store| store.read(&key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let key = key.clone();
        self.work(move |store| store.remove(&key)).await
    }

    async fn list(
        &self,
        prefix: &ObjectKey,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>> {
        let (prefix, after, limit) = (prefix.clone(), after.cloned(), limit.min(LIST_MAX));
        self.work(move |store| store.keys(&prefix, after.as_ref(), limit)).await
    }
}
