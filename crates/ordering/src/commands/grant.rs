//! After-sale is granted money of an order, or the right to send goods of it again. It is decided in the order's stream,
//! where a cancellation is decided too: no money goes back twice, and nothing is sent for an order that has ended.

use merx_contracts::{
    ids::{AfterSaleId, OrderId},
    ordering::v1::GrantedRefund,
};
use merx_kernel::{Money, Result};

use crate::{
    cause::CausedBy,
    context::Tools,
    domain::{Command, Order},
    store,
};

/// Sets `amount` aside for a case; answers the refunds to ask payment for. Again, it answers the same.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_paid`, `ordering.order_ended`, `ordering.refund_above_paid`;
/// `ordering.refund_differs` when another amount was granted to the case.
pub async fn refund(
    tools: &Tools,
    order_id: OrderId,
    case_id: AfterSaleId,
    amount: Money,
) -> Result<Vec<GrantedRefund>> {
    let order = change(tools, "ordering.grant_refund", order_id, Command::GrantRefund { case_id, amount });
    let order = order.await?;
    let wire = order.granted(case_id).map(|(refund_id, part)| GrantedRefund {
        refund_id: refund_id.to_string(),
        attempt_id: part.attempt_id.to_string(),
        amount: Some(part.amount.into()),
    });
    Ok(wire.collect())
}

/// Lets the order know that goods of it are replaced. Again, nothing more happens.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_paid`, `ordering.order_ended`.
pub async fn replacement(tools: &Tools, order_id: OrderId, case_id: AfterSaleId) -> Result<()> {
    let command = Command::GrantReplacement(case_id);
    change(tools, "ordering.grant_replacement", order_id, command).await.map(drop)
}

async fn change(tools: &Tools, label: &'static str, order_id: OrderId, command: Command) -> Result<Order> {
    let (store, cause) = (tools.store.clone(), tools.cause(order_id, CausedBy::ask("aftersale")));
    tools
        .db
        .write(label, move |tx| {
            let loaded = store::load(&store, tx, order_id)?;
            Ok(store::change(&store, tx, loaded, &command, &cause)?.order)
        })
        .await
}
