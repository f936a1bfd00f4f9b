//! Money that does not match, and what a person makes of it.

use http::StatusCode;
use merx_contracts::ids::OrderId;
use merx_kernel::{Currency, Money};
use merx_ordering::domain::{Command, Order, PaymentAxis, Rejection, decide, identity};
use serde_json::{Value, json};

use crate::{
    given::{
        ATTEMPT, OTHER_ATTEMPT, after, await_payment, capture, cny, facts_at, names, place, refunded, total,
    },
    shop::{OPERATOR, Shop},
};
use crate::{paused, plain};

const NOW: merx_kernel::Timestamp = crate::given::DEADLINE;

fn quarantined(captures: &[(merx_contracts::ids::AttemptId, Money)]) -> Order {
    let captures = captures.iter().map(|(attempt, amount)| capture(*attempt, *amount, false));
    after(&[place(), await_payment()].into_iter().chain(captures).collect::<Vec<_>>())
}

fn what_pays_and_what_goes_back() {
    let accept = |order: &Order| decide(order, &Command::AcceptQuarantine, &facts_at(NOW));
    let settled = |order: Order| accept(&order).unwrap().iter().fold(order, Order::evolve);
    let too_much = settled(quarantined(&[(ATTEMPT, cny(15_000))]));
    assert_eq!(too_much.axes.unwrap().payment, PaymentAxis::Overpaid);
    assert_eq!(too_much.paid[&ATTEMPT], total());
    let surplus = identity::surplus_refund_of(crate::given::ORDER, ATTEMPT);
    assert_eq!(too_much.surplus[&surplus].amount, cny(610));
    assert_ne!(surplus, identity::refund_of(crate::given::ORDER, ATTEMPT), "the rest may still go back");

    let together = settled(quarantined(&[(ATTEMPT, cny(10_000)), (OTHER_ATTEMPT, cny(4_390))]));
    assert_eq!((together.axes.unwrap().payment, together.held_minor()), (PaymentAxis::Captured, 14_390));
    let foreign = Money::new(14_390, Currency::USD);
    let mixed = settled(quarantined(&[(ATTEMPT, foreign), (OTHER_ATTEMPT, total())]));
    assert_eq!(mixed.paid.keys().collect::<Vec<_>>(), [&OTHER_ATTEMPT]);
    assert_eq!(mixed.to_refund().map(|(_, back)| back.amount).collect::<Vec<_>>(), [foreign]);

    for little in [quarantined(&[(ATTEMPT, cny(14_389))]), quarantined(&[(ATTEMPT, foreign)])] {
        assert_eq!(accept(&little).unwrap_err(), Rejection::CapturedTooLittle);
        let back = decide(&little, &Command::RefundQuarantine, &facts_at(NOW)).unwrap();
        assert_eq!(names(&back), ["OrderCancelled"]);
        let ended = back.iter().fold(little, Order::evolve);
        assert_eq!(ended.axes.unwrap().payment, PaymentAxis::Late);
    }
    for other in [after(&[place(), await_payment()]), after(&[place()])] {
        assert_eq!(accept(&other).unwrap_err(), Rejection::NotQuarantined);
    }
    let _ = refunded;
}

async fn settle(shop: &Shop, order: OrderId, key: &str, decision: &str) -> crate::shop::Answer {
    let body: Value = json!({"decision": decision, "reason": "telephoned with the bank"});
    shop.post_as(OPERATOR, &format!("/v1/orders/{order}/settlement"), key, Some(body)).await
}

async fn accepted_money_pays_and_its_surplus_goes_back() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, cny(15_000), false).await;
    assert_eq!(shop.order(order).await.status_of_order(), "payment_in_review");
    let settled = settle(&shop, order, "k", "accept").await;
    assert_eq!((settled.status, settled.status_of_order()), (StatusCode::OK, "paid"), "{settled:?}");
    shop.settle().await;
    assert_eq!(shop.neighbours.world().shipments.len(), 1, "it is fulfilled");
    let asked: Vec<i64> = shop.neighbours.world().refunds.values().map(|(_, amount)| *amount).collect();
    assert_eq!(asked, [610]);
    assert_eq!(shop.data_of("ordering.order_paid.v2").await[0]["amount"]["minor"], 14_390);
    let acted = shop.data_of("ordering.staff_acted.v1").await;
    assert_eq!(
        (&acted[0]["action"], &acted[0]["detail"]["decision"]),
        (&json!("ordering.payment_settled"), &json!("accept"))
    );
    let again = settle(&shop, order, "k", "accept").await;
    assert!(again.replayed);
    assert_eq!(again.text, settled.text);
    let anew = settle(&shop, order, "k2", "accept").await;
    assert_eq!(anew.status, StatusCode::OK, "decided so before");
    let other = settle(&shop, order, "k3", "refund").await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "ordering.not_quarantined"));

    let surplus = identity::surplus_refund_of(order, ATTEMPT);
    shop.refunded_under(order, surplus, cny(610)).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "captured");
    // And cancelling gives the rest back, under another identity.
    assert_eq!(shop.cancel(order, "c").await.status_of_order(), "cancelled");
    let refunds = shop.neighbours.world().refunds.clone();
    assert_eq!(refunds.values().map(|(_, amount)| amount).sum::<i64>(), 15_000, "{refunds:?}");
    shop.refunded(order, ATTEMPT, total()).await;
    assert_eq!(shop.order(order).await.body["axes"]["payment"], "refunded");
    shop.finish().await;
}

async fn refused_money_goes_back_and_the_order_ends() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, cny(1), false).await;
    shop.capture(order, OTHER_ATTEMPT, cny(2), false).await;
    let little = settle(&shop, order, "a", "accept").await;
    assert_eq!((little.status, little.code()), (StatusCode::CONFLICT, "ordering.captured_too_little"));
    let settled = settle(&shop, order, "k", "refund").await;
    assert_eq!((settled.status, settled.status_of_order()), (StatusCode::OK, "cancelled"), "{settled:?}");
    shop.settle().await;
    let world = shop.neighbours.world().clone();
    assert_eq!((world.stock["TEA"], world.refunds.len()), (10, 2));
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_timers").await, 0);
    assert_eq!(shop.data_of("ordering.order_cancelled.v2").await[0]["reason"], "staff");
    shop.refunded(order, ATTEMPT, cny(1)).await;
    shop.refunded(order, OTHER_ATTEMPT, cny(2)).await;
    let done = shop.order(order).await;
    assert_eq!(
        (&done.body["axes"]["payment"], &done.body["amounts"]["paid"]["minor"]),
        (&"refunded".into(), &0.into())
    );
    let unknown = settle(&shop, OrderId::from_bits(0xdead), "u", "refund").await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::NOT_FOUND, "ordering.order_not_found"));
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["settlement": accepted_money_pays_and_its_surplus_goes_back, refused_money_goes_back_and_the_order_ends], plain!["settlement": what_pays_and_what_goes_back]].into_iter().flatten().collect()
}
