//! Many contexts' entries as one story: whatever caused something stands before it, and beside that time decides.

use std::collections::{BTreeMap, BTreeSet};

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
    let asked = asked_by_sagas(&mut entries);
    for (event, saga) in ends {
        let Some(&end) = known.get(event) else { continue };
        let done = asked.iter().filter(|(index, by)| by == saga && entries[*index].at <= entries[end].at);
        before[end].extend(done.map(|(index, _)| *index));
    }
    for (index, entry) in entries.iter().enumerate() {
        let cause = entry.caused_by.as_ref().and_then(|id| known.get(id));
        before[index].extend(cause.filter(|cause| **cause != index));
    }
    let order = topological(&entries, &before);
    let mut slots: Vec<Option<TimelineEntry>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| slots[index].take()).collect()
}

/// Gives the entries of others that name no cause the saga that asked for them; answers which these are, and whose.
fn asked_by_sagas(entries: &mut [TimelineEntry]) -> Vec<(usize, String)> {
    let is_end =
        |entry: &TimelineEntry| entry.caused_by.as_ref().is_some_and(|by| entry.id == format!("{by}/end"));
    let sagas: Vec<&TimelineEntry> =
        entries.iter().filter(|entry| entry.context == CONTEXT && entry.kind == "saga").collect();
    let under_way = |entry: &TimelineEntry| {
        let trace = entry.trace_id.as_ref()?;
        let of_trace = sagas.iter().filter(|saga| !is_end(saga) && saga.trace_id.as_ref() == Some(trace));
        let begun = of_trace.filter(|saga| saga.at <= entry.at).max_by_key(|saga| saga.at)?;
        let end = sagas.iter().find(|saga| saga.id == format!("{}/end", begun.id));
        end.is_none_or(|end| entry.at <= end.at).then(|| begun.id.clone())
    };
    let unexplained = |entry: &TimelineEntry| entry.context != CONTEXT && entry.caused_by.is_none();
    let asked: Vec<(usize, String)> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| unexplained(entry))
        .filter_map(|(index, entry)| Some((index, under_way(entry)?)))
        .collect();
    for (index, saga) in &asked {
        entries[*index].caused_by = Some(saga.clone());
    }
    asked
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
