//! The table: which step moves which axis from where to where. `docs/order-states.md` is written from it.

use super::axes::{AfterSaleAxis as A, Axes, Axis, FulfilmentAxis as F, OrderAxis as O, PaymentAxis as P};

/// What an event does to the axes. One event name can be two steps when its content decides the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `OrderPlaced`.
    Place,
    /// `OrderRejected`.
    Reject,
    /// `OrderAwaitingPayment`.
    AwaitPayment,
    /// `CancellationRequested`.
    RequestCancellation,
    /// `CancellationRefused`.
    RefuseCancellation,
    /// `OrderCancelled` of an order nothing was paid for.
    Cancel,
    /// `OrderCancelled` with money that goes back.
    CancelPaid,
    /// `OrderRefunded` while more is still to go back.
    RefundSome,
    /// `OrderRefunded`, the last.
    RefundLast,
    /// `OrderPaid`.
    Pay,
    /// `PaymentQuarantined`.
    Quarantine,
    /// `QuarantineAccepted`, to the minor unit.
    AcceptQuarantine,
    /// `QuarantineAccepted` with a surplus.
    AcceptQuarantineAndMore,
    /// `LatePaymentReceived`.
    ReceiveLate,
    /// `LatePaymentRefunded` while other late money is still to go back.
    RefundLateSome,
    /// `LatePaymentRefunded`, the last.
    RefundLateLast,
    /// `RevivalBegun`.
    BeginRevival,
    /// `OrderRevived`, and no other money is to go back.
    Revive,
    /// `OrderRevived` while other late money is still to go back.
    ReviveAndMore,
    /// `RevivalRefused`.
    RefuseRevival,
    /// `OverpaymentReceived`.
    ReceiveOverpayment,
    /// `OverpaymentRefunded` while another surplus is still to go back.
    RefundOverpaymentSome,
    /// `OverpaymentRefunded`, the last.
    RefundOverpaymentLast,
    /// `FulfilmentOpened`.
    OpenFulfilment,
    /// `OrderShipped` while more is still in a warehouse.
    ShipSome,
    /// `OrderShipped`, the last.
    ShipLast,
    /// `OrderDelivered` while more is still to arrive.
    DeliverSome,
    /// `OrderDelivered`, the last.
    DeliverLast,
    /// `ParcelReturned`.
    ReturnParcel,
    /// `ParcelCorrected`.
    CorrectParcel,
    /// `ReceiptConfirmed`.
    ConfirmReceipt,
    /// `OrderCompleted`.
    Complete,
    /// `AfterSaleRefundGranted`.
    GrantRefund,
    /// `AfterSaleRefunded` while money of the order is held.
    RefundAfterSaleSome,
    /// `AfterSaleRefunded`, and nothing is held any more.
    RefundAfterSaleLast,
    /// `ReplacementGranted`.
    GrantReplacement,
    /// `AfterSaleMoved`, to where all cases stand now.
    MoveAfterSale(A),
}

/// From which values of one axis a step may be taken, and where it leads; `None` leaves the axis as it is.
#[derive(Clone, Copy, Debug)]
pub struct Move<A: 'static> {
    /// The values it may be taken from.
    pub from: &'static [A],
    /// The value afterwards.
    pub to: Option<A>,
}

const fn keep<A>(from: &'static [A]) -> Move<A> {
    Move { from, to: None }
}
const fn go<A>(from: &'static [A], to: A) -> Move<A> {
    Move { from, to: Some(to) }
}

/// One row of the table: the step is legal when every axis stands in its `from`.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// The step.
    pub step: Step,
    /// How the table names it: the event, and the case where one event has two.
    pub title: &'static str,
    /// The agreement.
    pub order: Move<O>,
    /// The money.
    pub payment: Move<P>,
    /// The goods.
    pub fulfilment: Move<F>,
    /// After the sale.
    pub after_sale: Move<A>,
}

const fn row(
    step: Step,
    title: &'static str,
    order: Move<O>,
    payment: Move<P>,
    fulfilment: Move<F>,
) -> Transition {
    Transition { step, title, order, payment, fulfilment, after_sale: keep(A::ALL) }
}
const fn moved(standing: A, title: &'static str) -> Transition {
    let after_sale = go(A::ALL, standing);
    Transition { after_sale, ..row(Step::MoveAfterSale(standing), title, PAID_ONCE, keep(P::ALL), ANYWHERE) }
}

const UNSENT: Move<F> = keep(&[F::None]);
const UNSENT_OR_BACK: Move<F> = keep(&[F::None, F::Shipped, F::Delivered]);
const SENT: Move<F> = keep(&[F::PartShipped, F::Shipped, F::Delivered, F::Received]);
const HELD: Move<P> = keep(&[P::Captured, P::Overpaid, P::PartRefunded, P::Refunded]);
const PAID_ONCE: Move<O> = keep(&[O::Confirmed, O::Completed, O::Cancelled]);
const ENDED_OR_ENDING: Move<O> = keep(&[O::Rejected, O::AwaitingPayment, O::Cancelled]);
const ENDED_UNPAID: Move<O> = keep(&[O::AwaitingPayment, O::Cancelled]);
const SOLD: Move<O> = keep(&[O::Confirmed, O::Completed]);
const ANYWHERE: Move<F> = keep(F::ALL);

/// Every move after `OrderPlaced`, which alone makes an order ([`Axes::INITIAL`]).
pub const TRANSITIONS: &[Transition] = &[
    row(Step::Reject, "OrderRejected", go(&[O::Placed], O::Rejected), keep(&[P::None]), UNSENT),
    row(
        Step::AwaitPayment,
        "OrderAwaitingPayment",
        go(&[O::Placed], O::AwaitingPayment),
        go(&[P::None], P::Pending),
        UNSENT,
    ),
    row(
        Step::RequestCancellation,
        "CancellationRequested",
        keep(&[O::AwaitingPayment]),
        keep(&[P::Pending, P::Late, P::Refunded]),
        UNSENT,
    ),
    row(
        Step::RequestCancellation,
        "CancellationRequested (of a paid order)",
        keep(&[O::Confirmed]),
        HELD,
        UNSENT,
    ),
    row(Step::RefuseCancellation, "CancellationRefused", SOLD, HELD, ANYWHERE),
    row(
        Step::Cancel,
        "OrderCancelled",
        go(&[O::AwaitingPayment], O::Cancelled),
        go(&[P::Pending], P::None),
        UNSENT,
    ),
    row(
        Step::Cancel,
        "OrderCancelled (late money came meanwhile)",
        go(&[O::AwaitingPayment], O::Cancelled),
        keep(&[P::Late, P::Refunded]),
        UNSENT,
    ),
    row(
        Step::Cancel,
        "OrderCancelled (all of it is going back after the sale)",
        go(&[O::Confirmed], O::Cancelled),
        go(&[P::Captured, P::Overpaid], P::Captured),
        UNSENT_OR_BACK,
    ),
    row(
        Step::Cancel,
        "OrderCancelled (all of it went back after the sale)",
        go(&[O::Confirmed], O::Cancelled),
        keep(&[P::PartRefunded, P::Refunded]),
        UNSENT_OR_BACK,
    ),
    row(
        Step::CancelPaid,
        "OrderCancelled (paid)",
        go(&[O::Confirmed], O::Cancelled),
        go(&[P::Captured, P::Overpaid], P::Captured),
        UNSENT,
    ),
    row(
        Step::CancelPaid,
        "OrderCancelled (paid; a part went back after the sale)",
        go(&[O::Confirmed], O::Cancelled),
        keep(&[P::PartRefunded]),
        keep(&[F::None, F::Shipped, F::Delivered]),
    ),
    row(
        Step::CancelPaid,
        "OrderCancelled (everything was shipped and came back)",
        go(&[O::Confirmed], O::Cancelled),
        go(&[P::Captured, P::Overpaid], P::Captured),
        keep(&[F::Shipped, F::Delivered]),
    ),
    row(
        Step::CancelPaid,
        "OrderCancelled (quarantined money goes back)",
        go(&[O::AwaitingPayment], O::Cancelled),
        go(&[P::Quarantined], P::Late),
        UNSENT,
    ),
    row(
        Step::RefundSome,
        "OrderRefunded (more to go back)",
        keep(&[O::Cancelled]),
        go(&[P::Captured, P::PartRefunded], P::PartRefunded),
        UNSENT_OR_BACK,
    ),
    row(
        Step::RefundLast,
        "OrderRefunded (the last)",
        keep(&[O::Cancelled]),
        go(&[P::Captured, P::PartRefunded], P::Refunded),
        UNSENT_OR_BACK,
    ),
    row(
        Step::Pay,
        "OrderPaid",
        go(&[O::AwaitingPayment], O::Confirmed),
        go(&[P::Pending], P::Captured),
        UNSENT,
    ),
    row(
        Step::Quarantine,
        "PaymentQuarantined",
        keep(&[O::AwaitingPayment]),
        go(&[P::Pending, P::Quarantined], P::Quarantined),
        UNSENT,
    ),
    row(
        Step::AcceptQuarantine,
        "QuarantineAccepted",
        go(&[O::AwaitingPayment], O::Confirmed),
        go(&[P::Quarantined], P::Captured),
        UNSENT,
    ),
    row(
        Step::AcceptQuarantineAndMore,
        "QuarantineAccepted (with a surplus)",
        go(&[O::AwaitingPayment], O::Confirmed),
        go(&[P::Quarantined], P::Overpaid),
        UNSENT,
    ),
    row(
        Step::ReceiveLate,
        "LatePaymentReceived",
        ENDED_OR_ENDING,
        go(&[P::None, P::Pending, P::Captured, P::PartRefunded, P::Late, P::Refunded], P::Late),
        UNSENT_OR_BACK,
    ),
    row(
        Step::RefundLateSome,
        "LatePaymentRefunded (more to go back)",
        ENDED_OR_ENDING,
        keep(&[P::Late]),
        UNSENT_OR_BACK,
    ),
    row(
        Step::RefundLateLast,
        "LatePaymentRefunded (the last)",
        ENDED_OR_ENDING,
        go(&[P::Late], P::Refunded),
        UNSENT_OR_BACK,
    ),
    row(Step::BeginRevival, "RevivalBegun", ENDED_UNPAID, keep(&[P::Late]), UNSENT),
    row(Step::Revive, "OrderRevived", go(&[O::Cancelled], O::Confirmed), go(&[P::Late], P::Captured), UNSENT),
    row(
        Step::ReviveAndMore,
        "OrderRevived (other late money is to go back)",
        go(&[O::Cancelled], O::Confirmed),
        go(&[P::Late], P::Overpaid),
        UNSENT,
    ),
    row(Step::RefuseRevival, "RevivalRefused", ENDED_UNPAID, keep(&[P::Late, P::Refunded]), UNSENT),
    row(
        Step::ReceiveOverpayment,
        "OverpaymentReceived",
        SOLD,
        go(&[P::Captured, P::Overpaid], P::Overpaid),
        ANYWHERE,
    ),
    row(
        Step::ReceiveOverpayment,
        "OverpaymentReceived (some went back after the sale)",
        SOLD,
        keep(&[P::PartRefunded, P::Refunded]),
        ANYWHERE,
    ),
    row(
        Step::RefundOverpaymentSome,
        "OverpaymentRefunded (some went back after the sale)",
        SOLD,
        keep(&[P::PartRefunded, P::Refunded]),
        ANYWHERE,
    ),
    row(
        Step::RefundOverpaymentLast,
        "OverpaymentRefunded (the last; some went back after the sale)",
        SOLD,
        keep(&[P::PartRefunded, P::Refunded]),
        ANYWHERE,
    ),
    row(
        Step::RefundOverpaymentSome,
        "OverpaymentRefunded (more to go back)",
        SOLD,
        keep(&[P::Overpaid]),
        ANYWHERE,
    ),
    row(
        Step::RefundOverpaymentLast,
        "OverpaymentRefunded (the last)",
        SOLD,
        go(&[P::Overpaid], P::Captured),
        ANYWHERE,
    ),
    row(Step::OpenFulfilment, "FulfilmentOpened", keep(&[O::Confirmed]), HELD, ANYWHERE),
    row(
        Step::ShipSome,
        "OrderShipped (more to be shipped)",
        keep(&[O::Confirmed]),
        HELD,
        go(&[F::None, F::PartShipped], F::PartShipped),
    ),
    row(
        Step::ShipLast,
        "OrderShipped (the last)",
        keep(&[O::Confirmed]),
        HELD,
        go(&[F::None, F::PartShipped], F::Shipped),
    ),
    row(
        Step::DeliverSome,
        "OrderDelivered (more to arrive)",
        keep(&[O::Confirmed]),
        HELD,
        keep(&[F::PartShipped, F::Shipped]),
    ),
    row(
        Step::DeliverLast,
        "OrderDelivered (the last)",
        keep(&[O::Confirmed]),
        HELD,
        go(&[F::Shipped], F::Delivered),
    ),
    row(Step::ReturnParcel, "ParcelReturned", SOLD, HELD, SENT),
    row(Step::CorrectParcel, "ParcelCorrected", SOLD, HELD, SENT),
    row(
        Step::ConfirmReceipt,
        "ReceiptConfirmed",
        keep(&[O::Confirmed]),
        HELD,
        go(&[F::Shipped, F::Delivered], F::Received),
    ),
    row(Step::Complete, "OrderCompleted", go(&[O::Confirmed], O::Completed), HELD, keep(&[F::Received])),
    row(Step::GrantRefund, "AfterSaleRefundGranted", SOLD, HELD, ANYWHERE),
    row(Step::GrantReplacement, "ReplacementGranted", SOLD, HELD, ANYWHERE),
    row(
        Step::RefundAfterSaleSome,
        "AfterSaleRefunded (more is held)",
        PAID_ONCE,
        go(&[P::Captured, P::Overpaid, P::PartRefunded, P::Refunded], P::PartRefunded),
        ANYWHERE,
    ),
    row(
        Step::RefundAfterSaleSome,
        "AfterSaleRefunded (late money is held)",
        keep(&[O::Cancelled]),
        keep(&[P::Late]),
        ANYWHERE,
    ),
    row(
        Step::RefundAfterSaleLast,
        "AfterSaleRefunded (nothing more is held)",
        PAID_ONCE,
        go(&[P::Captured, P::Overpaid, P::PartRefunded, P::Late, P::Refunded], P::Refunded),
        ANYWHERE,
    ),
    moved(A::Requested, "AfterSaleMoved (something waits for an answer)"),
    moved(A::Approved, "AfterSaleMoved (goods may come back)"),
    moved(A::Returned, "AfterSaleMoved (goods or their money are being settled)"),
    moved(A::Exchanged, "AfterSaleMoved (the last case ended with a replacement)"),
    moved(A::Closed, "AfterSaleMoved (the last case ended)"),
];

/// The axes after `step`, or `None` when the table has no row for it from here. `current` is `None` before
/// the order exists.
pub fn next(current: Option<Axes>, step: Step) -> Option<Axes> {
    let Some(axes) = current else {
        return (step == Step::Place).then_some(Axes::INITIAL);
    };
    let row = TRANSITIONS.iter().find(|row| {
        row.step == step
            && row.order.from.contains(&axes.order)
            && row.payment.from.contains(&axes.payment)
            && row.fulfilment.from.contains(&axes.fulfilment)
            && row.after_sale.from.contains(&axes.after_sale)
    })?;
    Some(Axes {
        order: row.order.to.unwrap_or(axes.order),
        payment: row.payment.to.unwrap_or(axes.payment),
        fulfilment: row.fulfilment.to.unwrap_or(axes.fulfilment),
        after_sale: row.after_sale.to.unwrap_or(axes.after_sale),
    })
}

/// The page `docs/order-states.md`.
pub fn markdown() -> String {
    let mut out = String::from(concat!(
        "# The states of an order\n\n",
        "Written from `crates/ordering/src/domain/transitions.rs`; do not edit. To write it again after a change:\n",
        "`MERX_REGENERATE=1 cargo test -p merx-ordering --test it order_states`.\n\n",
        "An order has four independent axes, each derived from its events. A step is legal only when every axis\n",
        "stands in its column; what is not in the table is refused. `a → b` moves the axis, a value alone leaves\n",
        "it where it is. `OrderPlaced` makes the order: placed, payment none, fulfilment none, after-sale none.\n",
        "\n| event | order | payment | fulfilment | after-sale |\n|---|---|---|---|---|\n",
    ));
    for row in TRANSITIONS {
        let cells = [cell(&row.order), cell(&row.payment), cell(&row.fulfilment), cell(&row.after_sale)];
        out.push_str(&format!("| {} | {} |\n", row.title, cells.join(" | ")));
    }
    out.push_str("\n## The values\n\n");
    out.push_str(&values::<O>());
    out.push_str(&values::<P>());
    out.push_str(&values::<F>());
    out.push_str(&values::<super::axes::AfterSaleAxis>());
    out.push_str(
        "\n## What the buyer is told\n\n| order | payment | fulfilment | status |\n|---|---|---|---|\n",
    );
    let told = reachable().into_iter().map(|axes| Axes { after_sale: A::None, ..axes });
    for axes in told.collect::<std::collections::BTreeSet<_>>() {
        let status = serde_json::to_value(axes.buyer_status()).unwrap_or_default();
        let status = status.as_str().unwrap_or_default().to_owned();
        let (order, payment, goods) = (axes.order.name(), axes.payment.name(), axes.fulfilment.name());
        out.push_str(&format!("| {order} | {payment} | {goods} | `{status}` |\n"));
    }
    out
}

/// Every combination of axes that some sequence of steps leads to, sorted.
pub fn reachable() -> Vec<Axes> {
    let mut seen = std::collections::BTreeSet::from([Axes::INITIAL]);
    let mut open = vec![Axes::INITIAL];
    while let Some(axes) = open.pop() {
        for row in TRANSITIONS {
            if let Some(after) = next(Some(axes), row.step)
                && seen.insert(after)
            {
                open.push(after);
            }
        }
    }
    seen.into_iter().collect()
}

fn cell<A: Axis>(step: &Move<A>) -> String {
    let from = if step.from.len() == A::ALL.len() {
        "any".to_owned()
    } else {
        step.from.iter().map(|axis| axis.name()).collect::<Vec<_>>().join(", ")
    };
    step.to.map_or(from.clone(), |to| format!("{from} → **{}**", to.name()))
}

fn values<A: Axis>() -> String {
    let names: Vec<String> = A::ALL.iter().map(|axis| format!("`{}`", axis.name())).collect();
    format!("- {}: {}\n", A::TITLE, names.join(", "))
}
