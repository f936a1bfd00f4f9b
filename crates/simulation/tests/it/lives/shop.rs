//! A shop in which many lives are lived at once while its messages are lost and doubled, and what comes after them: staff
//! finish what waits for a person, and time passes until nothing waits for it any more.

use std::time::Duration;

use futures_util::future::join_all;
use merx_contracts::ids::{AfterSaleId, OrderId, RefundId, ShipmentId};
use merx_kernel::{Id, IdKind, Role, principal::AccountId};
use merx_server::shop::Settings;
use merx_simulation::{
    dice::Dice,
    faults::Plan,
    people::{Client, Tally, Town, Who, evening},
    world::{Told as _, World},
};
use merx_sql::{Query as _, params};
use serde_json::json;

use super::{
    ended,
    living::{self, Lived},
    story::Story,
};

/// There is plenty.
const PLENTY: &str = "PLENTY-1";
/// Three of it cost what does not part into three.
const ODD: &str = "ODD-1";
/// There are a few, not enough for every life and every exchange.
const SCARCE: &str = "SCARCE-1";
/// What can be bought.
pub const GOODS: &[&str] = &[PLENTY, PLENTY, PLENTY, PLENTY, ODD, ODD, ODD, SCARCE];

/// What always goes wrong: every kind of message is lost and doubled, whatever else the seed has.
const MESSAGES: &[&str] = &[
    "bus.lost",
    "bus.repeated",
    "call.answer_lost",
    "call.twice",
    "timer.twice",
    "provider.lose_notification",
    "provider.duplicate_notification",
];
/// For how long: as long as nearly every life takes.
const TROUBLE: Duration = Duration::from_secs(3 * 3_600);
const MINUTE_MS: u64 = 60_000;
/// How often staff look for what waits for a person, at most.
const ROUNDS_MAX: u32 = 24;

/// What goes wrong in the shop of a seed.
pub fn plan(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    plan.active.extend(MESSAGES);
    // Money of which only a wrong notification tells is found by the reconciliation of the next day.
    plan.active.remove("provider.wrong_notification");
    // A life waits for deadlines by the shop's clock.
    plan.jumps.clear();
    plan
}

/// What takes weeks elsewhere takes hours.
pub fn hasty(settings: &mut Settings) {
    settings.ordering.receipt_window_ms = 45 * MINUTE_MS;
    settings.ordering.undelivered_window_ms = 90 * MINUTE_MS;
    settings.aftersale = merx_aftersale::Policy {
        refund_window_s: 3 * 3_600,
        return_window_s: 3 * 3_600,
        answer_within_s: 1_200,
        send_within_s: 2_400,
        arrive_within_s: 3_600,
        inspect_within_s: 1_800,
        settle_within_s: 3_600,
    };
}

/// Whoever is at work.
pub struct Staff {
    /// The account.
    pub account: AccountId,
    /// What it may do.
    pub role: Role,
}

/// Lives these lives in a world, and checks each when all has ended.
pub async fn lived(world: World, stories: &[Story], tally: &Tally) -> World {
    {
        let town = Town::new(&world, tally);
        let units = i64::try_from(stories.len()).unwrap();
        world.sell(PLENTY, 5_900, 400, 1_000_000).await;
        world.sell(ODD, 1_667, 90, 1_000_000).await;
        world.sell(SCARCE, 120_000, 900, 1 + units / 2).await;
        let (account, _) = world.account(Role::Operator).await;
        let staff = Staff { account, role: Role::Operator };
        let all = join_all(stories.iter().map(|story| living::live(&town, &staff, story)));
        let all: Vec<Lived> = world.troubled(TROUBLE, all).await;
        Evening::new(&town, &staff).finish().await;
        ended::assert_cases_ended(&world).await;
        evening::assert_all_is_well(&town).await;
        ended::assert_each(&town, &all).await;
    }
    world
}

/// The staff when nobody comes any more.
struct Evening<'a> {
    town: &'a Town<'a>,
    clerk: Client<'a>,
    dice: Dice,
}

/// What waits for a person.
struct Waits {
    reviews: Vec<OrderId>,
    by_hand: Vec<RefundId>,
    cases: Vec<(AfterSaleId, String)>,
    parcels: Vec<ShipmentId>,
    returned: Vec<OrderId>,
}

impl Waits {
    fn is_empty(&self) -> bool {
        let Self { reviews, by_hand, cases, parcels, returned: _ } = self;
        [reviews.len(), by_hand.len(), cases.len(), parcels.len()] == [0; 4]
    }
}

impl<'a> Evening<'a> {
    fn new(town: &'a Town<'a>, staff: &Staff) -> Self {
        let clerk = Client::new(town, Who::Account(staff.account, staff.role), "the last clerk");
        Self { town, clerk, dice: town.dice("the evening") }
    }

    /// Everything that waits for a person is done, and everything that waits for time has had it.
    async fn finish(&self) {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            self.town.world.settle().await;
            let waits = self.waits().await;
            quiet = if waits.is_empty() { quiet + 1 } else { 0 };
            // The longest that anything waits for by itself is an hour and a half.
            if quiet > 3 {
                return;
            }
            self.round(waits).await;
            self.town.pass(Duration::from_secs(1_800)).await;
        }
        panic!("there is always something that waits for a person");
    }

    async fn round(&self, waits: Waits) {
        for order in waits.reviews.iter().chain(&waits.returned) {
            let _ = living::settle(&self.clerk, &self.dice, &order.to_string()).await;
        }
        for refund in &waits.by_hand {
            let body = json!({"reference": "a transfer", "reason": "paid back by the bank"});
            self.clerk.post(format!("/v1/payment-refunds/{refund}/confirmation"), body).await;
        }
        for (case, status) in &waits.cases {
            let _ = self.case(&case.to_string(), status).await;
        }
        for parcel in &waits.parcels {
            let _ = living::dispatch(&self.clerk, &parcel.to_string()).await;
        }
    }

    async fn case(&self, case: &str, status: &str) -> Option<()> {
        let path = format!("/v1/admin/after-sales/{case}");
        match status {
            "requested" if self.dice.one_in(4) => {
                self.clerk.post(format!("{path}/refusal"), json!({"reason": "as described"})).await?
            }
            "requested" => self.clerk.post(format!("{path}/approval"), json!({})).await?,
            // Some never send it.
            "approved" if self.dice.one_in(3) => return None,
            "approved" | "sent" => {
                let seen = self.clerk.get(path).await?;
                let line = |line: &serde_json::Value| {
                    Some((line["sku"].as_str()?.to_owned(), line["asked"].as_i64()?))
                };
                let lines: Vec<_> = seen.body["lines"].as_array()?.iter().filter_map(line).collect();
                living::arrive(&self.clerk, &self.dice, case, &lines).await?
            }
            _ => living::inspect(&self.clerk, &self.dice, case).await?,
        };
        Some(())
    }

    async fn waits(&self) -> Waits {
        const REVIEWS: &str = "SELECT order_id FROM ordering_orders
            WHERE order_axis = 'awaiting_payment' AND payment_axis = 'quarantined' ORDER BY order_id";
        const BY_HAND: &str =
            "SELECT refund_id FROM payment_offline_refunds WHERE confirmed_at IS NULL ORDER BY refund_id";
        const PARCELS: &str =
            "SELECT shipment FROM shipping_shipments WHERE status = 'open' ORDER BY shipment";
        const RETURNED: &str = "SELECT DISTINCT s.order_id FROM shipping_shipments s
            JOIN ordering_orders o ON o.order_id = s.order_id
            WHERE s.returned_at IS NOT NULL AND o.order_axis = 'confirmed' ORDER BY s.order_id";
        const CASES: &str = "SELECT case_id, status FROM aftersale_cases
            WHERE status IN ('requested', 'approved', 'sent', 'received') ORDER BY case_id";
        let db = &self.town.world.shop.deps.db;
        let case = |row: &merx_sql::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let cases = db.read("test.waits", move |q| q.query(CASES, params![], case)).await.told();
        Waits {
            reviews: self.ids(REVIEWS).await,
            by_hand: self.ids(BY_HAND).await,
            cases,
            parcels: self.ids(PARCELS).await,
            returned: self.ids(RETURNED).await,
        }
    }

    async fn ids<K: IdKind>(&self, sql: &'static str) -> Vec<Id<K>> {
        let read = move |q: &mut merx_sql::Reader<'_>| q.query(sql, params![], |row| row.get::<Id<K>>(0));
        self.town.world.shop.deps.db.read("test.waits", read).await.told()
    }
}
