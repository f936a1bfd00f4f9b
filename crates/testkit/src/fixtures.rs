//! Stored events of every shape ever written stay readable: a file `<Name>.v<schema>.json` for each, walked by one test a
//! context.
//!
//! ```ignore
//! let events = event_fixtures::<Event>(
//!     concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/events"),
//!     &[("OrderPlaced", 1..=2), ("OrderPaid", 1..=1)],
//! );
//! let order = events.iter().fold(Order::default(), |order, event| order.evolve(event));
//! ```
//!
//! A snapshot of a state is held in the same way by [`snapshot_fixture`].

use std::{collections::BTreeSet, fs, ops::RangeInclusive, path::Path};

use merx_platform::{Aggregate, DomainEvent};
use serde_json::Value;

/// Walks the fixtures in `folder` against `written`: the name of every variant of `E`, with the schema numbers it was
/// ever written under, the last being what [`DomainEvent::encode`] writes today. Answers the events of the files, by
/// name in the order of `written` and by schema, for the caller to fold.
///
/// A file lifted to the present must be written and read again as the same event, and the file of the present schema must
/// be what is written today: a changed shape is a new schema number and a new file, never an edit.
///
/// # Panics
/// A variant has no file, a file has no variant, or one of them cannot be read or is not what is written today.
#[track_caller]
pub fn event_fixtures<E: DomainEvent>(
    folder: impl AsRef<Path>,
    written: &[(&str, RangeInclusive<i64>)],
) -> Vec<E> {
    let folder = folder.as_ref();
    let wanted: Vec<(&str, i64, bool)> = written
        .iter()
        .flat_map(|(name, schemas)| schemas.clone().map(|schema| (*name, schema, schema == *schemas.end())))
        .collect();
    let names: BTreeSet<String> =
        wanted.iter().map(|(name, schema, _)| format!("{name}.v{schema}.json")).collect();
    assert_eq!(names.len(), wanted.len(), "an event is named twice");
    let there: BTreeSet<String> = files_in(folder);
    let strangers: Vec<_> = there.difference(&names).collect();
    assert!(strangers.is_empty(), "{}: no event of these files is known: {strangers:?}", folder.display());
    let missing: Vec<_> = names.difference(&there).collect();
    assert!(missing.is_empty(), "{}: these files are missing: {missing:?}", folder.display());
    wanted.into_iter().map(|(name, schema, present)| one(folder, name, schema, present)).collect()
}

#[track_caller]
fn one<E: DomainEvent>(folder: &Path, name: &str, schema: i64, present: bool) -> E {
    let file = folder.join(format!("{name}.v{schema}.json"));
    let shown = file.display();
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{shown}: {e}"));
    let lift = |schema, body: &str| {
        E::decode(name, schema, body).unwrap_or_else(|e| panic!("{shown}: {}", e.chain()))
    };
    let event = lift(schema, &text);
    assert_eq!(event.name(), name, "{shown} is read as another event");
    let body = event.encode().unwrap_or_else(|e| panic!("{shown}: {}", e.chain()));
    let again = lift(event.schema(), &body).encode().unwrap_or_else(|e| panic!("{shown}: {}", e.chain()));
    assert_eq!(again, body, "{shown}: what is lifted is not read again as the same");
    if present {
        assert_eq!(event.schema(), schema, "{shown}: {name} is written under another schema today");
        assert_eq!(
            json(&body),
            json(&text),
            "{shown}: {name} has another shape today: give it a new schema number, lift the old one in `decode`, \
             and keep this file"
        );
    }
    event
}

/// Holds the shape of the snapshots of `A` by the file `<name>.v<schema>.json`: the present code reads it and writes it
/// as it is. A changed state is a new schema number (old snapshots are ignored then) and a new file.
///
/// # Panics
/// `A` keeps no snapshots, or the file is missing or not what is written today.
#[track_caller]
pub fn snapshot_fixture<A: Aggregate>(folder: impl AsRef<Path>, name: &str) -> A::State {
    let Some(snapshots) = A::SNAPSHOTS else { panic!("{name} keeps no snapshots") };
    let file = folder.as_ref().join(format!("{name}.v{}.json", snapshots.schema));
    let shown = file.display();
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{shown}: {e}"));
    let state = (snapshots.read)(&text).unwrap_or_else(|e| panic!("{shown}: {}", e.chain()));
    let body = (snapshots.write)(&state).unwrap_or_else(|e| panic!("{shown}: {}", e.chain()));
    assert_eq!(json(&body), json(&text), "{shown}: the state has another shape: give it a new schema number");
    state
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("not JSON: {e}: {text}"))
}

fn files_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries
        .map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
