//! What can happen to an order. No personal data: the address is an id, the buyer an account id.

use merx_contracts::ids::{
    AccountId, AddressId, AfterSaleId, AttemptId, CartId, PaymentId, ProductId, RefundId, ReservationId,
    ShipmentId, Sku,
};
use merx_kernel::{Money, Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{axes::AfterSaleAxis, transitions::Step};

/// One text in the languages the product speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalText {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// One line as it was agreed; later changes of the catalogue do not reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// The product's title.
    pub title: LocalText,
    /// The chosen options in words.
    pub options: LocalText,
    /// The price of one.
    pub unit_price: Money,
    /// How many.
    pub quantity: Quantity,
    /// `unit_price` times `quantity`.
    pub amount: Money,
}

/// The terms buyer and shop agreed on when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The buyer.
    pub account_id: AccountId,
    /// The cart it came from.
    pub cart_id: CartId,
    /// Where it goes.
    pub address_id: AddressId,
    /// How it goes.
    pub shipping_method: String,
    /// What, one entry per SKU.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub subtotal: Money,
    /// What sending costs.
    pub freight: Money,
    /// `subtotal` plus `freight`.
    pub total: Money,
    /// The quote the buyer accepted.
    pub quote_id: String,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it may be paid.
    pub payment_deadline: Timestamp,
    /// The buyer had no account of their own. Since schema 2.
    pub guest: bool,
    /// The SKUs whose quantities were counted against what one buyer may buy; given back when nothing comes of the order.
    /// Since schema 2.
    pub limited: Vec<Sku>,
}

/// It could not be arranged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The refusal's stable code.
    pub code: String,
    /// The refusal in a sentence, as the buyer was told.
    pub message: String,
}

/// Stock is held and the payment is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAwaitingPayment {
    /// The payment.
    pub payment_id: PaymentId,
}

/// Why an order ends before it is fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The buyer asked.
    Buyer,
    /// The deadline passed.
    Expired,
    /// The shop's people did.
    Staff,
}

impl CancelReason {
    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Expired => "expired",
            Self::Staff => "staff",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Buyer, Self::Expired, Self::Staff].into_iter().find(|reason| reason.name() == name)
    }
}

/// Somebody wants it ended: of an unpaid order the payment decides, of a paid one the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancellationRequested {
    /// Why.
    pub reason: CancelReason,
}

/// A paid order was not cancelled after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancellationRefused {
    /// The refusal's stable code.
    pub code: String,
}

/// It ended before anything was shipped, or after everything that was came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Why.
    pub reason: CancelReason,
    /// What was held for it and goes back; empty when nothing was paid. Since schema 2.
    pub refunds: Vec<SurplusReceived>,
}

/// Money came from one payment attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyReceived {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
}

/// Money came that is not owed; it goes back under `refund_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurplusReceived {
    /// The attempt that brought it.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// The refund's identity, derived from order and attempt.
    pub refund_id: RefundId,
}

/// Surplus money went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurplusRefunded {
    /// The refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
    /// How many other surpluses of this order are still to go back.
    pub outstanding: u32,
}

/// Units of one SKU in a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// One shipment the warehouse was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedShipment {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// What is to be in it; empty, as all of schema 1 are, for everything.
    pub lines: Vec<PackedLine>,
}

/// The warehouses know of it. Schema 1 had one shipment of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FulfilmentOpened {
    /// The shipments, one of each warehouse.
    pub shipments: Vec<OpenedShipment>,
}

/// A shipment left the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShipped {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// What is in it; empty, as all of schema 1 are, for everything.
    pub lines: Vec<PackedLine>,
    /// Whether everything is on its way now. Since schema 2.
    pub complete: bool,
}

/// The carrier handed a shipment over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDelivered {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// What was in it; empty, as all of schema 1 are, for everything.
    pub lines: Vec<PackedLine>,
    /// Whether everything has arrived now. Since schema 2.
    pub complete: bool,
}

/// A shipment came back to the sender, delivered before or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelReturned {
    /// The shipment.
    pub shipment_id: ShipmentId,
}

/// The carrier or the number that was told of a shipment was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelCorrected {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who truly carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
}

/// A person decided that quarantined money pays the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineAccepted {
    /// What pays it, by attempt: the total together.
    pub kept: Vec<MoneyReceived>,
    /// What is above the total, and goes back.
    pub surplus: Vec<SurplusReceived>,
}

/// Late money may pay for the ended order after all: stock is being looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevivalBegun {
    /// The attempt that brought the money.
    pub attempt_id: AttemptId,
    /// The reservation the stock is set aside under, derived from order and attempt.
    pub reservation_id: ReservationId,
}

/// Stock is held again, and late money pays for it: the order goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRevived {
    /// The attempt that brought the money.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// How much other late money is still to go back.
    pub outstanding: u32,
}

/// The order did not come back to life; the money goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevivalRefused {
    /// The attempt that brought the money.
    pub attempt_id: AttemptId,
    /// The refusal's stable code.
    pub code: String,
}

/// Who says that the goods arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceivedBy {
    /// The buyer. Events from before there was a choice are the buyer's.
    #[default]
    Buyer,
    /// Nobody did: the time for it ran out.
    Timer,
}

impl ReceivedBy {
    /// Left out of the stored event, as it always was.
    fn is_buyer(&self) -> bool {
        *self == Self::Buyer
    }
}

/// The goods count as received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptConfirmed {
    /// By whom.
    #[serde(default, skip_serializing_if = "ReceivedBy::is_buyer")]
    pub by: ReceivedBy,
}

/// Money was set aside for a refund after the sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterSaleRefundGranted {
    /// The after-sale case.
    pub case_id: AfterSaleId,
    /// What goes back of each attempt's money.
    pub refunds: Vec<SurplusReceived>,
}

/// Money set aside for a refund after the sale went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterSaleRefunded {
    /// The refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
    /// Nothing of the order's money is held any more.
    pub everything: bool,
}

/// Goods of the order are replaced: its money cannot all go back any more, whatever comes back of the parcels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacementGranted {
    /// The after-sale case.
    pub case_id: AfterSaleId,
}

/// An after-sale case of the order moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterSaleMoved {
    /// The case.
    pub case_id: AfterSaleId,
    /// What was asked, in after-sale's word.
    pub kind: String,
    /// Where the case stands, in after-sale's word.
    pub status: String,
    /// Where all cases of the order stand together.
    pub standing: AfterSaleAxis,
}

/// An event without content of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {}

/// Something that has happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// See [`OrderPlaced`].
    OrderPlaced(Box<OrderPlaced>),
    /// See [`OrderRejected`].
    OrderRejected(OrderRejected),
    /// See [`OrderAwaitingPayment`].
    OrderAwaitingPayment(OrderAwaitingPayment),
    /// See [`CancellationRequested`].
    CancellationRequested(CancellationRequested),
    /// See [`CancellationRefused`].
    CancellationRefused(CancellationRefused),
    /// See [`OrderCancelled`].
    OrderCancelled(OrderCancelled),
    /// Money of a cancelled order went back.
    OrderRefunded(SurplusRefunded),
    /// The total came in time.
    OrderPaid(MoneyReceived),
    /// An amount came that is not the total; a person must look.
    PaymentQuarantined(MoneyReceived),
    /// See [`QuarantineAccepted`].
    QuarantineAccepted(QuarantineAccepted),
    /// Money came after the order had ended, or after its payment was closed.
    LatePaymentReceived(SurplusReceived),
    /// It went back.
    LatePaymentRefunded(SurplusRefunded),
    /// See [`RevivalBegun`].
    RevivalBegun(RevivalBegun),
    /// See [`OrderRevived`].
    OrderRevived(OrderRevived),
    /// See [`RevivalRefused`].
    RevivalRefused(RevivalRefused),
    /// A paid order was paid again.
    OverpaymentReceived(SurplusReceived),
    /// The surplus went back.
    OverpaymentRefunded(SurplusRefunded),
    /// See [`FulfilmentOpened`].
    FulfilmentOpened(FulfilmentOpened),
    /// See [`OrderShipped`].
    OrderShipped(OrderShipped),
    /// See [`OrderDelivered`].
    OrderDelivered(OrderDelivered),
    /// See [`ParcelReturned`].
    ParcelReturned(ParcelReturned),
    /// See [`ParcelCorrected`].
    ParcelCorrected(ParcelCorrected),
    /// See [`ReceiptConfirmed`].
    ReceiptConfirmed(ReceiptConfirmed),
    /// Nothing is owed by anybody.
    OrderCompleted(Happened),
    /// See [`AfterSaleRefundGranted`].
    AfterSaleRefundGranted(AfterSaleRefundGranted),
    /// See [`AfterSaleRefunded`].
    AfterSaleRefunded(AfterSaleRefunded),
    /// See [`ReplacementGranted`].
    ReplacementGranted(ReplacementGranted),
    /// See [`AfterSaleMoved`].
    AfterSaleMoved(AfterSaleMoved),
}

impl Event {
    /// The name it is stored under, never changed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrderPlaced(_) => "OrderPlaced",
            Self::OrderRejected(_) => "OrderRejected",
            Self::OrderAwaitingPayment(_) => "OrderAwaitingPayment",
            Self::CancellationRequested(_) => "CancellationRequested",
            Self::CancellationRefused(_) => "CancellationRefused",
            Self::OrderCancelled(_) => "OrderCancelled",
            Self::OrderRefunded(_) => "OrderRefunded",
            Self::OrderPaid(_) => "OrderPaid",
            Self::PaymentQuarantined(_) => "PaymentQuarantined",
            Self::QuarantineAccepted(_) => "QuarantineAccepted",
            Self::LatePaymentReceived(_) => "LatePaymentReceived",
            Self::LatePaymentRefunded(_) => "LatePaymentRefunded",
            Self::RevivalBegun(_) => "RevivalBegun",
            Self::OrderRevived(_) => "OrderRevived",
            Self::RevivalRefused(_) => "RevivalRefused",
            Self::OverpaymentReceived(_) => "OverpaymentReceived",
            Self::OverpaymentRefunded(_) => "OverpaymentRefunded",
            Self::FulfilmentOpened(_) => "FulfilmentOpened",
            Self::OrderShipped(_) => "OrderShipped",
            Self::OrderDelivered(_) => "OrderDelivered",
            Self::ParcelReturned(_) => "ParcelReturned",
            Self::ParcelCorrected(_) => "ParcelCorrected",
            Self::ReceiptConfirmed(_) => "ReceiptConfirmed",
            Self::OrderCompleted(_) => "OrderCompleted",
            Self::AfterSaleRefundGranted(_) => "AfterSaleRefundGranted",
            Self::AfterSaleRefunded(_) => "AfterSaleRefunded",
            Self::ReplacementGranted(_) => "ReplacementGranted",
            Self::AfterSaleMoved(_) => "AfterSaleMoved",
        }
    }

    /// What it does to the axes.
    pub fn step(&self) -> Step {
        match self {
            Self::OrderPlaced(_) => Step::Place,
            Self::OrderRejected(_) => Step::Reject,
            Self::OrderAwaitingPayment(_) => Step::AwaitPayment,
            Self::CancellationRequested(_) => Step::RequestCancellation,
            Self::CancellationRefused(_) => Step::RefuseCancellation,
            Self::OrderCancelled(cancelled) if cancelled.refunds.is_empty() => Step::Cancel,
            Self::OrderCancelled(_) => Step::CancelPaid,
            Self::OrderRefunded(SurplusRefunded { outstanding: 0, .. }) => Step::RefundLast,
            Self::OrderRefunded(_) => Step::RefundSome,
            Self::OrderPaid(_) => Step::Pay,
            Self::PaymentQuarantined(_) => Step::Quarantine,
            Self::QuarantineAccepted(accepted) if accepted.surplus.is_empty() => Step::AcceptQuarantine,
            Self::QuarantineAccepted(_) => Step::AcceptQuarantineAndMore,
            Self::LatePaymentReceived(_) => Step::ReceiveLate,
            Self::LatePaymentRefunded(SurplusRefunded { outstanding: 0, .. }) => Step::RefundLateLast,
            Self::LatePaymentRefunded(_) => Step::RefundLateSome,
            Self::RevivalBegun(_) => Step::BeginRevival,
            Self::OrderRevived(OrderRevived { outstanding: 0, .. }) => Step::Revive,
            Self::OrderRevived(_) => Step::ReviveAndMore,
            Self::RevivalRefused(_) => Step::RefuseRevival,
            Self::OverpaymentReceived(_) => Step::ReceiveOverpayment,
            Self::OverpaymentRefunded(SurplusRefunded { outstanding: 0, .. }) => Step::RefundOverpaymentLast,
            Self::OverpaymentRefunded(_) => Step::RefundOverpaymentSome,
            Self::FulfilmentOpened(_) => Step::OpenFulfilment,
            Self::OrderShipped(OrderShipped { complete: true, .. }) => Step::ShipLast,
            Self::OrderShipped(_) => Step::ShipSome,
            Self::OrderDelivered(OrderDelivered { complete: true, .. }) => Step::DeliverLast,
            Self::OrderDelivered(_) => Step::DeliverSome,
            Self::ParcelReturned(_) => Step::ReturnParcel,
            Self::ParcelCorrected(_) => Step::CorrectParcel,
            Self::ReceiptConfirmed(_) => Step::ConfirmReceipt,
            Self::OrderCompleted(_) => Step::Complete,
            Self::AfterSaleRefundGranted(_) => Step::GrantRefund,
            Self::AfterSaleRefunded(AfterSaleRefunded { everything: true, .. }) => Step::RefundAfterSaleLast,
            Self::AfterSaleRefunded(_) => Step::RefundAfterSaleSome,
            Self::ReplacementGranted(_) => Step::GrantReplacement,
            Self::AfterSaleMoved(AfterSaleMoved { standing, .. }) => Step::MoveAfterSale(*standing),
        }
    }
}
