//! What runs from seeds have found, each told again as a story of its own, with the seed that found it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use merx_kernel::Role;
use merx_platform::faults::{Faults, Point, Seam};
use merx_server::shop::Topology;
use serde_json::json;

use merx_simulation::{
    faults::{DB_AFTER, Plan},
    run::live_twice,
    scenarios::day::Day,
    world::{Ground, PASSWORD, TEA, World, email},
};

/// Whole days that failed once, with all that goes wrong in them:
/// - 14: the clock was set back, and the limiter of requests let nobody in until it had caught up;
/// - 209: a fact failed, and so did the write that would have held it; its row was there, and stayed for ever;
/// - 1142 and 1165: the commit that ended sessions was in doubt, and their tokens were good for ten minutes more;
/// - 1013: somebody looked for the payment of another's order that had come to nothing before it had one.
#[test]
fn days_that_failed_once_do_not_fail_again() {
    let day = Day::default();
    for seed in [14, 209, 1013, 1142, 1165] {
        let lived = live_twice(seed, &Plan::of(seed), &|world| day.live(world));
        assert!(lived.is_ok(), "seed {seed}: {}", lived.expect_err("it failed"));
    }
}

/// `--scenario day --first 1142`: the commit that ended all other sessions was in doubt; the second request found nothing
/// left to end, and their tokens were good for ten minutes more.
#[tokio::test(start_paused = true)]
async fn sessions_that_ended_in_doubt_are_over_all_the_same() {
    let plan = Plan { active: [DB_AFTER].into(), ..Plan::default() };
    let world = World::on(Ground::planned(1, plan), Topology::Local, |_| {}).await;
    let ask = async |method: &str, path: &str, token: &str| {
        let asked = Request::builder().method(method).uri(path);
        let asked = asked.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
        world.knock(asked).await.unwrap()
    };
    let mut in_doubt = 0;
    for _ in 0..40 {
        let (account, _) = world.account(Role::Customer).await;
        let log_in = json!({"email": email(account), "password": PASSWORD});
        let here = world.api.post("/v1/sessions", log_in.clone()).await.expect(201).text_at("/access_token");
        let there = world.api.post("/v1/sessions", log_in).await.expect(201).text_at("/access_token");
        world.faults.wake(true);
        while ask("DELETE", "/v1/sessions/elsewhere", &here).await.status != 204 {
            in_doubt += 1;
        }
        world.faults.wake(false);
        ask("GET", "/v1/me", &there).await.expect_problem(401, "request.token_revoked");
        ask("GET", "/v1/me", &here).await.expect(200);
    }
    assert!(in_doubt > 0, "no commit was in doubt");
    world.finish().await;
}

/// `--scenario day --first 8`: everything of an order was shipped and came back, its money went back and it ended as
/// cancelled; the auditor took its returned parcel for one that had left a cancelled order.
#[tokio::test(start_paused = true)]
async fn an_order_that_came_back_as_a_whole_is_no_violation_when_its_money_goes_back() {
    let world = World::new().await;
    let buyer = world.buyer().await;
    let order = buyer.order(&[(TEA, 1)]).await;
    buyer.pay(&world, &order).await;
    world.ship(&order).await;
    let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
    world.track(&shipment, "returned").await.expect(200);
    world.settle().await;
    let support = world.staff(Role::Operator).await;
    let settlement = format!("/v1/orders/{}/settlement", order.id);
    support.post(&settlement, json!({"decision": "refund", "reason": "it came back"})).await.expect(200);
    world.settle().await;
    let seen = buyer.look(&order).await;
    assert_eq!((&seen["axes"]["order"], &seen["amounts"]["paid"]["minor"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    // The audit is clean.
    world.finish().await;
}

/// `MERX_SEED=4` of the lives: all of an order's money went back for a case, then its parcel came back, and nobody could end
/// it any more; nor could its buyer while nothing of it had left.
#[tokio::test(start_paused = true)]
async fn an_order_of_which_all_went_back_after_the_sale_can_still_end() {
    let world = World::new().await;
    let staff = world.staff(Role::Operator).await;
    for has_left in [false, true] {
        let buyer = world.buyer().await;
        let order = buyer.order(&[(TEA, 1)]).await;
        buyer.pay(&world, &order).await;
        let asked = json!({"kind": "refund", "reason": "damaged", "lines": [{"sku": TEA, "quantity": 1}]});
        let case = buyer.api.post(&format!("/v1/orders/{}/after-sales", order.id), asked).await.expect(201);
        let freight = buyer.look(&order).await["amounts"]["freight"].clone();
        let path = format!("/v1/admin/after-sales/{}/approval", case.text_at("/id"));
        staff.post(&path, json!({ "freight": freight })).await.expect(200);
        world.settle().await;
        assert_eq!(buyer.look(&order).await["axes"]["payment"], "refunded");
        if has_left {
            world.ship(&order).await;
            let shipment = world.shipments(&order).await[0]["id"].as_str().unwrap().to_owned();
            world.track(&shipment, "returned").await.expect(200);
            world.settle().await;
            let settlement = format!("/v1/orders/{}/settlement", order.id);
            staff
                .post(&settlement, json!({"decision": "refund", "reason": "it came back"}))
                .await
                .expect(200);
        } else {
            buyer.cancel(&order).await.expect(200);
        }
        world.settle().await;
        let axes = &buyer.look(&order).await["axes"];
        assert_eq!((&axes["order"], &axes["payment"]), (&json!("cancelled"), &json!("refunded")), "{axes}");
        assert_eq!(world.stock(TEA).await, [10, 0, 0]);
    }
    world.finish().await;
}

/// Whoever asks ordering is not answered while it strikes.
#[derive(Default)]
struct Unanswered(AtomicBool);

impl Faults for Unanswered {
    fn strikes(&self, point: Point, of: &str) -> bool {
        point == Point::CallAnswerLost && of == "ordering" && self.0.load(SeqCst)
    }
    fn amount(&self, _: Point, _: u64) -> u64 {
        0
    }
}

/// `MERX_SEED=97` of the lives: ordering set the money of a case aside, and its answer was lost. Meanwhile the order was
/// ended and all of its money went back; the case was told of its part before it knew that it was its own, and waited for it
/// for ever.
#[tokio::test(start_paused = true)]
async fn a_case_whose_money_went_back_before_it_knew_of_it_ends() {
    let mut ground = Ground::virtual_time(1);
    let unanswered = Arc::new(Unanswered::default());
    ground.deps.faults = Seam::to(unanswered.clone());
    let world = World::on(ground, Topology::Local, |_| {}).await;
    let (buyer, staff) = (world.buyer().await, world.staff(Role::Operator).await);
    let order = buyer.order(&[(TEA, 2)]).await;
    buyer.pay(&world, &order).await;
    let asked = json!({"kind": "refund", "reason": "damaged", "lines": [{"sku": TEA, "quantity": 1}]});
    let case = buyer.api.post(&format!("/v1/orders/{}/after-sales", order.id), asked).await.expect(201);
    unanswered.0.store(true, SeqCst);
    let path = format!("/v1/admin/after-sales/{}/approval", case.text_at("/id"));
    staff.post(&path, json!({})).await.expect(200);
    buyer.cancel(&order).await.expect(200);
    world.pass(Duration::from_secs(30)).await;
    assert_eq!(buyer.look(&order).await["axes"]["payment"], "refunded");
    unanswered.0.store(false, SeqCst);
    world.pass(Duration::from_secs(600)).await;
    let case = buyer.api.get(&format!("/v1/after-sales/{}", case.text_at("/id"))).await.expect(200);
    assert_eq!(case.body["status"], "refunded");
    world.finish().await;
}
