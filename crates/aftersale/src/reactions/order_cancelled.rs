//! An order was cancelled, and its money goes back with that: its open cases end.

use merx_contracts::events::ordering::OrderCancelledV2;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{AfterSale, domain::Command, store::cases};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let OrderCancelledV2 { order_id, paid, .. } = delivery.fact()?;
    // It may have been revived and have cases since.
    if !paid {
        return Ok(());
    }
    let read = move |q: &mut merx_sql::Reader<'_>| cases::of_order(q, order_id);
    let mut found = own.state.db.read("aftersale.open_cases", read).await?;
    found.retain(|case| !case.status.is_ended());
    if found.is_empty() {
        return Ok(());
    }
    let open = found.into_iter().map(|case| case.case_id).collect();
    change(&own, "aftersale.order_cancelled", delivery, order_id, open, Command::Cancel).await.map(drop)
}
