//! Money went back.

use merx_contracts::events::payment::PaymentRefunded;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{context::Ordering, domain::Command};

pub(super) async fn handle(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    let fact: PaymentRefunded = delivery.fact()?;
    let command = Command::RecordRefund { refund_id: fact.refund_id, amount: fact.amount };
    let label = "ordering.payment_refunded";
    change(ordering, label, delivery, fact.order_id, command, |_, _, _| Ok(())).await.map(drop)
}
