//! The order as it is answered.

use merx_contracts::ids::{AccountId, AddressId, NoteId, OrderId, PaymentId, ShipmentId};
use merx_kernel::{Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Axes, BuyerStatus, CancelReason, OrderAxis, OrderLine, OrderPlaced, PackedLine, PaymentAxis},
    record::{Record, RecordedLine, RecordedShipment},
};

/// Why an order could not be arranged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The stable code, explained at `/docs/errors/<code>`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// What the order costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amounts {
    /// The sum of the lines.
    pub subtotal: Money,
    /// What sending costs.
    pub freight: Money,
    /// Subtotal plus freight.
    pub total: Money,
    /// What the shop holds of the buyer's money now.
    pub paid: Money,
    /// What of the buyer's money went back.
    pub refunded: Money,
}

/// One line at the agreed price, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineView {
    /// What was agreed.
    #[serde(flatten)]
    pub agreed: OrderLine,
    /// How many have left the warehouse.
    pub shipped: i64,
    /// How many the carrier handed over.
    pub delivered: i64,
}

/// One shipment. Before it left its lines are what is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentView {
    /// Its id.
    pub id: ShipmentId,
    /// Who carries it, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// What is in it.
    pub lines: Vec<PackedLine>,
    /// When the order knew of it.
    pub opened_at: Timestamp,
    /// When it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    /// When the carrier handed it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it came back to the shop, delivered before or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Timestamp>,
    /// It never left and never will: the order was cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
}

/// The first shipment in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstShipmentView {
    /// Its id.
    pub shipment_id: ShipmentId,
    /// Who carries it, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// An end before fulfilment, asked for or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationView {
    /// Who wanted it.
    pub reason: CancelReason,
    /// When it was asked for. Absent when the shop ended the order without asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// When it took effect. Absent while it is undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// When it came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
    /// Why it came to nothing: `ordering.already_paid` when the money came first, `ordering.already_shipped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Until when it will be decided; present while the payment provider has still to close the trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Timestamp>,
}

/// Who wrote a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteAuthor {
    /// The buyer.
    Buyer,
    /// Somebody of the shop.
    Staff,
}

/// Who may read a note, besides the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteVisibility {
    /// Nobody.
    Internal,
    /// The buyer.
    Buyer,
}

/// A note on an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OrderNote")]
pub struct NoteView {
    /// Its id.
    pub id: NoteId,
    /// Who wrote it.
    pub author: NoteAuthor,
    /// The account of who wrote it; told to staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Who may read it, besides the shop.
    pub visibility: NoteVisibility,
    /// What it is about: `note`, `cancellation` (why), `settlement` (why).
    pub about: String,
    /// The text; empty when it was erased.
    pub text: String,
    /// It was erased with the person's data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// When it was written.
    pub created_at: Timestamp,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Order")]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// Its readable number, `YYMMDD-XXXX-XXXC`; taken wherever its id is.
    pub number: String,
    /// The order in one word.
    pub status: BuyerStatus,
    /// The four axes the status is made of.
    pub axes: Axes,
    /// Whose it is.
    pub account_id: AccountId,
    /// Placed by a guest.
    pub guest: bool,
    /// What was ordered, at the agreed prices.
    pub lines: Vec<LineView>,
    /// What it costs.
    pub amounts: Amounts,
    /// Where it goes.
    pub address_id: AddressId,
    /// How it goes.
    pub shipping_method: String,
    /// What to pay with; present from `awaiting_payment` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// Until when it may be paid.
    pub payment_deadline: Timestamp,
    /// The shipments, once the warehouses know of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<ShipmentView>,
    /// The first of the shipments in short, for who knows of one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<FirstShipmentView>,
    /// An end before fulfilment, asked for or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationView>,
    /// When money that came after its end brought it back to life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revived_at: Option<Timestamp>,
    /// Why it could not be arranged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejected>,
    /// The notes the reader may see, oldest first; told where one order is read, not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// When it was placed.
    pub created_at: Timestamp,
}

impl OrderView {
    pub(crate) fn new(record: Record) -> Self {
        let cancellation = cancellation(&record);
        let shipment = record.shipments.first().map(|first| FirstShipmentView {
            shipment_id: first.shipment_id,
            carrier: first.carrier.clone(),
            tracking_number: first.tracking_number.clone(),
        });
        let number = record.number().to_string();
        let line = |line: RecordedLine| LineView {
            agreed: line.agreed,
            shipped: line.shipped,
            delivered: line.delivered,
        };
        let cancelled = record.axes.order == OrderAxis::Cancelled;
        let parcel = |shipment: RecordedShipment| ShipmentView {
            id: shipment.shipment_id,
            carrier: shipment.carrier,
            tracking_number: shipment.tracking_number,
            lines: shipment.lines,
            opened_at: shipment.opened_at,
            dispatched_at: shipment.dispatched_at,
            delivered_at: shipment.delivered_at,
            returned_at: shipment.returned_at,
            cancelled: cancelled && shipment.dispatched_at.is_none(),
        };
        Self {
            id: record.order_id,
            number,
            status: record.axes.buyer_status(),
            axes: record.axes,
            account_id: record.account_id,
            guest: record.guest,
            lines: record.lines.into_iter().map(line).collect(),
            amounts: Amounts {
                subtotal: record.subtotal,
                freight: record.freight,
                total: record.total,
                paid: record.paid,
                refunded: record.refunded,
            },
            address_id: record.address_id,
            shipping_method: record.shipping_method,
            payment_id: record.payment_id,
            payment_deadline: record.payment_deadline,
            shipments: record.shipments.into_iter().map(parcel).collect(),
            shipment,
            cancellation,
            revived_at: record.revived_at,
            rejection: record.rejected,
            notes: Vec::new(),
            created_at: record.created_at,
        }
    }

    /// The view of an order that has just come to await payment, from what was agreed alone: reading the row again
    /// would cost two statements.
    pub(crate) fn just_arranged(order_id: OrderId, terms: &OrderPlaced) -> Self {
        let mut record = Record::placed(order_id, terms, terms.placed_at);
        record.axes.order = OrderAxis::AwaitingPayment;
        record.axes.payment = PaymentAxis::Pending;
        record.payment_id = Some(order_id.cast());
        Self::new(record)
    }

    /// Whether a cancellation is asked for and not decided.
    pub fn is_closing(&self) -> bool {
        let open = matches!(self.axes.order, OrderAxis::AwaitingPayment | OrderAxis::Confirmed);
        open && self.cancellation.as_ref().is_some_and(|asked| asked.refused_at.is_none())
    }
}

fn cancellation(record: &Record) -> Option<CancellationView> {
    let undecided = record.axes.order == OrderAxis::AwaitingPayment;
    // No attempt outlives the deadline, so the provider can close the trade by then.
    let decided_by = record
        .cancel_requested_at
        .filter(|requested| undecided && record.payment_deadline > *requested)
        .map(|_| record.payment_deadline);
    Some(CancellationView {
        reason: record.cancel_reason?,
        requested_at: record.cancel_requested_at,
        cancelled_at: record.cancelled_at,
        refused_at: record.cancel_refused_at,
        refusal: record.cancel_refusal.clone(),
        decided_by,
    })
}
