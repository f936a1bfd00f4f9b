//! Every shape of event ever written stays readable. A file in `fixtures/events` is `<Name>.v<schema>.json`; it is
//! never changed once released, only followed by one of a higher schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use libtest_mimic::Trial;
use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::Timestamp;
use merx_payment::domain::{AttemptEnd, Method, Payment, PaymentEvent, ProviderName};
use merx_platform::{
    Store,
    aggregate::{self, Aggregate as _, DomainEvent as _, Loaded},
    time::SystemClock,
};
use merx_sql::{Db, DbOptions, StreamId};
use serde_json::{Value, json};

use crate::{plain, world::money};

pub fn trials() -> Vec<Trial> {
    plain!["events":
        every_event_is_written_as_its_newest_fixture,
        every_fixture_is_read_and_folded,
        what_is_not_ours_is_refused,
        every_state_is_the_same_from_its_snapshot,
        a_payment_is_loaded_the_same_with_snapshots_and_without,
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/events")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

const ATTEMPT: AttemptId = AttemptId::from_bits(1);
const REFUND: RefundId = RefundId::from_bits(2);

/// One of each event as this code writes it, in an order in which they could happen.
fn examples() -> Vec<PaymentEvent> {
    let amount = money(19_900);
    vec![
        PaymentEvent::PaymentOpened {
            order_id: OrderId::from_bits(0x78 + 1),
            buyer: AccountId::from_bits(0x78 + 2),
            amount,
            freight: money(1_000),
            deadline: at("2026-11-20T08:30:00Z"),
            subject: "Merx order".to_owned(),
        },
        PaymentEvent::AttemptStarted {
            attempt_id: ATTEMPT,
            provider: ProviderName::Alipay,
            method: Method::AlipayQr,
            amount,
            started_at: at("2026-11-20T08:00:00Z"),
            expires_at: at("2026-11-20T08:29:00Z"),
        },
        PaymentEvent::AttemptPrepared {
            attempt_id: ATTEMPT,
            qr_code: "https://qr.alipay.com/bax03431ljhokirwl38f00a7".to_owned(),
        },
        PaymentEvent::AttemptSuperseded { attempt_id: ATTEMPT, by: AttemptId::from_bits(3) },
        PaymentEvent::AttemptClosed { attempt_id: ATTEMPT, end: AttemptEnd::NotOffered },
        PaymentEvent::PaymentCaptured {
            attempt_id: ATTEMPT,
            amount,
            provider: ProviderName::Alipay,
            provider_trade_no: "2026112022001400000000000001".to_owned(),
            late: false,
            duplicate: false,
        },
        PaymentEvent::DepositAccepted { attempt_id: ATTEMPT, amount },
        PaymentEvent::FeeCharged {
            attempt_id: ATTEMPT,
            refund_id: None,
            amount: money(119),
            provider: ProviderName::Alipay,
            bill_day: "2026-11-20".to_owned(),
        },
        PaymentEvent::CloseRequested {},
        PaymentEvent::PaymentClosed {},
        PaymentEvent::RefundRequested {
            refund_id: REFUND,
            attempt_id: ATTEMPT,
            amount,
            reason: "late".to_owned(),
            requested_at: at("2026-11-20T09:00:00Z"),
        },
        PaymentEvent::RefundFailed { refund_id: REFUND, code: "ACQ.TRADE_HAS_FINISHED".to_owned() },
        PaymentEvent::RefundRetried { refund_id: REFUND, requested_at: at("2026-11-21T09:00:00Z") },
        PaymentEvent::RefundSucceeded {
            refund_id: REFUND,
            attempt_id: ATTEMPT,
            amount,
            provider: ProviderName::Alipay,
        },
    ]
}

fn every_event_is_written_as_its_newest_fixture() {
    for example in examples() {
        let path = folder().join(format!("{}.v{}.json", example.name(), example.schema()));
        let written: Value = serde_json::from_str(&example.encode().unwrap()).unwrap();
        let stored = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let stored_value: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored_value, written, "{} changed its shape: raise the schema instead", example.name());
        let read = PaymentEvent::decode(example.name(), example.schema(), &stored).unwrap();
        assert_eq!(read, example);
        let next = format!("{}.v{}.json", example.name(), example.schema() + 1);
        assert!(!folder().join(&next).exists(), "{next} is of a schema that is not written yet");
    }
}

fn every_fixture_is_read_and_folded() {
    let mut read: BTreeMap<(String, i64), PaymentEvent> = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (name, schema) = stem.rsplit_once(".v").unwrap();
        let schema: i64 = schema.parse().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let event = PaymentEvent::decode(name, schema, &text).unwrap_or_else(|e| panic!("{stem}: {e:?}"));
        assert_eq!(event.name(), name);
        // Beside its content a stored event says why it happened.
        let mut caused: Value = serde_json::from_str(&text).unwrap();
        caused["cause"] = json!({ "trace_id": "0af7651916cd43dd8448eb211c80319c", "by": "x" });
        assert_eq!(PaymentEvent::decode(name, schema, &caused.to_string()).unwrap(), event);
        read.insert((name.to_owned(), schema), event);
    }
    let examples = examples();
    let names: BTreeSet<&str> = examples.iter().map(|event| event.name()).collect();
    assert_eq!(names.len(), examples.len());
    for example in &examples {
        for schema in 1..=example.schema() {
            let known = read.contains_key(&(example.name().to_owned(), schema));
            assert!(known, "{}.v{schema}.json is missing", example.name());
        }
    }
    assert!(read.keys().all(|(name, _)| names.contains(name.as_str())), "a fixture of no event");

    // A stream of the first shapes alone, and one of the newest, fold to the same attempt but for its method.
    let fold = |version: fn(&PaymentEvent) -> i64| {
        let of = |event: &PaymentEvent| read[&(event.name().to_owned(), version(event))].clone();
        examples.iter().map(of).fold(Payment::default(), |payment, event| Payment::evolve(payment, &event))
    };
    let (old, new) = (fold(|_| 1), fold(|event| event.schema()));
    let (old_attempt, new_attempt) = (&old.attempts[&ATTEMPT], &new.attempts[&ATTEMPT]);
    assert_eq!((old_attempt.method, new_attempt.method), (Method::AlipayPage, Method::AlipayQr));
    assert_eq!(old.captures, new.captures);
    assert_eq!(old.refunds, new.refunds);
    println!(
        "PROOF | T29 | fixtures of every version, payment | size={} | all of them load | seed=-",
        read.len()
    );
}

fn what_is_not_ours_is_refused() {
    assert!(PaymentEvent::decode("PaymentOpened", 3, "{}").is_err(), "an unknown schema is refused");
    assert!(PaymentEvent::decode("AttemptStarted", 3, "{}").is_err());
    assert!(PaymentEvent::decode("AttemptStarted", 0, "{}").is_err());
    assert!(PaymentEvent::decode("Nonsense", 1, "{}").is_err());
}

/// A snapshot of the state after every event, and the shape of them by its fixture: a state of another shape is a new schema
/// number with a file of its own, or old snapshots would be read wrongly.
fn every_state_is_the_same_from_its_snapshot() {
    let snapshots = Payment::SNAPSHOTS.unwrap();
    let mut state = Payment::default();
    for event in examples() {
        state = Payment::evolve(state, &event);
        assert_eq!((snapshots.read)(&(snapshots.write)(&state).unwrap()).unwrap(), state, "{}", event.name());
    }
    let file = folder().with_file_name("snapshots").join(format!("Payment.v{}.json", snapshots.schema));
    let stored = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let written: Value = serde_json::from_str(&(snapshots.write)(&state).unwrap()).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<Value>(&stored).unwrap(),
        "another shape is another schema number"
    );
    assert_eq!((snapshots.read)(&stored).unwrap(), state);
}

/// T29 on the events of a payment: at every version, whatever lies between two snapshots.
fn a_payment_is_loaded_the_same_with_snapshots_and_without() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let states = |snapshot_every: Option<i64>| {
        runtime.block_on(async {
            let store = Store::new("payment");
            let mut options = DbOptions::new(std::sync::Arc::new(SystemClock));
            options.snapshot_every = snapshot_every;
            let db = Db::inline(options, &store.sequenced_tables()).unwrap();
            db.migrate("payment", &store.migrations()).await.unwrap();
            let log = store.events.clone();
            let read = db.write("test.payment", move |tx| {
                let mut all = Vec::new();
                for event in examples() {
                    let Loaded { state, version } = aggregate::load::<Payment>(&log, tx, StreamId(1))?;
                    let after = Payment::evolve(state, &event);
                    let now = aggregate::append::<Payment>(
                        &log,
                        tx,
                        StreamId(1),
                        version,
                        &[event],
                        at("2026-11-20T08:00:00Z"),
                    )?;
                    let after = Loaded { state: after, version: now };
                    aggregate::keep_snapshot::<Payment>(&log, tx, StreamId(1), version, &after)?;
                }
                for version in 0..=i64::try_from(examples().len()).unwrap() {
                    all.push(aggregate::load_at::<Payment>(&log, tx, StreamId(1), version)?.state);
                }
                Ok(all)
            });
            read.await.unwrap()
        })
    };
    let without = states(None);
    for every in [1, 2, 5, 13] {
        assert_eq!(states(Some(every)), without, "a snapshot every {every} events");
    }
    println!(
        "PROOF | T29 | snapshots on and off, payment | size={} | the same state at every version, a snapshot every 1, 2, 5, 13 \
         events or none | seed=-",
        without.len()
    );
}
