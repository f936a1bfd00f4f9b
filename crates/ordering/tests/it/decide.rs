//! Given what happened, when somebody wants this, then that happens or this rule says no.

use merx_kernel::{Error, ErrorKind, Money, Timestamp};
use merx_ordering::domain::{
    Axis, CancelReason, Command, FulfilmentAxis, OrderAxis, OrderPlaced, PaymentAxis, ReceivedBy, Rejection,
    decide,
};

use crate::given::{
    ATTEMPT, DEADLINE, OTHER_ATTEMPT, SHIPMENT, after, await_payment, cancel_by, capture, cny, facts_at,
    names, open, paid, place, refunded, reject, ship, terms, total,
};
use crate::plain;

type Then = Result<&'static [&'static str], Rejection>;

fn check(table: Vec<(&str, Vec<Command>, Command, Then)>) {
    for (title, given, when, then) in table {
        let order = after(&given);
        let result = decide(&order, &when, &facts_at(DEADLINE));
        let got = result.as_ref().map(|events| names(events)).map_err(|no| *no);
        assert_eq!(got, then.map(<[_]>::to_vec), "{title}");
    }
}

fn awaiting() -> Vec<Command> {
    vec![place(), await_payment()]
}
fn with(mut given: Vec<Command>, more: impl IntoIterator<Item = Command>) -> Vec<Command> {
    given.extend(more);
    given
}
fn closing() -> Vec<Command> {
    with(awaiting(), [cancel_by(CancelReason::Buyer)])
}
fn cancelled() -> Vec<Command> {
    with(closing(), [Command::Cancel])
}
fn confirmed() -> Vec<Command> {
    with(awaiting(), [paid()])
}
fn shipped() -> Vec<Command> {
    with(confirmed(), [open(), ship()])
}
fn completed() -> Vec<Command> {
    with(shipped(), [Command::ConfirmReceipt(ReceivedBy::Buyer)])
}

fn placing() {
    let altered = |change: fn(&mut OrderPlaced)| {
        let mut terms = terms();
        change(&mut terms);
        Command::Place(Box::new(terms))
    };
    check(vec![
        ("new", vec![], place(), Ok(&["OrderPlaced"])),
        ("the same again", vec![place()], place(), Ok(&[])),
        ("other terms", vec![place()], altered(|t| t.quote_id.clear()), Err(Rejection::OrderExists)),
        ("no lines", vec![], altered(|t| t.lines.clear()), Err(Rejection::AmountsDiffer)),
        ("line off", vec![], altered(|t| t.lines[0].amount.minor += 1), Err(Rejection::AmountsDiffer)),
        ("subtotal off", vec![], altered(|t| t.subtotal.minor += 1), Err(Rejection::AmountsDiffer)),
        ("total off by a fen", vec![], altered(|t| t.total.minor -= 1), Err(Rejection::AmountsDiffer)),
        (
            "negative freight",
            vec![],
            altered(|t| {
                t.freight.minor = -1;
                t.total.minor = t.subtotal.minor - 1;
            }),
            Err(Rejection::AmountsDiffer),
        ),
        (
            "another currency",
            vec![],
            altered(|t| t.freight = Money::new(800, merx_kernel::Currency::USD)),
            Err(Rejection::AmountsDiffer),
        ),
    ]);
}

fn arranging() {
    check(vec![
        ("unknown", vec![], await_payment(), Err(Rejection::OrderUnknown)),
        ("arranged", vec![place()], await_payment(), Ok(&["OrderAwaitingPayment"])),
        ("arranged twice", awaiting(), await_payment(), Ok(&[])),
        ("arranged after paid", confirmed(), await_payment(), Ok(&[])),
        ("arranged after rejected", vec![place(), reject()], await_payment(), Err(Rejection::OrderEnded)),
        ("rejected", vec![place()], reject(), Ok(&["OrderRejected"])),
        ("rejected twice", vec![place(), reject()], reject(), Ok(&[])),
        ("rejected after arranged", awaiting(), reject(), Err(Rejection::MoveNotAllowed)),
        ("rejected after paid", confirmed(), reject(), Err(Rejection::MoveNotAllowed)),
    ]);
}

fn cancelling() {
    let by_buyer = || cancel_by(CancelReason::Buyer);
    check(vec![
        ("unknown", vec![], by_buyer(), Err(Rejection::OrderUnknown)),
        ("still placing", vec![place()], by_buyer(), Err(Rejection::StillPlacing)),
        ("rejected", vec![place(), reject()], by_buyer(), Err(Rejection::OrderEnded)),
        ("unpaid", awaiting(), by_buyer(), Ok(&["CancellationRequested"])),
        (
            "unpaid, by the deadline",
            awaiting(),
            cancel_by(CancelReason::Expired),
            Ok(&["CancellationRequested"]),
        ),
        ("asked already", closing(), cancel_by(CancelReason::Expired), Ok(&[])),
        ("paid", confirmed(), by_buyer(), Ok(&["CancellationRequested"])),
        ("paid, by the deadline", confirmed(), cancel_by(CancelReason::Expired), Err(Rejection::AlreadyPaid)),
        ("shipped", shipped(), by_buyer(), Err(Rejection::AlreadyShipped)),
        ("completed", completed(), by_buyer(), Err(Rejection::AlreadyShipped)),
        ("cancelled", cancelled(), by_buyer(), Ok(&[])),
        (
            "money in quarantine",
            with(awaiting(), [capture(ATTEMPT, cny(1), false)]),
            by_buyer(),
            Err(Rejection::PaymentInReview),
        ),
        ("concluded", closing(), Command::Cancel, Ok(&["OrderCancelled"])),
        ("concluded twice", cancelled(), Command::Cancel, Ok(&[])),
        ("concluded unasked", awaiting(), Command::Cancel, Err(Rejection::MoveNotAllowed)),
        ("concluded after paid", with(closing(), [paid()]), Command::Cancel, Err(Rejection::AlreadyPaid)),
        (
            "concluded with late money there",
            with(closing(), [capture(ATTEMPT, total(), true)]),
            Command::Cancel,
            Ok(&["OrderCancelled"]),
        ),
    ]);
    let before = Timestamp::from_millis(DEADLINE.as_millis() - 1);
    let early = decide(&after(&awaiting()), &cancel_by(CancelReason::Expired), &facts_at(before));
    assert_eq!(early, Err(Rejection::DeadlineNotReached));
}

fn money_in_time() {
    check(vec![
        ("unknown", vec![], paid(), Err(Rejection::OrderUnknown)),
        ("still placing", vec![place()], paid(), Err(Rejection::StillPlacing)),
        ("in time", awaiting(), paid(), Ok(&["OrderPaid"])),
        ("the same money again", confirmed(), paid(), Ok(&[])),
        ("the same money again, later", completed(), paid(), Ok(&[])),
        ("while closing: the money wins", closing(), paid(), Ok(&["OrderPaid"])),
        ("another amount", awaiting(), capture(ATTEMPT, cny(14_389), false), Ok(&["PaymentQuarantined"])),
        (
            "another currency",
            awaiting(),
            capture(ATTEMPT, Money::new(14_390, merx_kernel::Currency::USD), false),
            Ok(&["PaymentQuarantined"]),
        ),
        (
            "a second attempt",
            confirmed(),
            capture(OTHER_ATTEMPT, total(), true),
            Ok(&["OverpaymentReceived"]),
        ),
        (
            "a second attempt, late",
            completed(),
            capture(OTHER_ATTEMPT, cny(1), true),
            Ok(&["OverpaymentReceived"]),
        ),
    ]);
}

fn money_too_late() {
    let late = || capture(ATTEMPT, total(), true);
    check(vec![
        ("payment closed, order not yet", closing(), late(), Ok(&["LatePaymentReceived", "RevivalBegun"])),
        ("cancelled", cancelled(), late(), Ok(&["LatePaymentReceived", "RevivalBegun"])),
        ("cancelled, not called late", cancelled(), paid(), Ok(&["LatePaymentReceived", "RevivalBegun"])),
        ("rejected", vec![place(), reject()], paid(), Ok(&["LatePaymentReceived"])),
        ("the same again", with(cancelled(), [late()]), late(), Ok(&[])),
        (
            "a second attempt",
            with(cancelled(), [late()]),
            capture(OTHER_ATTEMPT, total(), true),
            Ok(&["LatePaymentReceived"]),
        ),
        ("refunded", with(cancelled(), [late()]), refunded(ATTEMPT, total()), Ok(&["LatePaymentRefunded"])),
        (
            "refunded twice",
            with(cancelled(), [late(), refunded(ATTEMPT, total())]),
            refunded(ATTEMPT, total()),
            Ok(&[]),
        ),
        (
            "refund of another amount",
            with(cancelled(), [late()]),
            refunded(ATTEMPT, cny(1)),
            Err(Rejection::RefundDiffers),
        ),
        ("refund nobody asked for", confirmed(), refunded(ATTEMPT, total()), Err(Rejection::RefundUnknown)),
    ]);
}

fn several_surpluses_settle_one_by_one() {
    let late = |attempt| capture(attempt, total(), true);
    let one = after(&with(cancelled(), [late(ATTEMPT), late(OTHER_ATTEMPT), refunded(ATTEMPT, total())]));
    assert_eq!(one.axes.unwrap().payment, PaymentAxis::Late);
    assert_eq!(one.held_minor(), total().minor);
    let both = after(&with(
        cancelled(),
        [late(ATTEMPT), late(OTHER_ATTEMPT), refunded(ATTEMPT, total()), refunded(OTHER_ATTEMPT, total())],
    ));
    assert_eq!(both.axes.unwrap().payment, PaymentAxis::Refunded);
    assert_eq!(both.held_minor(), 0);

    let overpaid = after(&with(confirmed(), [late(OTHER_ATTEMPT)]));
    assert_eq!(overpaid.axes.unwrap().payment, PaymentAxis::Overpaid);
    let settled = after(&with(confirmed(), [late(OTHER_ATTEMPT), refunded(OTHER_ATTEMPT, total())]));
    assert_eq!(settled.axes.unwrap().payment, PaymentAxis::Captured);
    assert_eq!(settled.held_minor(), total().minor);
}

fn fulfilment() {
    let opened = open;
    let delivered = || Command::RecordDelivery(SHIPMENT);
    check(vec![
        ("opened", confirmed(), opened(), Ok(&["FulfilmentOpened"])),
        ("opened twice", with(confirmed(), [opened()]), opened(), Ok(&[])),
        ("opened unpaid", awaiting(), opened(), Err(Rejection::NotPaid)),
        ("opened after it was shipped", with(confirmed(), [ship()]), opened(), Ok(&["FulfilmentOpened"])),
        ("opened when cancelled", cancelled(), opened(), Ok(&[])),
        ("shipped", with(confirmed(), [opened()]), ship(), Ok(&["OrderShipped"])),
        ("shipped before the saga wrote it down", confirmed(), ship(), Ok(&["OrderShipped"])),
        ("shipped twice", shipped(), ship(), Ok(&[])),
        ("shipped unpaid", awaiting(), ship(), Err(Rejection::NotPaid)),
        ("shipped when cancelled", cancelled(), ship(), Err(Rejection::OrderEnded)),
        ("delivered", shipped(), delivered(), Ok(&["OrderDelivered"])),
        ("delivered before shipped", confirmed(), delivered(), Err(Rejection::NotShipped)),
        ("delivered twice", with(shipped(), [delivered()]), delivered(), Ok(&[])),
        ("delivered after received", completed(), delivered(), Ok(&[])),
        (
            "receipt",
            shipped(),
            Command::ConfirmReceipt(ReceivedBy::Buyer),
            Ok(&["ReceiptConfirmed", "OrderCompleted"]),
        ),
        (
            "receipt after delivery",
            with(shipped(), [delivered()]),
            Command::ConfirmReceipt(ReceivedBy::Buyer),
            Ok(&["ReceiptConfirmed", "OrderCompleted"]),
        ),
        ("receipt twice", completed(), Command::ConfirmReceipt(ReceivedBy::Buyer), Ok(&[])),
        (
            "receipt before shipping",
            confirmed(),
            Command::ConfirmReceipt(ReceivedBy::Buyer),
            Err(Rejection::NotShipped),
        ),
        (
            "receipt of a cancelled order",
            cancelled(),
            Command::ConfirmReceipt(ReceivedBy::Buyer),
            Err(Rejection::OrderEnded),
        ),
    ]);
    let done = after(&completed()).axes.unwrap();
    assert_eq!(done.order, OrderAxis::Completed);
    assert_eq!(done.fulfilment, FulfilmentAxis::Received);
    assert_eq!(done.payment.name(), "captured");
}

fn refusals_that_pass_are_retried_the_others_are_not() {
    let kind = |no: Rejection| Error::from(no).kind();
    for no in [
        Rejection::StillPlacing,
        Rejection::StillClosing,
        Rejection::NotPaid,
        Rejection::NotShipped,
        Rejection::NotAllShipped,
    ] {
        assert_eq!(kind(no), ErrorKind::Conflict);
    }
    for no in
        [Rejection::AlreadyPaid, Rejection::OrderEnded, Rejection::RefundUnknown, Rejection::MoveNotAllowed]
    {
        assert_eq!(kind(no), ErrorKind::Rejected);
    }
    assert_eq!(kind(Rejection::OrderUnknown), ErrorKind::NotFound);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["decide": placing, arranging, cancelling, money_in_time, money_too_late, several_surpluses_settle_one_by_one, fulfilment, refusals_that_pass_are_retried_the_others_are_not]
}
