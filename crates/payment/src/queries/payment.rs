//! One payment, its refunds and its codes.

use merx_contracts::ids::{AccountId, AttemptId, PaymentId, RefundId};
use merx_kernel::{Error, Result, Timestamp};
use qrcode::{QrCode, render::svg};

use super::{PaymentView, Reader, RefundSummary, history::History};
use crate::{
    context::{Payments, stream},
    domain::{Rejection, Status},
};

/// The least width and height of a drawn code, in pixels.
const QR_PIXELS_MIN: u32 = 256;

impl Payments {
    /// A payment of the reader's, as it is or as it was at a moment.
    ///
    /// # Errors
    /// `payment.not_found`, the same for one that is another's and for one that was not there yet.
    pub async fn view(
        &self,
        reader: Reader,
        payment_id: PaymentId,
        as_of: Option<Timestamp>,
    ) -> Result<PaymentView> {
        let history = self.history(reader, payment_id, as_of).await?;
        history.view(payment_id).ok_or_else(|| Rejection::PaymentUnknown.into())
    }

    /// A refund of a payment of the reader's.
    ///
    /// # Errors
    /// `payment.not_found` as [`Self::view`]; `payment.refund_unknown`.
    pub async fn refund_view(
        &self,
        reader: Reader,
        payment_id: PaymentId,
        refund_id: RefundId,
    ) -> Result<RefundSummary> {
        let history = self.history(reader, payment_id, None).await?;
        history.refund(refund_id).ok_or_else(|| Rejection::RefundUnknown.into())
    }

    /// The QR code of an attempt, drawn.
    ///
    /// # Errors
    /// `payment.not_found` as [`Self::view`]; `payment.qr_unavailable` where the attempt has none, or it cannot be
    /// paid any more.
    pub async fn qr_svg(
        &self,
        buyer: AccountId,
        payment_id: PaymentId,
        attempt_id: AttemptId,
    ) -> Result<String> {
        let payment = self.history(Reader::Buyer(buyer), payment_id, None).await?.payment;
        let payable = matches!(payment.status, Status::Open | Status::Closing);
        let open = payment
            .open_attempt()
            .filter(|(id, attempt)| payable && *id == attempt_id && self.now() < attempt.expires_at);
        let text = open.and_then(|(_, attempt)| attempt.qr_code.as_ref()).ok_or(Rejection::QrUnavailable)?;
        let code = QrCode::new(text)
            .map_err(|e| Error::internal("the text of a QR code does not fit one").with_source(e))?;
        Ok(code.render::<svg::Color<'_>>().min_dimensions(QR_PIXELS_MIN, QR_PIXELS_MIN).build())
    }

    async fn history(
        &self,
        reader: Reader,
        payment_id: PaymentId,
        until: Option<Timestamp>,
    ) -> Result<History> {
        let log = self.store().events;
        let events = self.db().read("payment.view", move |q| log.load(q, stream(payment_id))).await?;
        let history = History::of(&events, until)?;
        reader.check(history.buyer().ok_or(Rejection::PaymentUnknown)?)?;
        Ok(history)
    }
}
