//! A day in the shop: members and guests who buy, abandon, pay late, cancel and confirm, and a staff that reprices,
//! counts, moves, packs, parts and sends, all at once, with an Alipay that fails now and then.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use futures_util::future::join_all;
use merx_alipay_sandbox::Fault;
use merx_kernel::Role;
use merx_testkit::Answer;
use serde_json::{Value, json};

use crate::{
    dice::Dice,
    world::{Buyer, CUP, Order, PASSWORD, TEA, World, email},
};

/// One buyer may have two of it.
const FIRST_FLUSH: &str = "FIRST-FLUSH";
/// How long the doors are open.
const OPEN_MS: u64 = 1_200_000;
/// How long the staff work: until every order that can be paid was.
const WORK: Duration = Duration::from_secs(5_400);

/// The ways a visit can end, as the orders have it.
const ENDS: &[&str] = &[
    "order_axis = 'rejected'",
    "order_axis = 'confirmed' AND fulfilment_axis = 'shipped'",
    "order_axis = 'confirmed' AND fulfilment_axis = 'delivered'",
    "order_axis = 'completed'",
    "order_axis IN ('confirmed', 'completed') AND cancel_refusal = 'ordering.already_paid'",
    "order_axis = 'cancelled' AND cancel_reason = 'buyer' AND payment_axis = 'none'",
    "order_axis = 'cancelled' AND cancel_reason = 'expired'",
    "order_axis = 'cancelled' AND payment_axis = 'refunded'",
    "guest = 1 AND order_axis = 'confirmed'",
];
/// What people were answered to what they wanted; each is to happen in some day. (Others are too rare to be waited for:
/// they are printed.)
const ANSWERS: &[&str] = &[
    "cancel 200",
    "cancel 202",
    "cancel ordering.already_shipped",
    "place ordering.quote_changed",
    "place inventory.sold_out",
    "place ordering.limit_exceeded",
    "dispatch 200",
    "dispatch shipping.order_cancelled",
    "split 201",
    "transfer 201",
    "adjust 201",
    "receipt 200",
    "track delivered",
];

/// How often what was answered, over all days.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    fn add(&self, what: &str, answer: &Answer) {
        assert!(answer.status.as_u16() < 500, "{what}: {}", answer.text);
        let how = match answer.code() {
            "" => answer.status.as_u16().to_string(),
            code => code.to_owned(),
        };
        self.count(format!("{what} {how}"), 1);
    }
    fn count(&self, what: String, times: usize) {
        *self.0.lock().unwrap().entry(what).or_insert(0) += times;
    }
}

/// Days, and what came of them.
#[derive(Default)]
pub struct Day {
    ends: Tally,
    tally: Tally,
}

impl Day {
    /// One day of a shop.
    pub async fn live(&self, world: World) -> World {
        let dice = Dice::of(&world);
        let second = furnish(&world).await;
        for _ in 0..dice.below(8) {
            dice.trouble(&world);
        }
        let shoppers = visitors(&world).await;
        let visits = join_all(shoppers.iter().map(|(buyer, dice)| shop(&world, buyer, dice, &self.tally)));
        tokio::join!(visits, work(&world, &dice, &second, &self.tally));
        // Every deadline passes, and the last look of the poller.
        world.pass(Duration::from_secs(3_600)).await;
        assert_nothing_hangs(&world).await;
        for end in ENDS {
            let orders = world.count(&format!("SELECT COUNT(*) FROM ordering_orders WHERE {end}")).await;
            self.ends.count((*end).to_owned(), usize::try_from(orders).unwrap());
        }
        world
    }

    /// A day on which one of these never happens proves nothing about it.
    pub fn assert_all_seen(self) {
        let (ends, tally) = (self.ends.0.into_inner().unwrap(), self.tally.0.into_inner().unwrap());
        println!("{ends:#?}\n{tally:#?}");
        assert!(ends.values().all(|orders| *orders > 0), "{ends:#?}");
        for answer in ANSWERS {
            assert!(tally.contains_key(*answer), "never: {answer}\n{tally:#?}");
        }
    }
}

/// A second warehouse with some of the tea, and something of which one may have two.
async fn furnish(world: &World) -> [String; 2] {
    world.sell_limited(FIRST_FLUSH, 88_000, 100, 30, Some(2)).await;
    let (main, second) = (world.main_warehouse().await, world.open_warehouse("NB-1").await);
    let sent = world.transfer(TEA, &main, &second, 4).await.expect(201);
    world.arrive(&sent.text_at("/id")).await.expect(201);
    world.receive(CUP, &second, 3).await;
    [main, second]
}

/// Three members, two guests, and a member who was a guest until now.
async fn visitors(world: &World) -> Vec<(Buyer, Dice)> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push((world.buyer().await, Dice::of(world)));
    }
    for number in 0..3 {
        let (guest, token) = world.guest(&format!("guest-{number}@mail.test"), "en").await;
        if number < 2 {
            all.push((guest, Dice::of(world)));
            continue;
        }
        let (member, dice) = &all[0];
        guest.fill(TEA, dice.units(2)).await;
        // The work of a log-in is done on a thread of its own; alone, its end is no matter of chance.
        world.settle().await;
        let body = json!({"email": email(member.account), "password": PASSWORD, "guest_token": token});
        world.api.post("/v1/sessions", body).await.expect(201);
        world.settle().await;
    }
    all
}

/// One visit: buys, abandons, cancels, pays too late or has the goods, in no hurry.
async fn shop(world: &World, buyer: &Buyer, dice: &Dice, tally: &Tally) {
    world.pass(dice.span(OPEN_MS)).await;
    for _ in 0..1 + dice.below(3) {
        if let Some(order) = place(world, buyer, dice, tally).await {
            settle_up(world, buyer, dice, tally, &order).await;
        }
    }
}

/// Fills the cart and orders it; thinks for a while between the quote and the order.
async fn place(world: &World, buyer: &Buyer, dice: &Dice, tally: &Tally) -> Option<Order> {
    let sku = *dice.pick(&[TEA, TEA, CUP, FIRST_FLUSH, FIRST_FLUSH])?;
    buyer.fill(sku, dice.units(if sku == FIRST_FLUSH { 2 } else { 3 })).await;
    if dice.one_in(4) {
        buyer.fill(TEA, dice.units(2)).await;
    }
    for _ in 0..3 {
        let path = format!("{}/quote", buyer.checkout());
        let quote = buyer.api.post(&path, json!({"address_id": buyer.address_id})).await;
        if quote.status != 200 {
            tally.add("quote", &quote);
            break;
        }
        let mut accepted = buyer.accept(&quote);
        if dice.one_in(3) {
            accepted["note"] = "leave it with the neighbours".into();
        }
        if dice.one_in(2) {
            world.pass(dice.span(600_000)).await;
        }
        let placed = buyer.place(&accepted).await;
        tally.add("place", &placed);
        match placed.code() {
            "" => return Some(Order::of(&placed)),
            "ordering.quote_changed" => {}
            _ => break,
        }
    }
    // What cannot be had is taken out, so that the next visit begins anew.
    buyer.api.delete("/v1/cart").await.expect(204);
    None
}

async fn settle_up(world: &World, buyer: &Buyer, dice: &Dice, tally: &Tally, order: &Order) {
    if dice.one_in(4) {
        if dice.one_in(2) {
            tally.add("cancel", &buyer.cancel(order).await);
        }
        return;
    }
    let code = match dice.one_in(3) {
        true => buyer.code_in_the_end(world, order).await,
        false => Some(buyer.at_cashier(world, order).await.1),
    };
    let Some(code) = code else { return };
    if dice.one_in(2) {
        world.sandbox.log_in(&code).await.unwrap();
    }
    let late = dice.one_in(5);
    if late {
        world.arm(Fault::PayAfterExpiry, 1);
    }
    let pays = async {
        world.pass(dice.span(if late { 3_600_000 } else { 1_500_000 })).await;
        // The cashier refuses when the time is over.
        let paid = world.sandbox.pay(&code).await;
        world.trace.see(format!("{paid:?}"));
    };
    let (cancel_after, has_it_after) = (dice.span(3_600_000), dice.span(3_600_000));
    let changes_mind = async {
        if dice.one_in(2) {
            world.pass(cancel_after).await;
            tally.add("cancel", &buyer.cancel(order).await);
        } else if dice.one_in(2) {
            world.pass(Duration::from_secs(1_200) + has_it_after).await;
            tally.add("note", &buyer.note(order, "is it on its way?").await);
            tally.add("receipt", &buyer.receive(order).await);
        }
    };
    tokio::join!(pays, changes_mind);
}

/// The staff: every few minutes one of the things they do.
async fn work(world: &World, dice: &Dice, warehouses: &[String; 2], tally: &Tally) {
    let until = world.shop.deps.now().plus(WORK);
    while world.shop.deps.now() < until {
        world.pass(dice.span(180_000)).await;
        match dice.below(9) {
            0 => world.reprice(TEA, 16_000 + 100 * dice.units(20)).await,
            1 => tally.add("adjust", &world.adjust(TEA, dice.units(5) - 3).await),
            2 => {
                let (from, to) = if dice.one_in(2) { (0, 1) } else { (1, 0) };
                let units = dice.units(3);
                let sent = world.transfer(CUP, &warehouses[from], &warehouses[to], units).await;
                tally.add("transfer", &sent);
                if sent.status == 201 {
                    world.pass(dice.span(300_000)).await;
                    tally.add("arrive", &world.arrive(&sent.text_at("/id")).await);
                }
            }
            _ => parcels(world, dice, tally).await,
        }
    }
}

/// Something with one of the parcels: most often it is sent.
async fn parcels(world: &World, dice: &Dice, tally: &Tally) {
    let all = world.every_shipment().await;
    let open: Vec<Value> = all.iter().filter(|shipment| shipment["status"] == "open").cloned().collect();
    let Some(shipment) = dice.pick(if dice.one_in(2) || open.is_empty() { &all } else { &open }) else {
        return;
    };
    let id = shipment["id"].as_str().unwrap();
    // On the way to the shelf the buyer may have changed his mind.
    world.pass(dice.span(60_000)).await;
    match (shipment["status"].as_str().unwrap(), dice.below(3)) {
        ("dispatched", 0) => tally.add("track", &world.track(id, "in_transit").await),
        ("dispatched", _) => tally.add("track", &world.track(id, "delivered").await),
        ("open", 0) => {
            let path = format!("/v1/shipments/{id}");
            let seen = world.staff(Role::Warehouse).await.get(&path).await.expect(200);
            tally.add("split", &world.split(id, &seen.text_at("/lines/0/sku"), 1).await);
        }
        _ => tally.add("dispatch", &world.dispatch(id).await),
    }
}

/// Every order has come to where it rests, with its money and its stock.
async fn assert_nothing_hangs(world: &World) {
    world.settle().await;
    let open = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis IN ('placed', 'awaiting_payment')";
    assert_eq!(world.count(open).await, 0, "orders hang");
    let held = "SELECT COUNT(*) FROM inventory_reservations WHERE status = 'reserved'";
    assert_eq!(world.count(held).await, 0, "stock hangs");
    let stranded = "SELECT COUNT(*) FROM ordering_orders WHERE order_axis = 'cancelled' AND paid_minor <> 0";
    assert_eq!(world.count(stranded).await, 0, "money hangs");
    let unfinished = "SELECT COUNT(*) FROM ordering_orders o
        LEFT JOIN ordering_shipments s ON s.order_id = o.order_id
        WHERE o.order_axis = 'confirmed' AND s.shipment_id IS NULL";
    assert_eq!(world.count(unfinished).await, 0, "parcels hang");
    let counted = "SELECT COALESCE(SUM(bought), 0) FROM ordering_purchases";
    let bought = format!(
        "SELECT COALESCE(SUM(l.quantity), 0) FROM ordering_lines l JOIN ordering_orders o ON o.order_id = l.order_id
        WHERE l.sku = '{FIRST_FLUSH}' AND o.order_axis NOT IN ('rejected', 'cancelled')"
    );
    assert_eq!(world.count(counted).await, world.count(&bought).await, "limits are not given back");
}
