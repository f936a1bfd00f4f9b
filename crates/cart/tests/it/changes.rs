//! What became of a line since it was put in is told; limits are told when it is put in.

use std::sync::Arc;

use libtest_mimic::Trial;
use merx_cart::domain::{LOW_STOCK_MAX, Limit, LineChange, Present, changes, shown_available};
use merx_contracts::ids::{AccountId, Sku};
use merx_kernel::{Currency, Id, Money, Quantity, Role};
use merx_sql::params;
use serde_json::json;

use crate::{
    bench::{Bench, on_every_mode, on_old_tables},
    neighbours::Sold,
};

pub fn trials() -> Vec<Trial> {
    [
        crate::trials!("changes": the_rule_as_a_table, limits_as_a_table),
        on_every_mode("changes::told_and_nothing_altered", told_and_nothing_altered),
        on_every_mode("changes::limits_are_told_when_a_line_is_put_in", limits_are_told),
        on_old_tables("changes::older_lines_go_on", older_lines_go_on),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const BUYER: AccountId = Id::from_bits(11);

fn the_rule_as_a_table() {
    use LineChange::{Delisted, Limit as Limited, OnlyNLeft, PriceLowered, PriceRaised, SoldOut};
    let cny = |minor| Some(Money::new(minor, Currency::CNY));
    let usd = Some(Money::new(100, Currency::USD));
    let none = Limit::default();
    let three = Limit { per_order: Some(3), per_buyer: None };
    for (units, before, now, available, limit, expected) in [
        (2, cny(100), cny(100), 100, none, vec![]),
        (2, None, cny(100), 100, none, vec![]),
        (2, cny(90), cny(100), 100, none, vec![PriceRaised]),
        (2, cny(110), cny(100), 100, none, vec![PriceLowered]),
        (2, usd, cny(200), 100, none, vec![]),
        (2, cny(100), cny(100), 0, none, vec![SoldOut]),
        (2, cny(100), cny(100), 1, none, vec![OnlyNLeft]),
        (2, cny(100), cny(100), LOW_STOCK_MAX, none, vec![OnlyNLeft]),
        (2, cny(100), cny(100), LOW_STOCK_MAX + 1, none, vec![]),
        (20, cny(100), cny(100), 19, none, vec![OnlyNLeft]),
        (3, cny(100), cny(100), 100, three, vec![]),
        (4, cny(90), cny(100), 0, three, vec![PriceRaised, SoldOut, Limited]),
        (4, cny(90), None, 0, three, vec![Delisted]),
    ] {
        let present = Present { unit_price: now, available, limit };
        let seen = changes(Quantity::new(units).unwrap(), before, &present);
        assert_eq!(seen, expected, "{units} at {before:?}, {present:?}");
    }
    let two = Quantity::new(2).unwrap();
    assert_eq!(
        [100, 5, 1, 0, -1].map(|n| shown_available(two, n)),
        [None, Some(5), Some(1), Some(0), Some(0)]
    );
}

fn limits_as_a_table() {
    let sku = Sku::new("TEA").unwrap();
    for (per_order, per_buyer, units, refused) in [
        (None, None, 9_999, None),
        (Some(3), None, 3, None),
        (Some(3), None, 4, Some("One order")),
        (None, Some(3), 4, Some("Each buyer")),
        (Some(5), Some(3), 4, Some("Each buyer")),
        (Some(5), Some(3), 6, Some("Each buyer")),
        (Some(3), Some(5), 6, Some("One order")),
        (Some(3), Some(5), 4, Some("One order")),
    ] {
        let limit = Limit { per_order, per_buyer };
        let answer = limit.check(&sku, Quantity::new(units).unwrap());
        match refused {
            None => assert!(answer.is_ok(), "{limit:?} {units}"),
            Some(words) => {
                let error = answer.unwrap_err();
                assert!(error.is("cart.limit_exceeded") && error.message().starts_with(words), "{error}");
            }
        }
    }
}

async fn told_and_nothing_altered(bench: Arc<Bench>) {
    let buyer = bench.buyer(BUYER, Role::Customer);
    buyer.fill(&[("TEA", 3)]).await;
    let line = async || buyer.cart().await["lines"][0].clone();
    let price = |minor: i64| json!({"minor": minor, "currency": "CNY"});
    let seen = line().await;
    assert_eq!((&seen["price_when_added"], &seen["changes"]), (&price(1990), &json!([])));
    assert!(seen.get("available").is_none(), "ten are not few");

    bench.neighbours.set("TEA", Sold { price: 2190, stock: 2, ..Sold::default() });
    let seen = line().await;
    assert_eq!((&seen["unit_price"], &seen["price_when_added"]), (&price(2190), &price(1990)));
    assert_eq!(seen["changes"], json!(["price_raised", "only_n_left"]));
    assert_eq!((&seen["available"], &seen["quantity"]), (&json!(2), &json!(3)));
    assert_eq!((&seen["orderable"], &seen["reason"]), (&json!(false), &json!("inventory.sold_out")));

    bench.neighbours.set("TEA", Sold { price: 1500, per_order: 2, ..Sold::default() });
    let seen = line().await;
    assert_eq!((&seen["changes"], &seen["limit"]), (&json!(["price_lowered", "limit"]), &json!(2)));
    assert_eq!((&seen["orderable"], &seen["reason"]), (&json!(false), &json!("cart.limit_exceeded")));

    bench.neighbours.set("TEA", Sold { sellable: false, ..Sold::default() });
    let seen = line().await;
    assert_eq!((&seen["changes"], &seen["reason"]), (&json!(["delisted"]), &json!("catalogue.sku_delisted")));
    assert!(seen.get("unit_price").is_none());

    // Whoever puts the line in again has seen the price.
    bench.neighbours.set("TEA", Sold { price: 2190, ..Sold::default() });
    buyer.fill(&[("TEA", 2)]).await;
    let seen = line().await;
    assert_eq!((&seen["price_when_added"], &seen["changes"]), (&price(2190), &json!([])));
}

async fn limits_are_told(bench: Arc<Bench>) {
    let buyer = bench.buyer(BUYER, Role::Customer);
    bench.neighbours.set("TEA", Sold { per_order: 3, ..Sold::default() });
    bench.neighbours.set("POT", Sold { per_buyer: 1, ..Sold::default() });
    buyer.put("TEA", 4).await.expect_problem(409, "cart.limit_exceeded");
    buyer.put("POT", 2).await.expect_problem(409, "cart.limit_exceeded");
    buyer.fill(&[("TEA", 3), ("POT", 1)]).await;
    buyer.put("TEA", 4).await.expect_problem(409, "cart.limit_exceeded");
    assert_eq!(buyer.lines().await.len(), 2);
    bench.check_counts().await;
}

async fn older_lines_go_on(bench: Arc<Bench>) {
    let rows = |tx: &mut merx_sql::Tx<'_>| {
        let line =
            "INSERT INTO cart_lines (cart, sku, quantity, filling, added_at) VALUES (?, 'TEA', 2, ?, ?)";
        tx.execute(line, params![BUYER, BUYER, merx_testkit::START])?;
        tx.execute("INSERT INTO cart_carts (cart, line_count) VALUES (?, 1)", params![BUYER]).map(drop)
    };
    bench.deps.db.write("test", rows).await.unwrap();
    bench.migrate().await;
    let buyer = bench.buyer(BUYER, Role::Customer);
    let seen = buyer.cart().await["lines"][0].clone();
    assert!(seen.get("price_when_added").is_none() && seen["changes"] == json!([]), "{seen}");
    assert_eq!(merx_cart::commands::sweep(&bench.state).await.unwrap(), 0, "it is as young as its line");
    buyer.fill(&[("TEA", 3), ("POT", 1)]).await;
    assert_eq!(buyer.cart().await["lines"][0]["price_when_added"]["minor"], 1990);
    bench.check_counts().await;
}
