//! Have the QR code of an attempt made. The attempt is durable before the provider is called, and its code before
//! anybody is given it.

use merx_contracts::ids::{AttemptId, PaymentId};
use merx_kernel::{Result, Timestamp};
use serde_json::json;

use super::settle_attempt::Settled;
use crate::{
    context::{Payments, load_payment, record},
    domain::{AttemptEnd, Command, Method, Payment, Rejection, decide},
    provider::{CallBook, Prepared},
    store,
};

/// How often one request asks for a code. The next request of the buyer asks again.
const TRIES_MAX: usize = 2;

/// The alert of a way to pay that the provider does not let us use: a contract that was not signed, a key, a defect.
const REFUSED: &str = "payment_method_refused";

const DAY_SECS: i64 = 24 * 3_600;

impl Payments {
    /// The payment with the code of its attempt; nothing happens where it needs none or has it. Making a code makes no
    /// trade, so a call in doubt is made again once the query has said that nobody paid.
    ///
    /// # Errors
    /// `payment.provider_unavailable`: ask again, it is the same attempt; `payment.method_refused`;
    /// `payment.attempt_ended` and `payment.already_captured` where that became known meanwhile.
    pub(crate) async fn prepared(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        payment: Payment,
    ) -> Result<Payment> {
        let attempt = payment.attempts.get(&attempt_id).ok_or(Rejection::AttemptUnknown)?;
        if attempt.method != Method::AlipayQr || attempt.qr_code.is_some() {
            return Ok(payment);
        }
        let book = self.book();
        let prepared = self.prepare(payment_id, attempt_id, &payment, &book).await;
        self.keep_calls(payment_id, &book).await?;
        prepared
    }

    async fn prepare(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        payment: &Payment,
        book: &CallBook,
    ) -> Result<Payment> {
        let order = self.pay_order(payment, attempt_id)?;
        let provider = self.provider_of(order.method.provider())?;
        let mut doubt = None;
        for _ in 0..TRIES_MAX {
            match provider.precreate(&order, book).await {
                Ok(Prepared::Code(qr_code)) => {
                    return self.keep_code(payment_id, attempt_id, qr_code, book).await;
                }
                Ok(Prepared::Refused { code }) => {
                    return Err(self.refused(payment_id, attempt_id, code, book).await?.into());
                }
                Ok(Prepared::Begun) => {}
                Err(why) if why.kind().is_retryable() => doubt = Some(why),
                Err(wrong) => return Err(wrong),
            }
            match self.settle_attempt(payment_id, attempt_id, false, book).await? {
                Settled::Captured => return Err(Rejection::AlreadyCaptured.into()),
                Settled::Ended => return Err(Rejection::AttemptEnded.into()),
                Settled::Absent | Settled::Open => {}
            }
        }
        Err(doubt.unwrap_or_else(|| Rejection::AttemptEnded.into()))
    }

    async fn keep_code(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        qr_code: String,
        book: &CallBook,
    ) -> Result<Payment> {
        let by = book.latest().map(|call| call.to_string());
        let (store, cause, calls) = (self.store(), self.cause().after(by), book.take());
        self.db()
            .write("payment.prepare_attempt", move |tx| {
                store::calls::record(tx, payment_id, &calls)?;
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::PrepareAttempt { attempt_id, qr_code: qr_code.clone() };
                let events = decide(&loaded.state, command)?;
                record(&store, tx, payment_id, loaded, &events, &cause)
            })
            .await
    }

    /// No code was made and none will be: the attempt ends, and somebody of the shop must look why.
    async fn refused(
        &self,
        payment_id: PaymentId,
        attempt_id: AttemptId,
        code: String,
        book: &CallBook,
    ) -> Result<Rejection> {
        let by = book.latest().map(|call| call.to_string());
        self.end_attempt(payment_id, attempt_id, AttemptEnd::NotOffered, by).await?;
        // Once a day: what was resolved may go wrong again, and each buyer need not tell of it.
        let today = Timestamp::from_millis(self.now().as_secs().div_euclid(DAY_SECS) * DAY_SECS * 1_000);
        let detail = json!({ "method": Method::AlipayQr, "code": code, "day": today });
        self.raise(self.alert(REFUSED, None, detail)).await?;
        Ok(Rejection::MethodRefused)
    }
}
