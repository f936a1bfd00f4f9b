//! The list of erased people, applied again to a restored shop.

use std::path::Path;

use merx_accounts::{ErasureLog, commands::erase_person::reapply_erasures};
use merx_kernel::{Error, Result};

use crate::{
    config::Config,
    files,
    instance::{self, Mode},
};

/// Erases again whoever was erased, in the shop that is being restored. Its back-up brought the list as it was then; `later`
/// is the list that was kept beside the shop that was lost, and knows of people erased since. Answers how many it was.
pub async fn apply_again(config: &Config, later: Option<&Path>) -> Result<u64> {
    let list = config.data_dir.join(files::ERASURES);
    if let Some(later) = later {
        // One that is not there would be read as empty, and let everybody in it come back.
        if !later.is_file() {
            let text = format!("{} is no file; --erasures names the list of erased people.", later.display());
            return Err(Error::invalid("--erasures", text));
        }
        ErasureLog::new(&list).append(&ErasureLog::new(later).read()?)?;
    }
    let shop = instance::open(config, Mode::ReadWrite)?;
    shop.migrate().await?;
    let again = reapply_erasures(&shop.deps.db, &shop.deps.ids, &list).await?;
    shop.deps.db.close().await;
    Ok(again)
}
