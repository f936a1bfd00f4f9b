//! An order as of any moment, and rows that an older program wrote.

use std::time::Duration;

use http::StatusCode;
use merx_kernel::Timestamp;
use merx_ordering::{
    CausedBy,
    cause::Cause,
    domain::{CancelReason, Command, ReceivedBy},
    queries::orders::{self, Reader},
    store,
};
use merx_platform::projection;
use merx_sql::params;
use proptest::prelude::*;

use crate::{
    given::{
        ATTEMPT, BUYER, CUP, ORDER, OTHER_ATTEMPT, OTHER_SHIPMENT, SHIPMENT, TEA, await_payment, cancel_by,
        capture, cny, open_some, place, refunded, reject, ship_some, total,
    },
    neighbours::Neighbours,
    shop::{START, Shop, parts},
};
use crate::{paused, plain};

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => Just(reject()),
        4 => Just(await_payment()),
        2 => Just(capture(ATTEMPT, total(), false)),
        1 => Just(capture(ATTEMPT, cny(20_000), false)),
        1 => Just(capture(OTHER_ATTEMPT, total(), true)),
        1 => Just(refunded(ATTEMPT, total())),
        1 => Just(refunded(OTHER_ATTEMPT, total())),
        1 => Just(cancel_by(CancelReason::Buyer)),
        1 => Just(Command::Cancel),
        1 => Just(Command::CancelPaid),
        1 => Just(Command::RefuseCancellation("ordering.already_shipped".to_owned())),
        1 => Just(Command::AcceptQuarantine),
        1 => Just(Command::RefundQuarantine),
        2 => Just(open_some(&[(SHIPMENT, &[(TEA, 2)]), (OTHER_SHIPMENT, &[(CUP, 1)])])),
        2 => Just(ship_some(SHIPMENT, &[(TEA, 2)])),
        2 => Just(ship_some(OTHER_SHIPMENT, &[])),
        1 => Just(Command::RecordDelivery(SHIPMENT)),
        1 => Just(Command::RecordDelivery(OTHER_SHIPMENT)),
        1 => Just(Command::RecordReturn(SHIPMENT)),
        1 => Just(Command::RecordReturn(OTHER_SHIPMENT)),
        1 => Just(Command::RecordCorrection {
            shipment_id: SHIPMENT,
            carrier: "YTO Express".to_owned(),
            tracking_number: "YT1".to_owned(),
        }),
        1 => Just(Command::RefundReturned),
        1 => Just(Command::ConfirmReceipt(ReceivedBy::Timer)),
    ]
}

/// After each command: the rows at that time, and later the order as of that time. They are the same, and a rebuild
/// makes the same rows.
async fn lives(commands: Vec<Command>) {
    let (deps, ordering) = parts(&Neighbours::new()).await;
    let (own, db) = (ordering.tools.store.clone(), &deps.db);
    let moment = |n: usize| START.plus(Duration::from_secs(n as u64));
    let mut then = Vec::new();
    for (n, command) in std::iter::once(place()).chain(commands).enumerate() {
        let cause = Cause::here(ORDER, moment(n), deps.ids.next(), CausedBy::timer("test"));
        let store = own.clone();
        // What the rules refuse does not happen.
        let _: merx_kernel::Result<()> = db
            .write("test.change", move |tx| {
                let loaded = store::load(&store, tx, ORDER)?;
                store::change(&store, tx, loaded, &command, &cause).map(drop)
            })
            .await;
        then.push(orders::one(db, ORDER, Reader::Staff).await.unwrap());
    }
    for (n, view) in then.iter().enumerate() {
        let as_of = orders::one_as_of(db, own.clone(), ORDER, Reader::Staff, moment(n)).await.unwrap();
        assert_eq!(&as_of, view, "as of {n}");
        let between = moment(n).plus(Duration::from_millis(999));
        let as_of = orders::one_as_of(db, own.clone(), ORDER, Reader::Staff, between).await.unwrap();
        assert_eq!(&as_of, view, "until the next");
    }
    let before = Timestamp::from_millis(START.as_millis() - 1);
    let none = orders::one_as_of(db, own.clone(), ORDER, Reader::Staff, before).await.unwrap_err();
    assert!(none.is("ordering.order_not_found"));
    let module = merx_ordering::inner(&ordering);
    let compared =
        projection::compare(db, deps.clock.clone(), &module.store, &module.migrations, &module.projections);
    assert!(compared.await.unwrap().iter().all(projection::Comparison::is_equal), "A3");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    fn as_of_each_moment_it_is_what_it_was(commands in prop::collection::vec(command(), 0..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(lives(commands));
    }
}

async fn an_order_is_shown_as_of_a_moment() {
    let shop = Shop::new().await;
    shop.pass(Duration::from_secs(60)).await;
    let order = shop.placed().await;
    let placed_at = shop.deps.now();
    shop.pass(Duration::from_secs(60)).await;
    shop.capture(order, ATTEMPT, total(), false).await;
    let at = |moment: Timestamp| format!("/v1/orders/{order}?as_of={moment}");
    let then = shop.get(&at(placed_at)).await;
    assert_eq!((then.status, then.status_of_order()), (StatusCode::OK, "awaiting_payment"));
    assert_eq!(then.body["amounts"]["paid"]["minor"], 0);
    let now = shop.get(&at(shop.deps.now())).await;
    assert_eq!(now.body, shop.order(order).await.body);
    let before = shop.get(&at(START)).await;
    assert_eq!((before.status, before.code()), (StatusCode::NOT_FOUND, "ordering.order_not_found"));
    let foreign = shop.get_as(crate::shop::STRANGER, &at(placed_at)).await;
    assert_eq!((foreign.status, &foreign.body["detail"]), (before.status, &before.body["detail"]));
    let wrong = shop.get(&format!("/v1/orders/{order}?as_of=yesterday")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    let story = |answer: &crate::shop::Answer| -> Vec<String> {
        let items = answer.body["items"].as_array().unwrap().iter();
        items.filter(|i| i["kind"] == "event").map(|i| i["name"].as_str().unwrap().to_owned()).collect()
    };
    let until = shop.get(&format!("/v1/orders/{order}/timeline?as_of={placed_at}")).await;
    assert_eq!(story(&until), ["OrderPlaced", "OrderAwaitingPayment"]);
    let early = shop.get(&format!("/v1/orders/{order}/timeline?as_of={START}")).await;
    assert_eq!(early.status, StatusCode::NOT_FOUND);
    shop.finish().await;
}

async fn rows_of_an_older_program_are_built_anew() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    shop.capture(order, ATTEMPT, total(), false).await;
    shop.ship(order).await;
    let before = shop.order(order).await;
    // As the migration leaves what an older program wrote.
    let old = [
        "UPDATE ordering_orders SET order_number = NULL, status = ''",
        "UPDATE ordering_lines SET shipped = 0, search_text = ''",
        "DELETE FROM ordering_shipments",
        "DELETE FROM ordering_shapes",
    ];
    let age =
        move |tx: &mut merx_sql::Tx<'_>| old.iter().try_for_each(|sql| tx.execute(sql, params![]).map(drop));
    shop.deps.db.write("test.age", age).await.unwrap();
    assert_ne!(shop.order(order).await.body, before.body);
    merx_ordering::bring_up_to_date(&shop.ordering).await.unwrap();
    assert_eq!(shop.order(order).await.body, before.body);
    let number = before.body["number"].as_str().unwrap();
    assert_eq!(
        shop.get(&format!("/v1/orders?number={number}&status=shipped&q=tea")).await.body["items"][0]["id"],
        before.body["id"]
    );
    let rebuilds = shop.deps.db.stats().labels.get("projection.rebuild").map_or(0, |l| l.write_txs);
    merx_ordering::bring_up_to_date(&shop.ordering).await.unwrap();
    let after = shop.deps.db.stats().labels.get("projection.rebuild").map_or(0, |l| l.write_txs);
    assert_eq!(after, rebuilds, "once");
    let _ = BUYER;
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [
        paused!["as_of": an_order_is_shown_as_of_a_moment, rows_of_an_older_program_are_built_anew],
        plain!["as_of": as_of_each_moment_it_is_what_it_was],
    ]
    .into_iter()
    .flatten()
    .collect()
}
