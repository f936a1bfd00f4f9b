//! Open a payment.

use merx_contracts::ids::PaymentId;
use merx_kernel::Result;

use crate::{
    context::{Payments, load_payment, record},
    domain::{Command, Terms, decide},
};

impl Payments {
    /// Lets the buyer pay; asking again with the same terms changes nothing. Three statements.
    ///
    /// # Errors
    /// `payment.closed` when a close came first, `payment.id_reused` for other terms,
    /// `payment.amount_not_payable`.
    pub async fn open(&self, payment_id: PaymentId, terms: Terms) -> Result<()> {
        let (store, now) = (self.store(), self.now());
        self.db()
            .write("payment.open", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let events = decide(&loaded.state, Command::Open(terms.clone()))?;
                record(&store, tx, payment_id, loaded, &events, now)?;
                Ok(())
            })
            .await
    }
}
