//! The four axes of an order and the table of every move they can make. What is not in the table is refused.

use merx_kernel::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the four independent dimensions an order is seen in.
pub trait Axis: Copy + Eq + Ord + 'static {
    /// The axis as the table's heading.
    const TITLE: &'static str;
    /// Every value, in the order of an untroubled life first.
    const ALL: &'static [Self];
    /// The stored and public name.
    fn name(self) -> &'static str;
    /// Reads [`Self::name`].
    ///
    /// # Errors
    /// `Internal`: a stored row names a value that does not exist.
    fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().copied().find(|axis| axis.name() == name);
        found.ok_or_else(|| Error::internal(format!("inconsistent row: no {} value `{name}`", Self::TITLE)))
    }
}

/// Where the agreement between buyer and shop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderAxis {
    /// Taken in; stock and payment are being arranged.
    Placed,
    /// Could not be arranged (no stock); the buyer never sees it in lists.
    Rejected,
    /// Stock is held, the buyer may pay until the deadline.
    AwaitingPayment,
    /// Paid; the shop owes the goods.
    Confirmed,
    /// Received by the buyer.
    Completed,
    /// Ended before anything was shipped, by the buyer, by the shop or by the deadline; or by the shop after everything
    /// came back. What was paid goes back.
    Cancelled,
}

impl Axis for OrderAxis {
    const TITLE: &'static str = "order";
    const ALL: &'static [Self] = &[
        Self::Placed,
        Self::Rejected,
        Self::AwaitingPayment,
        Self::Confirmed,
        Self::Completed,
        Self::Cancelled,
    ];
    fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Rejected => "rejected",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where the money stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentAxis {
    /// None is owed and none is held.
    None,
    /// Owed by the buyer.
    Pending,
    /// The total is held; of a cancelled order it is on its way back.
    Captured,
    /// A part of what was held went back, the rest is on its way.
    PartRefunded,
    /// Everything that came went back.
    Refunded,
    /// Money came for an order that had ended; it is on its way back.
    Late,
    /// More than the total came; the surplus is on its way back.
    Overpaid,
    /// Money came that does not match the order; a person must look.
    Quarantined,
}

impl Axis for PaymentAxis {
    const TITLE: &'static str = "payment";
    const ALL: &'static [Self] = &[
        Self::None,
        Self::Pending,
        Self::Captured,
        Self::PartRefunded,
        Self::Refunded,
        Self::Late,
        Self::Overpaid,
        Self::Quarantined,
    ];
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Captured => "captured",
            Self::PartRefunded => "part_refunded",
            Self::Refunded => "refunded",
            Self::Late => "late",
            Self::Overpaid => "overpaid",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Where the goods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentAxis {
    /// In the warehouse.
    None,
    /// A part is on its way.
    PartShipped,
    /// On their way.
    Shipped,
    /// The carrier says they arrived.
    Delivered,
    /// The buyer says they arrived, or the time to say otherwise ran out.
    Received,
}

impl Axis for FulfilmentAxis {
    const TITLE: &'static str = "fulfilment";
    const ALL: &'static [Self] =
        &[Self::None, Self::PartShipped, Self::Shipped, Self::Delivered, Self::Received];
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PartShipped => "part_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Received => "received",
        }
    }
}

/// What happened after the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterSaleAxis {
    /// Nothing.
    None,
    /// The buyer asked.
    Requested,
    /// The shop agreed.
    Approved,
    /// The goods came back.
    Returned,
    /// Other goods went out.
    Exchanged,
    /// Ended.
    Closed,
}

impl Axis for AfterSaleAxis {
    const TITLE: &'static str = "after-sale";
    const ALL: &'static [Self] =
        &[Self::None, Self::Requested, Self::Approved, Self::Returned, Self::Exchanged, Self::Closed];
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Returned => "returned",
            Self::Exchanged => "exchanged",
            Self::Closed => "closed",
        }
    }
}

/// The four axes of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Axes {
    /// The agreement.
    pub order: OrderAxis,
    /// The money.
    pub payment: PaymentAxis,
    /// The goods.
    pub fulfilment: FulfilmentAxis,
    /// After the sale.
    pub after_sale: AfterSaleAxis,
}

impl Axes {
    /// How every order begins.
    pub const INITIAL: Self = Self {
        order: OrderAxis::Placed,
        payment: PaymentAxis::None,
        fulfilment: FulfilmentAxis::None,
        after_sale: AfterSaleAxis::None,
    };

    /// Whether buyer and shop are done with each other, but for money that has to go back.
    pub const fn has_ended(self) -> bool {
        matches!(self.order, OrderAxis::Rejected | OrderAxis::Completed | OrderAxis::Cancelled)
    }

    /// One word for the buyer, combined from the axes.
    pub fn buyer_status(self) -> BuyerStatus {
        use BuyerStatus as S;
        match (self.order, self.payment, self.fulfilment) {
            (OrderAxis::Placed, ..) => S::Placing,
            (OrderAxis::Rejected, ..) => S::Rejected,
            (OrderAxis::AwaitingPayment, PaymentAxis::Quarantined, _) => S::PaymentInReview,
            (OrderAxis::AwaitingPayment, ..) => S::AwaitingPayment,
            (OrderAxis::Confirmed, _, FulfilmentAxis::None) => S::Paid,
            (OrderAxis::Confirmed, _, FulfilmentAxis::PartShipped) => S::PartShipped,
            (OrderAxis::Confirmed, _, FulfilmentAxis::Shipped) => S::Shipped,
            (OrderAxis::Confirmed, _, FulfilmentAxis::Delivered | FulfilmentAxis::Received) => S::Delivered,
            (OrderAxis::Completed, ..) => S::Completed,
            (OrderAxis::Cancelled, ..) => S::Cancelled,
        }
    }
}

/// The order in one word, as its buyer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuyerStatus {
    /// Stock and payment are being arranged.
    Placing,
    /// It could not be arranged.
    Rejected,
    /// Waiting for the buyer to pay.
    AwaitingPayment,
    /// Money came that does not match; the shop looks into it.
    PaymentInReview,
    /// Paid; not shipped yet.
    Paid,
    /// A part is on its way.
    PartShipped,
    /// On its way.
    Shipped,
    /// Arrived, says the carrier.
    Delivered,
    /// Received.
    Completed,
    /// Ended before anything was shipped, or after everything came back.
    Cancelled,
}

impl Axis for BuyerStatus {
    const TITLE: &'static str = "status";
    const ALL: &'static [Self] = &[
        Self::Placing,
        Self::Rejected,
        Self::AwaitingPayment,
        Self::PaymentInReview,
        Self::Paid,
        Self::PartShipped,
        Self::Shipped,
        Self::Delivered,
        Self::Completed,
        Self::Cancelled,
    ];
    fn name(self) -> &'static str {
        match self {
            Self::Placing => "placing",
            Self::Rejected => "rejected",
            Self::AwaitingPayment => "awaiting_payment",
            Self::PaymentInReview => "payment_in_review",
            Self::Paid => "paid",
            Self::PartShipped => "part_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}
