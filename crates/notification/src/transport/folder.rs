//! Mails as files of a folder, for the mail viewer of a shop that is being tried out.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use merx_contracts::ids::MailId;
use merx_kernel::{Error, Result as Outcomes};
use tokio::{fs, io::AsyncWriteExt as _};

use super::{Letter, MailTransport};
use crate::domain::Outcome;

/// How many mails are kept; the oldest go.
pub const KEPT_MAX: usize = 1_000;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A folder of mails: `<unix milliseconds>-<mail>.json` each, so that names sort by time.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A mail in the folder.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name there; sorts by time.
    pub id: String,
    /// The mail.
    pub letter: Letter,
}

/// Whether a name is one of ours: anything else is never opened.
fn is_id(id: &str) -> bool {
    id.len() <= 80 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Folder {
    /// The folder at `path`, made when the first mail comes.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn file(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    /// The names of all mails, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn ids(&self) -> io::Result<Vec<String>> {
        let mut entries = match fs::read_dir(&self.0).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let id = name.to_str().and_then(|n| n.strip_suffix(".json")).filter(|id| is_id(id));
            ids.extend(id.map(str::to_owned));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// One mail; `None` when there is none of this name or it cannot be read.
    pub async fn read(&self, id: &str) -> Option<Kept> {
        if !is_id(id) {
            return None;
        }
        let file = self.file(id);
        if fs::metadata(&file).await.ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        let letter = serde_json::from_slice(&fs::read(&file).await.ok()?).ok()?;
        Some(Kept { id: id.to_owned(), letter })
    }

    /// Keeps a mail: written beside and renamed, so that it is there whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub async fn keep(&self, letter: &Letter) -> io::Result<()> {
        make_private(&self.0).await?;
        let text = serde_json::to_vec_pretty(letter).map_err(io::Error::other)?;
        let stem = format!("{:013}-{}", letter.at.as_millis(), in_a_name(&letter.mail));
        let mut id = stem.clone();
        let mut copy = 1;
        while fs::try_exists(self.file(&id)).await? {
            copy += 1;
            id = format!("{stem}-{copy}");
        }
        let beside = self.0.join(format!("{id}.new"));
        write_private(&beside, &text).await?;
        fs::rename(&beside, self.file(&id)).await?;
        for old in self.ids().await?.iter().skip(KEPT_MAX) {
            // Somebody else may have removed it.
            drop(fs::remove_file(self.file(old)).await);
        }
        Ok(())
    }
}

/// A mail's id as it stands in the name of its file.
fn in_a_name(mail: &str) -> String {
    mail.replace('_', "-")
}

/// Whose file it is: `<unix milliseconds>-mal-<symbols>`, with `-2` and so on behind it for a copy.
fn mail_of(id: &str) -> Option<String> {
    let (_, rest) = id.split_once('-')?;
    let (kind, rest) = rest.split_once('-')?;
    Some(format!("{kind}-{}", rest.split('-').next()?))
}

/// Makes the folder, for its owner only: it holds addresses and codes.
async fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).await
}

/// Writes a file for its owner only, whoever may look into the folder.
async fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(path).await?;
    file.write_all(text).await?;
    file.flush().await
}

#[async_trait]
impl MailTransport for Folder {
    async fn send(&self, letter: &Letter) -> Outcome {
        if let Err(why) = letter.message() {
            return Outcome::Permanent(why.to_owned());
        }
        match self.keep(letter).await {
            Ok(()) => Outcome::Accepted,
            Err(error) => {
                tracing::warn!(%error, "a mail could not be written into its folder");
                Outcome::Transient("folder".to_owned())
            }
        }
    }

    async fn forget(&self, mails: &[MailId]) -> Outcomes<()> {
        let gone: BTreeSet<String> = mails.iter().map(|mail| in_a_name(&mail.to_string())).collect();
        let unusable = |e: io::Error| {
            let message = "The mails of an erased person cannot be removed from their folder.";
            Error::unavailable("notification.folder_unusable", message).with_source(e)
        };
        let ids = self.ids().await.map_err(unusable)?;
        for id in ids.iter().filter(|id| mail_of(id).is_some_and(|mail| gone.contains(&mail))) {
            match fs::remove_file(self.file(id)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
                _ => {}
            }
        }
        Ok(())
    }
}
