//! The rules: what a command makes happen, or why it does not.

use merx_contracts::ids::{AfterSaleId, AttemptId, OrderId, PaymentId, RefundId, ShipmentId};
use merx_kernel::{Error, Money, Timestamp};

use super::{
    axes::{Axes, FulfilmentAxis, OrderAxis, PaymentAxis},
    event::{
        AfterSaleMoved, CancelReason, CancellationRefused, CancellationRequested, Event, OpenedShipment,
        OrderAwaitingPayment, OrderCancelled, OrderPlaced, OrderRejected, ReceivedBy, ReplacementGranted,
    },
    goods::{self, Shipment},
    money,
    order::Order,
    transitions,
};

/// What is known from outside when a command is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The order decided on.
    pub order_id: OrderId,
    /// The present moment.
    pub now: Timestamp,
}

/// What somebody wants of an order.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make it, on these terms.
    Place(Box<OrderPlaced>),
    /// It could not be arranged.
    Reject(OrderRejected),
    /// Stock is held and the payment open.
    AwaitPayment(PaymentId),
    /// End it: unpaid if the payment lets it, paid if the warehouse does.
    RequestCancellation(CancelReason),
    /// The warehouse, or something else, keeps a paid order from being cancelled; says what, by its stable code.
    RefuseCancellation(String),
    /// The payment is closed and the stock free.
    Cancel,
    /// The warehouse holds everything of a paid order back.
    CancelPaid,
    /// Money came.
    RecordCapture {
        /// The attempt that brought it.
        attempt_id: AttemptId,
        /// How much.
        amount: Money,
        /// Payment had closed, or another attempt had paid, before it came.
        late: bool,
    },
    /// Money went back.
    RecordRefund {
        /// The refund.
        refund_id: RefundId,
        /// How much.
        amount: Money,
    },
    /// Stock is held anew for an ended order: late money pays it after all.
    Revive(AttemptId),
    /// That came to nothing.
    RefuseRevival {
        /// The attempt that brought the money.
        attempt_id: AttemptId,
        /// Why, by its stable code.
        code: String,
    },
    /// Quarantined money pays it.
    AcceptQuarantine,
    /// Quarantined money goes back and it ends.
    RefundQuarantine,
    /// The money of an order of which everything came back goes back, and it ends.
    RefundReturned,
    /// The warehouses know of it.
    OpenFulfilment(Vec<OpenedShipment>),
    /// A shipment left.
    RecordShipment(Shipment),
    /// A shipment arrived.
    RecordDelivery(ShipmentId),
    /// A shipment came back.
    RecordReturn(ShipmentId),
    /// What was told of who carries a shipment was wrong.
    RecordCorrection {
        /// The shipment.
        shipment_id: ShipmentId,
        /// Who truly carries it.
        carrier: String,
        /// The carrier's number.
        tracking_number: String,
    },
    /// They count as received.
    ConfirmReceipt(ReceivedBy),
    /// Set money aside for an after-sale case.
    GrantRefund {
        /// The case.
        case_id: AfterSaleId,
        /// How much.
        amount: Money,
    },
    /// Goods of it are replaced for this after-sale case.
    GrantReplacement(AfterSaleId),
    /// An after-sale case moved.
    RecordAfterSale(AfterSaleMoved),
}

/// Why a command does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such order.
    OrderUnknown,
    /// An order with this identity exists.
    OrderExists,
    /// The lines, freight and total do not add up.
    AmountsDiffer,
    /// It is still being arranged; ask again in a moment.
    StillPlacing,
    /// It is just being cancelled; ask again in a moment.
    StillClosing,
    /// No money of it is there that could bring it back to life.
    NotReviving,
    /// Its buyer's data were erased.
    BuyerErased,
    /// It was paid meanwhile, so it cannot be dropped as unpaid.
    AlreadyPaid,
    /// Something of it has left the warehouse.
    AlreadyShipped,
    /// It ended.
    OrderEnded,
    /// Money is in quarantine; a person decides.
    PaymentInReview,
    /// The deadline has not passed.
    DeadlineNotReached,
    /// It has not been shipped.
    NotShipped,
    /// A part of it has not been shipped.
    NotAllShipped,
    /// It has not been paid.
    NotPaid,
    /// No refund with this identity was asked for.
    RefundUnknown,
    /// A refund gave back another amount than asked.
    RefundDiffers,
    /// No quarantined money waits for a decision, nor money for goods that came back.
    NotQuarantined,
    /// Goods of it are replaced: not everything is back.
    GoodsReplaced,
    /// What was captured does not pay it.
    CapturedTooLittle,
    /// More is to go back than is held of what was paid.
    RefundAbovePaid,
    /// A shipment holds more than is left of the order.
    ShippedTooMuch,
    /// The table has no such move from here.
    MoveNotAllowed,
}

impl Rejection {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OrderUnknown => "ordering.order_not_found",
            Self::OrderExists => "ordering.order_exists",
            Self::AmountsDiffer => "ordering.amounts_differ",
            Self::StillPlacing => "ordering.still_placing",
            Self::StillClosing => "ordering.still_closing",
            Self::NotReviving => "ordering.not_reviving",
            Self::BuyerErased => "ordering.buyer_erased",
            Self::AlreadyPaid => "ordering.already_paid",
            Self::AlreadyShipped => "ordering.already_shipped",
            Self::OrderEnded => "ordering.order_ended",
            Self::PaymentInReview => "ordering.payment_in_review",
            Self::DeadlineNotReached => "ordering.deadline_not_reached",
            Self::NotShipped | Self::NotAllShipped => "ordering.not_shipped",
            Self::NotPaid => "ordering.not_paid",
            Self::RefundUnknown => "ordering.refund_unknown",
            Self::RefundDiffers => "ordering.refund_differs",
            Self::NotQuarantined => "ordering.not_quarantined",
            Self::GoodsReplaced => "ordering.goods_replaced",
            Self::CapturedTooLittle => "ordering.captured_too_little",
            Self::RefundAbovePaid => "ordering.refund_above_paid",
            Self::ShippedTooMuch => "ordering.shipped_too_much",
            Self::MoveNotAllowed => "ordering.move_not_allowed",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::OrderUnknown => "There is no such order.",
            Self::OrderExists => "An order with this identity exists already.",
            Self::AmountsDiffer => "The lines, the freight and the total do not add up.",
            Self::StillPlacing => "The order is still being placed; try again in a moment.",
            Self::StillClosing => "The order is just being cancelled; try again in a moment.",
            Self::NotReviving => "No money of this order is there that could bring it back to life.",
            Self::BuyerErased => "The data of the order's buyer were erased.",
            Self::AlreadyPaid => "The order has just been paid; ask again to cancel it with its money.",
            Self::AlreadyShipped => {
                "Something of the order has left the warehouse; it comes back as a return only."
            }
            Self::OrderEnded => "The order has ended.",
            Self::PaymentInReview => "The shop is looking into a payment of this order.",
            Self::DeadlineNotReached => "The payment deadline has not passed.",
            Self::NotShipped => "The order has not been shipped yet.",
            Self::NotAllShipped => "Not everything has been shipped yet.",
            Self::NotPaid => "The order is not paid.",
            Self::RefundUnknown => "No such refund was asked for.",
            Self::RefundDiffers => "The refund gave back another amount than was asked for.",
            Self::GoodsReplaced => {
                "Goods of this order were sent again after the sale; give money back with an after-sale case."
            }
            Self::NotQuarantined => "No money of this order waits for a decision.",
            Self::CapturedTooLittle => "What was captured in the order's currency is less than its total.",
            Self::RefundAbovePaid => "Less than that is held of what was paid for the order.",
            Self::ShippedTooMuch => "The shipment holds more than is left of the order.",
            Self::MoveNotAllowed => "The order cannot do this from where it stands.",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::OrderUnknown => Self::not_found(rejection.code(), rejection.message()),
            // What may be right a moment later is a conflict, so that a reaction tries again.
            Rejection::StillPlacing
            | Rejection::StillClosing
            | Rejection::NotShipped
            | Rejection::NotAllShipped
            | Rejection::NotPaid => Self::conflict(rejection.code(), rejection.message()),
            _ => Self::rejected(rejection.code(), rejection.message()),
        }
    }
}

/// The events of `command`, all legal by the table and in order; none when it has already happened.
///
/// # Errors
/// The rule that says no.
pub fn decide(order: &Order, command: &Command, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    let events = rule(order, command, facts)?;
    let legal = events.iter().try_fold(order.axes, |axes, event| {
        transitions::next(axes, event.step()).map(Some).ok_or(Rejection::MoveNotAllowed)
    });
    legal.map(|_| events)
}

fn rule(order: &Order, command: &Command, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    let axes = match (order.axes, command) {
        (None, Command::Place(terms)) => return place(terms),
        (Some(_), Command::Place(terms)) => {
            let same = order.terms.as_ref() == Some(terms);
            return if same { Ok(Vec::new()) } else { Err(Rejection::OrderExists) };
        }
        (None, _) => return Err(Rejection::OrderUnknown),
        (Some(axes), _) => axes,
    };
    let one = |event| Ok(vec![event]);
    match command {
        Command::Place(_) => Err(Rejection::OrderExists),
        Command::Reject(refusal) => match axes.order {
            OrderAxis::Rejected => Ok(Vec::new()),
            _ => one(Event::OrderRejected(refusal.clone())),
        },
        Command::AwaitPayment(payment_id) => match axes.order {
            OrderAxis::Placed => {
                one(Event::OrderAwaitingPayment(OrderAwaitingPayment { payment_id: *payment_id }))
            }
            OrderAxis::Rejected => Err(Rejection::OrderEnded),
            _ => Ok(Vec::new()),
        },
        Command::RequestCancellation(reason) => request_cancellation(order, *reason, facts),
        Command::RefuseCancellation(code) => match (axes.order, order.cancellation) {
            (OrderAxis::Confirmed | OrderAxis::Completed, Some(_)) => {
                one(Event::CancellationRefused(CancellationRefused { code: code.clone() }))
            }
            _ => Ok(Vec::new()),
        },
        Command::Cancel => match (axes.order, order.cancellation) {
            (OrderAxis::Cancelled, _) => Ok(Vec::new()),
            (OrderAxis::Confirmed | OrderAxis::Completed, _) => Err(Rejection::AlreadyPaid),
            (OrderAxis::AwaitingPayment, Some(reason)) => {
                one(Event::OrderCancelled(OrderCancelled { reason, refunds: Vec::new() }))
            }
            _ => Err(Rejection::MoveNotAllowed),
        },
        Command::CancelPaid => cancel_paid(order, axes, facts),
        Command::RecordCapture { attempt_id, amount, late } => {
            money::record_capture(order, *attempt_id, *amount, *late, facts)
        }
        Command::RecordRefund { refund_id, amount } => money::record_refund(order, *refund_id, *amount),
        Command::Revive(attempt_id) => money::revive(order, axes, *attempt_id),
        Command::RefuseRevival { attempt_id, code } => Ok(money::refuse_revival(order, *attempt_id, code)),
        Command::AcceptQuarantine => money::accept_quarantine(order, facts),
        Command::RefundQuarantine => money::refund_quarantine(order, facts),
        Command::RefundReturned => money::refund_returned(order, facts),
        Command::OpenFulfilment(shipments) => goods::open(order, shipments),
        Command::RecordShipment(shipment) => goods::record_shipment(order, shipment),
        Command::RecordDelivery(shipment_id) => goods::record_delivery(order, *shipment_id),
        Command::RecordReturn(shipment_id) => goods::record_return(order, *shipment_id),
        Command::RecordCorrection { shipment_id, carrier, tracking_number } => {
            goods::record_correction(order, *shipment_id, carrier, tracking_number)
        }
        Command::ConfirmReceipt(by) => goods::confirm_receipt(order, *by),
        Command::GrantRefund { .. } | Command::GrantReplacement(_) | Command::RecordAfterSale(_) => {
            after_sale(order, axes, command)
        }
    }
}

fn after_sale(order: &Order, axes: Axes, command: &Command) -> Result<Vec<Event>, Rejection> {
    let one = |event| Ok(vec![event]);
    match command {
        Command::GrantRefund { case_id, amount } => money::grant_refund(order, *case_id, *amount),
        Command::GrantReplacement(case_id) if order.replacements.contains(case_id) => Ok(Vec::new()),
        Command::GrantReplacement(case_id) => {
            money::sold(order)?;
            one(Event::ReplacementGranted(ReplacementGranted { case_id: *case_id }))
        }
        Command::RecordAfterSale(moved)
            if order.cases.get(&moved.case_id) == Some(&moved.status)
                && axes.after_sale == moved.standing =>
        {
            Ok(Vec::new())
        }
        Command::RecordAfterSale(moved) => one(Event::AfterSaleMoved(moved.clone())),
        _ => Ok(Vec::new()),
    }
}

fn place(terms: &OrderPlaced) -> Result<Vec<Event>, Rejection> {
    let lines_add_up = !terms.lines.is_empty()
        && terms
            .lines
            .iter()
            .all(|line| line.unit_price.times(line.quantity.get()).ok() == Some(line.amount));
    let subtotal = Money::sum(terms.total.currency, terms.lines.iter().map(|line| line.amount)).ok();
    let total = terms.subtotal.plus(terms.freight).ok();
    let not_negative = terms.freight.minor >= 0 && terms.lines.iter().all(|line| line.unit_price.minor >= 0);
    if lines_add_up && not_negative && subtotal == Some(terms.subtotal) && total == Some(terms.total) {
        Ok(vec![Event::OrderPlaced(Box::new(terms.clone()))])
    } else {
        Err(Rejection::AmountsDiffer)
    }
}

fn request_cancellation(order: &Order, reason: CancelReason, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    let (Some(axes), Some(terms)) = (order.axes, order.terms.as_ref()) else {
        return Err(Rejection::OrderUnknown);
    };
    match axes.order {
        OrderAxis::Placed => Err(Rejection::StillPlacing),
        OrderAxis::Completed => Err(Rejection::AlreadyShipped),
        OrderAxis::Confirmed => request_paid_cancellation(order, axes.fulfilment, reason),
        OrderAxis::Cancelled => Ok(Vec::new()),
        OrderAxis::Rejected => Err(Rejection::OrderEnded),
        OrderAxis::AwaitingPayment if order.cancellation.is_some() => Ok(Vec::new()),
        OrderAxis::AwaitingPayment if axes.payment == PaymentAxis::Quarantined => {
            Err(Rejection::PaymentInReview)
        }
        OrderAxis::AwaitingPayment
            if reason == CancelReason::Expired && facts.now < terms.payment_deadline =>
        {
            Err(Rejection::DeadlineNotReached)
        }
        OrderAxis::AwaitingPayment => {
            Ok(vec![Event::CancellationRequested(CancellationRequested { reason })])
        }
    }
}

fn cancel_paid(order: &Order, axes: Axes, facts: &Facts) -> Result<Vec<Event>, Rejection> {
    match (axes.order, order.cancellation) {
        (OrderAxis::Cancelled, _) => Ok(Vec::new()),
        (OrderAxis::Completed, _) => Err(Rejection::AlreadyShipped),
        (OrderAxis::Confirmed, _) if axes.fulfilment != FulfilmentAxis::None => {
            Err(Rejection::AlreadyShipped)
        }
        (OrderAxis::Confirmed, Some(reason)) => {
            let refunds = money::all_back(order, facts.order_id);
            Ok(vec![Event::OrderCancelled(OrderCancelled { reason, refunds })])
        }
        _ => Err(Rejection::MoveNotAllowed),
    }
}

fn request_paid_cancellation(
    order: &Order,
    fulfilment: FulfilmentAxis,
    reason: CancelReason,
) -> Result<Vec<Event>, Rejection> {
    match (reason, fulfilment) {
        (CancelReason::Expired, _) => Err(Rejection::AlreadyPaid),
        (_, FulfilmentAxis::None) if order.cancellation.is_some() => Ok(Vec::new()),
        (_, FulfilmentAxis::None) => Ok(vec![Event::CancellationRequested(CancellationRequested { reason })]),
        _ => Err(Rejection::AlreadyShipped),
    }
}
