//! Where everybody is: the shop, what is on sale in it, how long it is open, and what was acknowledged to whom.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{body::Body, http::Request};
use merx_kernel::{Role, Timestamp, principal::AccountId};
use merx_testkit::Answer;

use super::{Client, Tally, Who, promises::Promise, rules::Rules};
use crate::{
    dice::Dice,
    world::{CUP, TEA, World},
};

/// One buyer may have two of it.
pub const FIRST_FLUSH: &str = "FIRST-FLUSH";
/// How many one buyer may have.
pub const LIMIT: u32 = 2;
/// There is hardly any.
pub const LAST_ONE: &str = "LAST-ONE";
/// There is plenty.
pub const PLENTY: &str = "PLENTY-1";
/// What can be bought.
pub const GOODS: &[&str] = &[TEA, TEA, CUP, FIRST_FLUSH, LAST_ONE, PLENTY, PLENTY];

/// What the seed makes of a day.
pub struct Mixture {
    /// How long the doors are open.
    pub open: Duration,
    /// How long people think at most.
    pub patience: Duration,
    /// How many units of the last thing there are.
    pub last_ones: i64,
    /// How many come besides.
    pub restocked: i64,
    /// How many shoppers.
    pub shoppers: u64,
    /// How many of the staff are at work.
    pub staff: u64,
}

impl Mixture {
    /// One of them.
    pub fn draw(dice: &Dice) -> Self {
        Self {
            open: Duration::from_secs(300) + dice.span(1_500_000),
            patience: Duration::from_secs(1) + dice.span(900_000),
            last_ones: dice.units(3),
            restocked: dice.units(30),
            shoppers: 3 + dice.below(9),
            staff: 2 + dice.below(5),
        }
    }
}

/// An order that was acknowledged.
#[derive(Clone)]
pub struct Bought {
    /// Who bought.
    pub by: AccountId,
    /// Member or guest.
    pub role: Role,
    /// The order.
    pub id: String,
    /// Its payment.
    pub payment_id: String,
    /// What it was to cost.
    pub total_minor: i64,
    /// What was quoted: SKU, units, price of one in minor units.
    pub lines: Vec<(String, i64, i64)>,
    /// What was paid at the cashier, as the cashier told the buyer.
    pub paid: Vec<String>,
}

/// What is remembered of a day.
#[derive(Default)]
struct Kept {
    promises: Vec<Promise>,
    bought: Vec<Bought>,
    /// Trades at Alipay that somebody has begun.
    trades: Vec<String>,
    /// What was transferred or handed over in cash, by the number of the attempt, in minor units.
    by_hand: BTreeMap<String, i64>,
    erased: BTreeSet<AccountId>,
    people: Vec<(AccountId, Role)>,
    invited: Vec<String>,
    requests: usize,
}

/// A day's shop.
pub struct Town<'a> {
    /// The world it is in.
    pub world: &'a World,
    /// What may be answered.
    pub rules: Rules,
    /// What was seen, over all days.
    pub tally: &'a Tally,
    /// What the seed made of the day.
    pub mixture: Mixture,
    /// The warehouses, the main one first.
    pub warehouses: RefCell<Vec<String>>,
    /// When people stop to come.
    pub closes: Timestamp,
    seed: u64,
    kept: RefCell<Kept>,
}

impl<'a> Town<'a> {
    /// Opens the doors.
    pub fn new(world: &'a World, tally: &'a Tally) -> Self {
        let seed = u64::from_le_bytes(world.shop.deps.ids.random_bytes());
        let mixture = Mixture::draw(&Dice::named(seed, "the mixture"));
        let closes = world.time().plus(mixture.open);
        let (rules, warehouses) = (Rules::of(world), RefCell::default());
        Self { world, rules, tally, mixture, warehouses, closes, seed, kept: RefCell::default() }
    }

    /// The dice of the person of this name.
    pub fn dice(&self, name: &str) -> Dice {
        Dice::named(self.seed, name)
    }
    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.world.time()
    }
    /// What time the shop has, whose clock may be wrong.
    pub fn shops_time(&self) -> Timestamp {
        self.world.shop.deps.now()
    }
    /// Waits.
    pub async fn pass(&self, span: Duration) {
        self.world.pass(span).await;
    }
    /// Waits until a moment; not at all when it has passed.
    pub async fn until(&self, moment: Timestamp) {
        self.pass(moment.since(self.now())).await;
    }
    /// How long after the close the staff are at work: until every order that can be paid was, and can be sent.
    pub fn evening(&self) -> Timestamp {
        self.closes.plus(Duration::from_secs(2_700))
    }
    /// Sends one request; `None` when the connection was lost.
    pub async fn knock(&self, asked: Request<Body>) -> Option<Answer> {
        self.world.knock(asked).await
    }

    /// One more request.
    pub fn sent(&self) {
        self.kept.borrow_mut().requests += 1;
    }
    /// How many there were.
    pub fn requests(&self) -> usize {
        self.kept.borrow().requests
    }
    /// Remembers an acknowledgement.
    pub fn promised(&self, promise: Promise) {
        self.kept.borrow_mut().promises.push(promise);
    }
    /// Takes all that was acknowledged.
    pub fn take_promises(&self) -> Vec<Promise> {
        std::mem::take(&mut self.kept.borrow_mut().promises)
    }
    /// Somebody has bought something.
    pub fn has_bought(&self, bought: Bought) {
        self.kept.borrow_mut().bought.push(bought);
    }
    /// The cashier told the buyer of this payment that it was made, in this trade.
    pub fn has_paid(&self, payment_id: &str, trade: &str) {
        let mut kept = self.kept.borrow_mut();
        let order = kept.bought.iter_mut().find(|bought| bought.payment_id == payment_id);
        order.unwrap_or_else(|| panic!("nobody bought for {payment_id}")).paid.push(trade.to_owned());
    }
    /// All that was bought so far.
    pub fn bought(&self) -> Vec<Bought> {
        self.kept.borrow().bought.clone()
    }
    /// Somebody stands at the cashier of this trade.
    pub fn has_begun(&self, trade: &str) {
        let mut kept = self.kept.borrow_mut();
        if !kept.trades.iter().any(|known| known == trade) {
            kept.trades.push(trade.to_owned());
        }
    }
    /// So much was transferred, or given in cash, for this attempt.
    pub fn has_handed_over(&self, attempt: &str, minor: i64) {
        self.kept.borrow_mut().by_hand.insert(attempt.to_owned(), minor);
    }
    /// What was transferred or given in cash for an attempt.
    pub fn handed_over(&self, attempt: &str) -> Option<i64> {
        self.kept.borrow().by_hand.get(attempt).copied()
    }
    /// The trades that were begun.
    pub fn trades(&self) -> Vec<String> {
        self.kept.borrow().trades.clone()
    }
    /// Somebody came in.
    pub fn has_come(&self, account: AccountId, role: Role) {
        self.kept.borrow_mut().people.push((account, role));
    }
    /// Who came in so far.
    pub fn people(&self) -> Vec<(AccountId, Role)> {
        self.kept.borrow().people.clone()
    }
    /// Somebody was invited to the staff.
    pub fn has_invited(&self, email: &str) {
        self.kept.borrow_mut().invited.push(email.to_owned());
    }
    /// Who was invited.
    pub fn invited(&self) -> Vec<String> {
        self.kept.borrow().invited.clone()
    }
    /// Somebody wants to be forgotten.
    pub fn has_left(&self, account: AccountId) {
        self.kept.borrow_mut().erased.insert(account);
    }
    /// Whether somebody has.
    pub fn is_gone(&self, account: AccountId) -> bool {
        self.kept.borrow().erased.contains(&account)
    }

    /// Somebody new on the staff.
    pub async fn staff(&'a self, role: Role, name: &str) -> Client<'a> {
        let (account, _) = self.world.account(role).await;
        Client::new(self, Who::Account(account, role), name)
    }
}
