//! Let money that lay with us as nobody's pay the order after all.

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Money, Result};

use crate::{
    context::{Payments, load_payment, record},
    domain::{Command, decide},
    store::{alerts::Resolved, quarantine},
};

impl Payments {
    /// Books a deposit as paying the order; asking again changes nothing. It is told to nobody: who asks knows it.
    ///
    /// # Errors
    /// `payment.not_found`, `payment.not_a_deposit`.
    pub async fn accept_deposit(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        amount: Money,
    ) -> Result<()> {
        let (store, cause) = (self.store(), self.cause());
        self.db()
            .write("payment.accept_deposit", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let events = decide(&loaded.state, Command::AcceptDeposit { attempt_id, amount })?;
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                // Of money that pays as a whole nothing is left to decide; of the rest its refund has the last word.
                if payment.capture_of(attempt_id).is_some_and(|capture| capture.amount == amount) {
                    let settled = Resolved { at: cause.at, by: None, reason: "pays its order".to_owned() };
                    quarantine::settle(tx, payment_id, attempt_id, &settled)?;
                }
                Ok(())
            })
            .await
    }
}
