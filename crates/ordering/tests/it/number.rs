//! Readable order numbers.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use merx_contracts::ids::OrderId;
use merx_kernel::{Entropy, Id, IdGen};
use merx_ordering::domain::{OrderNumber, number::Misread};
use merx_platform::time::SeededEntropy;
use proptest::prelude::*;

use crate::{
    given::BUYER,
    neighbours::Neighbours,
    shop::{Shop, parts_with},
};
use crate::{paused, plain};

const SYMBOLS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn number(bits: u128) -> OrderNumber {
    OrderNumber::of(Id::from_bits(bits))
}

fn a_number_is_the_day_and_the_random_bits_of_the_id() {
    // 2026-11-20T08:30:00Z, and the lowest 35 bits 0.
    let morning = OrderId::from_bits(1_795_163_400_000 << 80);
    assert!(
        OrderNumber::of(morning).to_string().starts_with("261120-0000-000"),
        "{}",
        OrderNumber::of(morning)
    );
    let leap = OrderId::from_bits(1_709_208_000_000 << 80 | 0x7_ffff_ffff);
    assert!(OrderNumber::of(leap).to_string().starts_with("240229-ZZZZ-ZZZ"), "{}", OrderNumber::of(leap));
    assert!(number(0).to_string().starts_with("700101-0000-000"));
    assert_eq!(number(u128::MAX).to_string().len(), OrderNumber::LENGTH);
}

fn people_write_it_in_many_ways() {
    let id = OrderId::from_bits(1_795_163_400_000 << 80 | 0b00001_00000_10011);
    let number = OrderNumber::of(id);
    let text = number.to_string();
    let as_written = [
        text.to_lowercase(),
        text.replace('-', ""),
        text.replace('0', "O").replace('1', "l"),
        text.replace('0', "o").replace('1', "I"),
        format!(" {text} "),
    ];
    for written in as_written {
        assert_eq!(OrderNumber::parse(&written).as_ref(), Ok(&number), "{written}");
    }
    for wrong in [
        "",
        "261120",
        "2611-20000000-0",
        "261120-0000-0000-0",
        "261120--00000000",
        "A61120-0000-0000",
        "261120-0U00-0000",
    ] {
        assert_eq!(OrderNumber::parse(wrong), Err(Misread::Form), "{wrong}");
    }
    assert_eq!(OrderNumber::prefix("2611").unwrap(), "2611");
    assert_eq!(OrderNumber::prefix("261120o1").unwrap(), "261120-01");
    assert_eq!(OrderNumber::prefix("26x"), None);
}

proptest! {
    fn every_number_is_read_and_every_mistake_noticed(bits: u128, place in 0..14usize, other in 0..32usize, swap in 0..13usize) {
        let number = number(bits);
        prop_assert_eq!(OrderNumber::parse(number.as_str()), Ok(number.clone()));
        let symbols: Vec<char> = number.as_str().replace('-', "").chars().collect();
        let mistaken = |symbols: &[char]| OrderNumber::parse(&symbols.iter().collect::<String>());
        let mut mistyped = symbols.clone();
        mistyped[place] = SYMBOLS.chars().nth(other).unwrap();
        if mistyped != symbols {
            prop_assert!(mistaken(&mistyped).is_err(), "one symbol wrong: {:?}", mistyped);
        }
        let mut swapped = symbols.clone();
        swapped.swap(swap, swap + 1);
        if swapped != symbols {
            prop_assert!(mistaken(&swapped).is_err(), "two symbols swapped: {:?}", swapped);
        }
    }
}

async fn an_order_is_found_by_its_number() {
    let shop = Shop::new().await;
    let order = shop.placed().await;
    let by_id = shop.order(order).await;
    let number = by_id.body["number"].as_str().unwrap().to_owned();
    assert_eq!(number, OrderNumber::of(order).to_string());
    for written in [number.clone(), number.to_lowercase().replace('-', "")] {
        let found = shop.get(&format!("/v1/orders/{written}")).await;
        assert_eq!((found.status, &found.text), (StatusCode::OK, &by_id.text), "{written}");
    }
    assert_eq!(shop.get(&format!("/v1/orders/{number}/timeline")).await.status, StatusCode::OK);

    let last = number.chars().last().unwrap();
    let wrong = format!("{}{}", &number[..number.len() - 1], if last == '0' { '1' } else { '0' });
    let mistyped = shop.get(&format!("/v1/orders/{wrong}")).await;
    assert_eq!((mistyped.status, mistyped.code()), (StatusCode::NOT_FOUND, "ordering.number_mistyped"));
    let nobodys = OrderNumber::of(OrderId::from_bits(0xdead));
    let unknown = shop.get(&format!("/v1/orders/{nobodys}")).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::NOT_FOUND, "ordering.order_not_found"));
    let neither = shop.get("/v1/orders/my-order").await;
    assert_eq!((neither.status, neither.code()), (StatusCode::BAD_REQUEST, "request.invalid"));
    assert!(neither.text.contains("order"), "{neither:?}");

    let body = Some(serde_json::json!({}));
    let cancelled = shop.post_as(BUYER, &format!("/v1/orders/{number}/cancellation"), "k", body).await;
    assert_eq!(cancelled.status_of_order(), "cancelled", "{cancelled:?}");
    shop.finish().await;
}

/// Randomness that gives ids the same random bits for a while.
struct Scripted {
    /// For so many ids yet.
    same: Mutex<u16>,
    rest: SeededEntropy,
}

impl Entropy for Scripted {
    fn fill(&self, out: &mut [u8]) {
        self.rest.fill(out);
        let mut same = self.same.lock().unwrap();
        if out.len() == 16 && *same > 0 {
            *same -= 1;
            // Rising where the number does not look, for ids must rise.
            out[6..8].copy_from_slice(&(100 - *same).to_be_bytes());
            out[8..].copy_from_slice(&77u64.to_be_bytes());
        }
    }
}

async fn a_number_that_is_taken_does_not_fail_the_buyer() {
    let neighbours = Neighbours::new();
    let scripted = Arc::new(Scripted { same: Mutex::new(0), rest: SeededEntropy::new(11) });
    let entropy = scripted.clone();
    let parts = parts_with(&neighbours, |deps| deps.ids = IdGen::new(deps.clock.clone(), entropy)).await;
    let shop = Shop::of(neighbours, parts).await;
    let mut numbers = Vec::new();
    for key in ["k1", "k2"] {
        shop.pass(std::time::Duration::from_secs(1)).await;
        // Quote and placing take an id for their request each; the third is the order's.
        *scripted.same.lock().unwrap() = 3;
        let placed = shop.place(key).await;
        assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
        numbers.push(placed.body["number"].as_str().unwrap().to_owned());
    }
    let labels = shop.deps.db.stats().labels;
    assert_eq!(labels["ordering.place"].failed, 1, "the second clashed once");
    assert_ne!(numbers[0], numbers[1]);
    assert_eq!(shop.count("SELECT COUNT(DISTINCT order_number) FROM ordering_orders").await, 2);
    shop.finish().await;
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [paused!["number": an_order_is_found_by_its_number, a_number_that_is_taken_does_not_fail_the_buyer], plain!["number": a_number_is_the_day_and_the_random_bits_of_the_id, people_write_it_in_many_ways, every_number_is_read_and_every_mistake_noticed]].into_iter().flatten().collect()
}
