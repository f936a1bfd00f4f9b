//! Lists: filters, words, cursors.

use std::time::Duration;

use http::StatusCode;
use merx_contracts::ids::OrderId;
use merx_sql::params;
use serde_json::{Value, json};

use crate::paused;
use crate::{
    given::{ATTEMPT, BUYER, GUEST, total},
    shop::{START, SUPPORT, Shop},
};

fn ids(page: &Value) -> Vec<OrderId> {
    page["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{page}"))
        .iter()
        .map(|o| o["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

async fn found(shop: &Shop, query: &str) -> Vec<OrderId> {
    ids(&shop.get(&format!("/v1/orders?{query}")).await.body)
}

async fn each_filter_narrows() {
    let shop = Shop::new().await;
    let unpaid = shop.placed().await;
    shop.pass(Duration::from_secs(60)).await;
    shop.neighbours.world().cart = vec![("CUP".to_owned(), 1)];
    let paid = shop.placed().await;
    let cups = merx_kernel::Money::new(2_790, total().currency);
    shop.capture(paid, ATTEMPT, cups, false).await;
    shop.pass(Duration::from_secs(60)).await;
    shop.neighbours.world().stock.insert("CUP".to_owned(), 0);
    assert_eq!(shop.place("no").await.code(), "inventory.sold_out");
    shop.neighbours.world().stock.insert("CUP".to_owned(), 8);

    let number = shop.order(paid).await.body["number"].as_str().unwrap().to_owned();
    let minute = |n: u64| START.plus(Duration::from_secs(60 * n)).to_string();
    let wrong_part = if number.ends_with("00") { "11" } else { "00" };
    for (query, expected) in [
        (String::new(), vec![paid, unpaid]),
        ("status=paid".to_owned(), vec![paid]),
        ("status=awaiting_payment,paid".to_owned(), vec![paid, unpaid]),
        ("payment=pending".to_owned(), vec![unpaid]),
        ("fulfilment=shipped".to_owned(), vec![]),
        ("sku=TEA".to_owned(), vec![unpaid]),
        ("sku=CUP".to_owned(), vec![paid, unpaid]),
        (format!("placed_from={}", minute(1)), vec![paid]),
        (format!("placed_to={}", minute(1)), vec![unpaid]),
        (format!("number={number}"), vec![paid]),
        (format!("number={}", number.to_lowercase().replace('-', "")), vec![paid]),
        (format!("number={}", &number[..6]), vec![paid, unpaid]),
        (format!("number={}{wrong_part}", &number[..number.len() - 2]), vec![]),
        (format!("q={}", &number[7..11].to_lowercase()), vec![paid]),
        ("q=tea".to_owned(), vec![unpaid]),
        ("q=%E4%B8%AD%E6%96%87TEA".to_owned(), vec![unpaid]),
        ("q=cup%20tea".to_owned(), vec![unpaid]),
        ("q=%25".to_owned(), vec![]),
        ("q=_UP".to_owned(), vec![]),
        ("q=!".to_owned(), vec![]),
        ("sort=oldest".to_owned(), vec![unpaid, paid]),
    ] {
        assert_eq!(found(&shop, &query).await, expected, "{query}");
    }
    assert_eq!(found(&shop, "status=rejected").await.len(), 1, "hidden unless asked for");
    for (query, pointer) in [
        ("status=nice", "status"),
        ("status=", "status"),
        ("payment=nice", "payment"),
        ("number=x!", "number"),
        ("sku=%20", "sku"),
        ("q=", "q"),
        ("q=a%20b%20c%20d%20e%20f", "q"),
        ("placed_from=yesterday", "placed_from"),
        ("account_id=acc_00000000000000000000000012", "account_id"),
    ] {
        let refused = shop.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(refused.text.contains(pointer), "{refused:?}");
    }
    shop.finish().await;
}

async fn staff_see_the_orders_of_all_buyers() {
    let shop = Shop::new().await;
    let mine = shop.placed().await;
    let body = shop.acceptance_of(GUEST).await;
    let guests = shop.post_as(GUEST, &Shop::checkout_of(GUEST, "orders"), "g", Some(body)).await;
    assert_eq!((guests.status, &guests.body["guest"]), (StatusCode::CREATED, &json!(true)), "{guests:?}");
    assert_eq!(shop.order(mine).await.body["guest"], false);
    let all = shop.get_as(SUPPORT, "/v1/admin/orders").await;
    assert_eq!(ids(&all.body), [guests.order(), mine]);
    let of = |who: merx_contracts::ids::AccountId| format!("/v1/admin/orders?account_id={who}");
    assert_eq!(ids(&shop.get_as(SUPPORT, &of(GUEST)).await.body), [guests.order()]);
    assert_eq!(ids(&shop.get_as(SUPPORT, &of(BUYER)).await.body), [mine]);
    assert_eq!(ids(&shop.get_as(GUEST, "/v1/orders").await.body), [guests.order()]);
    assert_eq!(shop.get_as(BUYER, "/v1/admin/orders").await.status, StatusCode::FORBIDDEN);
    shop.finish().await;
}

async fn a_cursor_stands_still_while_orders_come() {
    let shop = Shop::new().await;
    let mut placed = Vec::new();
    for _ in 0..3 {
        placed.push(shop.placed().await);
    }
    let first = shop.get("/v1/orders?limit=2").await;
    let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
    let new = shop.placed().await;
    let rest = shop.get(&format!("/v1/orders?limit=2&cursor={cursor}")).await;
    assert_eq!(ids(&first.body), [placed[2], placed[1]]);
    assert_eq!(ids(&rest.body), [placed[0]], "the new order moves nothing");
    let forward = shop.get("/v1/orders?limit=2&sort=oldest").await;
    let onward = forward.body["next_cursor"].as_str().unwrap();
    let last = shop.get(&format!("/v1/orders?limit=2&sort=oldest&cursor={onward}")).await;
    assert_eq!(ids(&last.body), [placed[2], new]);
    let other = shop.get(&format!("/v1/orders?sort=oldest&cursor={cursor}")).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST, "a cursor belongs to its order");
    shop.finish().await;
}

const NUMBER_OF_OTHERS: u128 = 5_001;

/// Orders whose rows are all that there is of them, older than any other.
fn write_others(tx: &mut merx_sql::Tx<'_>) -> merx_kernel::Result<()> {
    let order = "INSERT INTO ordering_orders (order_id, version, status, account_id, cart_id, address_id, shipping_method, \
         quote_id, currency, subtotal_minor, freight_minor, total_minor, paid_minor, order_axis, payment_axis, \
         fulfilment_axis, after_sale_axis, payment_deadline, created_at, updated_at) VALUES";
    let row = |id: u128| {
        let (id, text) = (OrderId::from_bits(id), "x");
        params![
            id, 1i64, "placing", BUYER, id, id, text, text, "CNY", 1i64, 0i64, 1i64, 0i64, "placed", "none",
            "none", "none", START, START, START
        ]
    };
    tx.insert_rows(order, 20, (1..=NUMBER_OF_OTHERS).map(row).collect())?;
    let line = "INSERT INTO ordering_lines (order_id, line_number, sku, product_id, title_zh, title_en, options_zh, \
         options_en, unit_price_minor, quantity, amount_minor, search_text) VALUES";
    let row = |id: u128, text: &str| {
        let id = OrderId::from_bits(id);
        params![id, 1i64, "X", id, "", "", "", "", 1i64, 1i64, 1i64, text]
    };
    tx.insert_rows(line, 12, vec![row(1, "needle"), row(NUMBER_OF_OTHERS, "needle")])
}

/// A word is looked for in so many orders at a time, however few have it.
async fn a_search_looks_at_a_bounded_number_of_orders() {
    let shop = Shop::new().await;
    shop.deps.db.write("test.others", write_others).await.unwrap();
    let first = shop.get_as(SUPPORT, "/v1/admin/orders?q=needle").await;
    assert_eq!(ids(&first.body), [OrderId::from_bits(NUMBER_OF_OTHERS)], "not all are looked at: {first:?}");
    let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
    let rest = shop.get_as(SUPPORT, &format!("/v1/admin/orders?q=needle&cursor={cursor}")).await;
    assert_eq!((ids(&rest.body), &rest.body["next_cursor"]), (vec![OrderId::from_bits(1)], &Value::Null));
    let forward = shop.get_as(SUPPORT, "/v1/admin/orders?q=needle&sort=oldest").await;
    assert_eq!(ids(&forward.body), [OrderId::from_bits(1)]);
    // What is found anyway is a page like any other.
    let one = shop.get_as(SUPPORT, "/v1/admin/orders?limit=1").await;
    assert_eq!(ids(&one.body), [OrderId::from_bits(NUMBER_OF_OTHERS)]);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    paused!["search": each_filter_narrows, staff_see_the_orders_of_all_buyers, a_cursor_stands_still_while_orders_come, a_search_looks_at_a_bounded_number_of_orders]
}
