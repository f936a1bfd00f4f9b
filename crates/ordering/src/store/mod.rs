//! Every SQL text of ordering, and the one way an order is read and changed: load, decide, append, project, tell.

pub mod limits;
pub(crate) mod notes;
pub(crate) mod rows;
pub mod search;

use merx_contracts::ids::{CartId, OrderId};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{DomainEvent as _, Store};
use merx_sql::{Migration, NewEvent, Query, Tx, params};

use crate::{
    cause::{Cause, Traced},
    domain::{Command, Event, Order, OrderPlaced, decide},
    publish,
    record::Record,
};

/// The context's name and the prefix of its tables.
pub const CONTEXT: &str = "ordering";

/// The tables of ordering itself; the platform's come before.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::same(100, "orders", include_str!("../../migrations/100_orders.sql")),
        Migration::same(101, "whole life", include_str!("../../migrations/101_whole_life.sql")),
        Migration::same(102, "returns", include_str!("../../migrations/102_returns.sql")),
        Migration::same(103, "revivals", include_str!("../../migrations/103_revivals.sql")),
    ]
}

const ACCEPT_QUOTE: &str =
    "INSERT INTO ordering_accepted_quotes (cart_id, quote_id, order_id) VALUES (?, ?, ?)";
const FREE_QUOTE: &str =
    "DELETE FROM ordering_accepted_quotes WHERE cart_id = ? AND quote_id = ? AND order_id = ?";
const SHAPE: &str = "SELECT shape FROM ordering_shapes WHERE projection = ?";
const INSERT_SHAPE: &str = "INSERT INTO ordering_shapes (projection, shape) VALUES (?, ?)";
const UPDATE_SHAPE: &str = "UPDATE ordering_shapes SET shape = ? WHERE projection = ?";

/// An order as its events made it; the default is one that does not exist.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The state.
    pub state: Order,
    /// How many events made it.
    pub version: i64,
    record: Option<Record>,
}

/// An order after a command.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The state now.
    pub order: Order,
    /// What happened; empty when it had happened before.
    pub events: Vec<Event>,
    pub(crate) record: Option<Record>,
}

impl Changed {
    /// What was agreed.
    ///
    /// # Errors
    /// `Internal`: an order that something happened to was placed before.
    pub fn terms(&self) -> Result<&OrderPlaced> {
        self.order
            .terms
            .as_deref()
            .ok_or_else(|| Error::internal("an order was changed before it was placed"))
    }

    /// The rows now.
    pub(crate) fn record(&self) -> Result<&Record> {
        self.record.as_ref().ok_or_else(|| Error::internal("an order was changed before it was placed"))
    }
}

/// Reads an order: one statement.
///
/// # Errors
/// What the database or the codec answers.
pub fn load(store: &Store, q: &mut impl Query, order_id: OrderId) -> Result<Loaded> {
    load_as_of(store, q, order_id, Timestamp::from_millis(i64::MAX))
}

/// Reads an order as it was at `moment`: one statement.
///
/// # Errors
/// As [`load`].
pub fn load_as_of(store: &Store, q: &mut impl Query, order_id: OrderId, moment: Timestamp) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for recorded in store.events.load(q, order_id)? {
        if recorded.recorded_at > moment {
            break;
        }
        let event = Traced::decode(&recorded.name, recorded.schema, &recorded.body)?.event;
        loaded.follow(order_id, &event, recorded.version, recorded.recorded_at)?;
    }
    Ok(loaded)
}

impl Loaded {
    fn follow(&mut self, order_id: OrderId, event: &Event, version: i64, at: Timestamp) -> Result<()> {
        self.state = std::mem::take(&mut self.state).evolve(event);
        self.record = Some(Record::after(self.record.take(), order_id, event, version, at)?);
        self.version = version;
        Ok(())
    }

    pub(crate) fn into_record(self) -> Option<Record> {
        self.record
    }
}

/// Decides `command` on what was loaded, appends its events, brings the order's rows up to date and tells the others:
/// one statement for the events, one for the row, one for the message, and those for lines and shipments that changed.
///
/// # Errors
/// The rule that says no; what the database answers.
pub fn change(
    store: &Store,
    tx: &mut Tx<'_>,
    mut loaded: Loaded,
    command: &Command,
    cause: &Cause,
) -> Result<Changed> {
    let events = decide(&loaded.state, command, &cause.facts)?;
    if events.is_empty() {
        return Ok(Changed { order: loaded.state, events, record: loaded.record });
    }
    let (order_id, now) = (cause.facts.order_id, cause.facts.now);
    let new = events
        .iter()
        .map(|event| {
            let traced = cause.traced(event, publish::fact_of(event).is_some());
            Ok(NewEvent { name: traced.name(), schema: traced.schema(), body: traced.encode()? })
        })
        .collect::<Result<Vec<_>>>()?;
    let version = loaded.version;
    store.events.append(tx, order_id, version, &new, now)?;
    let before = loaded.record.clone();
    let mut messages = Vec::new();
    for (event, version) in events.iter().zip(version + 1..) {
        loaded.follow(order_id, event, version, now)?;
        let Some(record) = &loaded.record else { continue };
        messages.extend(publish::message(cause, event, record)?);
    }
    let changed = Changed { order: loaded.state, events, record: loaded.record };
    rows::write(tx, before.as_ref(), changed.record()?, rows::Clash::Refused)?;
    if changed.events.iter().any(|e| matches!(e, Event::OrderRejected(_) | Event::OrderCancelled(_))) {
        limits::give_back(tx, changed.terms()?)?;
    }
    store.outbox.publish(tx, &messages)?;
    Ok(changed)
}

/// Takes a quote for an order, once: what a cart held is not ordered twice, under whatever key. One statement.
///
/// # Errors
/// `ordering.quote_accepted` when an order has it.
pub(crate) fn accept_quote(
    tx: &mut Tx<'_>,
    cart_id: CartId,
    quote_id: &str,
    order_id: OrderId,
) -> Result<()> {
    if tx.insert_new(ACCEPT_QUOTE, params![cart_id, quote_id, order_id])?.is_new() {
        return Ok(());
    }
    let text = "This quote has been ordered already; see GET /v1/orders. To order the same again, fill the cart again.";
    Err(Error::conflict("ordering.quote_accepted", text))
}

/// Gives a quote free again: its order came to nothing.
pub(crate) fn free_quote(tx: &mut Tx<'_>, order_id: OrderId, terms: &OrderPlaced) -> Result<()> {
    let (cart_id, quote_id) = (terms.cart_id, terms.quote_id.as_str());
    tx.execute(FREE_QUOTE, params![cart_id, quote_id, order_id]).map(drop)
}

/// In which shape the rows of a projection were written; 0 for the first.
pub(crate) fn shape(q: &mut impl Query, projection: &str) -> Result<i64> {
    Ok(q.query_opt(SHAPE, params![projection], |row| row.get(0))?.unwrap_or(0))
}

/// Says in which shape the rows of a projection are written.
pub(crate) fn set_shape(tx: &mut Tx<'_>, projection: &str, shape: i64) -> Result<()> {
    if !tx.insert_new(INSERT_SHAPE, params![projection, shape])?.is_new() {
        tx.execute(UPDATE_SHAPE, params![shape, projection])?;
    }
    Ok(())
}
