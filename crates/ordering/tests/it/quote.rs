//! Quotes add up, explain themselves and are recognised again.

use merx_contracts::ids::Sku;
use merx_kernel::{Currency, Id, Money, Quantity};
use merx_ordering::domain::quote::{
    About, Basket, FreightRule, PricedLine, Quote, TOTAL_MINOR_MAX, basket, quote,
};
use proptest::prelude::*;

use crate::given::{cny, text};
use crate::plain;

fn priced(sku: &str, unit_price: Money, quantity: i64) -> PricedLine {
    PricedLine {
        sku: Sku::new(sku).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        product_id: Id::from_bits(7),
        title: text("Longjing tea"),
        options: text("100 g"),
        unit_price,
        weight_grams: 150,
    }
}
fn rules() -> Vec<FreightRule> {
    [("express", 2_200), ("standard", 800)]
        .into_iter()
        .map(|(method, fee)| FreightRule {
            method: method.to_owned(),
            label: text(method),
            fee: cny(fee),
            explanation: text("up to 1 kg"),
        })
        .collect()
}
fn tea_and_cup() -> Basket {
    basket(Id::from_bits(1), vec![priced("TEA", cny(5_800), 2), priced("CUP", cny(1_990), 1)]).unwrap()
}
fn quoted(wanted: Option<&str>) -> Quote {
    quote(tea_and_cup(), Id::from_bits(2), rules(), wanted).unwrap()
}

fn the_cheapest_way_unless_told() {
    let quote = quoted(None);
    assert_eq!(quote.shipping_method, "standard");
    assert_eq!((quote.subtotal, quote.freight, quote.total), (cny(13_590), cny(800), cny(14_390)));
    assert_eq!(quoted(Some("express")).total, cny(15_790));
    assert_eq!(quote.freight_options[0].method, "standard");
    assert_eq!(quote.freight_options[1].total, cny(15_790));
    assert_eq!(tea_and_cup().weight_grams, 450);
}

fn every_amount_is_explained_in_both_languages() {
    let quote = quoted(None);
    let about: Vec<About> = quote.explanation.iter().map(|e| e.about).collect();
    assert_eq!(about, [About::Line, About::Line, About::Subtotal, About::Freight, About::Total]);
    let first = &quote.explanation[0];
    assert_eq!(first.text.en, "Longjing tea (100 g): 58.00 CNY × 2 = 116.00 CNY");
    assert!(first.text.zh.starts_with("中文 Longjing tea"));
    assert!(quote.explanation[3].text.en.contains("up to 1 kg"));
    assert_eq!(quote.explanation[4].amount, quote.total);
}

fn the_id_stands_for_the_content() {
    let id = quoted(None).quote_id;
    assert_eq!(id.len(), 64);
    assert_eq!(id, quoted(Some("express")).quote_id, "the choice of method is given beside the quote");
    let with_rules = |rules| quote(tea_and_cup(), Id::from_bits(2), rules, None).unwrap().quote_id;
    let mut dearer = rules();
    dearer[1].fee = cny(801);
    assert_ne!(id, with_rules(dearer));
    assert_ne!(id, quote(tea_and_cup(), Id::from_bits(3), rules(), None).unwrap().quote_id);
    for lines in [
        vec![priced("TEA", cny(5_800), 1), priced("CUP", cny(1_990), 1)],
        vec![priced("TEA", cny(5_801), 2), priced("CUP", cny(1_990), 1)],
        vec![priced("TEA", cny(5_800), 2)],
    ] {
        let changed = basket(Id::from_bits(1), lines).unwrap();
        assert_ne!(id, quote(changed, Id::from_bits(2), rules(), None).unwrap().quote_id);
    }
}

fn refusals_name_the_rule() {
    let code = |lines: Vec<PricedLine>| basket(Id::from_bits(1), lines).unwrap_err().code().to_owned();
    assert_eq!(code(vec![]), "ordering.cart_empty");
    let dollars = Money::new(100, Currency::USD);
    assert_eq!(code(vec![priced("A", cny(1), 1), priced("B", dollars, 1)]), "ordering.currencies_differ");
    assert_eq!(code(vec![priced("A", cny(i64::MAX / 2), 9_999)]), "ordering.total_limit");
    assert_eq!(code(vec![priced("A", cny(TOTAL_MINOR_MAX + 1), 1)]), "ordering.total_limit");
    let code =
        |rules, wanted| quote(tea_and_cup(), Id::from_bits(2), rules, wanted).unwrap_err().code().to_owned();
    assert_eq!(code(vec![], None), "ordering.no_delivery");
    assert_eq!(code(rules(), Some("drone")), "ordering.shipping_method_unavailable");
}

proptest! {
    fn every_quote_adds_up(lines in prop::collection::vec((0i64..1_000_000, 1i64..=9_999), 1..20), fee in 0i64..100_000) {
        let priced = lines.iter().enumerate().map(|(n, (price, count))| priced(&format!("S{n}"), cny(*price), *count)).collect();
        let Ok(basket) = basket(Id::from_bits(1), priced) else { return Ok(()) };
        let rule = FreightRule { fee: cny(fee), ..rules().remove(0) };
        let quote = quote(basket, Id::from_bits(2), vec![rule], None).unwrap();
        let sum: i64 = lines.iter().map(|(price, count)| price * count).sum();
        prop_assert_eq!(quote.subtotal.minor, sum);
        prop_assert_eq!(quote.total.minor, sum + fee);
        prop_assert_eq!(quote.lines.iter().map(|l| l.amount.minor).sum::<i64>(), sum);
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["quote": the_cheapest_way_unless_told, every_amount_is_explained_in_both_languages, the_id_stands_for_the_content, refusals_name_the_rule, every_quote_adds_up]
}
