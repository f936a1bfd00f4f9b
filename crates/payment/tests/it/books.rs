//! What events mean to the books, by themselves: deposits, fees, and every account over random lives.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use merx_payment::domain::{
    Command, Payment, PaymentEvent, RefundState, Rejection, Status, Terms, decide,
    ledger::{self, Account, Books, Posting},
};
use merx_platform::aggregate::Aggregate;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    domain::{
        accept, any_command, capture, capture_of, end, fee, given, names, open, request_refund, settle,
        start, terms, yuan,
    },
    plain,
};

pub fn trials() -> Vec<Trial> {
    plain!["books":
        a_deposit_pays_what_is_owed_and_no_more,
        a_fee_is_charged_once,
        the_books_say_what_the_events_say,
    ]
}

fn a_deposit_pays_what_is_owed_and_no_more() {
    let over = [open(), start(1), capture_of(1, 1_200, 1)];
    assert_eq!(names(decide(&given(&over), accept(1, 1_000))), "DepositAccepted");
    for (n, minor) in [(1, 1_001), (1, 0), (2, 1_000)] {
        assert_eq!(decide(&given(&over), accept(n, minor)), Err(Rejection::NotADeposit), "{n} {minor}");
    }
    let accepted = given(&[&over[..], &[accept(1, 1_000)]].concat());
    assert_eq!(decide(&accepted, accept(1, 1_000)), Ok(vec![]), "asked again");
    assert_eq!(decide(&accepted, accept(1, 900)), Err(Rejection::NotADeposit));
    let going = given(&[&over[..], &[request_refund(1, 1, 201)]].concat());
    assert_eq!(decide(&going, accept(1, 1_000)), Err(Rejection::NotADeposit), "it is on its way back");
    let paid = given(&[open(), start(1), end(1), start(2), capture(1), capture(2)]);
    assert_eq!(decide(&paid, accept(1, 1_000)), Ok(vec![]), "what was owed pays already");
    assert_eq!(decide(&paid, accept(2, 1_000)), Err(Rejection::NotADeposit), "an order is paid once");
    let late = given(&[open(), start(1), end(1), Command::Close, capture(1)]);
    assert_eq!(names(decide(&late, accept(1, 1_000))), "DepositAccepted");
    assert_eq!(decide(&Payment::default(), accept(1, 1)), Err(Rejection::PaymentUnknown));
}

fn a_fee_is_charged_once() {
    let paid = [open(), start(1), capture(1), request_refund(1, 1, 400), settle(1, RefundState::Succeeded)];
    assert_eq!(names(decide(&given(&paid), fee(1, None, 6))), "FeeCharged");
    let charged = given(&[&paid[..], &[fee(1, None, 6)]].concat());
    assert_eq!(decide(&charged, fee(1, None, 7)), Ok(vec![]), "whatever another bill says");
    assert_eq!(names(decide(&charged, fee(1, Some(1), -2))), "FeeCharged", "the refund has its own");
    assert_eq!(decide(&charged, fee(1, Some(1), 0)), Ok(vec![]), "nothing is nothing");
    assert_eq!(decide(&charged, fee(2, None, 6)), Err(Rejection::AttemptUnknown));
    assert_eq!(decide(&charged, fee(1, Some(2), 6)), Err(Rejection::RefundUnknown));
}

/// The ledger of one payment, booked event by event.
#[derive(Default)]
struct Ledger {
    books: Option<Books>,
    balances: BTreeMap<String, i64>,
}

impl Ledger {
    /// `before` is the payment as it was before the event.
    fn book(&mut self, before: &Payment, event: &PaymentEvent) {
        if let PaymentEvent::PaymentOpened { amount, freight, .. } = event {
            self.books = Some(Books::new(*amount, freight.minor));
        }
        let Some(books) = &mut self.books else { return };
        books.in_review = before.status == Status::Quarantined;
        let postings = ledger::postings(books, event).expect("balanced");
        assert_eq!(postings.iter().map(|p| p.minor).sum::<i64>(), 0, "{event:?}: {postings:?}");
        assert!(postings.is_empty() || ledger::kind_of(event).is_some(), "{event:?}");
        for Posting { account, minor } in postings {
            assert!(Account::nature_of(&account.name()).is_some());
            *self.balances.entry(account.name()).or_default() += minor;
            match (account, event) {
                (Account::Receivable, _) => books.receivable += minor,
                (Account::Freight, _) => books.freight_balance += minor,
                (Account::Refunds, _) => books.refunds += minor,
                (
                    Account::Deposits,
                    PaymentEvent::PaymentCaptured { attempt_id, .. }
                    | PaymentEvent::RefundSucceeded { attempt_id, .. }
                    | PaymentEvent::DepositAccepted { attempt_id, .. },
                ) => *books.deposits.entry(*attempt_id).or_default() += minor,
                _ => {}
            }
        }
    }
    fn balance(&self, account: &str) -> i64 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    /// Every account against what the payment's state says, which knows nothing of accounts.
    fn check(&self, payment: &Payment, fees: i64) {
        let Some(terms) = &payment.terms else {
            assert!(self.balances.is_empty());
            return;
        };
        let captured: i64 = payment.captures.iter().map(|c| c.amount.minor).sum();
        let back: i64 = payment.captures.iter().map(|c| payment.refunded_minor(c.attempt_id)).sum();
        let held = self.balance("clearing:alipay") + self.balance("clearing:offline");
        assert_eq!(held, captured - back - fees);
        assert_eq!(self.balance("fees"), fees);
        // What of each attempt's money pays the order, and what lies as a deposit: refunds take the deposit first.
        let (mut pays, mut deposits, mut sale_back) = (0, 0, 0);
        for capture in &payment.captures {
            let deposit = capture.amount.minor - capture.pays_minor();
            let gone = payment.refunded_minor(capture.attempt_id);
            pays += capture.pays_minor();
            deposits += (deposit - gone).max(0);
            sale_back += (gone - deposit).max(0);
        }
        assert_eq!(self.balance("deposits"), -deposits);
        assert!(pays <= terms.amount.minor, "an order is paid once");
        let is_sold = self.balance("receivable") + pays == terms.amount.minor;
        assert!(is_sold || (pays == 0 && self.balance("receivable") == 0), "sold as a whole, or not at all");
        match payment.status {
            Status::Open | Status::Closing => assert_eq!(self.balance("receivable"), terms.amount.minor),
            Status::Captured => assert_eq!(self.balance("receivable"), 0),
            Status::Closed => {
                assert_eq!(self.balance("receivable"), if pays > 0 { terms.amount.minor - pays } else { 0 })
            }
            Status::Quarantined | Status::Absent => {}
        }
        let sold = if is_sold { terms.amount.minor } else { 0 };
        let income = -self.balance("revenue") - self.balance("freight") - self.balance("refunds");
        assert_eq!(income, sold - sale_back);
        let share = yuan(sale_back)
            .split(&[
                terms.amount.minor.unsigned_abs() - terms.freight.minor.unsigned_abs(),
                terms.freight.minor.unsigned_abs(),
            ])
            .expect("two parts");
        assert_eq!(self.balance("refunds"), share[0].minor, "all refunds of an order share as one would");
        if is_sold {
            assert_eq!(-self.balance("freight"), terms.freight.minor - share[1].minor);
        }
    }
}

/// Property: random lives, every booking balanced, every account as the payment's state has it.
fn the_books_say_what_the_events_say() {
    let lives = std::env::var("MERX_LIVES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(lives));
    let life = prop::collection::vec(any_command(), 1..60);
    let told = runner.run(&(life, 0..1_000i64), |(commands, freight)| {
        let (mut payment, mut ledger, mut fees) = (Payment::default(), Ledger::default(), 0);
        let terms = Terms { freight: yuan(freight), ..terms() };
        for command in std::iter::once(Command::Open(terms)).chain(commands) {
            let Ok(events) = decide(&payment, command) else { continue };
            for event in &events {
                ledger.book(&payment, event);
                payment = Payment::evolve(payment, event);
                if let PaymentEvent::FeeCharged { amount, .. } = event {
                    fees += amount.minor;
                }
            }
            ledger.check(&payment, fees);
        }
        Ok(())
    });
    told.unwrap_or_else(|e| panic!("{e}"));
}
