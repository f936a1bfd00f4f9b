//! Money went back: perhaps that of a case.

use merx_contracts::events::payment::PaymentRefunded;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{AfterSale, domain::Command, store::cases};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let PaymentRefunded { refund_id, .. } = delivery.fact()?;
    // The refunds of a case are written before payment is asked for them.
    let found = own.state.db.read("aftersale.refund", move |q| cases::of_refund(q, refund_id)).await?;
    let Some((order_id, case_id)) = found else { return Ok(()) };
    let command = Command::RecordRefund { refund_id };
    change(&own, "aftersale.payment_refunded", delivery, order_id, vec![case_id], command).await.map(drop)
}
