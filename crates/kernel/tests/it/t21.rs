//! T21, what money itself does of it: the sum of a cart, a discount shared over its lines by the largest remainder, and the
//! lines' money given back piece by piece. Every figure is compared with one counted without [`Money`].
//!
//! `MERX_T21=1000000` is how many carts of each number of decimals are made up; without it fewer are.

use merx_kernel::{Currency, Money};
use proptest::{
    prelude::RngExt as _,
    test_runner::{RngAlgorithm, TestRng},
};

/// A line: price of one in minor units, and how many.
type Line = (i64, i64);

/// What was found over all carts.
#[derive(Default)]
struct Found {
    lines: u64,
    refunds: u64,
}

fn cart(dice: &mut TestRng) -> Vec<Line> {
    (0..dice.random_range(1..=12))
        .map(|_| {
            // Small prices are where rounding hurts; some goods are free.
            let most = [10, 1_000, 10_000_000][dice.random_range(0..3)];
            (dice.random_range(0..most), dice.random_range(1..=9))
        })
        .collect()
}

/// Sum and shares of one cart; answers what is to be paid for each line.
fn discounted(lines: &[Line], currency: Currency, dice: &mut TestRng) -> Vec<Money> {
    let amounts: Vec<Money> = lines
        .iter()
        .map(|(price, count)| Money::new(*price, currency).times(*count).expect("within bounds"))
        .collect();
    let subtotal = Money::sum(currency, amounts.iter().copied()).expect("within bounds");
    let counted: i128 = lines.iter().map(|(price, count)| i128::from(*price) * i128::from(*count)).sum();
    assert_eq!(i128::from(subtotal.minor), counted, "{lines:?}");
    let discount = Money::new(dice.random_range(0..=subtotal.minor), currency);
    let weights: Vec<u64> = amounts.iter().map(|amount| amount.minor.unsigned_abs()).collect();
    let shares = discount.split(&weights).expect("split");
    assert_eq!(shares.iter().map(|s| i128::from(s.minor)).sum::<i128>(), i128::from(discount.minor));
    let net: Vec<Money> = amounts
        .iter()
        .zip(&shares)
        .map(|(amount, share)| amount.minus(*share).expect("one currency"))
        .collect();
    for ((amount, share), net) in amounts.iter().zip(&shares).zip(&net) {
        assert!(net.minor >= 0, "a line of {amount} bears {share} of {discount}: {lines:?}");
        // The share is less than one unit off the exact one.
        let exact = i128::from(discount.minor) * i128::from(amount.minor);
        let given = i128::from(share.minor) * counted.max(1);
        assert!(counted == 0 || (exact - given).abs() < counted, "{lines:?} {discount}");
    }
    let total = subtotal.minus(discount).expect("one currency");
    assert_eq!(Money::sum(currency, net.iter().copied()).expect("within bounds"), total, "A8: {lines:?}");
    net
}

/// Gives the money of a line back unit by unit, in any order and not always all; answers how many refunds that were.
fn refunded(net: Money, count: i64, dice: &mut TestRng) -> u64 {
    let mut units = net.split(&vec![1; usize::try_from(count).expect("few")]).expect("split");
    let (mut left, mut refunds) = (net, 0);
    while !units.is_empty() && dice.random_range(0..20) > 0 {
        let back = units.swap_remove(dice.random_range(0..units.len()));
        left = left.minus(back).expect("one currency");
        refunds += 1;
        assert!(left.minor >= 0, "more than {net} went back");
        // As text, the way providers are told, it is the same money.
        let told = Money::parse_decimal(&back.to_decimal(), net.currency).expect("a decimal");
        assert_eq!(told, back);
    }
    let kept = Money::sum(net.currency, units).expect("within bounds");
    assert_eq!(left, kept, "what is left of {net} is what was not given back");
    refunds
}

#[test]
fn carts_discounts_and_refunds_add_up() {
    let carts: u64 =
        std::env::var("MERX_T21").map_or(2_000, |text| text.parse().expect("MERX_T21 is a number"));
    for (currency, decimals) in [(Currency::JPY, 0), (Currency::CNY, 2), (Currency::KWD, 3)] {
        assert_eq!(currency.decimals(), decimals);
        let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
        let mut found = Found::default();
        for _ in 0..carts {
            let lines = cart(&mut dice);
            let net = discounted(&lines, currency, &mut dice);
            found.lines += lines.len() as u64;
            for (net, (_, count)) in net.into_iter().zip(&lines) {
                found.refunds += refunded(net, *count, &mut dice);
            }
        }
        println!(
            "PROOF | T21 | money in {decimals} decimals ({currency}): carts, a discount shared by the largest remainder, refunds \
             unit by unit | size={carts} | drift 0 minor units over {} lines; every allocation sums to its whole; {} refunds, none \
             above what its line paid | seed=1",
            found.lines, found.refunds
        );
    }
}
