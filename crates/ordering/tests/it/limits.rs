//! How much one buyer may buy.

use http::StatusCode;
use merx_contracts::ids::Sku;
use merx_kernel::Quantity;
use merx_ordering::store::limits::{BuyerLimit, count};
use merx_sql::{Query as _, params};

use crate::{
    engines::{Engine, Mode},
    given::{ATTEMPT, BUYER},
    shop::Shop,
};
use crate::{everywhere, paused};

fn limit(sku: &str, quantity: i64, limit: i64) -> BuyerLimit {
    BuyerLimit { sku: Sku::new(sku).unwrap(), quantity: Quantity::new(quantity).unwrap(), limit }
}

/// Five hundred orders at once for a SKU of which a buyer may have seven.
async fn five_hundred_at_once(mode: Mode) {
    let engine = Engine::new(mode).await;
    let orders = (0..500).map(|n| {
        // Two limited SKUs in each, always counted in the same order; the second is never short.
        let wanted = [limit("A", 1, 7), limit("B", 1 + n % 2, 10_000)];
        let write = move |tx: &mut merx_sql::Tx<'_>| wanted.iter().try_for_each(|w| count(tx, BUYER, w));
        engine.db.write("test.count", write)
    });
    let (mut had, mut refused) = (0, 0);
    for order in futures_util::future::join_all(orders).await {
        match order {
            Ok(()) => had += 1,
            Err(error) if error.is("ordering.limit_exceeded") => refused += 1,
            Err(error) => panic!("{}", error.chain()),
        }
    }
    assert_eq!((had, refused), (7, 493), "[{mode:?}]");
    let bought = "SELECT sku, bought FROM ordering_purchases ORDER BY sku";
    let read = |q: &mut merx_sql::Reader<'_>| {
        q.query(bought, params![], |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?)))
    };
    let rows = engine.db.read("test.bought", read).await.unwrap();
    assert_eq!(rows[0], ("A".to_owned(), 7), "a refused order leaves nothing: {rows:?}");
    assert!((7..=14).contains(&rows[1].1), "{rows:?}");
    engine.db.close().await;
}

async fn a_buyer_gets_no_more_than_the_limit_and_gets_it_back() {
    let shop = Shop::new().await;
    shop.neighbours.world().limits.insert("TEA".to_owned(), (0, 5));
    let first = shop.placed().await;
    let second = shop.placed().await;
    let third = shop.place("third").await;
    assert_eq!((third.status, third.code()), (StatusCode::CONFLICT, "ordering.limit_exceeded"), "{third:?}");
    assert_eq!(third.body["errors"][0]["pointer"], "/lines/TEA");
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_orders").await, 2, "no order came of it");
    let bought = "SELECT bought FROM ordering_purchases WHERE sku = 'TEA'";
    assert_eq!(shop.count(bought).await, 4);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_purchases").await, 1, "only what is limited");

    assert_eq!(shop.cancel(first, "c").await.status_of_order(), "cancelled");
    assert_eq!(shop.count(bought).await, 2);
    let again = shop.place("again").await;
    assert_eq!(again.status, StatusCode::CREATED, "{again:?}");
    // What could not be arranged does not count either.
    shop.neighbours.world().limits.insert("TEA".to_owned(), (0, 50));
    shop.neighbours.world().stock.insert("TEA".to_owned(), 0);
    assert_eq!(shop.place("sold-out").await.code(), "inventory.sold_out");
    shop.neighbours.world().stock.insert("TEA".to_owned(), 6);
    assert_eq!(shop.count(bought).await, 4);
    // A paid one that is cancelled gives back too, once.
    let total = shop.order(second).await.body["amounts"]["total"].clone();
    let total = merx_kernel::Money::new(total["minor"].as_i64().unwrap(), crate::given::total().currency);
    shop.capture(second, ATTEMPT, total, false).await;
    shop.cancel(second, "p").await;
    shop.cancel(second, "p2").await;
    assert_eq!(shop.count(bought).await, 2);
    shop.finish().await;
}

async fn the_quote_says_early_what_one_order_may_not_have() {
    let shop = Shop::new().await;
    for limits in [(1, 0), (0, 1), (1, 1)] {
        shop.neighbours.world().limits.insert("TEA".to_owned(), limits);
        let quote = shop.quote().await;
        assert_eq!(
            (quote.status, quote.code()),
            (StatusCode::CONFLICT, "ordering.limit_exceeded"),
            "{limits:?}"
        );
        assert!(quote.text.contains("at most 1"), "{quote:?}");
    }
    shop.neighbours.world().limits.insert("TEA".to_owned(), (2, 0));
    assert_eq!(shop.place("k").await.status, StatusCode::CREATED);
    assert_eq!(shop.count("SELECT COUNT(*) FROM ordering_purchases").await, 0, "nobody counts over orders");
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["limits": a_buyer_gets_no_more_than_the_limit_and_gets_it_back, the_quote_says_early_what_one_order_may_not_have], everywhere!["limits": five_hundred_at_once]].into_iter().flatten().collect()
}
