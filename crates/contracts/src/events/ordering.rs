//! Facts of ordering.

use merx_kernel::{Money, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    events::LocalText,
    ids::{AccountId, CartId, OrderId, ProductId, RefundId, ShipmentId, Sku},
};

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// Stock is set aside and the payment is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAwaitingPayment {
    /// The order.
    pub order_id: OrderId,
    /// Its buyer.
    pub account_id: AccountId,
    /// The cart it was placed from.
    pub cart_id: CartId,
    /// What was ordered.
    pub lines: Vec<Line>,
}

/// The whole amount was captured in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaid {
    /// The order.
    pub order_id: OrderId,
    /// Its buyer.
    pub account_id: AccountId,
    /// What was paid.
    pub amount: Money,
}

/// The order ended without a sale; its stock is free again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Its buyer.
    pub account_id: AccountId,
    /// `buyer` or `expired`.
    pub reason: String,
}

/// The buyer has the goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompleted {
    /// The order.
    pub order_id: OrderId,
    /// Its buyer.
    pub account_id: AccountId,
}

/// One line of an order with what was agreed, so that a mail or a partner can show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedLine {
    /// What.
    pub sku: Sku,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// The product's title.
    pub title: LocalText,
    /// The chosen options in words.
    pub options: LocalText,
    /// How many.
    pub quantity: Quantity,
    /// What they cost together.
    pub amount: Money,
}

/// Stock is set aside and the payment is open. Follows [`OrderAwaitingPayment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAwaitingPaymentV2 {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// The cart it was placed from.
    pub cart_id: CartId,
    /// What was ordered.
    pub lines: Vec<AgreedLine>,
    /// What sending costs.
    pub freight: Money,
    /// What is to be paid.
    pub total: Money,
    /// Until when.
    pub payment_deadline: Timestamp,
}

/// The whole amount was captured in time. Follows [`OrderPaid`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaidV2 {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// What was paid.
    pub amount: Money,
}

/// Goods of the order left the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShipped {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// What is in it.
    pub lines: Vec<Line>,
    /// Whether everything of the order is on its way now.
    pub complete: bool,
}

/// Something of an order, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitledLine {
    /// What.
    pub sku: Sku,
    /// The product's title, as it was ordered.
    pub title: LocalText,
    /// The chosen options in words.
    pub options: LocalText,
    /// How many.
    pub quantity: Quantity,
}

/// Goods of the order left the warehouse. Follows [`OrderShipped`]: its lines have titles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShippedV2 {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// What is in it.
    pub lines: Vec<TitledLine>,
    /// Whether everything of the order is on its way now.
    pub complete: bool,
}

impl From<OrderShipped> for OrderShippedV2 {
    /// What had no titles is called by its SKU.
    fn from(old: OrderShipped) -> Self {
        let titled = |line: Line| {
            let (sku, none) =
                (line.sku.as_str().to_owned(), LocalText { zh: String::new(), en: String::new() });
            let title = LocalText { zh: sku.clone(), en: sku };
            TitledLine { sku: line.sku, title, options: none, quantity: line.quantity }
        };
        Self {
            order_id: old.order_id,
            number: old.number,
            account_id: old.account_id,
            shipment_id: old.shipment_id,
            carrier: old.carrier,
            tracking_number: old.tracking_number,
            lines: old.lines.into_iter().map(titled).collect(),
            complete: old.complete,
        }
    }
}

/// The order ended before it was fulfilled. Follows [`OrderCancelled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelledV2 {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// `buyer`, `staff` or `expired`.
    pub reason: String,
    /// Whether money was held: it goes back.
    pub paid: bool,
}

/// Money of the order went back to the buyer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRefunded {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
    /// The refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
}

/// The buyer has the goods. Follows [`OrderCompleted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompletedV2 {
    /// The order.
    pub order_id: OrderId,
    /// Its readable number.
    pub number: String,
    /// Its buyer.
    pub account_id: AccountId,
}

impl Fact for OrderAwaitingPayment {
    const TYPE: &'static str = "ordering.order_awaiting_payment.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderPaid {
    const TYPE: &'static str = "ordering.order_paid.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderCancelled {
    const TYPE: &'static str = "ordering.order_cancelled.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderCompleted {
    const TYPE: &'static str = "ordering.order_completed.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderAwaitingPaymentV2 {
    const TYPE: &'static str = "ordering.order_awaiting_payment.v2";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderPaidV2 {
    const TYPE: &'static str = "ordering.order_paid.v2";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderShipped {
    const TYPE: &'static str = "ordering.order_shipped.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderShippedV2 {
    const TYPE: &'static str = "ordering.order_shipped.v2";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderCancelledV2 {
    const TYPE: &'static str = "ordering.order_cancelled.v2";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderRefunded {
    const TYPE: &'static str = "ordering.order_refunded.v1";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
impl Fact for OrderCompletedV2 {
    const TYPE: &'static str = "ordering.order_completed.v2";
    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}
