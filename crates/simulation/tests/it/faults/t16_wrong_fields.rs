//! T16: validly signed, and wrong in one field. The guard is `notification-fields`.

use merx_simulation::{
    run::number,
    world::{Told as _, World},
};

use super::{lived, proof, seeds_for, silence, waiting};

/// Orders of one world.
const EACH: u64 = 5;
const ALERT: &str = "payment_notification_quarantined";

/// The field, and what it says instead; beside it the notification says that the order is paid.
const WRONG: &[(&str, &str)] = &[
    ("total_amount", "0.01"),
    ("total_amount", "0.00"),
    ("total_amount", "1000000.00"),
    ("total_amount", "-42.00"),
    ("total_amount", "42"),
    ("app_id", "2021000000000099"),
    ("app_id", ""),
    ("seller_id", "2088000000000099"),
    ("seller_id", ""),
    ("out_trade_no", "01m7v41f00fykr2r66m1g6rbjm"),
    ("out_trade_no", "SOMEBODYELSES1"),
    ("out_trade_no", ""),
    ("trans_currency", "USD"),
    ("trans_currency", "JPY"),
    ("trans_currency", "XXX"),
    // Nobody has paid and nobody has closed it: Alipay itself says so when it is asked.
    ("trade_status", "TRADE_CLOSED"),
    ("trade_status", "WAIT_BUYER_PAY"),
    ("trade_status", "PAID"),
    ("trade_status", ""),
    ("refund_fee", "42.00"),
];

#[test]
fn what_alipay_signed_and_does_not_fit_is_never_paid() {
    let seeds = seeds_for(number("MERX_T16", 10), EACH);
    let first = seeds.start;
    let tried: u64 = lived(seeds, |world| async {
        let tried = tell_wrong(&world).await;
        (world, tried)
    })
    .into_iter()
    .sum();
    let case = "the whole shop: validly signed, wrong total_amount, app_id, seller_id, out_trade_no, currency or status";
    let figure =
        format!("0 orders paid, {tried} alerts of {tried} (100 %); the right one of each order still counts");
    proof("T16", case, tried, figure, first);
}

async fn tell_wrong(world: &World) -> u64 {
    let all = waiting(world, EACH).await;
    silence(world);
    let mut begun = Vec::new();
    for one in &all {
        begun.push(one.begin(world).await);
    }
    let mut tried = 0;
    for (index, (attempt, _)) in begun.iter().enumerate() {
        // The number of the neighbour, whose order costs something else.
        let neighbour = [("out_trade_no", begun[(index + 1) % begun.len()].0.number.as_str())];
        for (field, value) in WRONG.iter().chain(&neighbour) {
            let replace = [("trade_status", "TRADE_SUCCESS"), (field, value)];
            let replace = replace.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let (_, form) = world.sandbox.forge(&attempt.number, &replace).await.told();
            let alerts = world.alerts().await.len();
            let reply = world.line.post(form).await;
            assert_eq!((reply.status, reply.body.as_str()), (400, "fail"), "{field} {value}");
            let raised = world.alerts().await.split_off(alerts);
            assert_eq!(raised, [ALERT], "{field} {value}");
            tried += 1;
        }
    }
    world.settle().await;
    assert_eq!(
        world.count("SELECT COUNT(*) FROM payment_postings WHERE kind <> 'sale'").await,
        0,
        "no money is booked"
    );
    for (one, (_, code)) in all.iter().zip(&begun) {
        assert_eq!(one.status().await, "awaiting_payment");
        world.sandbox.disarm();
        world.sandbox.pay(code).await.unwrap();
        world.settle().await;
        assert_eq!(one.status().await, "paid", "the right one still counts");
    }
    tried
}
