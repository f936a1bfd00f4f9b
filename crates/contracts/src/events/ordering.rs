//! Facts of ordering.

use merx_kernel::{Money, Quantity};
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Fact,
    ids::{AccountId, CartId, OrderId, Sku},
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
