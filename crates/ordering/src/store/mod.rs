//! Every SQL text of ordering, and the one way an order is read and changed: load, decide, append, project.

use merx_contracts::{
    Envelope, Fact,
    ids::{AccountId, CartId, MessageId, OrderId},
};
use merx_kernel::{Error, Id, Money, Quantity, Result, Timestamp};
use merx_platform::{
    Aggregate, DomainEvent, Loaded, Store, aggregate,
    trace::{self, TraceContext},
};
use merx_sql::{Migration, Query, Row, Tx, Value, params};

use crate::{
    domain::{
        AfterSaleAxis, Axes, Axis, CancelReason, Command, Event, Facts, FulfilmentAxis, LocalText, Order,
        OrderAxis, OrderLine, OrderPlaced, PaymentAxis, codec, decide,
    },
    projections::orders,
    view::{OrderRow, Rejected},
};

/// The context's name and the prefix of its tables.
pub const CONTEXT: &str = "ordering";

/// The tables of ordering itself; the platform's come before.
pub fn migrations() -> Vec<Migration> {
    vec![Migration::same(100, "orders", include_str!("../migrations/100_orders.sql"))]
}

const COLUMNS: &str = "order_id, version, account_id, cart_id, address_id, shipping_method, quote_id, currency, \
     subtotal_minor, freight_minor, total_minor, paid_minor, order_axis, payment_axis, fulfilment_axis, \
     after_sale_axis, payment_id, payment_deadline, shipment_id, carrier, tracking_number, cancel_reason, \
     cancel_requested_at, cancelled_at, rejection_code, rejection_message, created_at, updated_at";

const ACCEPT_QUOTE: &str =
    "INSERT INTO ordering_accepted_quotes (cart_id, quote_id, order_id) VALUES (?, ?, ?)";
const FREE_QUOTE: &str =
    "DELETE FROM ordering_accepted_quotes WHERE cart_id = ? AND quote_id = ? AND order_id = ?";
const INSERT_ORDER: &str = "INSERT INTO ordering_orders (order_id, version, account_id, cart_id, address_id, \
     shipping_method, quote_id, currency, subtotal_minor, freight_minor, total_minor, paid_minor, order_axis, \
     payment_axis, fulfilment_axis, after_sale_axis, payment_deadline, created_at, updated_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_LINES: &str = "INSERT INTO ordering_lines (order_id, line_number, sku, product_id, title_zh, title_en, \
     options_zh, options_en, unit_price_minor, quantity, amount_minor) VALUES";

const UPDATE_ORDER: &str = "UPDATE ordering_orders SET version = ?, order_axis = ?, payment_axis = ?, \
     fulfilment_axis = ?, after_sale_axis = ?, paid_minor = paid_minor + ?, \
     payment_id = COALESCE(?, payment_id), shipment_id = COALESCE(?, shipment_id), \
     carrier = COALESCE(?, carrier), tracking_number = COALESCE(?, tracking_number), \
     cancel_reason = COALESCE(?, cancel_reason), cancel_requested_at = COALESCE(?, cancel_requested_at), \
     cancelled_at = COALESCE(?, cancelled_at), rejection_code = COALESCE(?, rejection_code), \
     rejection_message = COALESCE(?, rejection_message), updated_at = ? \
     WHERE order_id = ? AND version = ?";

const AXES_OF_ORDER: &str = "SELECT order_axis, payment_axis, fulfilment_axis, after_sale_axis FROM ordering_orders \
     WHERE order_id = ?";

const LINES_OF_ORDERS: &str = "SELECT l.order_id, l.sku, l.product_id, l.title_zh, l.title_en, l.options_zh, \
     l.options_en, l.unit_price_minor, l.quantity, l.amount_minor, o.currency \
     FROM ordering_lines l JOIN ordering_orders o ON o.order_id = l.order_id";

/// An event with the trace that caused it. The trace is kept in the stored body, beside the event's own content.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What happened.
    pub event: Event,
    /// The W3C trace id of the request or message that made it happen.
    pub trace_id: Option<String>,
}

impl DomainEvent for Traced {
    fn name(&self) -> &'static str {
        self.event.name()
    }
    fn schema(&self) -> i64 {
        codec::SCHEMA
    }
    fn encode(&self) -> Result<String> {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            event: &'a Event,
            #[serde(skip_serializing_if = "Option::is_none")]
            trace_id: Option<&'a str>,
        }
        let body = Body { event: &self.event, trace_id: self.trace_id.as_deref() };
        serde_json::to_string(&body)
            .map_err(|e| Error::internal(format!("cannot write a {}", self.event.name())).with_source(e))
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Trace {
            trace_id: Option<String>,
        }
        let trace: Trace = serde_json::from_str(body)
            .map_err(|e| Error::internal(format!("the body of a {name} is not JSON")).with_source(e))?;
        Ok(Self { event: codec::decode(name, schema, body)?, trace_id: trace.trace_id })
    }
}

/// The order as an aggregate of the event store.
pub enum Orders {}

impl Aggregate for Orders {
    type State = Order;
    type Event = Traced;
    fn evolve(state: Order, event: &Traced) -> Order {
        state.evolve(&event.event)
    }
}

/// What is known from outside when an order is changed: the facts of the decision, the trace of the cause, and the
/// identity of the message that tells the others. Made before the transaction, for its closure may run again.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The facts.
    pub facts: Facts,
    trace: Option<TraceContext>,
    message_id: MessageId,
}

impl Cause {
    /// At `now`, in the running task's trace.
    pub fn here(order_id: OrderId, now: Timestamp, message_id: MessageId) -> Self {
        Self { facts: Facts { order_id, now }, trace: trace::current(), message_id }
    }

    /// Puts a fact into the outbox. A change publishes one at most: it has the cause's one message id.
    ///
    /// # Errors
    /// What the database answers.
    pub fn publish<F: Fact>(&self, store: &Store, tx: &mut Tx<'_>, fact: &F) -> Result<()> {
        let traceparent = self.trace.map(|trace| trace.to_string());
        store.outbox.publish(tx, &[Envelope::new(self.message_id, self.facts.now, traceparent, fact)?])
    }
}

/// An order after a command.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The state now.
    pub order: Order,
    /// What happened; empty when it had happened before.
    pub events: Vec<Event>,
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
}

/// Reads an order: one statement.
///
/// # Errors
/// What the database or the codec answers.
pub fn load(store: &Store, q: &mut impl Query, order_id: OrderId) -> Result<Loaded<Order>> {
    aggregate::load::<Orders>(&store.events, q, order_id)
}

/// Decides `command` on what was loaded, appends its events and brings the order's row up to date: one statement
/// for the events and one for each event's effect on the row.
///
/// # Errors
/// The rule that says no; what the database answers.
pub fn change(
    store: &Store,
    tx: &mut Tx<'_>,
    loaded: Loaded<Order>,
    command: &Command,
    cause: &Cause,
) -> Result<Changed> {
    let Loaded { state: mut order, version } = loaded;
    let events = decide(&order, command, &cause.facts)?;
    let (order_id, now) = (cause.facts.order_id, cause.facts.now);
    let trace_id = cause.trace.map(|trace| trace.trace_id());
    let traced: Vec<Traced> =
        events.iter().map(|event| Traced { event: event.clone(), trace_id: trace_id.clone() }).collect();
    aggregate::append::<Orders>(&store.events, tx, order_id, version, &traced, now)?;
    for (event, version) in events.iter().zip(version + 1..) {
        order = order.evolve(event);
        let axes = order.axes.ok_or_else(|| Error::internal("an order without axes has events"))?;
        orders::write(tx, &orders::At { order_id, version, now, axes }, event)?;
    }
    Ok(Changed { order, events })
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

/// Writes the row of a new order and its lines: two statements.
pub(crate) fn insert_order(tx: &mut Tx<'_>, row: &OrderRow, lines: &[OrderLine]) -> Result<()> {
    tx.execute(
        INSERT_ORDER,
        params![
            row.order_id,
            row.version,
            row.account_id,
            row.cart_id,
            row.address_id,
            &row.shipping_method,
            &row.quote_id,
            row.total.currency.code(),
            row.subtotal.minor,
            row.freight.minor,
            row.total.minor,
            row.paid.minor,
            row.axes.order.name(),
            row.axes.payment.name(),
            row.axes.fulfilment.name(),
            row.axes.after_sale.name(),
            row.payment_deadline,
            row.created_at,
            row.updated_at
        ],
    )?;
    let rows = lines
        .iter()
        .zip(1i64..)
        .map(|(line, number)| {
            params![
                row.order_id,
                number,
                line.sku.as_str(),
                line.product_id,
                &line.title.zh,
                &line.title.en,
                &line.options.zh,
                &line.options.en,
                line.unit_price.minor,
                line.quantity,
                line.amount.minor
            ]
        })
        .collect();
    tx.insert_rows(INSERT_LINES, 11, rows)
}

/// What one event changes in the order's row, besides axes, version and time; `None` leaves a column as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowChange {
    pub paid_minor: i64,
    pub payment_id: Option<Value>,
    pub shipment_id: Option<Value>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub cancel_reason: Option<CancelReason>,
    pub cancel_requested_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub rejected: Option<Rejected>,
}

pub(crate) fn update_order(tx: &mut Tx<'_>, at: &orders::At, change: RowChange) -> Result<()> {
    let (rejection_code, rejection_message) = change.rejected.map(|r| (r.code, r.message)).unzip();
    let values = params![
        at.version,
        at.axes.order.name(),
        at.axes.payment.name(),
        at.axes.fulfilment.name(),
        at.axes.after_sale.name(),
        change.paid_minor,
        change.payment_id,
        change.shipment_id,
        change.carrier,
        change.tracking_number,
        change.cancel_reason.map(CancelReason::name),
        change.cancel_requested_at,
        change.cancelled_at,
        rejection_code,
        rejection_message,
        at.now,
        at.order_id,
        at.version - 1
    ];
    if tx.guarded(UPDATE_ORDER, values)? {
        return Ok(());
    }
    Err(Error::internal(format!(
        "inconsistent row: order {} is not at version {}",
        at.order_id,
        at.version - 1
    )))
}

pub(crate) fn axes_of(q: &mut impl Query, order_id: OrderId) -> Result<Option<Axes>> {
    q.query_opt(AXES_OF_ORDER, params![order_id], |row| read_axes(row, 0))
}

/// The row of one order.
pub(crate) fn order_row(q: &mut impl Query, order_id: OrderId) -> Result<Option<OrderRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ordering_orders WHERE order_id = ?");
    q.query_opt(&sql, params![order_id], read_order)
}

/// An account's orders before `before`, newest first, without those that were rejected.
pub(crate) fn orders_of(
    q: &mut impl Query,
    account_id: AccountId,
    before: OrderId,
    limit: i64,
) -> Result<Vec<OrderRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM ordering_orders WHERE account_id = ? AND order_id < ? AND order_axis <> 'rejected' \
         ORDER BY order_id DESC LIMIT ?"
    );
    q.query(&sql, params![account_id, before, limit], read_order)
}

/// The lines of some orders, by order and line number.
pub(crate) fn lines_of(q: &mut impl Query, orders: &[OrderId]) -> Result<Vec<(OrderId, OrderLine)>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; orders.len()].join(", ");
    let sql = format!("{LINES_OF_ORDERS} WHERE l.order_id IN ({marks}) ORDER BY l.order_id, l.line_number");
    q.query(&sql, orders.iter().map(|id| Value::from(*id)).collect(), read_line)
}

fn read_axes(row: &Row<'_>, first: usize) -> Result<Axes> {
    Ok(Axes {
        order: OrderAxis::from_name(&row.get::<String>(first)?)?,
        payment: PaymentAxis::from_name(&row.get::<String>(first + 1)?)?,
        fulfilment: FulfilmentAxis::from_name(&row.get::<String>(first + 2)?)?,
        after_sale: AfterSaleAxis::from_name(&row.get::<String>(first + 3)?)?,
    })
}

fn read_order(row: &Row<'_>) -> Result<OrderRow> {
    let currency = row.get::<String>(7)?.parse()?;
    let money = |index: usize| -> Result<Money> { Ok(Money::new(row.get(index)?, currency)) };
    let cancel_reason = match row.get::<Option<String>>(21)? {
        None => None,
        Some(name) => Some(
            CancelReason::from_name(&name)
                .ok_or_else(|| Error::internal(format!("inconsistent row: no reason `{name}`")))?,
        ),
    };
    let rejected = match (row.get::<Option<String>>(24)?, row.get::<Option<String>>(25)?) {
        (Some(code), Some(message)) => Some(Rejected { code, message }),
        _ => None,
    };
    Ok(OrderRow {
        order_id: row.get(0)?,
        version: row.get(1)?,
        account_id: row.get(2)?,
        cart_id: row.get(3)?,
        address_id: row.get(4)?,
        shipping_method: row.get(5)?,
        quote_id: row.get(6)?,
        subtotal: money(8)?,
        freight: money(9)?,
        total: money(10)?,
        paid: money(11)?,
        axes: read_axes(row, 12)?,
        payment_id: row.get(16)?,
        payment_deadline: row.get(17)?,
        shipment_id: row.get(18)?,
        carrier: row.get(19)?,
        tracking_number: row.get(20)?,
        cancel_reason,
        cancel_requested_at: row.get(22)?,
        cancelled_at: row.get(23)?,
        rejected,
        created_at: row.get(26)?,
        updated_at: row.get(27)?,
    })
}

fn read_line(row: &Row<'_>) -> Result<(OrderId, OrderLine)> {
    let currency = row.get::<String>(10)?.parse()?;
    let sku: String = row.get(1)?;
    let line = OrderLine {
        sku: sku.parse().map_err(|e| Error::internal(format!("inconsistent row: SKU {e}")))?,
        product_id: row.get(2)?,
        title: LocalText { zh: row.get(3)?, en: row.get(4)? },
        options: LocalText { zh: row.get(5)?, en: row.get(6)? },
        unit_price: Money::new(row.get(7)?, currency),
        quantity: Quantity::new(row.get(8)?)
            .map_err(|_| Error::internal("inconsistent row: a line's quantity is out of range"))?,
        amount: Money::new(row.get(9)?, currency),
    };
    Ok((row.get(0)?, line))
}

/// The cursor that is after every order.
pub(crate) const NEWEST: OrderId = Id::from_bits(u128::MAX);
