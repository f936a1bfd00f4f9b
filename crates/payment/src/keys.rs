//! Keys that change while the shop runs: their files are looked at every minute, and when an operator says so.

use std::time::Duration;

use merx_kernel::Result;
use merx_platform::Tasks;
use tokio_util::sync::CancellationToken;

use crate::{context::Payments, provider::KeysInUse};

/// How often the files are read.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl Payments {
    /// Reads the keys of providers again; `None` where no provider has any.
    ///
    /// # Errors
    /// `payment.keys_invalid` with each wrong value by its path: the keys of before stay in use.
    pub fn reload_keys(&self) -> Result<Option<KeysInUse>> {
        let Some(alipay) = &self.providers().alipay else { return Ok(None) };
        let in_use = alipay.reload_keys(self.now())?;
        if in_use.changed {
            let (key, until) = (&in_use.alipay_key, in_use.key_before_accepted_until);
            tracing::info!(alipay_key = key, before_until = ?until, "the keys of Alipay changed");
        }
        Ok(Some(in_use))
    }
}

/// Sets the watch going, where there is something to watch.
pub(crate) fn start(payments: &Payments, tasks: &Tasks) {
    if payments.providers().alipay.as_ref().is_some_and(|alipay| alipay.has_key_files()) {
        let own = payments.clone();
        drop(tasks.spawn_loop("payment.keys", move |stop| watch(own.clone(), stop)));
    }
}

async fn watch(payments: Payments, stop: CancellationToken) -> Result<()> {
    let mut told = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = payments.clock().sleep(LOOK_EVERY) => {}
        }
        // A file that is half written is whole a minute later: said once, and the keys of before stay.
        match payments.reload_keys() {
            Ok(_) => told = None,
            Err(error) if told.as_deref() == Some(error.chain().as_str()) => {}
            Err(error) => {
                tracing::error!(error = %error.chain(), fields = ?error.fields(), "the keys of Alipay cannot be read again");
                told = Some(error.chain());
            }
        }
    }
}
