//! Money went back.

use merx_contracts::{Fact, events::payment::PaymentRefunded};
use merx_platform::{Delivery, Subscription};

use crate::{context::Ordering, domain::Command};

/// The subscription.
pub fn subscription(ordering: Ordering) -> Subscription {
    let store = ordering.tools.store.clone();
    Subscription::new(
        "ordering.payment_refunded",
        store,
        &[PaymentRefunded::TYPE],
        move |delivery: Delivery| {
            let ordering = ordering.clone();
            async move {
                let fact: PaymentRefunded = delivery.fact()?;
                let command = Command::RecordRefund { refund_id: fact.refund_id, amount: fact.amount };
                super::record(&ordering, "ordering.payment_refunded", delivery, fact.order_id, command).await
            }
        },
    )
}
