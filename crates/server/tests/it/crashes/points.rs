//! The names of points, as a life lists them: `NAME:N:before|after`, in the order in which they were passed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// One of so many points is killed at when not all are.
const ONE_OF: usize = 16;
/// Where a saga begins, and where the fact of a payment is under way: always killed at.
const ALWAYS: &[&str] = &["ordering.place:1:after", "payment.capture:1:after"];
/// How often these happen in a life depends on its pace: cursors are made durable a second after they moved, and a
/// provider is asked again while it leaves us in doubt.
const BY_TIMING: &[&str] =
    &["bus.checkpoint:", "provider.alipay.trade.query:", "reply.sandbox POST /gateway.do:"];

/// The points of one life.
pub fn read(list: &Path) -> Vec<String> {
    let text = fs::read_to_string(list).expect("a list of points");
    text.lines().map(str::to_owned).collect()
}

/// The points of all lives, in the order of the first; and those that only some have.
pub fn in_every(lives: &[Vec<String>]) -> (Vec<String>, BTreeSet<String>) {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    lives.iter().flatten().for_each(|point| *counts.entry(point).or_default() += 1);
    let some = counts.iter().filter(|(_, count)| **count < lives.len());
    let some: BTreeSet<String> = some.map(|(point, _)| (*point).clone()).collect();
    let every = lives[0].iter().filter(|point| !some.contains(*point)).cloned().collect::<Vec<_>>();
    assert!(!every.is_empty(), "a build without points");
    (every, some)
}

/// Those to kill at: all with `MERX_T1=all`, else one of sixteen, and where a saga begins.
pub fn chosen(all: &[String]) -> Vec<String> {
    if std::env::var("MERX_T1").is_ok_and(|told| told == "all") {
        return all.to_vec();
    }
    let chosen = |(n, point): &(usize, &String)| n % ONE_OF == 0 || ALWAYS.contains(&point.as_str());
    all.iter().enumerate().filter(chosen).map(|(_, point)| point.clone()).collect()
}

/// Whether a point lies on the way of a fact from its commit to its effect and the mark that it was sent.
pub fn is_of_bus(point: &str) -> bool {
    point.starts_with("bus.")
}

/// Whether it is explained that a point did not come in its life: the third mark, say, of what was sent, where two were
/// enough. The first of each must come.
pub fn may_be_missed(point: &str) -> bool {
    let nth = BY_TIMING.iter().find_map(|name| point.strip_prefix(name));
    nth.is_some_and(|nth| !nth.starts_with("1:"))
}
