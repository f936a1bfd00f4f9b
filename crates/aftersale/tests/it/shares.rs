//! Random orders and random sequences of partial cases: what goes back adds up to the minor unit.

use std::collections::BTreeMap;

use merx_aftersale::domain::{
    AfterSales, Command, Facts, InspectedLine, Kind, Policy, ReasonCode, Status, Terms, UnitLine, decide,
    refund::{BoughtLine, share},
};
use merx_contracts::ids::{AfterSaleId, Sku};
use merx_kernel::{Id, Money, Quantity, Timestamp};
use merx_platform::Aggregate as _;
use proptest::prelude::*;

use crate::{plain, rules::yuan};

/// Lives of an order; `MERX_CASES` sets another number.
fn lives() -> u32 {
    std::env::var("MERX_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512)
}

const FACTS: Facts = Facts { now: Timestamp::from_millis(1_795_132_800_000), policy: POLICY };
const POLICY: Policy = Policy {
    refund_window_s: 100,
    return_window_s: 100,
    answer_within_s: 100,
    send_within_s: 100,
    arrive_within_s: 100,
    inspect_within_s: 100,
    settle_within_s: 100,
};

#[derive(Clone, Debug)]
enum Act {
    Ask(u8, Vec<(usize, i64)>),
    Approve(usize, i64),
    Refuse(usize),
    Withdraw(usize),
    Receive(usize, i64),
    Inspect(usize, u32),
    RefundInstead(usize),
    Deadline(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let case = || 0..12usize;
    prop_oneof![
        6 => (0..3u8, prop::collection::vec((0..4usize, 1..6i64), 1..4)).prop_map(|(k, l)| Act::Ask(k, l)),
        5 => (case(), 0..900i64).prop_map(|(c, f)| Act::Approve(c, f)),
        1 => case().prop_map(Act::Refuse),
        1 => case().prop_map(Act::Withdraw),
        5 => (case(), 1..6i64).prop_map(|(c, n)| Act::Receive(c, n)),
        5 => (case(), 0..4u32).prop_map(|(c, n)| Act::Inspect(c, n)),
        3 => case().prop_map(Act::RefundInstead),
        1 => case().prop_map(Act::Deadline),
    ]
}

fn order() -> impl Strategy<Value = Terms> {
    let line = (1..12i64, 0..100_000i64);
    (prop::collection::vec(line, 1..5), 0..2_000i64).prop_map(|(lines, freight)| {
        let lines = lines
            .into_iter()
            .enumerate()
            .map(|(n, (bought, paid))| (sku(n), BoughtLine { bought, paid: yuan(paid), arrived: bought }));
        Terms {
            account_id: Id::from_bits(1),
            lines: lines.collect(),
            freight: yuan(freight),
            delivered_at: Some(FACTS.now),
            received_at: None,
        }
    })
}

fn sku(n: usize) -> Sku {
    Sku::new(format!("SKU-{n}")).unwrap()
}

fn command(act: &Act, state: &AfterSales, terms: &Terms) -> (AfterSaleId, Command) {
    let id = |n: usize| AfterSaleId::from_bits(n as u128 + 1);
    let units_of = |n: usize| state.cases.get(&id(n)).map(|case| case.units.clone()).unwrap_or_default();
    match act {
        Act::Ask(kind, lines) => {
            let kind = [Kind::Refund, Kind::Return, Kind::Exchange][usize::from(*kind)];
            let line = |(n, units): &(usize, i64)| UnitLine {
                sku: sku(*n),
                quantity: Quantity::new(*units).unwrap(),
            };
            let (reason, lines) = (ReasonCode::Other, lines.iter().map(line).collect());
            let terms = terms.clone();
            (id(state.cases.len()), Command::Request { kind, reason, lines, terms })
        }
        Act::Approve(n, freight) => (id(*n), Command::Approve { freight: Some(yuan(*freight)) }),
        Act::Refuse(n) => (id(*n), Command::Refuse),
        Act::Withdraw(n) => (id(*n), Command::Withdraw),
        Act::Receive(n, most) => {
            let came = units_of(*n)
                .into_iter()
                .map(|(sku, units)| UnitLine { sku, quantity: Quantity::new(units.min(*most)).unwrap() });
            (id(*n), Command::Receive { warehouse_id: None, lines: came.collect() })
        }
        Act::Inspect(n, broken) => {
            let lines = units_of(*n).into_iter().map(|(sku, units)| {
                let units = u32::try_from(units).unwrap();
                let written_off = units.min(*broken);
                InspectedLine { sku, restocked: units - written_off, written_off }
            });
            (id(*n), Command::Inspect { lines: lines.collect() })
        }
        Act::RefundInstead(n) => (id(*n), Command::RefundInstead),
        Act::Deadline(n) => (id(*n), Command::Deadline),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(lives()))]

    fn what_goes_back_is_never_more_than_was_paid(terms in order(), acts in prop::collection::vec(act(), 0..60)) {
        let mut state = AfterSales::default();
        for act in &acts {
            let (id, command) = command(act, &state, &terms);
            if let Ok(events) = decide(&state, id, &command, &FACTS) {
                state = events.iter().fold(state, AfterSales::evolve);
            }
            let mut back: BTreeMap<&Sku, (i64, i64)> = BTreeMap::new();
            let mut freight = 0;
            for case in state.cases.values() {
                let lines: i64 = case.refund.lines.iter().map(|line| line.amount.minor).sum();
                let total = case.refund.total.map_or(0, |total| total.minor);
                prop_assert_eq!(total, lines + case.refund.freight_minor, "the parts are the whole");
                freight += case.refund.freight_minor;
                for line in &case.refund.lines {
                    let (units, minor) = back.entry(&line.sku).or_default();
                    (*units, *minor) = (*units + line.quantity.get(), *minor + line.amount.minor);
                }
            }
            prop_assert!(freight <= terms.freight.minor);
            for (sku, (units, minor)) in back {
                let bought = &terms.lines[sku];
                prop_assert!(units <= bought.bought && minor <= bought.paid.minor);
                // However many cases it took, it is the share of so many units.
                prop_assert_eq!(minor, share(bought.paid, bought.bought, 0, units).unwrap().minor);
                if units == bought.bought {
                    prop_assert_eq!(minor, bought.paid.minor, "all of a line is its share exactly");
                }
            }
            for (sku, line) in &terms.lines {
                prop_assert!(state.claimed(sku, |_| true) <= line.bought, "no unit is asked for twice");
            }
            for case in state.cases.values() {
                prop_assert_eq!(case.status.is_ended(), case.due_at.is_none() && !case.escalated || case.status.is_ended());
                prop_assert!(case.status != Status::Refunding || case.refund.total.is_some());
            }
        }
    }

    fn shares_of_a_line_are_the_line(paid in 0..10_000_000i64, bought in 1..400i64, cuts in prop::collection::vec(1..50i64, 0..40)) {
        let (mut before, mut sum) = (0, 0);
        for cut in cuts.into_iter().chain([bought]) {
            let units = cut.min(bought - before);
            let part = share(yuan(paid), bought, before, units).unwrap();
            let exact = i128::from(paid) * i128::from(units);
            prop_assert!((i128::from(part.minor) * i128::from(bought) - exact).abs() <= i128::from(bought) * i128::from(units));
            (before, sum) = (before + units, sum + part.minor);
        }
        prop_assert_eq!((before, sum), (bought, paid));
    }
}

fn more_than_was_bought_has_no_share() {
    for (before, units) in [(0, 4), (3, 1), (-1, 1), (1, -1)] {
        assert!(share(yuan(100), 3, before, units).is_err(), "{before} {units}");
    }
    assert_eq!(share(yuan(100), 3, 0, 1).unwrap(), Money::new(34, yuan(0).currency));
    assert_eq!(share(yuan(100), 3, 1, 2).unwrap(), yuan(66));
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["shares":
        what_goes_back_is_never_more_than_was_paid,
        shares_of_a_line_are_the_line,
        more_than_was_bought_has_no_share,
    ]
}
