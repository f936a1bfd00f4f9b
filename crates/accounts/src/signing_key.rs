//! The key access tokens are signed with: 32 random bytes in a file of the data folder, made when there is none.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_kernel::{Entropy, Error, ErrorKind, Result, Secret};

const BYTES: usize = 32;

/// Reads the key, or makes a fresh one, readable by the owner of the file only. With another key every access
/// token made before is refused; clients get new ones by refreshing.
///
/// # Errors
/// `accounts.signing_key_unusable` naming the file and what to do.
pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Secret<Vec<u8>>> {
    let unusable = |what: &str| {
        let message = format!(
            "The signing key {} {what}. Mend the access to it, or move it away: a fresh one is made, and clients \
             refresh their tokens.",
            path.display()
        );
        Error::new(ErrorKind::Invalid, "accounts.signing_key_unusable", message)
    };
    match fs::read_to_string(path) {
        Ok(text) => match BASE64.decode(text.trim()) {
            Ok(key) if key.len() == BYTES => Ok(Secret::new(key)),
            _ => Err(unusable("does not hold 32 bytes in base64url")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = vec![0u8; BYTES];
            entropy.fill(&mut key);
            write(path, &BASE64.encode(&key)).map_err(|e| unusable("cannot be written").with_source(e))?;
            Ok(Secret::new(key))
        }
        Err(error) => Err(unusable("cannot be read").with_source(error)),
    }
}

/// Whole or not at all, and there to stay, also when the power fails: written beside and renamed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
