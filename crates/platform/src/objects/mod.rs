//! Objects: pictures and other bytes that are written once and read often, outside the database.
//!
//! Keys are chosen by what the bytes are (a hash), so an object never changes and a repeated `put` is harmless. What an
//! object is for, and its media type, is known by rows of the context that put it there; rows are written first, so that
//! a crash leaves a row without an object, or an object that a row knows of, and a sweep can tidy up.

pub mod contract;
mod folder;
mod memory;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use merx_kernel::{Error, ErrorKind, Result, Secret};
use serde::Deserialize;

pub use folder::FolderStore;
pub use memory::MemoryStore;

/// The largest object: bodies are held in memory.
pub const OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most keys of one [`ObjectStore::list`].
pub const LIST_MAX: usize = 1000;

/// The name of an object: parts of lower-case letters, digits, `.`, `_`, `-` that begin with a letter or digit, joined
/// by `/`. So it is a safe path in a folder, and needs no escaping in a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The longest key.
    pub const LENGTH_MAX: usize = 200;

    /// Checks the key.
    ///
    /// # Errors
    /// A sentence naming the rule.
    pub fn new(key: impl Into<String>) -> Result<Self, String> {
        let key = key.into();
        let part = |part: &str| {
            part.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
        };
        if key.len() <= Self::LENGTH_MAX && key.split('/').all(part) {
            Ok(Self(key))
        } else {
            Err("must be parts of lower-case letters, digits, `.`, `_` and `-`, joined by `/`".to_owned())
        }
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether the key lies in the folder `prefix`.
    pub fn is_in(&self, prefix: &Self) -> bool {
        self.0.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where objects are kept. Every backend passes [`contract::CASES`].
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Keeps an object; durable when it answers. Again under the same key replaces it whole: nobody ever reads a part.
    ///
    /// # Errors
    /// `Invalid` above [`OBJECT_BYTES_MAX`]; `objects.unavailable`.
    async fn put(&self, key: &ObjectKey, bytes: Bytes, content_type: &str) -> Result<()>;

    /// The object, or nothing.
    ///
    /// # Errors
    /// `objects.unavailable`; `Internal` for an object above [`OBJECT_BYTES_MAX`], which we did not put there.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>>;

    /// Removes the object; nothing happens when there is none.
    ///
    /// # Errors
    /// `objects.unavailable`.
    async fn delete(&self, key: &ObjectKey) -> Result<()>;

    /// At most `limit` (and [`LIST_MAX`]) keys in the folder `prefix`, in byte order, those after `after` only.
    ///
    /// # Errors
    /// `objects.unavailable`.
    async fn list(
        &self,
        prefix: &ObjectKey,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>>;
}

/// What every backend answers when it cannot do its work now.
pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("objects.unavailable", "The store of pictures cannot be reached; try again shortly.")
        .with_source(source)
}

/// Refuses what no backend takes.
///
/// # Errors
/// `Invalid` above [`OBJECT_BYTES_MAX`].
pub fn check_size(bytes: &Bytes) -> Result<()> {
    if bytes.len() <= OBJECT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid("", format!("an object has at most {OBJECT_BYTES_MAX} bytes")))
}

/// The part `[objects]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// `folder:PATH`, `s3://HOST[:PORT]/BUCKET[/PREFIX]` or `s3+http://…` (without TLS). Left out: the folder `objects`
    /// in the data folder.
    pub url: Option<String>,
    /// The region that requests to S3 are signed for.
    pub region: String,
    /// The S3 access key's id.
    pub access_key_id: Option<Secret<String>>,
    /// The S3 access key's secret.
    pub secret_access_key: Option<Secret<String>>,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self { url: None, region: "us-east-1".to_owned(), access_key_id: None, secret_access_key: None }
    }
}

/// What a configuration chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of a server that speaks S3.
    S3 {
        /// Scheme, host and port, without a slash at the end.
        endpoint: String,
        /// The bucket.
        bucket: String,
        /// What all keys begin with in the bucket, if anything.
        prefix: Option<ObjectKey>,
    },
}

impl ObjectsConfig {
    /// The folder below the data folder when nothing is configured.
    pub const FOLDER: &'static str = "objects";

    /// Where objects go; relative folders lie in `data_dir`.
    ///
    /// # Errors
    /// `config.invalid` naming the key.
    pub fn place(&self, data_dir: &Path) -> Result<ObjectsPlace> {
        let Some(url) = self.url.as_deref() else {
            return Ok(ObjectsPlace::Folder(data_dir.join(Self::FOLDER)));
        };
        if let Some(path) = url.strip_prefix("folder:").filter(|p| !p.is_empty()) {
            return Ok(ObjectsPlace::Folder(data_dir.join(path)));
        }
        let rest = url.strip_prefix("s3://").map(|r| ("https", r));
        let Some((scheme, rest)) = rest.or_else(|| url.strip_prefix("s3+http://").map(|r| ("http", r)))
        else {
            return Err(invalid("objects.url", "must begin with folder:, s3:// or s3+http://"));
        };
        let form = || invalid("objects.url", "must be s3://HOST[:PORT]/BUCKET[/PREFIX]");
        let mut parts = rest.trim_end_matches('/').splitn(3, '/');
        let host = parts.next().filter(|h| !h.is_empty() && is_host(h)).ok_or_else(form)?;
        // A bucket has 3 to 63 of the characters of a key.
        let bucket = parts.next().filter(|b| (3..=63).contains(&b.len()) && ObjectKey::new(*b).is_ok());
        let bucket = bucket.ok_or_else(form)?.to_owned();
        let prefix = parts.next().map(ObjectKey::new).transpose().map_err(|_| form())?;
        Ok(ObjectsPlace::S3 { endpoint: format!("{scheme}://{host}"), bucket, prefix })
    }

    /// Checks every value.
    ///
    /// # Errors
    /// `config.invalid` naming the key.
    pub fn check(&self) -> Result<()> {
        let place = self.place(Path::new("."))?;
        if let ObjectsPlace::S3 { .. } = place {
            for (name, key) in
                [("access_key_id", &self.access_key_id), ("secret_access_key", &self.secret_access_key)]
            {
                if key.as_ref().is_none_or(|k| k.expose().trim().is_empty()) {
                    return Err(invalid(&format!("objects.{name}"), "is needed for s3"));
                }
            }
            if self.region.is_empty() {
                return Err(invalid("objects.region", "must not be empty"));
            }
        }
        Ok(())
    }
}

fn is_host(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

fn invalid(key: &str, detail: &str) -> Error {
    Error::new(ErrorKind::Invalid, "config.invalid", "The configuration is not valid.")
        .with_field(key, detail)
}
