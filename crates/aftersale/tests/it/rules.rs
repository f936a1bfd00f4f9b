//! The rules by themselves: the table of transitions, windows, quantities, deadlines.

use std::{collections::BTreeMap, time::Duration};

use merx_aftersale::domain::{
    AfterSales, Command, Event, Facts, GrantedRefund, InspectedLine, Kind, Policy, ReasonCode, Rejection,
    Standing, Status, Terms, UnitLine, decide, refund::BoughtLine,
};
use merx_contracts::ids::{AfterSaleId, Sku};
use merx_kernel::{Currency, Error, Id, Money, Quantity, Timestamp};
use merx_platform::{Aggregate, DomainEvent as _};

use crate::plain;

pub const CASE: AfterSaleId = Id::from_bits(0xca5e);
pub const TEA: &str = "TEA-100";
pub const CUP: &str = "CUP-1";
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

pub fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}
pub fn sku(code: &str) -> Sku {
    Sku::new(code).unwrap()
}
pub fn units(lines: &[(&str, i64)]) -> Vec<UnitLine> {
    let line =
        |(code, units): &(&str, i64)| UnitLine { sku: sku(code), quantity: Quantity::new(*units).unwrap() };
    lines.iter().map(line).collect()
}
/// Three of tea for 100.00 and one cup for 39.00, all arrived; 12.00 for sending.
pub fn terms() -> Terms {
    let line = |bought, minor| BoughtLine { bought, paid: yuan(minor), arrived: bought };
    Terms {
        account_id: Id::from_bits(9),
        lines: BTreeMap::from([(sku(TEA), line(3, 10_000)), (sku(CUP), line(1, 3_900))]),
        freight: yuan(1_200),
        delivered_at: Some(NOW),
        received_at: None,
    }
}
pub fn ask(kind: Kind, lines: &[(&str, i64)]) -> Command {
    Command::Request { kind, reason: ReasonCode::Damaged, lines: units(lines), terms: terms() }
}
pub fn approve() -> Command {
    Command::Approve { freight: None }
}
pub fn receive(lines: &[(&str, i64)]) -> Command {
    Command::Receive { warehouse_id: None, lines: units(lines) }
}
pub fn inspect(lines: &[(&str, u32, u32)]) -> Command {
    let line = |(code, restocked, written_off): &(&str, u32, u32)| InspectedLine {
        sku: sku(code),
        restocked: *restocked,
        written_off: *written_off,
    };
    Command::Inspect { lines: lines.iter().map(line).collect() }
}
fn grant(n: u128) -> Command {
    let refunds = vec![GrantedRefund {
        refund_id: Id::from_bits(n),
        attempt_id: Id::from_bits(7),
        amount: yuan(3_334),
    }];
    Command::Grant { refunds }
}
fn paid(n: u128) -> Command {
    Command::RecordRefund { refund_id: Id::from_bits(n) }
}
fn open(n: u128) -> Command {
    Command::OpenReplacement { shipments: vec![Id::from_bits(n)] }
}
fn left(n: u128) -> Command {
    Command::RecordDispatch { shipment_id: Id::from_bits(n), lines: units(&[(TEA, 1)]) }
}
fn came_back(n: u128) -> Command {
    Command::RecordReturn { shipment_id: Id::from_bits(n) }
}

fn later(seconds: u64) -> Facts {
    Facts { now: NOW.plus(Duration::from_secs(seconds)), policy: Policy::default() }
}
fn run(state: &AfterSales, case: AfterSaleId, command: &Command) -> Result<Vec<Event>, Error> {
    decide(state, case, command, &later(0))
}
/// Applies commands that must all be accepted.
fn given(commands: &[Command]) -> AfterSales {
    more(AfterSales::default(), CASE, commands)
}
fn more(state: AfterSales, case: AfterSaleId, commands: &[Command]) -> AfterSales {
    commands.iter().fold(state, |state, command| {
        let events = run(&state, case, command).unwrap_or_else(|e| panic!("{command:?}: {}", e.chain()));
        events.iter().fold(state, AfterSales::evolve)
    })
}
fn status(state: &AfterSales) -> Status {
    state.cases[&CASE].status
}
fn code(state: &AfterSales, case: AfterSaleId, command: &Command) -> String {
    run(state, case, command).unwrap_err().code().to_owned()
}

fn told(decision: Result<Vec<Event>, Error>) -> String {
    match decision {
        Ok(events) if events.is_empty() => "–".to_owned(),
        Ok(events) => events.iter().map(|e| e.name()).collect::<Vec<_>>().join(", "),
        Err(error) if error.is("aftersale.not_in_this_state") => "×".to_owned(),
        Err(error) => format!("`{}`", error.code()),
    }
}

/// Every status with every command, as it stands in the README. `MERX_BLESS=1` writes it anew.
fn the_table_of_transitions_is_the_one_in_the_readme() {
    let back = || vec![ask(Kind::Return, &[(TEA, 1)]), approve()];
    let swap = || {
        let here = [receive(&[(TEA, 1)]), inspect(&[(TEA, 1, 0)])];
        [vec![ask(Kind::Exchange, &[(TEA, 1)]), approve()], here.to_vec()].concat()
    };
    let with = |given: Vec<Command>, more: &[Command]| [given, more.to_vec()].concat();
    let refunding = || vec![ask(Kind::Refund, &[(TEA, 1)]), approve()];
    let before: [(&str, Vec<Command>); 14] = [
        ("requested", vec![ask(Kind::Return, &[(TEA, 1)])]),
        ("approved", back()),
        ("sent", with(back(), &[Command::MarkSent])),
        ("received", with(back(), &[receive(&[(TEA, 1)])])),
        ("refunding", refunding()),
        ("refunding, granted", with(refunding(), &[grant(1)])),
        ("replacing", swap()),
        ("replacing, opened", with(swap(), &[open(1)])),
        ("refunded", with(refunding(), &[grant(1), paid(1)])),
        ("exchanged", with(swap(), &[open(1), left(1)])),
        ("exchanged, all back", with(swap(), &[open(1), left(1), came_back(1)])),
        ("cancelled", with(back(), &[Command::Cancel])),
        ("refused", vec![ask(Kind::Return, &[(TEA, 1)]), Command::Refuse]),
        ("withdrawn", vec![ask(Kind::Return, &[(TEA, 1)]), Command::Withdraw]),
    ];
    let commands = [
        ("Approve", approve()),
        ("Refuse", Command::Refuse),
        ("Withdraw", Command::Withdraw),
        ("MarkSent", Command::MarkSent),
        ("Receive", receive(&[(TEA, 1)])),
        ("Inspect", inspect(&[(TEA, 0, 1)])),
        ("Grant", grant(1)),
        ("RecordRefund", paid(1)),
        ("OpenReplacement", open(1)),
        ("RefundInstead", Command::RefundInstead),
        ("RecordDispatch", left(1)),
        ("RecordReturn", came_back(1)),
        ("RefundReplaced", Command::RefundReplaced),
        ("Deadline", Command::Deadline),
        ("Cancel", Command::Cancel),
        ("Abandon", Command::Abandon),
    ];
    let mut table = String::from("| when \\ then |");
    commands.iter().for_each(|(name, _)| table.push_str(&format!(" {name} |")));
    table.push_str(&format!("\n|{}\n", "---|".repeat(commands.len() + 1)));
    for (name, history) in before {
        let state = given(&history);
        assert!(name.starts_with(status(&state).name()), "{name} is {:?}", status(&state));
        table.push_str(&format!("| {name} |"));
        for (_, command) in &commands {
            table.push_str(&format!(" {} |", told(decide(&state, CASE, command, &later(40 * 86_400)))));
        }
        table.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once("<!-- transitions -->\n").unwrap();
    let (there, tail) = rest.split_once("<!-- /transitions -->").unwrap();
    if std::env::var("MERX_BLESS").is_ok_and(|v| v == "1") {
        let text = format!("{head}<!-- transitions -->\n{table}<!-- /transitions -->{tail}");
        std::fs::write(path, text).unwrap();
        return;
    }
    assert_eq!(there, table, "the table of README.md is not what the code says; MERX_BLESS=1 writes it anew");
}

fn nothing_is_asked_twice() {
    let (second, third) = (Id::from_bits(2), Id::from_bits(3));
    let first = given(&[ask(Kind::Return, &[(TEA, 2)])]);
    assert_eq!(code(&first, second, &ask(Kind::Refund, &[(TEA, 2)])), "aftersale.units_claimed");
    assert_eq!(code(&first, second, &ask(Kind::Exchange, &[(TEA, 2)])), "aftersale.units_claimed");
    let both = more(first, second, &[ask(Kind::Refund, &[(TEA, 1)])]);
    assert_eq!(code(&both, third, &ask(Kind::Refund, &[(TEA, 1)])), "aftersale.units_claimed");
    // What was refused or withdrawn can be asked again; what came less than was asked too.
    let freed = more(both, second, &[Command::Withdraw]);
    more(freed.clone(), third, &[ask(Kind::Refund, &[(TEA, 1)])]);
    let came = more(freed, CASE, &[approve(), receive(&[(TEA, 1)])]);
    more(came, third, &[ask(Kind::Return, &[(TEA, 2)])]);
    // The same request again is the same case.
    let asked = given(&[ask(Kind::Return, &[(TEA, 2)])]);
    assert_eq!(run(&asked, CASE, &ask(Kind::Return, &[(TEA, 2)])).unwrap(), []);
}

fn only_what_was_bought_and_arrived_goes_back() {
    let none = AfterSales::default();
    for lines in [&[("SALT", 1)][..], &[(TEA, 1), (TEA, 1)]] {
        let refused = run(&none, CASE, &ask(Kind::Return, lines)).unwrap_err();
        let last = lines.len() - 1;
        assert_eq!(refused.fields()[0].pointer, format!("/lines/{last}/sku"));
    }
    let mut some = terms();
    some.lines.get_mut(&sku(TEA)).unwrap().arrived = 1;
    let of = |kind, lines: &[(&str, i64)]| Command::Request {
        kind,
        reason: ReasonCode::Other,
        lines: units(lines),
        terms: some.clone(),
    };
    assert_eq!(code(&none, CASE, &of(Kind::Return, &[(TEA, 2)])), "aftersale.not_arrived");
    assert_eq!(code(&none, CASE, &of(Kind::Exchange, &[(TEA, 2)])), "aftersale.not_arrived");
    assert!(run(&none, CASE, &of(Kind::Return, &[(TEA, 1)])).is_ok());
    assert!(
        run(&none, CASE, &of(Kind::Refund, &[(TEA, 3)])).is_ok(),
        "money may be asked for what never came"
    );
}

fn windows_close() {
    let (day, none) = (86_400, AfterSales::default());
    let at = |seconds, kind, received: Option<u64>| {
        let received_at = received.map(|s| NOW.plus(Duration::from_secs(s)));
        let terms = Terms { received_at, ..terms() };
        let command = Command::Request { kind, reason: ReasonCode::Other, lines: units(&[(TEA, 1)]), terms };
        decide(&none, CASE, &command, &later(seconds)).is_ok()
    };
    for kind in [Kind::Return, Kind::Exchange] {
        assert!(at(15 * day, kind, None) && !at(15 * day + 1, kind, None), "from the delivery");
        assert!(
            at(20 * day, kind, Some(5 * day)) && !at(20 * day + 1, kind, Some(5 * day)),
            "from the receipt"
        );
    }
    assert!(at(400 * day, Kind::Refund, None), "money may be asked until it was received");
    assert!(at(15 * day, Kind::Refund, Some(0)) && !at(15 * day + 1, Kind::Refund, Some(0)));
}

fn freight_goes_back_once() {
    let with = |minor| Command::Approve { freight: Some(yuan(minor)) };
    let first = given(&[ask(Kind::Refund, &[(TEA, 1)])]);
    assert_eq!(code(&first, CASE, &with(1_201)), "aftersale.freight_exceeded");
    assert_eq!(code(&first, CASE, &with(-1)), "aftersale.freight_exceeded");
    let dollars = Command::Approve { freight: Some(Money::new(1, Currency::USD)) };
    assert_eq!(code(&first, CASE, &dollars), "aftersale.freight_exceeded");
    let first = more(first, CASE, &[with(1_000)]);
    assert_eq!(first.cases[&CASE].refund.total, Some(yuan(3_334 + 1_000)));
    let second = Id::from_bits(2);
    let both = more(first, second, &[ask(Kind::Return, &[(CUP, 1)])]);
    assert_eq!(code(&both, second, &with(201)), "aftersale.freight_exceeded");
    more(both, second, &[with(200)]);
}

fn freight_of_an_exchange_holds_up_no_other_case() {
    let with = |minor| Command::Approve { freight: Some(yuan(minor)) };
    let swap = [ask(Kind::Exchange, &[(TEA, 1)]), with(1_200), receive(&[(TEA, 1)]), inspect(&[(TEA, 1, 0)])];
    let second = Id::from_bits(2);
    let both = more(given(&swap), second, &[ask(Kind::Return, &[(CUP, 1)])]);
    assert_eq!(code(&both, second, &with(1_200)), "aftersale.freight_exceeded", "it may still go back");
    let exchanged = more(both, CASE, &[open(1), left(1)]);
    let both = more(exchanged, second, &[with(1_200)]);
    // The replacement comes back: what is left of the freight goes back with the money, and no more.
    let refunded = more(both, CASE, &[came_back(1), Command::RefundReplaced]);
    assert_eq!(refunded.cases[&CASE].refund.total, Some(yuan(3_334)));
}

fn a_replacement_that_came_back_becomes_money() {
    let swap = [ask(Kind::Exchange, &[(TEA, 3)]), approve(), receive(&[(TEA, 3)]), inspect(&[(TEA, 3, 0)])];
    let shipments = vec![Id::from_bits(1), Id::from_bits(2)];
    let sent = [Command::OpenReplacement { shipments }, left(1), came_back(1), left(2), left(3)];
    let state = more(given(&swap), CASE, &sent);
    assert_eq!(status(&state), Status::Exchanged);
    assert_eq!(code(&state, CASE, &Command::RefundReplaced), "aftersale.replacement_out");
    let state = more(state, CASE, &[came_back(2), came_back(2), came_back(9), came_back(3)]);
    let state = more(state, CASE, &[Command::RefundReplaced, Command::RefundReplaced]);
    assert_eq!((status(&state), state.cases[&CASE].refund.total), (Status::Refunding, Some(yuan(10_000))));
}

fn what_never_came_ends_and_what_came_too_late_is_taken() {
    let sent = given(&[ask(Kind::Return, &[(TEA, 2)]), approve(), Command::MarkSent]);
    assert_eq!(code(&sent, CASE, &Command::Refuse), "aftersale.not_in_this_state", "it may still come");
    let missed = decide(&sent, CASE, &Command::Deadline, &later(16 * 86_400)).unwrap();
    let late = missed.iter().fold(sent, AfterSales::evolve);
    assert_eq!(status(&more(late, CASE, &[Command::Refuse])), Status::Refused);

    let approved = given(&[ask(Kind::Return, &[(TEA, 2)]), approve()]);
    let gone = decide(&approved, CASE, &Command::Deadline, &later(8 * 86_400)).unwrap();
    let expired = gone.iter().fold(approved, AfterSales::evolve);
    let here = more(expired.clone(), CASE, &[receive(&[(TEA, 2)]), inspect(&[(TEA, 2, 0)])]);
    assert_eq!((status(&here), here.cases[&CASE].refund.total), (Status::Refunding, Some(yuan(6_667))));
    let second = Id::from_bits(2);
    let others = more(expired, second, &[ask(Kind::Refund, &[(TEA, 2)])]);
    assert_eq!(code(&others, CASE, &receive(&[(TEA, 2)])), "aftersale.units_claimed");
    assert_eq!(status(&more(others, CASE, &[receive(&[(TEA, 1)])])), Status::Received);
}

fn counts_are_those_of_the_case() {
    let came = given(&[ask(Kind::Return, &[(TEA, 2), (CUP, 1)]), approve()]);
    for bad in [receive(&[(TEA, 3)]), receive(&[("SALT", 1)]), receive(&[(TEA, 1), (TEA, 1)]), receive(&[])] {
        assert!(run(&came, CASE, &bad).is_err(), "{bad:?}");
    }
    let here = more(came, CASE, &[receive(&[(TEA, 2), (CUP, 1)])]);
    let bad: [&[(&str, u32, u32)]; 4] = [
        &[(TEA, 1, 1)],
        &[(TEA, 1, 0), (CUP, 1, 0)],
        &[(TEA, 2, 1), (CUP, 1, 0)],
        &[(TEA, 2, 0), (CUP, 1, 0), (CUP, 1, 0)],
    ];
    for lines in bad {
        assert!(run(&here, CASE, &inspect(lines)).is_err(), "{lines:?}");
    }
    let done = more(here, CASE, &[inspect(&[(TEA, 1, 1), (CUP, 0, 1)])]);
    assert_eq!(done.cases[&CASE].refund.total, Some(yuan(6_667 + 3_900)));
    assert_eq!(done.cases[&CASE].restocked(), [(sku(TEA), Quantity::new(1).unwrap())]);
}

fn each_state_has_its_deadline() {
    let day = 86_400;
    let back = || given(&[ask(Kind::Return, &[(TEA, 1)])]);
    let sent = || more(back(), CASE, &[approve(), Command::MarkSent]);
    let here = || more(sent(), CASE, &[receive(&[(TEA, 1)])]);
    let table = [
        ("staff answer", back(), 2 * day, "DeadlineMissed"),
        ("the buyer sends", more(back(), CASE, &[approve()]), 7 * day, "CaseExpired"),
        ("it arrives", sent(), 15 * day, "DeadlineMissed"),
        ("it is inspected", here(), 3 * day, "DeadlineMissed"),
        ("money is back", more(here(), CASE, &[inspect(&[(TEA, 1, 0)])]), 3 * day, "DeadlineMissed"),
    ];
    for (name, state, seconds, event) in table {
        let due = state.cases[&CASE].due_at;
        assert_eq!(due, Some(NOW.plus(Duration::from_secs(seconds))), "{name}");
        let early = decide(&state, CASE, &Command::Deadline, &later(seconds - 1)).unwrap();
        assert_eq!(early, [], "{name}");
        let events = decide(&state, CASE, &Command::Deadline, &later(seconds)).unwrap();
        assert_eq!(events.iter().map(|e| e.name()).collect::<Vec<_>>(), [event], "{name}");
        let after = events.iter().fold(state, AfterSales::evolve);
        assert_eq!(
            decide(&after, CASE, &Command::Deadline, &later(seconds * 9)).unwrap(),
            [],
            "{name} twice"
        );
    }
    let missed = back();
    let events = decide(&missed, CASE, &Command::Deadline, &later(2 * day)).unwrap();
    let missed = events.iter().fold(missed, AfterSales::evolve);
    assert!(missed.cases[&CASE].escalated);
    assert!(!more(missed, CASE, &[approve()]).cases[&CASE].escalated, "the answer settles it");
}

fn cases_stand_together() {
    let standing = |state: &AfterSales| state.standing();
    let (second, none) = (Id::from_bits(2), AfterSales::default());
    assert_eq!(standing(&none), None);
    let first = given(&[ask(Kind::Refund, &[(TEA, 1)]), approve()]);
    assert_eq!(standing(&first), Some(Standing::Returned));
    let both = more(first, second, &[ask(Kind::Exchange, &[(CUP, 1)])]);
    assert_eq!(standing(&both), Some(Standing::Requested), "the least advanced of the open ones");
    let both = more(both, second, &[approve(), Command::MarkSent]);
    assert_eq!(standing(&both), Some(Standing::Approved));
    let both = more(both, CASE, &[grant(1), paid(1)]);
    let both = more(both, second, &[receive(&[(CUP, 1)]), inspect(&[(CUP, 1, 0)]), open(5)]);
    assert_eq!(standing(&both), Some(Standing::Returned));
    let both = more(both, second, &[left(5)]);
    assert_eq!(standing(&both), Some(Standing::Exchanged));
    let third = more(both, Id::from_bits(3), &[ask(Kind::Refund, &[(TEA, 1)]), Command::Refuse]);
    assert_eq!(standing(&third), Some(Standing::Closed), "as the last one ended");
}

fn a_case_ends_with_its_last_refund_or_parcel() {
    let two = Command::Grant {
        refunds: [1, 2]
            .map(|n: u8| GrantedRefund {
                refund_id: Id::from_bits(u128::from(n)),
                attempt_id: Id::from_bits(u128::from(n)),
                amount: yuan(i64::from(n)),
            })
            .to_vec(),
    };
    let state = given(&[ask(Kind::Refund, &[(TEA, 1)]), approve(), two, paid(1), paid(1), paid(9)]);
    assert_eq!(status(&state), Status::Refunding);
    assert_eq!(status(&more(state, CASE, &[paid(2)])), Status::Refunded);
    // Three units in two parcels, of which the warehouse makes three: the last one ends it.
    let swap = [ask(Kind::Exchange, &[(TEA, 3)]), approve(), receive(&[(TEA, 3)]), inspect(&[(TEA, 3, 0)])];
    let shipments = vec![Id::from_bits(1), Id::from_bits(2)];
    let opened = [Command::OpenReplacement { shipments }, left(1), left(9), left(9)];
    let state = more(given(&swap), CASE, &opened);
    assert_eq!(status(&state), Status::Replacing);
    assert_eq!(status(&more(state, CASE, &[left(2)])), Status::Exchanged);
    let swap = [ask(Kind::Exchange, &[(TEA, 1)]), approve(), receive(&[(TEA, 1)]), inspect(&[(TEA, 1, 0)])];
    let instead = more(given(&swap), CASE, &[Command::RefundInstead]);
    assert_eq!((status(&instead), instead.cases[&CASE].refund.total), (Status::Refunding, Some(yuan(3_334))));
    let nothing = more(given(&swap), CASE, &[Command::RefundInstead, Command::Grant { refunds: vec![] }]);
    assert_eq!(status(&nothing), Status::Refunded);
}

fn unknown_cases_are_refused() {
    let state = given(&[ask(Kind::Refund, &[(TEA, 1)])]);
    assert_eq!(code(&state, Id::from_bits(2), &approve()), Rejection::CaseUnknown.code());
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    plain!["rules":
        the_table_of_transitions_is_the_one_in_the_readme,
        nothing_is_asked_twice,
        only_what_was_bought_and_arrived_goes_back,
        windows_close,
        freight_goes_back_once,
        freight_of_an_exchange_holds_up_no_other_case,
        a_replacement_that_came_back_becomes_money,
        what_never_came_ends_and_what_came_too_late_is_taken,
        counts_are_those_of_the_case,
        each_state_has_its_deadline,
        cases_stand_together,
        a_case_ends_with_its_last_refund_or_parcel,
        unknown_cases_are_refused,
    ]
}
