//! T21, what payment does of it: whatever is refunded of a capture in whatever parts, with refunds that fail, come twice and
//! are tried again, never more goes back than came in.
//!
//! `MERX_T21=1000000` is how many payments are refunded so; without it fewer are. Only CNY can be paid yet.

use libtest_mimic::Trial;
use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId};
use merx_kernel::{Currency, Money, Timestamp};
use merx_payment::domain::{Command, Method, Payment, RefundState, Terms, decide};
use merx_platform::aggregate::Aggregate as _;
use proptest::{
    prelude::RngExt as _,
    test_runner::{RngAlgorithm, TestRng},
};

use crate::plain;

pub fn trials() -> Vec<Trial> {
    plain!["t21": refunds_never_exceed_their_capture]
}

const ATTEMPT: AttemptId = AttemptId::from_bits(1);
/// Refunds that are asked for under so many identities.
const REFUNDS: u128 = 6;

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// Carries a command out if it is allowed; answers whether it was.
fn asked(payment: &mut Payment, command: Command) -> bool {
    let Ok(events) = decide(payment, command) else { return false };
    *payment = events.iter().fold(std::mem::take(payment), Payment::evolve);
    true
}

/// A payment that was captured: what was asked, or less, or more.
fn captured(dice: &mut TestRng) -> (Payment, i64) {
    let most = [100, 10_000, 10_000_000_000][dice.random_range(0..3)];
    let amount = dice.random_range(1..most);
    let came = (amount + dice.random_range(-1..=1)).max(1);
    let at = Timestamp::from_millis(1_000);
    let terms = Terms {
        order_id: OrderId::from_bits(7),
        buyer: AccountId::from_bits(8),
        amount: cny(amount),
        freight: Money::zero(merx_kernel::Currency::CNY),
        deadline: Timestamp::from_millis(1_800_000),
        subject: "Merx order".to_owned(),
    };
    let mut payment = Payment::default();
    for command in [
        Command::Open(terms),
        Command::StartAttempt { attempt_id: ATTEMPT, method: Method::AlipayPage, replaces: None, at },
        Command::Capture { attempt_id: ATTEMPT, amount: cny(came), provider_trade_no: "t".to_owned() },
    ] {
        assert!(asked(&mut payment, command));
    }
    (payment, came)
}

fn refund(came: i64, dice: &mut TestRng) -> Command {
    let refund_id = RefundId::from_bits(dice.random_range(0..REFUNDS));
    let at = Timestamp::from_millis(2_000);
    match dice.random_range(0..10) {
        0..5 => {
            let amount = cny(match dice.random_range(0..4) {
                0 => came,
                1 => came / 3,
                2 => 1,
                _ => dice.random_range(0..=came + 1),
            });
            Command::RequestRefund { refund_id, attempt_id: ATTEMPT, amount, reason: "test".to_owned(), at }
        }
        5..7 => Command::SettleRefund { refund_id, state: RefundState::Succeeded },
        7..9 => Command::SettleRefund { refund_id, state: RefundState::Failed { code: "NO".to_owned() } },
        _ => Command::RetryRefund { refund_id, at },
    }
}

fn refunds_never_exceed_their_capture() {
    let payments: u64 = std::env::var("MERX_T21").map_or(2_000, |text| text.parse().unwrap());
    let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    let (mut partial, mut whole, mut refused) = (0u64, 0u64, 0u64);
    for _ in 0..payments {
        let (mut payment, came) = captured(&mut dice);
        let mut book: i64 = 0;
        for _ in 0..dice.random_range(1..20) {
            let command = refund(came, &mut dice);
            let before = payment.clone();
            refused += u64::from(!asked(&mut payment, command));
            // Counted without the domain: what succeeded is out of the house, what is under way may be any moment.
            let sum = |wanted: &dyn Fn(&RefundState) -> bool| -> i64 {
                payment.refunds.values().filter(|r| wanted(&r.state)).map(|r| r.amount.minor).sum()
            };
            let back = sum(&|state| *state == RefundState::Succeeded);
            let under_way = sum(&|state| *state == RefundState::Requested);
            assert!(back + under_way <= came, "{came} came in; {before:?} became {payment:?}");
            assert!(back >= book, "what went back is back");
            assert_eq!(back, payment.refunded_minor(ATTEMPT));
            book = back;
        }
        partial += u64::from(book > 0 && book < came);
        whole += u64::from(book == came);
    }
    println!(
        "PROOF | T21 | partial refunds of a capture, failing, repeated and tried again (CNY, the one currency that can be paid yet) \
         | size={payments} | refunded never above captured; {partial} ended refunded in part, {whole} whole; {refused} asks \
         refused | seed=1"
    );
}
