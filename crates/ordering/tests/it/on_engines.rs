//! The rows of orders on every database: written, searched, noted, erased, rebuilt.

use std::sync::Arc;

use merx_contracts::ids::OrderId;
use merx_kernel::{Id, IdGen, PageRequest};
use merx_ordering::{
    CausedBy,
    cause::Cause,
    domain::{
        Axis as _, BuyerStatus, CancelReason, Command, FulfilmentAxis, OrderNumber, PaymentAxis, identity,
    },
    queries::orders,
    store::{
        self,
        search::{Filter, Sort},
    },
};
use merx_platform::{
    Store, projection,
    time::{SeededEntropy, VirtualClock},
};

use crate::{
    engines::{Engine, Mode},
    everywhere,
    given::{
        ATTEMPT, BUYER, CUP, SHIPMENT, TEA, await_payment, cancel_by, capture, open, paid, place, ship_some,
        total,
    },
    shop::START,
};

/// Ids of one day whose numbers differ.
fn order(n: u128) -> OrderId {
    Id::from_bits((START.as_millis() as u128) << 80 | n << 40 | n)
}

struct Bench {
    engine: Engine,
    ids: IdGen,
}

impl Bench {
    async fn life(&self, order_id: OrderId, commands: &[Command]) -> merx_kernel::Result<()> {
        for command in commands {
            let store = Store::new("ordering");
            let cause = Cause::here(order_id, START, self.ids.next(), CausedBy::timer("test"));
            let command = command.clone();
            let write = move |tx: &mut merx_sql::Tx<'_>| {
                let loaded = store::load(&store, tx, order_id)?;
                store::change(&store, tx, loaded, &command, &cause).map(drop)
            };
            self.engine.db.write("test.change", write).await?;
        }
        Ok(())
    }

    /// Late money brings an order back to life, and its row says so.
    async fn assert_revived(&self, order_id: OrderId) {
        let ended = [place(), await_payment(), cancel_by(CancelReason::Buyer), Command::Cancel];
        self.life(order_id, &[ended.as_slice(), &[late(), Command::Revive(ATTEMPT)]].concat()).await.unwrap();
        let shown = orders::one(&self.engine.db, order_id, orders::Reader::Staff).await.unwrap();
        assert_eq!((shown.status, shown.revived_at), (BuyerStatus::Paid, Some(START)));
    }

    async fn found(&self, filter: Filter, sort: Sort) -> Vec<OrderId> {
        let page = orders::page(&self.engine.db, filter, sort, &PageRequest::default()).await.unwrap();
        page.items.into_iter().map(|view| view.id).collect()
    }
}

async fn rows_are_written_searched_and_rebuilt(mode: Mode) {
    let clock = Arc::new(VirtualClock::new(START));
    let ids = IdGen::new(clock.clone(), Arc::new(SeededEntropy::new(3)));
    let bench = Bench { engine: Engine::new(mode).await, ids };
    let (unpaid, shipped, cancelled, returned) = (order(1), order(2), order(3), order(4));
    bench.life(unpaid, &[place(), await_payment()]).await.unwrap();
    let part = ship_some(SHIPMENT, &[(TEA, 1)]);
    bench.life(shipped, &[place(), await_payment(), paid(), open(), part]).await.unwrap();
    let ended = [await_payment(), paid(), cancel_by(CancelReason::Staff), Command::CancelPaid];
    bench.life(cancelled, &[[place()].as_slice(), &ended].concat()).await.unwrap();
    let sent = ship_some(SHIPMENT, &[(TEA, 2), (CUP, 1)]);
    let back =
        [await_payment(), paid(), open(), sent, Command::RecordReturn(SHIPMENT), Command::RefundReturned];
    bench.life(returned, &[[place()].as_slice(), &back].concat()).await.unwrap();
    let shown = orders::one(&bench.engine.db, returned, orders::Reader::Staff).await.unwrap();
    assert!(shown.shipments[0].returned_at.is_some() && shown.status == BuyerStatus::Cancelled, "{shown:?}");
    // The same number on the same day: refused, and nothing is left of it.
    let clash = Id::from_bits(shipped.bits() | 1 << 70);
    assert_eq!(OrderNumber::of(clash), OrderNumber::of(shipped));
    let refused = bench.life(clash, &[place()]).await.unwrap_err();
    assert!(refused.is("ordering.number_taken"), "[{mode:?}] {}", refused.chain());

    let any = Filter::default;
    let text = |word: &str| Filter { words: vec![word.to_owned()], ..any() };
    for (title, filter, expected) in [
        ("all", any(), vec![returned, cancelled, shipped, unpaid]),
        ("buyer", Filter { account_id: Some(BUYER), ..any() }, vec![returned, cancelled, shipped, unpaid]),
        ("nobody", Filter { account_id: Some(Id::from_bits(9)), ..any() }, vec![]),
        (
            "status",
            Filter { statuses: vec![BuyerStatus::PartShipped, BuyerStatus::Placing], ..any() },
            vec![shipped],
        ),
        ("hidden", Filter { hidden: vec![BuyerStatus::Cancelled], ..any() }, vec![shipped, unpaid]),
        ("money", Filter { payment: Some(PaymentAxis::Pending), ..any() }, vec![unpaid]),
        ("goods", Filter { fulfilment: Some(FulfilmentAxis::PartShipped), ..any() }, vec![shipped]),
        (
            "sku",
            Filter { sku: Some(CUP.parse().unwrap()), ..any() },
            vec![returned, cancelled, shipped, unpaid],
        ),
        ("number", Filter { number: Some(OrderNumber::of(shipped).to_string()), ..any() }, vec![shipped]),
        ("word", text("tEa-lJ"), vec![returned, cancelled, shipped, unpaid]),
        ("Chinese", text("中文"), vec![returned, cancelled, shipped, unpaid]),
        ("wildcard", text("T_A"), vec![]),
        ("percent", text("%"), vec![]),
        ("escape", text("!"), vec![]),
    ] {
        assert_eq!(bench.found(filter, Sort::Newest).await, expected, "[{mode:?}] {title}");
    }
    assert_eq!(bench.found(any(), Sort::Oldest).await, [unpaid, shipped, cancelled, returned]);
    let one = orders::one(&bench.engine.db, shipped, orders::Reader::Staff).await.unwrap();
    assert_eq!((one.status.name(), one.lines[0].shipped, one.shipments.len()), ("part_shipped", 1, 1));
    assert_eq!(orders::of_number(&bench.engine.db, OrderNumber::of(shipped)).await.unwrap(), shipped);

    bench.assert_revived(order(5)).await;

    // A3 on this engine, and a rebuild in place.
    let (own, all) = (Store::new("ordering"), [merx_ordering::projections::orders::projection()]);
    let migrations = store::migrations();
    for _ in 0..2 {
        let compared = projection::compare(&bench.engine.db, clock.clone(), &own, &migrations, &all);
        assert!(compared.await.unwrap().iter().all(projection::Comparison::is_equal), "[{mode:?}] A3");
        projection::rebuild(&bench.engine.db, &own, all[0]).await.unwrap();
    }
    bench.engine.db.close().await;
}

fn late() -> Command {
    capture(ATTEMPT, total(), true)
}

/// Late money is to revive its order, goes back, and its revival is refused, all at once: one of them happens.
async fn money_revives_its_order_or_goes_back(mode: Mode) {
    const ORDERS: u128 = 40;
    let ids = IdGen::new(Arc::new(VirtualClock::new(START)), Arc::new(SeededEntropy::new(3)));
    let bench = Bench { engine: Engine::new(mode).await, ids };
    let ended = [place(), await_payment(), cancel_by(CancelReason::Buyer), Command::Cancel, late()];
    let (bench, ended) = (&bench, &ended);
    let race = (1..=ORDERS).map(|n| async move {
        let order_id = order(n);
        bench.life(order_id, ended).await.unwrap();
        let refund_id = identity::refund_of(order_id, ATTEMPT);
        let mut all = [
            Command::Revive(ATTEMPT),
            Command::RecordRefund { refund_id, amount: total() },
            Command::RefuseRevival { attempt_id: ATTEMPT, code: "inventory.sold_out".to_owned() },
        ];
        all.rotate_left((n % 3) as usize);
        let happened = all.each_ref().map(|command| bench.life(order_id, std::slice::from_ref(command)));
        futures_util::future::join_all(happened).await
    });
    for answer in futures_util::future::join_all(race).await.into_iter().flatten() {
        let refused = answer.err();
        let expected = ["ordering.not_reviving", "ordering.refund_unknown"];
        let known = |error: &merx_kernel::Error| expected.iter().any(|code| error.is(code));
        assert!(refused.as_ref().is_none_or(known), "[{mode:?}] {refused:?}");
    }
    let mut revived = 0;
    for n in 1..=ORDERS {
        let events = Store::new("ordering").events;
        let read = move |q: &mut merx_sql::Reader<'_>| events.load(q, order(n));
        let recorded = bench.engine.db.read("test.events", read).await.unwrap();
        let count = |name: &str| recorded.iter().filter(|event| event.name == name).count();
        let (alive, back, refused) =
            (count("OrderRevived"), count("LatePaymentRefunded"), count("RevivalRefused"));
        // Refused, it is for the saga to give the money back, as it did here.
        assert_eq!((alive + back, alive + refused), (1, 1), "[{mode:?}] {n}");
        let shown = orders::one(&bench.engine.db, order(n), orders::Reader::Staff).await.unwrap();
        assert_eq!(shown.amounts.paid.minor, if alive == 1 { total().minor } else { 0 });
        revived += alive;
    }
    assert!(
        (1..ORDERS as usize).contains(&revived),
        "[{mode:?}] {revived}: a race that always ends the same is none"
    );
    bench.engine.db.close().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    everywhere!["on_engines": rows_are_written_searched_and_rebuilt, money_revives_its_order_or_goes_back]
}
