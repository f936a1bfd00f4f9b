//! Record that the provider has the buyer's money, however we came to know it.

use merx_contracts::{
    Envelope,
    events::payment::PaymentCaptured,
    ids::{AttemptId, PaymentId},
};
use merx_kernel::{Guard, Money, Result};

use crate::{
    context::{Cause, Payments, load_payment, record},
    domain::{Command, Payment, PaymentEvent, ProviderName, Rejection, decide},
    store::{self, NotificationRow},
};

/// Money of which the provider spoke: in a notification whose signature was verified, or in answer to a query.
#[derive(Clone, Debug)]
pub struct Report {
    /// For which attempt.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// Who spoke.
    pub provider: ProviderName,
    /// The provider's own number.
    pub provider_trade_no: String,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    /// It is recorded, by this call.
    Now,
    /// It was recorded before.
    Before,
    /// It contradicts what we know; an alert was raised and nothing recorded.
    Refused(Rejection),
}

impl Payments {
    /// Records a capture, once: the notification, the event, the projection and the fact are one transaction of six
    /// statements. `by` is the entry of the timeline that told of it.
    ///
    /// # Errors
    /// What the database answers; until then nothing is durable.
    pub async fn capture(
        &self,
        payment_id: PaymentId,
        report: Report,
        notification: Option<NotificationRow>,
        by: Option<String>,
    ) -> Result<Captured> {
        let (store, cause) = (self.store(), self.telling().after(by));
        let odd = self.odd_money(payment_id, report.clone());
        let committed = self
            .db()
            .write("payment.capture", move |tx| {
                let loaded = load_payment(&store, tx, payment_id)?;
                let command = Command::Capture {
                    attempt_id: report.attempt_id,
                    amount: report.amount,
                    provider_trade_no: report.provider_trade_no.clone(),
                };
                let events = match decide(&loaded.state, command) {
                    Ok(events) => events,
                    Err(rejection) => return Ok((Captured::Refused(rejection), odd.refuse(tx)?)),
                };
                let first = match &notification {
                    Some(row) => {
                        store::record_notification(tx, row, cause.at)?.is_new() || !Guard::CaptureOnce.on()
                    }
                    None => true,
                };
                if events.is_empty() {
                    return Ok((Captured::Before, None));
                }
                if !first {
                    // Either the same notification won the race meanwhile: then the stream has moved on and this
                    // is run again. Or the provider named this trade before, for another attempt.
                    if load_payment(&store, tx, payment_id)?.version != loaded.version {
                        return Err(merx_sql::contention("the notification is being taken in by another"));
                    }
                    return Ok((Captured::Refused(Rejection::TradeDiffers), odd.refuse(tx)?));
                }
                let payment = record(&store, tx, payment_id, loaded, &events, &cause)?;
                store.outbox.publish(tx, &facts(payment_id, &payment, &events, &cause)?)?;
                let alerted = match payment.captures.last() {
                    Some(capture) => odd.keep(tx, capture)?,
                    None => None,
                };
                Ok((Captured::Now, alerted))
            })
            .await?;
        let (captured, alerted) = committed;
        if let Some(kind) = alerted {
            self.announce(kind, Some(payment_id), true);
        }
        Ok(captured)
    }
}

/// What the others may know of it. Money that is late or comes a second time is not owed: both are `late` to them.
/// Money in time that is less or more than was asked is told with its amount, and not `late`.
pub(super) fn facts(
    payment_id: PaymentId,
    payment: &Payment,
    events: &[PaymentEvent],
    cause: &Cause,
) -> Result<Vec<Envelope>> {
    let message = cause.message()?;
    let terms = payment.terms.as_ref().ok_or(Rejection::PaymentUnknown)?;
    let captures = events.iter().filter_map(|event| match event {
        PaymentEvent::PaymentCaptured {
            attempt_id,
            amount,
            provider,
            provider_trade_no,
            late,
            duplicate,
        } => Some(PaymentCaptured {
            payment_id,
            order_id: terms.order_id,
            attempt_id: *attempt_id,
            amount: *amount,
            provider: provider.as_str().to_owned(),
            provider_trade_no: provider_trade_no.clone(),
            late: *late || *duplicate,
        }),
        _ => None,
    });
    captures.map(|fact| Envelope::new(message, cause.at, cause.traceparent.clone(), &fact)).collect()
}
