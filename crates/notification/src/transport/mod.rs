//! How a mail leaves: through a mail server, into the folder of the mail viewer, or into memory.

mod folder;
mod letter;
mod memory;
mod smtp;

use std::sync::Arc;

use async_trait::async_trait;
use merx_contracts::ids::MailId;
use merx_kernel::{Error, Result};

pub use folder::{Folder, Kept};
pub use letter::Letter;
pub use memory::MemoryMailbox;
pub use smtp::Smtp;

use crate::{
    config::{MailConfig, MailTarget},
    domain::Outcome,
};

/// Sends one mail, once.
#[async_trait]
pub trait MailTransport: Send + Sync + 'static {
    /// Hands the mail over. A reason never holds personal data: it is kept.
    async fn send(&self, letter: &Letter) -> Outcome;

    /// Removes what it keeps of these mails: their person was erased. Most keep nothing.
    ///
    /// # Errors
    /// It cannot be removed at the moment.
    async fn forget(&self, _mails: &[MailId]) -> Result<()> {
        Ok(())
    }
}

/// The transport of the configuration; `None` when mails go nowhere.
///
/// # Errors
/// `Invalid` for a wrong value; `Internal` when TLS cannot be set up.
pub fn of_config(config: &MailConfig) -> Result<Option<Arc<dyn MailTransport>>> {
    let wrong = |key: &'static str| move |e: String| Error::invalid(key, e);
    Ok(match config.target().map_err(wrong("mail.url"))? {
        None => None,
        Some(MailTarget::Folder(path)) => Some(Arc::new(Folder::new(path))),
        Some(MailTarget::Smtp { host, port, tls }) => Some(Arc::new(Smtp::new(config, &host, port, tls)?)),
    })
}
