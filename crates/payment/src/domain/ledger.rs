//! What each event means to the books: double entry, debits above zero, credits below. The README has the same as a
//! table.

use std::collections::BTreeMap;

use merx_contracts::ids::AttemptId;
use merx_kernel::{Error, Money, Result};

use super::event::{PaymentEvent, ProviderName};

/// An account of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Asset: what a provider holds for us.
    Clearing(ProviderName),
    /// Asset: what buyers owe for orders that may still be paid.
    Receivable,
    /// Income: goods.
    Revenue,
    /// Income: freight, less what of it went back.
    Freight,
    /// Contra income: what of the goods went back.
    Refunds,
    /// Liability: money of buyers that is not owed, until it goes back or is accepted.
    Deposits,
    /// Expense: what providers kept.
    Fees,
}

/// What kind of account it is; says on which side it usually stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Usually a debit.
    Asset,
    /// Usually a credit.
    Liability,
    /// Usually a credit.
    Income,
    /// Usually a debit: taken off income.
    ContraIncome,
    /// Usually a debit.
    Expense,
}

impl Nature {
    /// The public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Income => "income",
            Self::ContraIncome => "contra_income",
            Self::Expense => "expense",
        }
    }
}

/// What the name of a provider's account begins with.
pub const CLEARING: &str = "clearing:";

impl Account {
    /// The stored and public name, `clearing:alipay`, `revenue`.
    pub fn name(self) -> String {
        match self {
            Self::Clearing(provider) => format!("{CLEARING}{}", provider.as_str()),
            Self::Receivable => "receivable".to_owned(),
            Self::Revenue => "revenue".to_owned(),
            Self::Freight => "freight".to_owned(),
            Self::Refunds => "refunds".to_owned(),
            Self::Deposits => "deposits".to_owned(),
            Self::Fees => "fees".to_owned(),
        }
    }

    /// What kind of account a name is of; `None` for a name that is none.
    pub fn nature_of(name: &str) -> Option<Nature> {
        match name {
            "receivable" => Some(Nature::Asset),
            "revenue" | "freight" => Some(Nature::Income),
            "refunds" => Some(Nature::ContraIncome),
            "deposits" => Some(Nature::Liability),
            "fees" => Some(Nature::Expense),
            _ => name.strip_prefix(CLEARING).filter(|provider| !provider.is_empty()).map(|_| Nature::Asset),
        }
    }
}

/// One side of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: Account,
    /// Minor units: a debit above zero, a credit below.
    pub minor: i64,
}

/// What the ledger says of one payment before an event. Minor units; debits above zero, credits below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// What the order owes, and …
    pub due: Money,
    /// … the part of it that is freight.
    pub freight: i64,
    /// Money came in time and was not what was asked: nobody has decided yet.
    pub in_review: bool,
    /// What is still owed.
    pub receivable: i64,
    /// The balance of `freight`.
    pub freight_balance: i64,
    /// The balance of `refunds`.
    pub refunds: i64,
    /// What lies as a deposit, by the attempt that brought it; credits.
    pub deposits: BTreeMap<AttemptId, i64>,
}

impl Books {
    /// Of a payment of which nothing is booked yet.
    pub fn new(due: Money, freight: i64) -> Self {
        Self {
            due,
            freight,
            in_review: false,
            receivable: 0,
            freight_balance: 0,
            refunds: 0,
            deposits: BTreeMap::new(),
        }
    }

    fn deposit_of(&self, attempt_id: AttemptId) -> i64 {
        -self.deposits.get(&attempt_id).copied().unwrap_or(0)
    }

    /// Shares `minor` between goods and freight as the order's total is shared, by largest remainder.
    fn shares(&self, minor: i64) -> Result<(i64, i64)> {
        let weight = |minor: i64| u64::try_from(minor).unwrap_or(0);
        let weights = [weight(self.due.minor - self.freight), weight(self.freight)];
        match Money::new(minor, self.due.currency).split(&weights)?[..] {
            [goods, freight] => Ok((goods.minor, freight.minor)),
            _ => Err(Error::internal("two weights make two parts")),
        }
    }
}

/// Minor units by account; what comes to nothing is left out.
#[derive(Default)]
struct Booking(BTreeMap<Account, i64>);

impl Booking {
    fn debit(&mut self, account: Account, minor: i64) -> &mut Self {
        *self.0.entry(account).or_default() += minor;
        self
    }
    fn credit(&mut self, account: Account, minor: i64) -> &mut Self {
        self.debit(account, -minor)
    }

    /// The order is sold: it owes `due`.
    fn sell(&mut self, due: i64, freight: i64) {
        self.debit(Account::Receivable, due)
            .credit(Account::Revenue, due - freight)
            .credit(Account::Freight, freight);
    }

    /// What is still owed will not be paid.
    fn write_off(&mut self, books: &Books) -> Result<()> {
        let (goods, freight) = books.shares(books.receivable)?;
        self.debit(Account::Revenue, goods)
            .debit(Account::Freight, freight)
            .credit(Account::Receivable, books.receivable);
        Ok(())
    }

    /// Money of an attempt goes back: first what lies as a deposit, then what had paid the order. The latter is shared
    /// between goods and freight so that all refunds of the order together are shared by largest remainder.
    fn refund(&mut self, books: &Books, attempt_id: AttemptId, minor: i64) -> Result<()> {
        let deposit = books.deposit_of(attempt_id).min(minor);
        let sale = minor - deposit;
        let before = books.refunds + books.freight + books.freight_balance;
        let ((goods_before, freight_before), (goods, freight)) = if sale == 0 {
            Default::default()
        } else {
            (books.shares(before)?, books.shares(before + sale)?)
        };
        self.debit(Account::Deposits, deposit)
            .debit(Account::Refunds, goods - goods_before)
            .debit(Account::Freight, freight - freight_before);
        let left: i64 = -books.deposits.values().sum::<i64>() - deposit;
        if books.in_review && left == 0 && books.receivable == books.due.minor {
            self.write_off(books)?;
        }
        Ok(())
    }

    fn accept(&mut self, books: &Books, minor: i64) {
        if books.receivable == 0 {
            // The sale was written off when the payment was closed.
            self.sell(books.due.minor, books.freight);
        }
        self.debit(Account::Deposits, minor).credit(Account::Receivable, minor);
    }
}

/// What an event is booked as: nothing, or postings that sum to zero, at most one an account.
///
/// # Errors
/// `Internal` when they do not.
pub fn postings(books: &Books, event: &PaymentEvent) -> Result<Vec<Posting>> {
    let mut booking = Booking::default();
    match event {
        PaymentEvent::PaymentOpened { amount, freight, .. } => booking.sell(amount.minor, freight.minor),
        PaymentEvent::PaymentClosed {} => booking.write_off(books)?,
        PaymentEvent::PaymentCaptured { amount, provider, late, duplicate, .. } => {
            let is_owed = !late && !duplicate && *amount == books.due;
            let from = if is_owed { Account::Receivable } else { Account::Deposits };
            booking.debit(Account::Clearing(*provider), amount.minor).credit(from, amount.minor);
        }
        PaymentEvent::DepositAccepted { amount, .. } => booking.accept(books, amount.minor),
        PaymentEvent::RefundSucceeded { attempt_id, amount, provider, .. } => {
            booking.refund(books, *attempt_id, amount.minor)?;
            booking.credit(Account::Clearing(*provider), amount.minor);
        }
        PaymentEvent::FeeCharged { amount, provider, .. } => {
            booking.debit(Account::Fees, amount.minor).credit(Account::Clearing(*provider), amount.minor);
        }
        _ => {}
    }
    if booking.0.values().sum::<i64>() != 0 {
        return Err(Error::internal(format!("a booking does not balance: {event:?}")));
    }
    let booked = booking.0.into_iter().filter(|(_, minor)| *minor != 0);
    Ok(booked.map(|(account, minor)| Posting { account, minor }).collect())
}

/// What kind of booking an event makes, for readers of the ledger; `None` when it makes none.
pub const fn kind_of(event: &PaymentEvent) -> Option<&'static str> {
    match event {
        PaymentEvent::PaymentOpened { .. } => Some("sale"),
        PaymentEvent::PaymentClosed {} => Some("write_off"),
        PaymentEvent::PaymentCaptured { .. } => Some(CAPTURE),
        PaymentEvent::DepositAccepted { .. } => Some("acceptance"),
        PaymentEvent::RefundSucceeded { .. } => Some(REFUND),
        PaymentEvent::FeeCharged { .. } => Some("fee"),
        _ => None,
    }
}

/// The kind of booking of a capture.
pub const CAPTURE: &str = "capture";
/// The kind of booking of a refund.
pub const REFUND: &str = "refund";
