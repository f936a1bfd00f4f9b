//! The rules by themselves: the table of transitions, and properties over random histories.

use crate::plain;
use libtest_mimic::Trial;
use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Currency, Money, Timestamp};
use merx_payment::domain::{
    ATTEMPTS_MAX, AttemptEnd, CaptureKind, Command, Method, Payment, PaymentEvent, RefundState, Rejection,
    Status, Terms, attempt_expiry, decide,
};
use merx_platform::aggregate::{Aggregate, DomainEvent};
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    plain!["domain":
        the_table_of_transitions_is_the_one_in_the_readme,
        a_refund_never_exceeds_its_capture,
        one_refund_id_is_one_refund,
        a_refund_that_failed_may_be_retried_while_its_money_is_there,
        a_capture_is_the_amount_asked_once_by_one_trade,
        money_that_nobody_owes_is_recorded_and_flagged,
        an_attempt_ends_before_the_deadline_in_whole_seconds,
        an_open_is_compared_with_what_was_agreed,
        one_attempt_is_offered_at_a_time,
        a_code_is_recorded_once_and_only_while_it_can_be_paid,
        money_is_recorded_as_what_it_is,
        invariants_hold_over_random_histories,
    ]
}

const DEADLINE: Timestamp = Timestamp::from_millis(1_800_000);

pub fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}
fn attempt(n: u128) -> AttemptId {
    AttemptId::from_bits(n)
}
pub fn refund(n: u128) -> RefundId {
    RefundId::from_bits(n)
}
pub fn terms() -> Terms {
    Terms {
        order_id: OrderId::from_bits(7),
        buyer: AccountId::from_bits(8),
        amount: yuan(1_000),
        freight: yuan(100),
        deadline: DEADLINE,
        subject: "Merx order".to_owned(),
    }
}
pub fn open() -> Command {
    Command::Open(terms())
}
pub fn start(n: u128) -> Command {
    start_at(n, 1_000)
}
fn start_at(n: u128, millis: i64) -> Command {
    let at = Timestamp::from_millis(millis);
    Command::StartAttempt { attempt_id: attempt(n), method: Method::AlipayPage, replaces: None, at }
}
fn start_qr(n: u128, replaces: Option<u128>) -> Command {
    let at = Timestamp::from_millis(1_000);
    Command::StartAttempt {
        attempt_id: attempt(n),
        method: Method::AlipayQr,
        replaces: replaces.map(attempt),
        at,
    }
}
fn prepare(n: u128) -> Command {
    Command::PrepareAttempt { attempt_id: attempt(n), qr_code: format!("qr{n}") }
}
pub fn end(n: u128) -> Command {
    Command::CloseAttempt { attempt_id: attempt(n), end: AttemptEnd::TradeClosed }
}
pub fn capture(n: u128) -> Command {
    capture_of(n, 1_000, n)
}
pub fn capture_of(n: u128, minor: i64, trade: u128) -> Command {
    Command::Capture {
        attempt_id: attempt(n),
        amount: yuan(minor),
        provider_trade_no: format!("trade{trade}"),
    }
}
fn start_transfer(n: u128) -> Command {
    let (replaces, at) = (None, Timestamp::from_millis(0));
    Command::StartAttempt { attempt_id: attempt(n), method: Method::BankTransfer, replaces, at }
}
fn capture_beside(n: u128, beside: u128, minor: i64) -> Command {
    Command::CaptureBeside {
        beside: attempt(beside),
        attempt_id: attempt(n),
        amount: yuan(minor),
        provider_trade_no: format!("receipt {n}"),
        at: Timestamp::from_millis(5_000),
    }
}
pub fn request_refund(n: u128, of: u128, minor: i64) -> Command {
    Command::RequestRefund {
        refund_id: refund(n),
        attempt_id: attempt(of),
        amount: yuan(minor),
        reason: "late".to_owned(),
        at: Timestamp::from_millis(2_000),
    }
}
pub fn settle(n: u128, state: RefundState) -> Command {
    Command::SettleRefund { refund_id: refund(n), state }
}

pub fn accept(n: u128, minor: i64) -> Command {
    Command::AcceptDeposit { attempt_id: attempt(n), amount: yuan(minor) }
}
pub fn fee(n: u128, of: Option<u128>, minor: i64) -> Command {
    let bill_day = "2026-11-20".to_owned();
    Command::ChargeFee { attempt_id: attempt(n), refund_id: of.map(refund), amount: yuan(minor), bill_day }
}

/// Applies commands that must all be accepted.
pub fn given(commands: &[Command]) -> Payment {
    commands.iter().cloned().fold(Payment::default(), |payment, command| {
        let text = format!("{command:?}");
        let events = decide(&payment, command).unwrap_or_else(|r| panic!("{text} was refused: {r:?}"));
        events.iter().fold(payment, Payment::evolve)
    })
}

pub fn names(decision: Result<Vec<PaymentEvent>, Rejection>) -> String {
    match decision {
        Ok(events) if events.is_empty() => "–".to_owned(),
        Ok(events) => events.iter().map(DomainEvent::name).collect::<Vec<_>>().join(", "),
        Err(rejection) => format!("`{}`", rejection.code()),
    }
}

/// Every status with every command, as it stands in the README. `MERX_BLESS=1` writes it anew.
fn the_table_of_transitions_is_the_one_in_the_readme() {
    let before: [(&str, Vec<Command>); 9] = [
        ("absent", vec![]),
        ("open, no attempt", vec![open()]),
        ("open, attempt open", vec![open(), start(1)]),
        ("open, code not made", vec![open(), start_qr(1, None)]),
        ("closing", vec![open(), start(1), Command::RequestClose]),
        ("captured", vec![open(), start(1), capture(1)]),
        ("quarantined", vec![open(), start(1), capture_of(1, 999, 1)]),
        ("closed", vec![open(), start(1), end(1), Command::Close]),
        ("closed before open", vec![Command::Close]),
    ];
    let commands = [
        ("Open", open()),
        ("StartAttempt", start(2)),
        ("PrepareAttempt", prepare(1)),
        ("CloseAttempt", end(1)),
        ("Capture", capture(1)),
        ("RequestClose", Command::RequestClose),
        ("Close", Command::Close),
        ("RequestRefund", request_refund(1, 1, 400)),
    ];
    let mut table = String::from("| when \\ then |");
    commands.iter().for_each(|(name, _)| table.push_str(&format!(" {name} |")));
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(commands.len()));
    for (name, history) in &before {
        let payment = given(history);
        table.push_str(&format!("\n| {name} |"));
        for (_, command) in &commands {
            table.push_str(&format!(" {} |", names(decide(&payment, command.clone()))));
        }
    }
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(readme).expect("the README is there");
    let (head, rest) = text.split_once("<!-- transitions -->\n").expect("the README has the marker");
    let (_, tail) = rest.split_once("\n<!-- /transitions -->").expect("the README has the end marker");
    let fresh = format!("{head}<!-- transitions -->\n{table}\n<!-- /transitions -->{tail}");
    if std::env::var_os("MERX_BLESS").is_some() {
        std::fs::write(readme, &fresh).expect("the README can be written");
    }
    assert_eq!(text, fresh, "the table in README.md is not the one of the code; run with MERX_BLESS=1");
}

fn a_refund_never_exceeds_its_capture() {
    let paid = given(&[open(), start(1), capture(1), request_refund(1, 1, 400)]);
    assert_eq!(decide(&paid, request_refund(2, 1, 601)), Err(Rejection::RefundAboveCaptured));
    assert_eq!(names(decide(&paid, request_refund(2, 1, 600))), "RefundRequested");
    assert_eq!(decide(&paid, request_refund(2, 1, 0)), Err(Rejection::RefundAboveCaptured));
    assert_eq!(
        decide(&paid, request_refund(2, 9, 1)),
        Err(Rejection::RefundAboveCaptured),
        "no such capture"
    );
    // What failed for good may be asked again, under another identity.
    let failed = settle(1, RefundState::Failed { code: "ACQ.X".to_owned() });
    let paid = given(&[open(), start(1), capture(1), request_refund(1, 1, 400), failed]);
    assert_eq!(names(decide(&paid, request_refund(2, 1, 1_000))), "RefundRequested");
}

fn one_refund_id_is_one_refund() {
    let paid = given(&[open(), start(1), capture(1), request_refund(1, 1, 400)]);
    assert_eq!(decide(&paid, request_refund(1, 1, 400)), Ok(vec![]));
    assert_eq!(decide(&paid, request_refund(1, 1, 401)), Err(Rejection::RefundReused));
    let back =
        given(&[open(), start(1), capture(1), request_refund(1, 1, 400), settle(1, RefundState::Succeeded)]);
    assert_eq!(decide(&back, settle(1, RefundState::Succeeded)), Ok(vec![]));
    let failed = RefundState::Failed { code: "ACQ.X".to_owned() };
    assert_eq!(decide(&back, settle(1, failed)), Err(Rejection::RefundSettled));
    assert_eq!(decide(&back, settle(2, RefundState::Succeeded)), Err(Rejection::RefundUnknown));
}

fn a_refund_that_failed_may_be_retried_while_its_money_is_there() {
    let retry = || Command::RetryRefund { refund_id: refund(1), at: Timestamp::from_millis(3_000) };
    let failed = settle(1, RefundState::Failed { code: "ACQ.X".to_owned() });
    let asked = [open(), start(1), capture(1), request_refund(1, 1, 400)];
    assert_eq!(decide(&given(&asked[..3]), retry()), Err(Rejection::RefundUnknown));
    assert_eq!(decide(&given(&asked), retry()), Ok(vec![]), "it is under way");
    let ended = [&asked[..], std::slice::from_ref(&failed)].concat();
    assert_eq!(names(decide(&given(&ended), retry())), "RefundRetried");
    let again = given(&[&ended[..], &[retry()]].concat());
    let taken_up = &again.refunds[&refund(1)];
    let since = taken_up.requested_at.as_millis();
    assert_eq!((taken_up.state.clone(), since), (RefundState::Requested, 3_000), "its age is counted anew");
    assert_eq!(names(decide(&again, failed)), "RefundFailed", "and it may fail again");
    // Its money was promised to another refund meanwhile.
    let taken = [&ended[..], &[request_refund(2, 1, 700)]].concat();
    assert_eq!(decide(&given(&taken), retry()), Err(Rejection::RefundAboveCaptured));
    let back = [&asked[..], &[settle(1, RefundState::Succeeded)]].concat();
    assert_eq!(decide(&given(&back), retry()), Err(Rejection::RefundSettled));
}

fn a_capture_is_the_amount_asked_once_by_one_trade() {
    let begun = given(&[open(), start(1)]);
    let dollars = Command::Capture {
        attempt_id: attempt(1),
        amount: Money::new(1_000, Currency::USD),
        provider_trade_no: "trade1".to_owned(),
    };
    assert_eq!(decide(&begun, dollars), Err(Rejection::AmountDiffers));
    assert_eq!(decide(&begun, capture(2)), Err(Rejection::AttemptUnknown));
    let paid = given(&[open(), start(1), capture(1)]);
    assert_eq!(decide(&paid, capture(1)), Ok(vec![]));
    assert_eq!(decide(&paid, capture_of(1, 1_000, 2)), Err(Rejection::TradeDiffers));
}

fn money_that_nobody_owes_is_recorded_and_flagged() {
    let flags = |payment: &Payment, n: u128| match decide(payment, capture(n)).expect("recorded").as_slice() {
        [PaymentEvent::PaymentCaptured { late, duplicate, .. }] => (*late, *duplicate),
        other => panic!("{other:?}"),
    };
    let closed = given(&[open(), start(1), end(1), Command::Close]);
    assert_eq!(flags(&closed, 1), (true, false));
    let twice = given(&[open(), start(1), end(1), start(2), capture(2)]);
    assert_eq!(flags(&twice, 1), (false, true));
    let closing = given(&[open(), start(1), Command::RequestClose]);
    assert_eq!(flags(&closing, 1), (false, false), "until the provider has closed it, money is in time");
    let late = given(&[open(), start(1), end(1), Command::Close, capture(1)]);
    assert_eq!(late.status, Status::Closed, "late money does not open a payment again");
}

fn an_attempt_ends_before_the_deadline_in_whole_seconds() {
    let odd = Timestamp::from_millis(1_800_999);
    assert_eq!(attempt_expiry(odd), Timestamp::from_millis(1_740_000));
    let opened = given(&[open()]);
    assert_eq!(names(decide(&opened, start_at(1, 1_739_999))), "AttemptStarted");
    assert_eq!(decide(&opened, start_at(1, 1_740_000)), Err(Rejection::DeadlinePassed));
}

fn an_open_is_compared_with_what_was_agreed() {
    let opened = given(&[open()]);
    let other = Command::Open(Terms { amount: yuan(2_000), ..terms() });
    assert_eq!(decide(&opened, other), Err(Rejection::PaymentReused));
    // What the cashier shows was worded otherwise by an earlier program, whose saga is taken up by this one.
    let reworded = Command::Open(Terms { subject: "in other words".to_owned(), freight: yuan(0), ..terms() });
    assert_eq!(decide(&opened, reworded), Ok(Vec::new()));
    for amount in [yuan(0), yuan(-1), yuan(10_000_000_001), Money::new(1_000, Currency::USD)] {
        let wanted = Command::Open(Terms { amount, ..terms() });
        assert_eq!(decide(&Payment::default(), wanted), Err(Rejection::AmountNotPayable));
    }
}

fn one_attempt_is_offered_at_a_time() {
    let begun = given(&[open(), start(1)]);
    assert_eq!(decide(&begun, start(2)), Ok(vec![]), "of the same method it is that one");
    assert_eq!(decide(&begun, start_qr(2, None)), Err(Rejection::AttemptOpen));
    assert_eq!(decide(&begun, start_qr(2, Some(7))), Err(Rejection::AttemptOpen), "another one is open");
    assert_eq!(names(decide(&begun, start_qr(2, Some(1)))), "AttemptSuperseded, AttemptStarted");
    let switched = given(&[open(), start(1), start_qr(2, Some(1))]);
    assert_eq!(switched.open_attempt().map(|(id, _)| id), Some(attempt(2)));
    assert_eq!(switched.payable_attempts().count(), 2, "the provider may still begin the first");
    assert_eq!(decide(&switched, Command::Close), Err(Rejection::AttemptOpen));
    // Only once nothing can come of either is the payment closed.
    let ended = given(&[open(), start(1), start_qr(2, Some(1)), end(2)]);
    assert_eq!(decide(&ended, Command::Close), Err(Rejection::AttemptOpen));
    let ended = given(&[open(), start(1), start_qr(2, Some(1)), end(2), end(1)]);
    assert_eq!(names(decide(&ended, Command::Close)), "PaymentClosed");
    // The money of the first is in time, and what comes by the second beside it is double.
    let paid = given(&[open(), start(1), start_qr(2, Some(1)), capture(1), capture(2)]);
    let kinds: Vec<CaptureKind> = paid.captures.iter().map(|c| c.kind()).collect();
    assert_eq!((paid.status, kinds), (Status::Captured, vec![CaptureKind::Owed, CaptureKind::Double]));
    // Who goes to and fro meets a limit.
    let most = u128::try_from(ATTEMPTS_MAX).expect("small");
    let tried: Vec<Command> =
        std::iter::once(open()).chain((1..=most).flat_map(|n| [start(n), end(n)])).collect();
    assert_eq!(decide(&given(&tried), start(most + 1)), Err(Rejection::AttemptsTooMany));
}

fn a_code_is_recorded_once_and_only_while_it_can_be_paid() {
    let begun = given(&[open(), start_qr(1, None)]);
    assert!(begun.attempts[&attempt(1)].is_unoffered());
    assert_eq!(names(decide(&begun, prepare(1))), "AttemptPrepared");
    let prepared = given(&[open(), start_qr(1, None), prepare(1)]);
    assert!(!prepared.attempts[&attempt(1)].is_unoffered());
    let other = Command::PrepareAttempt { attempt_id: attempt(1), qr_code: "other".to_owned() };
    assert_eq!(decide(&prepared, other), Ok(vec![]), "the first code stays");
    let ended = given(&[open(), start_qr(1, None), end(1)]);
    assert_eq!(decide(&ended, prepare(1)), Err(Rejection::AttemptEnded));
    let paid = given(&[open(), start_qr(1, None), capture(1)]);
    assert_eq!(decide(&paid, prepare(1)), Err(Rejection::AlreadyCaptured));
    assert_eq!(
        decide(&given(&[open(), start(1)]), prepare(1)),
        Err(Rejection::AttemptEnded),
        "a page has none"
    );
    assert_eq!(decide(&given(&[open()]), prepare(1)), Err(Rejection::AttemptUnknown));
}

fn money_is_recorded_as_what_it_is() {
    let after = |commands: &[Command]| {
        let payment = given(commands);
        let kinds: Vec<CaptureKind> = payment.captures.iter().map(|c| c.kind()).collect();
        (payment.status, kinds)
    };
    use CaptureKind::{Double, Late, Over, Owed, Under};
    assert_eq!(after(&[open(), start(1), capture(1)]), (Status::Captured, vec![Owed]));
    assert_eq!(after(&[open(), start(1), capture_of(1, 999, 1)]), (Status::Quarantined, vec![Under]));
    assert_eq!(after(&[open(), start(1), capture_of(1, 1_001, 1)]), (Status::Quarantined, vec![Over]));
    let twice = [open(), start(1), end(1), start(2), capture(2), capture_of(1, 5, 1)];
    assert_eq!(
        after(&twice),
        (Status::Captured, vec![Owed, Double]),
        "what is double is double at any amount"
    );
    let late = [open(), start(1), end(1), Command::Close, capture_of(1, 999, 1)];
    assert_eq!(after(&late), (Status::Closed, vec![Late]));
    // A bank takes a second transfer for the same attempt: it is money of its own, at any status.
    let transfer = [open(), start_transfer(1)];
    let then = |commands: &[Command]| after(&[&transfer[..], commands].concat());
    let (paid, short, more) = (capture(1), capture_of(1, 600, 1), capture_beside(2, 1, 400));
    assert_eq!(then(&[paid.clone(), more.clone()]), (Status::Captured, vec![Owed, Double]));
    assert_eq!(then(&[short.clone(), more.clone()]), (Status::Quarantined, vec![Under, Double]));
    assert_eq!(
        then(&[end(1), Command::Close, paid.clone(), more.clone()]),
        (Status::Closed, vec![Late, Late])
    );
    let twice = given(&[&transfer[..], &[short, more.clone()]].concat());
    assert_eq!(names(decide(&twice, accept(2, 400))), "DepositAccepted", "it can pay the order");
    assert_eq!(decide(&twice, more.clone()), Err(Rejection::TradeDiffers), "each once");
    assert_eq!(decide(&given(&transfer), more.clone()), Err(Rejection::TradeDiffers), "beside nothing");
    assert_eq!(decide(&given(&[open(), start(1), paid]), more), Err(Rejection::NotOffline));
    // Money that came after what is in review goes back; the review stays.
    let review = [open(), start(1), start_qr(2, Some(1)), capture_of(1, 999, 1)];
    let review = [&review[..], &[capture(2)]].concat();
    assert_eq!(after(&review), (Status::Quarantined, vec![Under, Double]));
    let held = given(&review[..4]);
    assert_eq!(decide(&held, start(3)), Err(Rejection::InReview));
    assert_eq!(decide(&held, Command::Close), Ok(vec![]), "there is money: it is not closed");
    assert_eq!(
        names(decide(&held, request_refund(1, 1, 999))),
        "RefundRequested",
        "and all of it can go back"
    );
    assert_eq!(decide(&held, request_refund(1, 1, 1_000)), Err(Rejection::RefundAboveCaptured));
}

pub fn any_command() -> impl Strategy<Value = Command> {
    let failed = RefundState::Failed { code: "ACQ.X".to_owned() };
    prop_oneof![
        Just(open()),
        (0..4u128, 0..1_800_000i64).prop_map(|(n, at)| start_at(n, at)),
        (0..4u128, proptest::option::of(0..4u128)).prop_map(|(n, replaces)| start_qr(n, replaces)),
        (0..4u128).prop_map(start_transfer),
        (0..6u128, 0..6u128, 1..2_000i64).prop_map(|(n, beside, minor)| capture_beside(n, beside, minor)),
        (0..4u128).prop_map(prepare),
        (0..4u128).prop_map(end),
        (0..4u128, prop_oneof![Just(1_000i64), 0..2_000i64], 0..5u128)
            .prop_map(|(n, m, t)| capture_of(n, m, t)),
        Just(Command::RequestClose),
        Just(Command::Close),
        (0..6u128, 0..4u128, 0..1_200i64).prop_map(|(n, of, minor)| request_refund(n, of, minor)),
        (0..6u128).prop_map(|n| settle(n, RefundState::Succeeded)),
        (0..6u128).prop_map(move |n| settle(n, failed.clone())),
        (0..6u128)
            .prop_map(|n| Command::RetryRefund { refund_id: refund(n), at: Timestamp::from_millis(3_000) }),
        (0..4u128, prop_oneof![Just(1_000i64), 0..1_200i64]).prop_map(|(n, minor)| accept(n, minor)),
        (0..4u128, prop::option::of(0..6u128), -20..20i64).prop_map(|(n, of, minor)| fee(n, of, minor)),
    ]
}

fn check(payment: &Payment) {
    let offered = payment.payable_attempts().filter(|(_, a)| a.superseded_by.is_none()).count();
    assert!(offered <= 1, "{offered} attempts are offered");
    for capture in &payment.captures {
        assert_eq!(payment.captures.iter().filter(|c| c.attempt_id == capture.attempt_id).count(), 1);
        assert_eq!(capture.asked, payment.attempts[&capture.attempt_id].amount);
        assert!(
            payment.refunding_minor(capture.attempt_id) <= capture.amount.minor,
            "refunds above the capture"
        );
    }
    assert!(payment.refunds.values().all(|r| payment.capture_of(r.attempt_id).is_some()));
    let in_time: Vec<CaptureKind> =
        payment.captures.iter().filter(|c| !c.late && !c.duplicate).map(|c| c.kind()).collect();
    assert!(in_time.len() <= 1, "an order is paid once");
    match payment.status {
        Status::Closed => {
            assert!(in_time.is_empty(), "a closed payment was never paid in time");
            assert_eq!(payment.payable_attempts().count(), 0, "nothing is open at the provider");
        }
        Status::Captured => assert_eq!(in_time, [CaptureKind::Owed]),
        Status::Quarantined => assert!(matches!(in_time[..], [CaptureKind::Under | CaptureKind::Over])),
        Status::Absent | Status::Open | Status::Closing => assert!(in_time.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Random histories keep every invariant, a command given twice changes nothing the second time, and the
    /// stored events give the same state again.
        fn invariants_hold_over_random_histories(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut payment = Payment::default();
        let mut log: Vec<(&'static str, i64, String)> = Vec::new();
        for command in commands {
            let Ok(events) = decide(&payment, command.clone()) else { continue };
            for event in &events {
                payment = Payment::evolve(payment, event);
                log.push((event.name(), event.schema(), event.encode().expect("writable")));
            }
            check(&payment);
            if let Ok(again) = decide(&payment, command) {
                prop_assert!(again.is_empty(), "given twice, done twice: {again:?}");
            }
        }
        let replayed = log
            .iter()
            .map(|(name, schema, body)| PaymentEvent::decode(name, *schema, body).expect("readable"))
            .fold(Payment::default(), |state, event| Payment::evolve(state, &event));
        prop_assert_eq!(replayed, payment);
    }
}
