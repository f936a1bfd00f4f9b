//! One order's life as it is lived: by its buyer, by a clerk of the shop, and by whoever carries parcels.

use std::{cell::RefCell, time::Duration};

use futures_util::future::join_all;
use merx_alipay_sandbox::Fault;
use merx_kernel::Timestamp;
use merx_simulation::{
    dice::Dice,
    people::{Ask, Client, Shopper, Till, Town, Who, town::Bought},
};
use serde_json::{Value, json};

use super::{
    shop::{GOODS, Staff},
    story::{Move, Step, Story},
};

const WAYS: &[&str] = &["alipay_page", "alipay_page", "alipay_qr", "alipay_qr", "alipay_wap", "alipay_app"];
const BY_HAND: &[&str] = &["bank_transfer", "cash_on_delivery"];
const KINDS: &[&str] = &["refund", "return", "return", "exchange", "exchange"];
/// How often, and how long apart, it is looked whether what was paid is there to be sent.
const LOOKS: u32 = 4;
const LOOK: Duration = Duration::from_secs(120);

/// A case that was opened, and how many units of each line it is about.
#[derive(Clone)]
struct Case {
    id: String,
    lines: Vec<(String, i64)>,
}

/// What a life has in hand.
#[derive(Default)]
struct Hand {
    bought: Option<Bought>,
    /// Codes of tills, in the order of their opening.
    tills: Vec<Till>,
    cases: Vec<Case>,
    /// Whether something of it has arrived.
    arrived: bool,
}

/// One life.
pub struct Life<'a> {
    town: &'a Town<'a>,
    shopper: Shopper<'a>,
    clerk: Client<'a>,
    hand: RefCell<Hand>,
}

/// What a life came to.
pub struct Lived {
    /// Which.
    pub number: u64,
    /// Its order, if it came to one.
    pub order: Option<String>,
}

/// Lives it, from its first step to its last.
pub async fn live<'a>(town: &'a Town<'a>, staff: &Staff, story: &Story) -> Lived {
    let name = format!("life {}", story.number);
    let mut lived = Lived { number: story.number, order: None };
    town.pass(town.dice(&format!("{name} begins")).span(1_800_000)).await;
    let Some(shopper) = Shopper::member(town, &name).await else { return lived };
    let clerk = Client::new(town, Who::Account(staff.account, staff.role), &format!("the clerk of {name}"));
    let life = Life { town, shopper, clerk, hand: RefCell::default() };
    let mut moves = story.moves.iter().peekable();
    while let Some(one) = moves.next() {
        town.pass(Duration::from_millis(one.after_ms)).await;
        match moves.next_if(|next| next.at_once) {
            Some(other) => {
                let _ = tokio::join!(life.step(one), life.step(other));
            }
            None => {
                let _ = life.step(one).await;
            }
        }
    }
    lived.order = life.order();
    lived
}

impl<'a> Life<'a> {
    fn order(&self) -> Option<String> {
        self.hand.borrow().bought.as_ref().map(|bought| bought.id.clone())
    }
    fn bought(&self) -> Option<Bought> {
        self.hand.borrow().bought.clone()
    }
    fn case(&self, dice: &Dice) -> Option<Case> {
        let hand = self.hand.borrow();
        if dice.one_in(4) { dice.pick(&hand.cases).cloned() } else { hand.cases.last().cloned() }
    }

    /// `None` when there was nothing to do it to, or somebody gave up.
    async fn step(&self, one: &Move) -> Option<()> {
        let dice = self.town.dice(&format!("{} step {}", self.shopper.client.name, one.number));
        match one.step {
            Step::Place => self.place(&dice).await,
            Step::Begin => self.begin(&dice).await,
            Step::Pay => self.pay(&dice).await,
            Step::PayTwice => self.pay_twice(&dice).await,
            Step::PayLate => self.pay_late(&dice).await,
            Step::HandOver => self.hand_over(&dice).await,
            Step::Deadline => self.deadline().await,
            Step::Cancel => self.cancel(&self.shopper.client).await,
            Step::CancelByStaff => self.cancel(&self.clerk).await,
            Step::Ship => self.ship().await,
            Step::ShipPart => self.ship_part(&dice).await,
            Step::Deliver => self.carrier(&dice, "delivered").await,
            Step::ComeBack => self.carrier(&dice, "returned").await,
            Step::Receive => self.receive().await,
            Step::Ask => self.ask(&dice).await,
            Step::Settle => self.settle(&dice).await,
            _ => self.after_sale(&dice, one.step).await,
        }
    }

    async fn place(&self, dice: &Dice) -> Option<()> {
        if self.bought().is_some() {
            return None;
        }
        let mut lines: Vec<(&str, i64)> = Vec::new();
        for _ in 0..dice.units(3) {
            let sku = *dice.pick(GOODS)?;
            if !lines.iter().any(|(other, _)| *other == sku) {
                lines.push((sku, dice.units(3)));
            }
        }
        let bought = self.shopper.buy(&lines).await?;
        self.hand.borrow_mut().bought = Some(bought);
        Some(())
    }

    /// Opens one more till.
    async fn begin(&self, dice: &Dice) -> Option<()> {
        let till = self.shopper.attempt(&self.bought()?, dice.pick(WAYS)?).await?.ok()?;
        if dice.one_in(2) {
            // Alipay may refuse who comes too late.
            drop(self.town.world.sandbox.log_in(&till.code).await);
        }
        self.hand.borrow_mut().tills.push(till);
        Some(())
    }

    fn tills(&self) -> Vec<Till> {
        self.hand.borrow().tills.clone()
    }

    async fn pay(&self, dice: &Dice) -> Option<()> {
        // Alipay does not answer every time.
        for _ in 0..LOOKS {
            if self.tills().is_empty() || dice.one_in(6) {
                self.begin(dice).await;
            }
        }
        let tills = self.tills();
        self.shopper.pays(dice.pick(&tills)?).await.then_some(())
    }

    async fn pay_twice(&self, dice: &Dice) -> Option<()> {
        for _ in 0..dice.units(2) {
            self.begin(dice).await;
        }
        let tills = self.tills();
        let twice = tills.iter().chain(&tills);
        join_all(twice.map(|till| self.shopper.pays(till))).await;
        Some(())
    }

    async fn pay_late(&self, dice: &Dice) -> Option<()> {
        if self.tills().is_empty() {
            self.begin(dice).await;
        }
        self.deadline().await?;
        self.town.pass(dice.span(900_000)).await;
        // Alipay has only so many switches.
        drop(self.town.world.try_arm(Fault::PayAfterExpiry, 1));
        let tills = self.tills();
        self.shopper.pays(dice.pick(&tills)?).await.then_some(())
    }

    async fn deadline(&self) -> Option<()> {
        let seen = self.shopper.look(&self.order()?).await?;
        let deadline: Timestamp = serde_json::from_value(seen.body["payment_deadline"].clone()).ok()?;
        self.town.pass(deadline.since(self.town.shops_time())).await;
        Some(())
    }

    /// By a transfer or in cash: what staff see is not always what was asked for.
    async fn hand_over(&self, dice: &Dice) -> Option<()> {
        let bought = self.bought()?;
        let path = format!("/v1/payments/{}/attempts", bought.payment_id);
        let begun = self.shopper.client.post(path, json!({ "method": dice.pick(BY_HAND)? })).await?;
        if begun.status != 201 {
            return None;
        }
        self.town.pass(dice.span(2_400_000)).await;
        let off = *dice.pick(&[0, 0, 0, 1, -1, 500, -500, bought.total_minor])?;
        let attempt = begun.text_at("/id");
        let number = attempt.split_once('_')?.1;
        // Who begins again is told the same attempt: its money is handed over once.
        let minor = self.town.handed_over(number).unwrap_or((bought.total_minor + off).max(1));
        self.town.has_handed_over(number, minor);
        let path = format!("/v1/admin/payments/{}/attempts/{attempt}/confirmation", bought.payment_id);
        let amount = json!({ "minor": minor, "currency": "CNY" });
        let said = json!({ "amount": amount, "reference": self.clerk.name, "reason": "on the statement" });
        self.clerk.post(path, said).await.map(drop)
    }

    async fn cancel(&self, by: &Client<'_>) -> Option<()> {
        let path = format!("/v1/orders/{}/cancellation", self.order()?);
        by.post(path, json!({"reason": "it is too much"})).await.map(drop)
    }

    async fn shipments(&self, status: &str) -> Option<Vec<Value>> {
        let listed =
            self.clerk.get(format!("/v1/shipments?order_id={}&status={status}", self.order()?)).await?;
        listed.body["items"].as_array().cloned()
    }

    /// What waits to be sent; nobody goes to the shelf for nothing.
    async fn open(&self) -> Option<Vec<Value>> {
        for _ in 0..LOOKS {
            let open = self.shipments("open").await?;
            if !open.is_empty() {
                return Some(open);
            }
            self.town.pass(LOOK).await;
        }
        None
    }

    async fn ship(&self) -> Option<()> {
        for shipment in self.open().await? {
            dispatch(&self.clerk, shipment["id"].as_str()?).await?;
        }
        Some(())
    }

    async fn ship_part(&self, dice: &Dice) -> Option<()> {
        let open = self.open().await?;
        let whole = dice.pick(&open)?["id"].as_str()?.to_owned();
        let seen = self.clerk.get(format!("/v1/shipments/{whole}")).await?;
        let line = dice.pick(seen.body["lines"].as_array()?)?.clone();
        let units = dice.units(line["quantity"].as_i64()?.max(1).cast_unsigned());
        let body = json!({"lines": [{"sku": line["sku"], "quantity": units}]});
        let split = self.clerk.post(format!("/v1/shipments/{whole}/split"), body).await?;
        let part = if split.status == 201 && dice.one_in(2) { split.text_at("/shipment/id") } else { whole };
        dispatch(&self.clerk, &part).await
    }

    /// A parcel that left arrives or comes back.
    async fn carrier(&self, dice: &Dice, code: &str) -> Option<()> {
        let mut left = self.shipments("dispatched").await?;
        if code == "returned" || dice.one_in(4) {
            left.extend(self.shipments("delivered").await?);
        }
        let most = if code == "returned" { 1 + usize::from(dice.one_in(2)) } else { left.len() };
        for shipment in left.iter().take(most) {
            self.hand.borrow_mut().arrived |= code == "delivered";
            let path = format!("/v1/shipments/{}", shipment["id"].as_str()?);
            if code == "delivered" && dice.one_in(2) {
                self.clerk.post(format!("{path}/delivery"), json!({})).await?;
                continue;
            }
            let body =
                json!({"code": code, "at": self.town.shops_time(), "place": "杭州", "text": "as it is"});
            let ask = Ask::post(format!("{path}/tracking-events"), body);
            self.clerk.ask(ask.also(&["request.invalid"])).await?;
        }
        Some(())
    }

    async fn receive(&self) -> Option<()> {
        let path = format!("/v1/orders/{}/receipt", self.order()?);
        self.shopper.client.post(path, json!({})).await.map(drop)
    }

    async fn ask(&self, dice: &Dice) -> Option<()> {
        let bought = self.bought()?;
        let mut lines: Vec<(String, i64)> = Vec::new();
        for (sku, units, _) in &bought.lines {
            if lines.is_empty() || dice.one_in(2) {
                // Now and then more than there is.
                let most = units + i64::from(dice.one_in(8));
                lines.push((sku.clone(), dice.units(most.cast_unsigned())));
            }
        }
        let asked: Vec<Value> = lines.iter().map(|(sku, n)| json!({"sku": sku, "quantity": n})).collect();
        let kind = if self.hand.borrow().arrived || dice.one_in(6) { dice.pick(KINDS)? } else { "refund" };
        let body = json!({"kind": kind, "reason": "quality", "text": "not what I thought", "lines": asked});
        let path = format!("/v1/orders/{}/after-sales", bought.id);
        let asked = self.shopper.client.post(path, body).await?;
        if asked.status == 201 {
            self.hand.borrow_mut().cases.push(Case { id: asked.text_at("/id"), lines });
        }
        Some(())
    }

    async fn after_sale(&self, dice: &Dice, step: Step) -> Option<()> {
        let case = self.case(dice)?;
        let (own, staff) =
            (format!("/v1/after-sales/{}", case.id), format!("/v1/admin/after-sales/{}", case.id));
        let buyer = &self.shopper.client;
        match step {
            Step::Withdraw => buyer.post(format!("{own}/withdrawal"), json!({})).await?,
            Step::SendBack => {
                let by = json!({"carrier": "YTO", "tracking_number": "YT7"});
                buyer.post(format!("{own}/return-shipment"), by).await?
            }
            Step::Approve => {
                let freight = json!({"minor": dice.below(3) * 400, "currency": "CNY"});
                let body = if dice.one_in(3) { json!({"freight": freight}) } else { json!({}) };
                self.clerk.post(format!("{staff}/approval"), body).await?
            }
            Step::Refuse => {
                self.clerk.post(format!("{staff}/refusal"), json!({"reason": "as described"})).await?
            }
            Step::Arrive => arrive(&self.clerk, dice, &case.id, &case.lines).await?,
            _ => inspect(&self.clerk, dice, &case.id).await?,
        };
        Some(())
    }

    async fn settle(&self, dice: &Dice) -> Option<()> {
        settle(&self.clerk, dice, &self.order()?).await
    }
}

/// Hands a parcel to the carrier.
pub async fn dispatch(clerk: &Client<'_>, shipment: &str) -> Option<()> {
    let by = json!({"carrier": "SF Express", "tracking_number": "SF7"});
    clerk.post(format!("/v1/shipments/{shipment}/dispatch"), by).await.map(drop)
}

/// The goods of a case are here, or some of them.
pub async fn arrive(
    clerk: &Client<'_>,
    dice: &Dice,
    case: &str,
    lines: &[(String, i64)],
) -> Option<merx_testkit::Answer> {
    let came = lines.iter().map(|(sku, units)| {
        let missing = if dice.one_in(4) { dice.below(units.cast_unsigned()).cast_signed() } else { 0 };
        json!({"sku": sku, "quantity": units - missing})
    });
    let mut came: Vec<Value> = came.collect();
    if came.len() > 1 && dice.one_in(6) {
        came.truncate(1);
    }
    clerk.post(format!("/v1/admin/after-sales/{case}/receipt"), json!({"lines": came})).await
}

/// What came of a case is put back on the shelf, or written off.
pub async fn inspect(clerk: &Client<'_>, dice: &Dice, case: &str) -> Option<merx_testkit::Answer> {
    let path = format!("/v1/admin/after-sales/{case}");
    let seen = clerk.get(path.clone()).await?;
    let found = seen.body["lines"].as_array()?.iter().filter_map(|line| {
        let came = line["units"].as_i64().filter(|came| *came > 0)?;
        let broken = if dice.one_in(3) { dice.units(came.cast_unsigned()) } else { 0 };
        Some(json!({"sku": line["sku"], "restocked": came - broken, "written_off": broken}))
    });
    let found: Vec<Value> = found.collect();
    // Fewer may have come since it was looked at.
    let ask = Ask::post(format!("{path}/inspection"), json!({"lines": found}));
    clerk.ask(ask.also(&["request.invalid"])).await
}

/// Decides about the money of an order, if there is anything to decide.
pub async fn settle(clerk: &Client<'_>, dice: &Dice, order: &str) -> Option<()> {
    let path = format!("/v1/orders/{order}/settlement");
    let decided = |decision: &str| json!({"decision": decision, "reason": "looked into"});
    let decision = if dice.one_in(2) { "accept" } else { "refund" };
    let settled = clerk.post(path.clone(), decided(decision)).await?;
    if settled.code() == "ordering.captured_too_little" {
        // It cannot be let pass.
        clerk.post(path, decided("refund")).await?;
    }
    Some(())
}
