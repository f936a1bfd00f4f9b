//! Open a payment.

use std::sync::atomic::{AtomicBool, Ordering};

use merx_contracts::ids::PaymentId;
use merx_kernel::Result;
use merx_platform::Loaded;

use crate::{
    context::{Payments, load_payment, record},
    domain::{Command, Payment, Terms, decide},
};

impl Payments {
    /// Lets the buyer pay; asking again with the same terms changes nothing. Two statements.
    ///
    /// # Errors
    /// `payment.closed` when a close came first, `payment.id_reused` for other terms,
    /// `payment.amount_not_payable`.
    pub async fn open(&self, payment_id: PaymentId, terms: Terms) -> Result<()> {
        let (store, cause) = (self.store(), self.cause());
        let tried = AtomicBool::new(false);
        let fresh = || Loaded { state: Payment::default(), version: 0 };
        self.db()
            .write("payment.open", move |tx| {
                // Nearly every payment is new, and is not looked for: where there is one after all, the append at
                // version 0 fails and the closure is run again.
                let first_try = !tried.swap(true, Ordering::Relaxed);
                let loaded = if first_try { fresh() } else { load_payment(&store, tx, payment_id)? };
                let events = decide(&loaded.state, Command::Open(terms.clone()))?;
                record(&store, tx, payment_id, loaded, &events, &cause)?;
                Ok(())
            })
            .await
    }
}
