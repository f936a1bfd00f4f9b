//! An after-sale case moved: so does the order's after-sale axis.

use merx_contracts::events::aftersale::CaseMoved;
use merx_kernel::Result;
use merx_platform::Delivery;

use super::change;
use crate::{
    context::Ordering,
    domain::{AfterSaleAxis, Axis as _, Command, event::AfterSaleMoved},
};

pub(super) async fn handle(ordering: Ordering, delivery: Delivery) -> Result<()> {
    let CaseMoved { case_id, order_id, kind, status, standing, .. } = delivery.fact()?;
    let standing = AfterSaleAxis::from_name(&standing)?;
    let command = Command::RecordAfterSale(AfterSaleMoved { case_id, kind, status, standing });
    let label = "ordering.after_sale_moved";
    change(&ordering, label, delivery, order_id, command, |_, _, _| Ok(())).await.map(drop)
}
