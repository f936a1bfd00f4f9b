//! A guest logs in as a member: both carts become one, by a stated rule.

use std::{collections::BTreeMap, sync::Arc};

use libtest_mimic::Trial;
use merx_cart::{
    commands::LINES_MAX,
    domain::{Limit, LineHad, Outcome, merge},
};
use merx_contracts::{
    Envelope,
    events::{
        accounts::GuestLoggedIn,
        ordering::{Line, OrderAwaitingPayment},
    },
    ids::{AccountId, Sku},
};
use merx_kernel::{Id, Quantity, Role, Timestamp};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, on_every_mode},
    neighbours::Sold,
};

pub fn trials() -> Vec<Trial> {
    [
        crate::trials!("merging": the_rule_as_a_table, whatever_is_merged_the_rule_holds),
        on_every_mode("merging::once_and_told_until_acknowledged", once_and_told_until_acknowledged),
        on_every_mode("merging::a_full_cart_drops_the_rest", a_full_cart_drops_the_rest),
        on_every_mode(
            "merging::an_order_of_the_guest_takes_its_lines",
            an_order_of_the_guest_takes_its_lines,
        ),
        on_every_mode("merging::while_both_carts_are_changed", while_both_carts_are_changed),
        on_every_mode("merging::many_guests_of_one_member", many_guests_of_one_member),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const GUEST: AccountId = Id::from_bits(21);
const MEMBER: AccountId = Id::from_bits(22);
const LOGIN: GuestLoggedIn = GuestLoggedIn { guest_id: GUEST, account_id: MEMBER };

fn had(sku: &str, units: i64) -> LineHad {
    LineHad {
        sku: Sku::new(sku).unwrap(),
        quantity: Quantity::new(units).unwrap(),
        price_when_added: None,
        added_at: Timestamp::from_millis(units),
    }
}

fn the_rule_as_a_table() {
    use Outcome::{Added, Capped, Dropped};
    let limit = |most| BTreeMap::from([(Sku::new("A").unwrap(), Limit { per_order: most, per_buyer: None })]);
    // What the member and the guest have of A, the limit, the lines a cart may have; outcome, what came over, what is.
    for (mine, theirs, most, lines_max, outcome, added, now) in [
        (0, 2, None, 9, Added, 2, Some(2)),
        (3, 2, None, 9, Added, 2, Some(5)),
        (3, 2, Some(5), 9, Added, 2, Some(5)),
        (3, 2, Some(4), 9, Capped, 1, Some(4)),
        (3, 2, Some(3), 9, Capped, 0, Some(3)),
        (3, 2, Some(1), 9, Capped, 0, Some(3)),
        (0, 2, Some(1), 9, Capped, 1, Some(1)),
        (9_000, 1_000, None, 9, Capped, 999, Some(9_999)),
        (0, 2, None, 1, Dropped, 0, None),
        (3, 2, None, 2, Added, 2, Some(5)),
    ] {
        let mut member = vec![had("B", 1)];
        member.extend((mine > 0).then(|| had("A", mine)));
        let merged = merge(&member, &[had("A", theirs)], &limit(most), lines_max).unwrap();
        let seen = (merged[0].outcome, merged[0].added, merged[0].now.map(Quantity::get));
        assert_eq!(seen, (outcome, added, now), "{mine} and {theirs}, at most {most:?}, {lines_max} lines");
    }
}

fn whatever_is_merged_the_rule_holds() {
    let lines = || prop::collection::btree_map("[A-F]", 1..=9_999i64, 0..6);
    let input = (lines(), lines(), prop::option::of(1..100i64), 0..8usize);
    let run = |(mine, theirs, most, lines_max): (
        BTreeMap<String, i64>,
        BTreeMap<String, i64>,
        Option<i64>,
        usize,
    )| {
        let of =
            |lines: &BTreeMap<String, i64>| lines.iter().map(|(sku, n)| had(sku, *n)).collect::<Vec<_>>();
        let limit = Limit { per_order: None, per_buyer: most };
        let limits = theirs.keys().map(|sku| (Sku::new(sku).unwrap(), limit)).collect();
        let merged = merge(&of(&mine), &of(&theirs), &limits, lines_max).unwrap();
        prop_assert_eq!(merged.len(), theirs.len(), "every line of the guest is accounted for");
        let mut lines = mine.len();
        for one in &merged {
            let before = mine.get(one.line.sku.as_str()).copied().unwrap_or(0);
            let wanted = before + one.line.quantity.get();
            let now = one.now.map_or(before, Quantity::get);
            prop_assert_eq!(now, before + one.added);
            prop_assert!(now >= before, "nobody loses by logging in");
            prop_assert!(now <= wanted);
            prop_assert!(now == before || now <= most.unwrap_or(9_999), "nothing is added above a limit");
            prop_assert_eq!(one.outcome == Outcome::Added, now == wanted);
            lines += usize::from(before == 0 && one.now.is_some());
        }
        prop_assert!(lines <= lines_max.max(mine.len()));
        Ok(())
    };
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(&input, run).unwrap();
}

async fn once_and_told_until_acknowledged(bench: Arc<Bench>) {
    let (guest, member) = (bench.buyer(GUEST, Role::Guest), bench.buyer(MEMBER, Role::Customer));
    guest.fill(&[("TEA", 2), ("POT", 3), ("CUP", 1)]).await;
    member.fill(&[("TEA", 1), ("POT", 2), ("TRAY", 1)]).await;
    bench.neighbours.set("POT", Sold { per_buyer: 4, ..Sold::default() });
    bench.hand_over(&LOGIN).await;
    let mut lines = member.lines().await;
    lines.sort();
    let expected = [("CUP", 1), ("POT", 4), ("TEA", 3), ("TRAY", 1)].map(|(sku, n)| (sku.to_owned(), n));
    assert_eq!(lines, expected);
    assert!(guest.lines().await.is_empty());
    bench.check_counts().await;

    let told = json!([{
        "at": merx_testkit::START.to_string(),
        "lines": [
            {"sku": "CUP", "outcome": "added", "quantity": 1, "added": 1},
            {"sku": "POT", "outcome": "capped", "quantity": 3, "added": 2},
            {"sku": "TEA", "outcome": "added", "quantity": 2, "added": 2},
        ],
    }]);
    assert_eq!(member.cart().await["notices"], told);
    assert_eq!(member.cart().await["notices"], told, "until acknowledged");
    member.delete("/v1/cart/notices").await;
    assert_eq!(member.cart().await.get("notices"), None);
    assert_eq!(guest.cart().await.get("notices"), None);
    // The guest's memory of the price came along.
    let cart = member.cart().await;
    let cup = cart["lines"].as_array().unwrap().iter().find(|l| l["sku"] == "CUP").unwrap();
    assert_eq!(cup["price_when_added"]["minor"], 1990);
    // A guest who had nothing, and one who is the member.
    bench.hand_over(&GuestLoggedIn { guest_id: Id::from_bits(23), account_id: MEMBER }).await;
    bench.hand_over(&GuestLoggedIn { guest_id: MEMBER, account_id: MEMBER }).await;
    assert_eq!(member.lines().await.len(), 4);
}

async fn a_full_cart_drops_the_rest(bench: Arc<Bench>) {
    let (guest, member) = (bench.buyer(GUEST, Role::Guest), bench.buyer(MEMBER, Role::Customer));
    for n in 0..LINES_MAX - 1 {
        member.fill(&[(&format!("ANY-{n}"), 1)]).await;
    }
    guest.fill(&[("FIRST", 1)]).await;
    bench.clock.advance(std::time::Duration::from_millis(1));
    guest.fill(&[("ANY-0", 1), ("LAST", 1)]).await;
    bench.hand_over(&LOGIN).await;
    let cart = member.cart().await;
    let outcomes: BTreeMap<&str, &str> = cart["notices"][0]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["sku"].as_str().unwrap(), l["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, BTreeMap::from([("ANY-0", "added"), ("FIRST", "added"), ("LAST", "dropped")]));
    assert_eq!(cart["lines"].as_array().map(Vec::len), usize::try_from(LINES_MAX).ok());
    member.put("MORE", 1).await.expect_problem(409, "cart.line_limit");
    bench.check_counts().await;
}

/// The order's fact comes after the log-in's: what was ordered leaves the cart it lies in by now.
async fn an_order_of_the_guest_takes_its_lines(bench: Arc<Bench>) {
    let (guest, member) = (bench.buyer(GUEST, Role::Guest), bench.buyer(MEMBER, Role::Customer));
    guest.fill(&[("TEA", 2), ("POT", 1)]).await;
    member.fill(&[("TEA", 1)]).await;
    bench.hand_over(&LOGIN).await;
    let line = |sku: &str, n| Line { sku: Sku::new(sku).unwrap(), quantity: Quantity::new(n).unwrap() };
    let ordered = OrderAwaitingPayment {
        order_id: Id::from_bits(99),
        account_id: GUEST,
        cart_id: GUEST.cast(),
        lines: vec![line("TEA", 2), line("POT", 1)],
    };
    bench.hand_over(&ordered).await;
    assert_eq!(member.lines().await, [("TEA".to_owned(), 1)]);
    bench.check_counts().await;
}

/// A window of the guest and one of the member go on changing lines while the carts are merged: no unit is lost.
async fn while_both_carts_are_changed(bench: Arc<Bench>) {
    let (guest, member) = (bench.buyer(GUEST, Role::Guest), bench.buyer(MEMBER, Role::Customer));
    guest.fill(&[("TEA", 1)]).await;
    member.fill(&[("POT", 1)]).await;
    let change = |buyer: crate::bench::Buyer, sku: &'static str| {
        bench.deps.tasks.spawn("test", async move {
            for n in 2..=6 {
                drop(buyer.put(sku, n).await.expect(204));
            }
        })
    };
    let windows = [change(guest.clone(), "TEA"), change(member.clone(), "POT")];
    let envelope = Envelope::new(bench.deps.ids.next(), bench.deps.now(), None, &LOGIN).unwrap();
    bench.deliver(&envelope, 0).await.unwrap();
    for window in windows {
        window.await.unwrap();
    }
    bench.check_counts().await;
    assert_eq!(member.lines().await.iter().find(|l| l.0 == "POT").unwrap().1, 6);
    // What the guest put in after the merge lies in the guest's cart; before it, it came over. Either way the last is 6.
    let came = member.lines().await.iter().find(|l| l.0 == "TEA").map_or(0, |l| l.1);
    let left = guest.lines().await.first().map_or(0, |l| l.1);
    assert!(came >= 1 && (left == 6 || (left == 0 && came == 6)), "{came} came, {left} left");
}

async fn many_guests_of_one_member(bench: Arc<Bench>) {
    let member = bench.buyer(MEMBER, Role::Customer);
    let guests: Vec<AccountId> = (100..112).map(Id::from_bits).collect();
    for guest in &guests {
        bench.buyer(*guest, Role::Guest).fill(&[("TEA", 2), ("POT", 1)]).await;
    }
    let tasks: Vec<_> = guests
        .into_iter()
        .map(|guest_id| {
            let bench = bench.clone();
            bench.clone().deps.tasks.spawn("test", async move {
                bench.hand_over(&GuestLoggedIn { guest_id, account_id: MEMBER }).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut lines = member.lines().await;
    lines.sort();
    assert_eq!(lines, [("POT".to_owned(), 12), ("TEA".to_owned(), 24)]);
    assert_eq!(member.cart().await["notices"].as_array().map(Vec::len), Some(12));
    bench.check_counts().await;
    assert!(member.cart().await["lines"].as_array().unwrap().iter().all(Value::is_object));
}
