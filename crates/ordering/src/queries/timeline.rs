//! What happened to an order, in order. Only ordering's own events; other contexts answer for theirs.

use merx_contracts::ids::OrderId;
use merx_kernel::{Result, Timestamp};
use merx_platform::{DomainEvent as _, Store};
use merx_sql::Db;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::orders::Reader;
use crate::{
    domain::{Event, Rejection},
    store::Traced,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// Whose event it is, `ordering`.
    pub context: String,
    /// What happened, `OrderPlaced`.
    pub event: String,
    /// The order's version after it.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// The trace of the request or message that made it happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// The events of an order, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The entries.
    pub items: Vec<TimelineEntry>,
}

/// Reads the timeline.
///
/// # Errors
/// `ordering.order_not_found` when there is no such order for this reader.
pub async fn timeline(db: &Db, store: Store, order_id: OrderId, reader: Reader) -> Result<Timeline> {
    let recorded = db.read("ordering.timeline", move |q| store.events.load(q, order_id)).await?;
    let mut items = Vec::with_capacity(recorded.len());
    for event in recorded {
        let traced = Traced::decode(&event.name, event.schema, &event.body)?;
        if let Event::OrderPlaced(terms) = &traced.event {
            reader.check(terms.account_id)?;
        }
        items.push(TimelineEntry {
            context: crate::store::CONTEXT.to_owned(),
            event: event.name,
            version: event.version,
            at: event.recorded_at,
            trace_id: traced.trace_id,
        });
    }
    if items.is_empty() {
        return Err(Rejection::OrderUnknown.into());
    }
    Ok(Timeline { items })
}
