//! Many contexts' entries as one story: whatever caused something stands before it, and beside that time decides.

use std::collections::{BTreeMap, BTreeSet};

use merx_kernel::Timestamp;

use super::timeline::TimelineEntry;
use crate::store::CONTEXT;

/// Sorts entries causally, then by time. `lists` are each in the order in which one context says that they happened;
/// that is kept, and so is every `caused_by`. Where the two contradict each other, or causes go round in a circle, time
/// decides.
///
/// What another context did without knowing why is the work of the saga of its trace that was under way then. `ends`
/// names the events with which sagas ended, and the sagas: what a saga did stands before them, also within the same
/// millisecond.
pub fn merged(lists: Vec<Vec<TimelineEntry>>, ends: &BTreeMap<String, String>) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for list in lists {
        let mut last = None;
        for entry in list {
            // Two contexts may know of the same message; the first, who made it, knows better.
            if known.contains_key(&entry.id) {
                continue;
            }
            let index = entries.len();
            known.insert(entry.id.clone(), index);
            entries.push(entry);
            before.push(last.into_iter().collect());
            last = Some(index);
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        let cause = entry.caused_by.as_ref().and_then(|id| known.get(id));
        before[index].extend(cause.filter(|cause| **cause != index));
    }
    let asked = asked_by_sagas(&entries, &before);
    for (index, saga) in &asked {
        entries[*index].caused_by = Some(entries[*saga].id.clone());
        before[*index].insert(*saga);
    }
    for (event, saga) in ends {
        let (Some(&end), Some(&saga)) = (known.get(event), known.get(saga)) else { continue };
        let done = asked.iter().filter(|(index, by)| *by == saga && entries[*index].at <= entries[end].at);
        before[end].extend(done.map(|(index, _)| *index));
    }
    let order = topological(&entries, &before);
    let mut slots: Vec<Option<TimelineEntry>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| slots[index].take()).collect()
}

/// A saga on its way.
struct UnderWay {
    index: usize,
    until: Option<Timestamp>,
    /// What happened before it began: it asked for none of that.
    earlier: BTreeSet<usize>,
}

/// The entries of others that name no cause, each with the saga that asked for it.
fn asked_by_sagas(entries: &[TimelineEntry], before: &[BTreeSet<usize>]) -> Vec<(usize, usize)> {
    let own = |entry: &TimelineEntry| entry.context == CONTEXT;
    let end_of = |id: &str| entries.iter().find(|entry| own(entry) && entry.id == format!("{id}/end"));
    let is_saga = |entry: &TimelineEntry| own(entry) && entry.kind == "saga" && !entry.id.ends_with("/end");
    let sagas: Vec<UnderWay> = (0..entries.len())
        .filter(|index| is_saga(&entries[*index]))
        .map(|index| UnderWay {
            index,
            until: end_of(&entries[index].id).map(|end| end.at),
            earlier: earlier(index, before),
        })
        .collect();
    let by = |index: usize| {
        let entry = &entries[index];
        let asked = |saga: &&UnderWay| {
            let begun = &entries[saga.index];
            entry.trace_id.is_some()
                && begun.trace_id == entry.trace_id
                && begun.at <= entry.at
                && saga.until.is_none_or(|until| entry.at <= until)
                && !saga.earlier.contains(&index)
        };
        sagas.iter().filter(asked).map(|saga| saga.index).max_by_key(|saga| (entries[*saga].at, *saga))
    };
    let unexplained = |index: &usize| !own(&entries[*index]) && entries[*index].caused_by.is_none();
    (0..entries.len()).filter(unexplained).filter_map(|index| Some((index, by(index)?))).collect()
}

/// All that stands before an entry, by however many steps.
fn earlier(index: usize, before: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![index]);
    while let Some(next) = open.pop() {
        open.extend(before[next].iter().copied().filter(|cause| found.insert(*cause)));
    }
    found
}

/// The indices, each after those `before` it and otherwise by time.
fn topological(entries: &[TimelineEntry], before: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = before.iter().map(BTreeSet::len).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    for (index, causes) in before.iter().enumerate() {
        causes.iter().for_each(|cause| after[*cause].push(index));
    }
    let key = |index: usize| (entries[index].at, index);
    let mut ready: BTreeSet<_> = (0..entries.len()).filter(|index| waiting[*index] == 0).map(key).collect();
    let mut left: BTreeSet<_> = (0..entries.len()).filter(|index| waiting[*index] > 0).map(key).collect();
    let mut order = Vec::with_capacity(entries.len());
    // In a circle nothing is ever ready: the earliest breaks it.
    while let Some((_, index)) = ready.pop_first().or_else(|| left.pop_first()) {
        order.push(index);
        for next in &after[index] {
            waiting[*next] = waiting[*next].saturating_sub(1);
            if waiting[*next] == 0 && left.remove(&key(*next)) {
                ready.insert(key(*next));
            }
        }
    }
    order
}
