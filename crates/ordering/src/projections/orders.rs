//! `ordering_orders`, `ordering_lines` and `ordering_shipments`: the order as buyers and staff see it.

use merx_contracts::ids::OrderId;
use merx_kernel::Result;
use merx_platform::{DomainEvent as _, Projection, projection::rebuild};
use merx_sql::{RecordedEvent, Tx};

use crate::{
    cause::Traced,
    context::Tools,
    domain::Event,
    record::Record,
    store::{
        self,
        rows::{self, Clash},
    },
};

const NAME: &str = "ordering.orders";
/// Raised with every change of what the rows show of the same events: 1 brought numbers, statuses and shipments,
/// 2 what was refunded.
const SHAPE: i64 = 2;

/// The projection, for rebuilding and for the auditor. The writing side knows the record before the event and writes
/// the rows directly.
pub fn projection() -> Projection {
    let tables = &["ordering_orders", "ordering_lines", "ordering_shipments"];
    Projection { name: NAME, tables, apply }
}

/// A rebuild knows only the event; what was before it is in the rows.
fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let event = Traced::decode(&recorded.name, recorded.schema, &recorded.body)?.event;
    let order_id: OrderId = recorded.stream.id();
    let before = match event {
        Event::OrderPlaced(_) => None,
        _ => rows::read(tx, order_id)?,
    };
    let (version, at) = (recorded.version, recorded.recorded_at);
    let after = Record::after(before.clone(), order_id, &event, version, at)?;
    rows::write(tx, before.as_ref(), &after, Clash::LeftOut)
}

/// Builds the rows anew when an older program wrote them: they know less than their events. To be awaited before the
/// first request is served.
///
/// # Errors
/// `projection.unsequenced` when events wait too long for their positions; what the database answers.
pub async fn bring_up_to_date(tools: &Tools) -> Result<()> {
    let shape = tools.db.read("ordering.shape", |q| store::shape(q, NAME)).await?;
    if shape >= SHAPE {
        return Ok(());
    }
    let events = rebuild(&tools.db, &tools.store, projection()).await?;
    if events > 0 {
        tracing::info!(projection = NAME, events, "rows of an older program were built anew");
    }
    tools.db.write("ordering.shape", |tx| store::set_shape(tx, NAME, SHAPE)).await
}
