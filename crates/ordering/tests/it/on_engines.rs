//! The rows of orders on every database: written, searched, noted, erased, rebuilt.

use std::sync::Arc;

use merx_contracts::ids::OrderId;
use merx_kernel::{Id, IdGen, PageRequest};
use merx_ordering::{
    CausedBy,
    cause::Cause,
    domain::{Axis as _, BuyerStatus, CancelReason, Command, FulfilmentAxis, OrderNumber, PaymentAxis},
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
    given::{BUYER, CUP, SHIPMENT, TEA, await_payment, cancel_by, open, paid, place, ship_some},
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

pub fn trials() -> Vec<libtest_mimic::Trial> {
    everywhere!["on_engines": rows_are_written_searched_and_rebuilt]
}
