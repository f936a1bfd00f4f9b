//! The time of a case's next step has passed.

use merx_contracts::ids::AfterSaleId;
use merx_kernel::Result;
use merx_platform::{DueTimer, TimerHandler};

use crate::{
    AfterSale,
    domain::Command,
    store::{self, Act, cases},
};

/// The timer's kind; its key is the case.
pub const KIND: &str = "case_deadline";

/// The handler.
pub fn handler(own: &AfterSale) -> TimerHandler {
    let own = own.clone();
    TimerHandler::new(KIND, move |timer| fire(own.clone(), timer))
}

async fn fire(own: AfterSale, timer: DueTimer) -> Result<()> {
    let case_id = AfterSaleId::from_bits(timer.key());
    let row = own.state.db.read("aftersale.due_case", move |q| cases::one(q, case_id)).await?;
    let order_id = row.map(|row| row.order_id);
    let (store, db) = (own.state.store.clone(), own.state.db.clone());
    let Some(order_id) = order_id else {
        return db.write("aftersale.deadline", move |tx| timer.fired(tx).map(drop)).await;
    };
    let act = Act::now(&own.state, order_id, case_id)?;
    let write = move |tx: &mut merx_sql::Tx<'_>| {
        if !timer.fired(tx)? {
            return Ok(false);
        }
        Ok(store::change(tx, &store, &act, &Command::Deadline)?.escalated)
    };
    if db.write("aftersale.deadline", write).await? {
        own.state.metrics.alert("aftersale_deadline_missed");
        tracing::warn!(%order_id, %case_id, "an after-sale case is late; see GET /v1/admin/after-sales?escalated=true");
    }
    Ok(())
}
