//! T21, what ordering does of it: the quotes of random carts add up to the minor unit (A8), in currencies of 0, 2 and 3
//! decimals. Every figure is compared with one counted without the domain.
//!
//! `MERX_T21=1000000` is how many carts are quoted; without it fewer are.

use merx_contracts::ids::Sku;
use merx_kernel::{Currency, Id, Money, Quantity};
use merx_ordering::domain::quote::{FreightRule, PricedLine, TOTAL_MINOR_MAX, basket, quote};
use proptest::{
    prelude::RngExt as _,
    test_runner::{RngAlgorithm, TestRng},
};

use crate::{given::text, plain};

const DECIMALS: [Currency; 3] = [Currency::JPY, Currency::CNY, Currency::KWD];

fn priced(currency: Currency, n: usize, dice: &mut TestRng) -> PricedLine {
    // Now and then so dear that the order is refused.
    let most = if dice.random_range(0..100) == 0 {
        10_000_000_000
    } else {
        [10, 1_000, 100_000][dice.random_range(0..3)]
    };
    PricedLine {
        sku: Sku::new(format!("SKU-{n}")).unwrap(),
        quantity: Quantity::new(dice.random_range(1..=99)).unwrap(),
        product_id: Id::from_bits(7),
        title: text("Longjing tea"),
        options: text("100 g"),
        unit_price: Money::new(dice.random_range(0..most), currency),
        weight_grams: 150,
    }
}

fn freight(currency: Currency, dice: &mut TestRng) -> Vec<FreightRule> {
    let rule = |method: &str, fee| FreightRule {
        method: method.to_owned(),
        label: text(method),
        fee: Money::new(fee, currency),
        explanation: text("up to 1 kg"),
    };
    vec![rule("standard", dice.random_range(0..3_000)), rule("express", dice.random_range(0..9_000))]
}

/// Quotes one cart; `false` when it costs more than an order may.
fn adds_up(currency: Currency, dice: &mut TestRng) -> bool {
    let lines: Vec<PricedLine> = (0..dice.random_range(1..=12)).map(|n| priced(currency, n, dice)).collect();
    let counted: i128 =
        lines.iter().map(|l| i128::from(l.unit_price.minor) * i128::from(l.quantity.get())).sum();
    let basket = match basket(Id::from_bits(1), lines) {
        Ok(basket) => basket,
        Err(refused) => {
            assert!(refused.is("ordering.total_limit") && counted > i128::from(TOTAL_MINOR_MAX), "{refused}");
            return false;
        }
    };
    assert!(counted <= i128::from(TOTAL_MINOR_MAX));
    let rules = freight(currency, dice);
    let wanted = if dice.random_range(0..2) == 0 { "standard" } else { "express" };
    let fee = rules.iter().find(|rule| rule.method == wanted).unwrap().fee;
    let quote = quote(basket, Id::from_bits(2), rules, Some(wanted)).unwrap();
    let of_lines: i128 = quote.lines.iter().map(|line| i128::from(line.amount.minor)).sum();
    assert_eq!((of_lines, i128::from(quote.subtotal.minor)), (counted, counted));
    assert_eq!(i128::from(quote.total.minor), counted + i128::from(fee.minor));
    assert_eq!((quote.freight, quote.total.currency), (fee, currency));
    for option in &quote.freight_options {
        assert_eq!(i128::from(option.total.minor), counted + i128::from(option.fee.minor));
    }
    let explained = quote.explanation.last().unwrap();
    assert_eq!(explained.amount, quote.total);
    assert!(explained.text.en.ends_with(&format!("= {}", quote.total)), "{}", explained.text.en);
    true
}

fn random_carts_add_up_to_the_minor_unit() {
    let carts: u64 = std::env::var("MERX_T21").map_or(1_000, |text| text.parse().unwrap());
    let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    let mut refused = 0;
    for n in 0..carts {
        let currency = DECIMALS[usize::try_from(n % 3).unwrap()];
        refused += u64::from(!adds_up(currency, &mut dice));
    }
    println!(
        "PROOF | T21 | quotes of random carts in 0, 2 and 3 decimals: lines + freight = total | size={carts} | drift 0 minor units; \
         {} quoted, {refused} refused for costing more than an order may | seed=1",
        carts - refused
    );
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["t21": random_carts_add_up_to_the_minor_unit]
}
