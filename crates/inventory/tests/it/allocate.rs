//! The allocation rule.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Trial;
use merx_contracts::ids::WarehouseId;
use merx_inventory::domain::{Lines, PlacedLine, Shelf, Shortage, allocate};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::decide::{lines, sku};

pub fn trials() -> Vec<Trial> {
    crate::trials!("allocate": the_rule_by_example, whatever_lies_where)
}

fn shelf(code: &str, warehouse: u128, priority: i64, available: i64) -> Shelf {
    Shelf { sku: sku(code), warehouse: WarehouseId::from_bits(warehouse), priority, available }
}

fn placed(plan: &[PlacedLine]) -> Vec<(&str, u128, i64)> {
    plan.iter().map(|l| (l.sku.as_str(), l.warehouse.bits(), l.quantity)).collect()
}

/// What lies where as (SKU, warehouse, priority, units); what is wanted; from where it comes.
type Example = (
    &'static [(&'static str, u128, i64, i64)],
    &'static [(&'static str, i64)],
    &'static [(&'static str, u128, i64)],
);

fn the_rule_by_example() {
    let table: &[Example] = &[
        // The first by priority that holds everything, though another has more.
        (&[("A", 1, 5, 3), ("A", 2, 1, 2), ("A", 3, 9, 99)], &[("A", 2)], &[("A", 2, 2)]),
        // One that holds everything goes before two with lower numbers.
        (
            &[("A", 1, 1, 5), ("B", 2, 2, 5), ("A", 3, 9, 5), ("B", 3, 9, 5)],
            &[("A", 1), ("B", 1)],
            &[("A", 3, 1), ("B", 3, 1)],
        ),
        // Equal priorities: the lower id.
        (&[("A", 2, 1, 5), ("A", 1, 1, 5)], &[("A", 1)], &[("A", 1, 1)]),
        // Nobody holds everything: the one that adds most first; whole lines stay whole.
        (
            &[("A", 1, 1, 6), ("B", 1, 1, 5), ("A", 2, 2, 10)],
            &[("A", 10), ("B", 5)],
            &[("A", 2, 10), ("B", 1, 5)],
        ),
        // A line nobody holds whole is split, by priority.
        (&[("A", 1, 2, 4), ("A", 2, 1, 3), ("A", 3, 3, 1)], &[("A", 6)], &[("A", 2, 3), ("A", 1, 3)]),
        // Who is not needed after all is dropped: 1 adds most at first, but 2 and 3 are needed and enough.
        (
            &[("A", 1, 1, 2), ("B", 1, 1, 2), ("A", 2, 2, 3), ("B", 3, 3, 3)],
            &[("A", 3), ("B", 3)],
            &[("A", 2, 3), ("B", 3, 3)],
        ),
    ];
    for (shelves, wanted, expected) in table {
        let shelves: Vec<Shelf> = shelves.iter().map(|(c, w, p, n)| shelf(c, *w, *p, *n)).collect();
        let plan = allocate(&lines(wanted), &shelves).unwrap();
        assert_eq!(placed(&plan), *expected, "{wanted:?} from {shelves:?}");
    }
    let short = allocate(
        &lines(&[("A", 1), ("B", 6)]),
        &[shelf("A", 1, 1, 1), shelf("B", 1, 1, 2), shelf("B", 2, 1, 3)],
    );
    assert_eq!(short, Err(Shortage { sku: sku("B"), wanted: 6, available: 5 }));
}

const SKUS: [&str; 3] = ["A", "B", "C"];

type World = (Vec<([i64; 3], i64)>, Vec<(usize, i64)>, u64);

/// Units by warehouse and SKU, the priority of each warehouse, what is wanted, and an order in which it is read.
fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec((prop::array::uniform3(0..6i64), 0..3i64), 1..6),
        prop::collection::vec((0..3usize, 1..9i64), 1..4),
        any::<u64>(),
    )
}

fn whatever_lies_where() {
    let config = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&world(), |(warehouses, wanted, seed)| {
            let mut shelves = Vec::new();
            for (id, (units, priority)) in (1u128..).zip(&warehouses) {
                let row = |(code, n): (&&str, &i64)| shelf(code, id, *priority, *n);
                shelves.extend(SKUS.iter().zip(units).map(row));
            }
            let wanted: Vec<(&str, i64)> = wanted.iter().map(|(s, n)| (SKUS[*s], *n)).collect();
            let wanted = lines(&wanted);
            let answer = allocate(&wanted, &shelves);
            // The order in which the rows are read says nothing.
            let mut shuffled = shelves.clone();
            shuffled.rotate_left(usize::try_from(seed % shelves.len() as u64).unwrap());
            if seed % 2 == 0 {
                shuffled.reverse();
            }
            prop_assert_eq!(&allocate(&wanted, &shuffled), &answer);
            judge(&wanted, &shelves, answer)
        })
        .unwrap();
}

fn judge(
    wanted: &Lines,
    shelves: &[Shelf],
    answer: Result<Vec<PlacedLine>, Shortage>,
) -> Result<(), TestCaseError> {
    let total =
        |code: &str| -> i64 { shelves.iter().filter(|s| s.sku.as_str() == code).map(|s| s.available).sum() };
    let enough = wanted.as_slice().iter().all(|line| total(line.sku.as_str()) >= line.quantity);
    let plan = match answer {
        Err(shortage) => {
            prop_assert!(!enough, "refused though there is enough");
            prop_assert_eq!(shortage.available, total(shortage.sku.as_str()));
            return Ok(());
        }
        Ok(plan) => plan,
    };
    prop_assert!(enough && wanted.are(&plan), "all, and no more: {:?}", plan);
    let mut taken: BTreeMap<(&str, WarehouseId), i64> = BTreeMap::new();
    for line in &plan {
        prop_assert!(line.quantity > 0);
        *taken.entry((line.sku.as_str(), line.warehouse)).or_default() += line.quantity;
    }
    prop_assert_eq!(taken.len(), plan.len(), "each piece once");
    let has = |code: &str, warehouse: WarehouseId| {
        let found = shelves.iter().find(|s| s.sku.as_str() == code && s.warehouse == warehouse);
        found.map_or(0, |s| s.available)
    };
    for ((code, warehouse), units) in &taken {
        prop_assert!(*units <= has(code, *warehouse), "no more than there is");
    }
    let chosen: BTreeSet<WarehouseId> = plan.iter().map(|line| line.warehouse).collect();
    let all: BTreeSet<(i64, WarehouseId)> = shelves.iter().map(|s| (s.priority, s.warehouse)).collect();
    let covers = |some: &[WarehouseId]| {
        let sum = |code: &str| some.iter().map(|w| has(code, *w)).sum::<i64>();
        wanted.as_slice().iter().all(|line| sum(line.sku.as_str()) >= line.quantity)
    };
    let single = all.iter().map(|(_, w)| *w).find(|w| covers(&[*w]));
    match single {
        Some(first) => prop_assert_eq!(chosen, BTreeSet::from([first]), "the first that holds everything"),
        None => {
            for one in &chosen {
                let rest: Vec<_> = chosen.iter().filter(|w| *w != one).copied().collect();
                prop_assert!(!covers(&rest), "each chosen warehouse is needed");
            }
        }
    }
    for line in wanted.as_slice() {
        let pieces = plan.iter().filter(|p| p.sku == line.sku).count();
        let whole = chosen_holds_whole(&plan, |w| has(line.sku.as_str(), w) >= line.quantity);
        prop_assert!(pieces == 1 || !whole, "a line somebody chosen holds whole is not split");
    }
    Ok(())
}

fn chosen_holds_whole(plan: &[PlacedLine], holds: impl Fn(WarehouseId) -> bool) -> bool {
    plan.iter().any(|line| holds(line.warehouse))
}
