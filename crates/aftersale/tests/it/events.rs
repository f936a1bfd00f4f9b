//! Every shape of event ever written stays readable. `MERX_REGENERATE=1` writes the files of events that have none yet.

use std::{fs, path::Path};

use merx_aftersale::domain::{
    AfterSales, Event, GrantedRefund, InspectedLine, Kind, ReasonCode, RefundLine, RequestedLine,
};
use merx_kernel::{Id, Quantity, Timestamp};
use merx_platform::{Aggregate, DomainEvent as _};
use merx_testkit::event_fixtures;

use crate::{
    plain,
    rules::{CASE as case_id, TEA, sku, units, yuan},
};

const AT: Timestamp = Timestamp::from_millis(1_795_132_800_000);

/// One of each event as this code writes it.
fn examples() -> Vec<Event> {
    let (two, three) = (Quantity::new(2).unwrap(), Quantity::new(3).unwrap());
    let refund_id = Id::from_bits(0x66);
    vec![
        Event::CaseRequested {
            case_id,
            account_id: Id::from_bits(9),
            kind: Kind::Return,
            reason: ReasonCode::NotAsDescribed,
            lines: vec![RequestedLine { sku: sku(TEA), quantity: two, bought: three, paid: yuan(10_000) }],
            freight: yuan(1_200),
            due_at: AT,
        },
        Event::CaseApproved { case_id, freight: yuan(0), due_at: Some(AT) },
        Event::CaseRefused { case_id },
        Event::CaseWithdrawn { case_id },
        Event::ReturnSent { case_id, due_at: AT },
        Event::ReturnReceived {
            case_id,
            warehouse_id: Some(Id::from_bits(1)),
            lines: units(&[(TEA, 2)]),
            due_at: AT,
        },
        Event::ReturnInspected {
            case_id,
            lines: vec![InspectedLine { sku: sku(TEA), restocked: 1, written_off: 1 }],
        },
        Event::RefundDue {
            case_id,
            lines: vec![RefundLine { sku: sku(TEA), quantity: two, amount: yuan(6_667) }],
            freight: yuan(0),
            total: yuan(6_667),
            due_at: AT,
        },
        Event::ReplacementDue { case_id, due_at: AT },
        Event::ReplacementUnavailable { case_id },
        Event::RefundGranted {
            case_id,
            refunds: vec![GrantedRefund { refund_id, attempt_id: Id::from_bits(3), amount: yuan(6_667) }],
        },
        Event::RefundPaid { case_id, refund_id },
        Event::ReplacementOpened { case_id, shipments: vec![Id::from_bits(4)] },
        Event::ReplacementSent { case_id, shipment_id: Id::from_bits(4), units: 2, complete: true },
        Event::ReplacementReturned { case_id, shipment_id: Id::from_bits(4) },
        Event::DeadlineMissed { case_id },
        Event::CaseExpired { case_id },
        Event::CaseCancelled { case_id },
    ]
}

fn every_event_is_as_its_fixture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/events");
    let examples = examples();
    if std::env::var_os("MERX_REGENERATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for example in &examples {
            let path = folder.join(format!("{}.v{}.json", example.name(), example.schema()));
            if !path.exists() {
                let value: serde_json::Value = serde_json::from_str(&example.encode().unwrap()).unwrap();
                fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
            }
        }
    }
    let written: Vec<_> = examples.iter().map(|example| (example.name(), 1..=1)).collect();
    let stored = event_fixtures::<Event>(&folder, &written);
    assert_eq!(stored, examples);
    let folded = stored.iter().fold(AfterSales::default(), AfterSales::evolve);
    assert!(folded.cases.contains_key(&case_id));
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["events": every_event_is_as_its_fixture]
}
