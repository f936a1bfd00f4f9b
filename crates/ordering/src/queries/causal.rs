//! Many contexts' entries as one story: whatever caused something stands before it, and beside that time decides.

use std::collections::{BTreeMap, BTreeSet};

use super::timeline::TimelineEntry;

/// Sorts entries causally, then by time. `lists` are each in the order in which one context says that they happened;
/// that is kept, and so is every `caused_by`. Where the two contradict each other, or causes go round in a circle, time
/// decides.
pub fn merged(lists: Vec<Vec<TimelineEntry>>) -> Vec<TimelineEntry> {
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
    let order = topological(&entries, &before);
    let mut slots: Vec<Option<TimelineEntry>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| slots[index].take()).collect()
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
