//! What after-sale is granted, and how the order follows its cases.

use merx_contracts::ids::AfterSaleId;
use merx_kernel::{Id, Money};
use merx_ordering::domain::{
    AfterSaleAxis, CancelReason, Command, Order, OrderAxis, PaymentAxis, Rejection, decide,
    event::AfterSaleMoved, identity,
};

use crate::{
    given::{
        ATTEMPT, DEADLINE, OTHER_ATTEMPT, SHIPMENT, after, await_payment, cancel_by, capture, cny, facts_at,
        names, open, paid, place, refunded, ship, total,
    },
    plain,
};

const CASE: AfterSaleId = Id::from_bits(0xa1);
const SECOND: AfterSaleId = Id::from_bits(0xa2);

fn bought() -> Vec<Command> {
    vec![place(), await_payment(), paid()]
}
fn with(given: Vec<Command>, more: &[Command]) -> Vec<Command> {
    [given, more.to_vec()].concat()
}
fn grant(case_id: AfterSaleId, amount: Money) -> Command {
    Command::GrantRefund { case_id, amount }
}
fn back(case_id: AfterSaleId, amount: Money) -> Command {
    Command::RecordRefund { refund_id: identity::after_sale_refund_of(case_id, ATTEMPT), amount }
}
fn rest(minor: i64) -> Money {
    cny(total().minor - minor)
}
fn told(order: &Order, command: &Command) -> Result<Vec<&'static str>, Rejection> {
    decide(order, command, &facts_at(DEADLINE)).map(|events| names(&events))
}
fn axes(order: &Order) -> (OrderAxis, PaymentAxis) {
    order.axes.map(|axes| (axes.order, axes.payment)).unwrap()
}

fn money_is_granted_once_and_never_above_what_is_held() {
    let cancelled = with(bought(), &[cancel_by(CancelReason::Buyer), Command::CancelPaid]);
    type Row = (&'static str, Vec<Command>, Command, Result<&'static [&'static str], Rejection>);
    let table: Vec<Row> = vec![
        ("no order", vec![], grant(CASE, cny(1)), Err(Rejection::OrderUnknown)),
        ("unpaid", vec![place(), await_payment()], grant(CASE, cny(1)), Err(Rejection::NotPaid)),
        ("a part", bought(), grant(CASE, cny(900)), Ok(&["AfterSaleRefundGranted"])),
        ("again", with(bought(), &[grant(CASE, cny(900))]), grant(CASE, cny(900)), Ok(&[])),
        (
            "again, another amount",
            with(bought(), &[grant(CASE, cny(900))]),
            grant(CASE, cny(901)),
            Err(Rejection::RefundDiffers),
        ),
        ("all", bought(), grant(CASE, total()), Ok(&["AfterSaleRefundGranted"])),
        ("too much", bought(), grant(CASE, rest(-1)), Err(Rejection::RefundAbovePaid)),
        (
            "together too much",
            with(bought(), &[grant(CASE, cny(900))]),
            grant(SECOND, rest(899)),
            Err(Rejection::RefundAbovePaid),
        ),
        (
            "together all",
            with(bought(), &[grant(CASE, cny(900))]),
            grant(SECOND, rest(900)),
            Ok(&["AfterSaleRefundGranted"]),
        ),
        ("of a cancelled order", cancelled, grant(CASE, cny(1)), Err(Rejection::OrderEnded)),
        ("nobody asked", bought(), back(CASE, cny(900)), Err(Rejection::RefundUnknown)),
        ("back", with(bought(), &[grant(CASE, cny(900))]), back(CASE, cny(900)), Ok(&["AfterSaleRefunded"])),
        (
            "back twice",
            with(bought(), &[grant(CASE, cny(900)), back(CASE, cny(900))]),
            back(CASE, cny(900)),
            Ok(&[]),
        ),
        (
            "another amount back",
            with(bought(), &[grant(CASE, cny(900))]),
            back(CASE, cny(1)),
            Err(Rejection::RefundDiffers),
        ),
    ];
    for (name, given, command, expected) in table {
        assert_eq!(told(&after(&given), &command), expected.map(<[_]>::to_vec), "{name}");
    }
}

fn the_payment_axis_says_what_is_left() {
    let one = with(bought(), &[grant(CASE, cny(900))]);
    assert_eq!(axes(&after(&one)), (OrderAxis::Confirmed, PaymentAxis::Captured));
    let one = with(one, &[back(CASE, cny(900))]);
    assert_eq!(axes(&after(&one)), (OrderAxis::Confirmed, PaymentAxis::PartRefunded));
    // The goods go on, whatever of the money went back.
    let sent = with(one.clone(), &[open(), ship()]);
    assert_eq!(after(&sent).illegal_events, 0);
    let both = with(sent, &[grant(SECOND, rest(900)), back(SECOND, rest(900))]);
    assert_eq!(axes(&after(&both)), (OrderAxis::Confirmed, PaymentAxis::Refunded));
    // A second payment of it goes back as ever.
    let twice = with(one, &[capture(OTHER_ATTEMPT, total(), false), refunded(OTHER_ATTEMPT, total())]);
    assert_eq!(axes(&after(&twice)), (OrderAxis::Confirmed, PaymentAxis::PartRefunded));
}

fn a_cancellation_gives_back_the_rest() {
    let granted = with(bought(), &[grant(CASE, cny(900)), cancel_by(CancelReason::Buyer)]);
    let order = after(&with(granted, &[Command::CancelPaid]));
    assert_eq!(axes(&order), (OrderAxis::Cancelled, PaymentAxis::Captured));
    let amounts: Vec<i64> = order.to_refund().map(|(_, part)| part.amount.minor).collect();
    assert_eq!(amounts.iter().sum::<i64>(), total().minor);
    assert_eq!(amounts.len(), 2, "each under its own identity");
    let all = with(bought(), &[grant(CASE, cny(900)), back(CASE, cny(900)), cancel_by(CancelReason::Buyer)]);
    let order = after(&with(all, &[Command::CancelPaid]));
    assert_eq!(axes(&order), (OrderAxis::Cancelled, PaymentAxis::PartRefunded));
    let last = decide(&order, &refunded(ATTEMPT, rest(900)), &facts_at(DEADLINE)).unwrap();
    let order = last.iter().fold(order, Order::evolve);
    assert_eq!((axes(&order).1, order.held_minor()), (PaymentAxis::Refunded, 0));
}

fn an_order_whose_goods_are_replaced_is_never_refunded_whole() {
    let grant = Command::GrantReplacement(CASE);
    let here = with(bought(), &[open(), ship(), Command::RecordReturn(SHIPMENT)]);
    assert_eq!(told(&after(&here), &Command::RefundReturned), Ok(vec!["OrderCancelled"]));
    let order = after(&with(here, std::slice::from_ref(&grant)));
    assert_eq!(told(&order, &Command::RefundReturned), Err(Rejection::GoodsReplaced));
    assert_eq!(told(&order, &grant), Ok(vec![]));
    let cancelled = with(bought(), &[cancel_by(CancelReason::Buyer), Command::CancelPaid]);
    assert_eq!(told(&after(&cancelled), &grant), Err(Rejection::OrderEnded));
}

fn the_axis_follows_the_cases() {
    let moved = |case_id, status: &str, standing| {
        Command::RecordAfterSale(AfterSaleMoved {
            case_id,
            kind: "return".to_owned(),
            status: status.to_owned(),
            standing,
        })
    };
    let asked = moved(CASE, "requested", AfterSaleAxis::Requested);
    let order = after(&with(bought(), std::slice::from_ref(&asked)));
    assert_eq!(order.axes.unwrap().after_sale, AfterSaleAxis::Requested);
    assert_eq!(told(&order, &asked), Ok(vec![]));
    let life = [
        asked,
        moved(CASE, "approved", AfterSaleAxis::Approved),
        moved(SECOND, "requested", AfterSaleAxis::Requested),
        moved(SECOND, "refused", AfterSaleAxis::Approved),
        moved(CASE, "received", AfterSaleAxis::Returned),
        moved(CASE, "refunded", AfterSaleAxis::Closed),
    ];
    let order = after(&with(bought(), &life));
    assert_eq!((order.axes.unwrap().after_sale, order.illegal_events), (AfterSaleAxis::Closed, 0));
    let unpaid = after(&[place(), await_payment()]);
    let refused = told(&unpaid, &moved(CASE, "requested", AfterSaleAxis::Requested));
    assert_eq!(refused, Err(Rejection::MoveNotAllowed));
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["after_sale":
        money_is_granted_once_and_never_above_what_is_held,
        the_payment_axis_says_what_is_left,
        a_cancellation_gives_back_the_rest,
        an_order_whose_goods_are_replaced_is_never_refunded_whole,
        the_axis_follows_the_cases
    ]
}
