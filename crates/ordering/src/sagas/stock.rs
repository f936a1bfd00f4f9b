//! The one way goods are taken back, by whichever saga.

use merx_contracts::{
    ids::{OrderId, ReturnId},
    inventory::v1 as inventory,
};
use merx_kernel::Result;
use merx_platform::{rpc::ask, saga::StepOutcome};

use super::until_done;
use crate::{context::Tools, store};

/// Takes back what of the order has not come back yet. Whether `fulfil-order` has sold the stock by now or not: it is
/// sold, and comes back.
pub(super) async fn take_back_all(
    tools: &Tools,
    order_id: OrderId,
    return_id: ReturnId,
    reason: String,
) -> Result<StepOutcome> {
    let store = tools.store.clone();
    let read = move |q: &mut merx_sql::Reader<'_>| store::load(&store, q, order_id);
    let order = tools.db.read("ordering.to_take_back", read).await?.state;
    let reservation_id = order.reservation_id(order_id).to_string();
    let sell = inventory::SellRequest { reservation_id: reservation_id.clone() };
    match ask(tools.asks.inventory().sell(sell).await) {
        Ok(_) => {}
        // The stock was let go long ago: there is nothing to take back.
        Err(error)
            if error.is("inventory.reservation_released") || error.is("inventory.reservation_unknown") =>
        {
            return Ok(StepOutcome::Done);
        }
        Err(error) => return until_done::<()>(Err(error)),
    }
    let return_id = return_id.to_string();
    let request = inventory::TakeBackRequest {
        return_id,
        reservation_id,
        lines: Vec::new(),
        reason,
        written_off: false,
    };
    until_done(ask(tools.asks.inventory().take_back(request).await))
}
