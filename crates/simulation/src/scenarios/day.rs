//! A day in the shop: people of every kind, and a staff, all at once. What the day is like (who comes, how many, how long
//! the doors are open, how little there is) comes from the seed.

use std::time::Duration;

use futures_util::future::join_all;
use merx_kernel::Role;

use crate::{
    people::{Duty, Kind, Tally, Town, evening, furnish, tidy_up, town},
    world::World,
};

/// Days after which the shop takes a parcel for received, and a little more.
const RECEIVED_MS: i64 = 16 * 24 * 3_600_000;

/// The ways a visit can end, as the orders have it.
const ENDS: &[&str] = &[
    "order_axis = 'rejected'",
    "order_axis = 'confirmed' AND fulfilment_axis = 'part_shipped'",
    "order_axis = 'confirmed' AND fulfilment_axis = 'shipped'",
    "order_axis = 'confirmed' AND fulfilment_axis = 'delivered'",
    "order_axis = 'completed'",
    "order_axis IN ('confirmed', 'completed') AND cancel_refusal = 'ordering.already_paid'",
    "order_axis = 'cancelled' AND cancel_reason = 'buyer' AND payment_axis = 'none'",
    "order_axis = 'cancelled' AND cancel_reason = 'staff'",
    "order_axis = 'cancelled' AND cancel_reason = 'expired'",
    "order_axis = 'cancelled' AND payment_axis = 'refunded'",
    "order_axis IN ('confirmed', 'completed') AND revived_at IS NOT NULL",
    "guest = 1 AND order_axis = 'confirmed'",
];
/// What people were answered to what they wanted, in a handful of days.
const ALWAYS: &[&str] = &[
    "placeOrder 201",
    "cancelOrder 200",
    "dispatchShipment 200",
    "confirmReceipt 200",
    "startPaymentAttempt 201",
    "cashier: paid",
];
/// … and in a hundred. What is rarer is printed only.
const IN_A_HUNDRED: &[&str] = &[
    "cancelOrder 202",
    "cancelOrder ordering.already_shipped",
    "placeOrder ordering.quote_changed",
    "placeOrder ordering.quote_accepted",
    "placeOrder ordering.limit_exceeded",
    "placeOrder inventory.sold_out",
    "placeOrder again 201",
    "dispatchShipment shipping.order_cancelled",
    "splitShipment 201",
    "addTrackingEvent 200",
    "correctShipment 200",
    "sendTransfer 201",
    "recallTransfer 201",
    "receiveTransfer 201",
    "closeStockCount 201",
    "adjustStock 201",
    "setPrice 201",
    "listProduct 201",
    "delistProduct 201",
    "publishProduct 201",
    "getProduct 304",
    "createWebhook 201",
    "replayWebhook 202",
    "makeApiKey 201",
    "changeStaffStatus 200",
    "logIn 201",
    "logIn accounts.credentials_wrong",
    "logIn accounts.too_many_logins",
    "refreshSession accounts.refresh_token_reused",
    "acceptInvitation accounts.code_wrong",
    "enterAsGuest 201",
    "exportAccount 200",
    "eraseAccount 204",
    "getOrder ordering.order_not_found",
    "getPayment payment.not_found",
    "getMe request.token_revoked",
    "resolvePaymentAlert 200",
    "confirmPaymentMoney 200",
    "confirmPaymentRefund 200",
    "signed and wrong: 400",
    "altered: 400",
    "replayed: success",
    "rebuild done",
    "the last one: inventory.sold_out",
];
/// From so many days on the longer list counts.
const A_HUNDRED: usize = 100;

/// Days, and what came of them.
#[derive(Default)]
pub struct Day {
    tally: Tally,
}

impl Day {
    /// One day of a shop.
    pub async fn live(&self, world: World) -> World {
        world.sell_limited(town::FIRST_FLUSH, 88_000, 100, 30, Some(town::LIMIT)).await;
        world.sell(town::PLENTY, 5_900, 400, 400).await;
        let waits = {
            let town = Town::new(&world, &self.tally);
            let dice = town.dice("the day");
            world.sell(town::LAST_ONE, 120_000, 900, town.mixture.last_ones).await;
            furnish(&town).await;
            for _ in 0..dice.below(8) {
                dice.trouble(&world);
            }
            let hours = town.evening().since(town.now());
            world.troubled(hours, self.open(&town)).await;
            // By now every deadline has passed, and the last look of the poller.
            tidy_up(&town).await;
            town.pass(Duration::from_secs(600)).await;
            evening::assert_all_is_well(&town).await;
            self.tally.count("days", 1);
            self.tally.count("requests", town.requests());
            for end in ENDS {
                let orders = world.count(&format!("SELECT COUNT(*) FROM ordering_orders WHERE {end}")).await;
                self.tally.count(*end, usize::try_from(orders).unwrap());
            }
            dice.one_in(6)
        };
        if waits { self.wait(world).await } else { world }
    }

    /// Everybody, at once.
    async fn open<'a>(&self, town: &'a Town<'a>) {
        let dice = town.dice("who comes");
        let plan = town.world.faults.plan();
        let (shoppers, staff) = (plan.people(town.mixture.shoppers), plan.people(town.mixture.staff));
        let kinds: Vec<Kind> = (0..shoppers).map(|_| Kind::draw(&dice)).collect();
        let duties: Vec<Duty> = (0..staff).map(|number| Duty::draw(&dice, number)).collect();
        let shoppers = join_all((0..).zip(kinds).map(|(number, kind)| kind.come(town, number)));
        let staff = join_all((0..).zip(duties).map(|(number, duty)| duty.work(town, number)));
        tokio::join!(shoppers, staff);
    }

    /// Two weeks later: what arrived and nobody spoke of is taken for received.
    async fn wait(&self, world: World) -> World {
        // A shop that opens again on another day.
        world.set_clock_off_by(RECEIVED_MS);
        let world = world.restarted(&[]).await;
        world.settle().await;
        // What came back waits for the staff.
        let delivered = "SELECT COUNT(*) FROM ordering_orders o
            WHERE o.order_axis = 'confirmed' AND o.fulfilment_axis = 'delivered' AND NOT EXISTS
            (SELECT 1 FROM shipping_shipments s WHERE s.order_id = o.order_id AND s.returned_at IS NOT NULL)";
        assert_eq!(world.count(delivered).await, 0, "receipts hang");
        self.tally.count("receipts by the clock", 1);
        let staff = world.staff(Role::Operator).await;
        staff.get("/v1/admin/orders").await.expect(200);
        evening::assert_nothing_hangs(&world).await;
        world
    }

    /// Whether the longer list counts.
    pub fn are_many(&self) -> bool {
        self.tally.all().get("days").is_some_and(|days| *days >= A_HUNDRED)
    }

    /// Prints what was seen; answers what never was, of what so many days must show.
    pub fn tell(&self) -> Vec<&'static str> {
        let all = self.tally.all();
        println!("{all:#?}");
        let rare: &[&[&'static str]] = if self.are_many() { &[ENDS, IN_A_HUNDRED] } else { &[] };
        let unseen = |what: &&str| all.get(*what).is_none_or(|times| *times == 0);
        let wanted = [ALWAYS, &rare.concat()].concat();
        let never: Vec<&str> = wanted.into_iter().filter(unseen).collect();
        println!("never: {never:?}");
        never
    }

    /// A day on which one of these never happens proves nothing about it.
    pub fn assert_all_seen(self) {
        assert!(self.tell().is_empty(), "what was to be seen was not");
    }
}
