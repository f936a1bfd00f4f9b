//! The order as it is answered.

use merx_contracts::ids::{AccountId, AddressId, CartId, OrderId, PaymentId, ShipmentId};
use merx_kernel::{Money, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    AfterSaleAxis, Axes, BuyerStatus, CancelReason, FulfilmentAxis, OrderAxis, OrderLine, OrderPlaced,
    PaymentAxis,
};

/// Why an order could not be arranged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The stable code, explained at `/docs/errors/<code>`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// The row of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub order_id: OrderId,
    pub version: i64,
    pub account_id: AccountId,
    pub cart_id: CartId,
    pub address_id: AddressId,
    pub shipping_method: String,
    pub quote_id: String,
    pub subtotal: Money,
    pub freight: Money,
    pub total: Money,
    pub paid: Money,
    pub axes: Axes,
    pub payment_id: Option<PaymentId>,
    pub payment_deadline: Timestamp,
    pub shipment_id: Option<ShipmentId>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub cancel_reason: Option<CancelReason>,
    pub cancel_requested_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub rejected: Option<Rejected>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl OrderRow {
    /// The row of an order to which nothing has happened yet but that it was placed.
    pub(crate) fn new(
        order_id: OrderId,
        terms: &OrderPlaced,
        version: i64,
        axes: Axes,
        updated_at: Timestamp,
    ) -> Self {
        Self {
            order_id,
            version,
            account_id: terms.account_id,
            cart_id: terms.cart_id,
            address_id: terms.address_id,
            shipping_method: terms.shipping_method.clone(),
            quote_id: terms.quote_id.clone(),
            subtotal: terms.subtotal,
            freight: terms.freight,
            total: terms.total,
            paid: Money::zero(terms.total.currency),
            axes,
            payment_id: None,
            payment_deadline: terms.payment_deadline,
            shipment_id: None,
            carrier: None,
            tracking_number: None,
            cancel_reason: None,
            cancel_requested_at: None,
            cancelled_at: None,
            rejected: None,
            created_at: terms.placed_at,
            updated_at,
        }
    }
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
}

/// The parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentView {
    /// Its id.
    pub shipment_id: ShipmentId,
    /// Who carries it, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number, once it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// An end before payment, asked for or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationView {
    /// Why.
    pub reason: CancelReason,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it took effect. Absent while it is undecided, and for good when the money came first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// Until when it will be decided; present while the payment provider has still to close the trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Timestamp>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Order")]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// The order in one word.
    pub status: BuyerStatus,
    /// The four axes the status is made of.
    pub axes: Axes,
    /// What was ordered, at the agreed prices.
    pub lines: Vec<OrderLine>,
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
    /// The parcel, once the warehouse knows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment: Option<ShipmentView>,
    /// An end before payment, asked for or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationView>,
    /// Why it could not be arranged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejected>,
    /// When it was placed.
    pub created_at: Timestamp,
}

impl OrderView {
    pub(crate) fn new(row: OrderRow, lines: Vec<OrderLine>) -> Self {
        let undecided = row.axes.order == OrderAxis::AwaitingPayment;
        let cancellation = row.cancel_reason.zip(row.cancel_requested_at).map(|(reason, requested_at)| {
            // No attempt outlives the deadline, so the provider can close the trade by then.
            let decided_by =
                (undecided && row.payment_deadline > requested_at).then_some(row.payment_deadline);
            CancellationView { reason, requested_at, cancelled_at: row.cancelled_at, decided_by }
        });
        let shipment = row.shipment_id.map(|shipment_id| ShipmentView {
            shipment_id,
            carrier: row.carrier,
            tracking_number: row.tracking_number,
        });
        Self {
            id: row.order_id,
            status: row.axes.buyer_status(),
            axes: row.axes,
            lines,
            amounts: Amounts {
                subtotal: row.subtotal,
                freight: row.freight,
                total: row.total,
                paid: row.paid,
            },
            address_id: row.address_id,
            shipping_method: row.shipping_method,
            payment_id: row.payment_id,
            payment_deadline: row.payment_deadline,
            shipment,
            cancellation,
            rejection: row.rejected,
            created_at: row.created_at,
        }
    }

    /// The view of an order that has just come to await payment, from what was agreed alone: reading the row again
    /// would cost two statements.
    pub(crate) fn just_arranged(order_id: OrderId, terms: &OrderPlaced) -> Self {
        let axes = Axes {
            order: OrderAxis::AwaitingPayment,
            payment: PaymentAxis::Pending,
            fulfilment: FulfilmentAxis::None,
            after_sale: AfterSaleAxis::None,
        };
        let mut row = OrderRow::new(order_id, terms, 0, axes, terms.placed_at);
        row.payment_id = Some(order_id.cast());
        Self::new(row, terms.lines.clone())
    }

    /// Whether a cancellation is asked for and not decided.
    pub fn is_closing(&self) -> bool {
        self.axes.order == OrderAxis::AwaitingPayment && self.cancellation.is_some()
    }
}
