//! Who buys without registering.

use std::time::Duration;

use merx_accounts::{Settings, commands::prune::prune};
use merx_contracts::accounts::v1::{ContactReply, ContactRequest};
use serde_json::{Value, json};

use crate::{
    kit::{PASSWORD, World, get, post, put},
    modes::on_every_mode,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn begin(world: &World) -> Value {
    world.ask(post("/v1/guests", json!({ "locale": "en" }))).await.is(201)
}

async fn contact(world: &World, account: &Value, with_guest_token: bool) -> ContactReply {
    let account_id = account.as_str().unwrap().to_owned();
    world.asks().contact(ContactRequest { account_id, with_guest_token }).await.unwrap().into_inner()
}

async fn set_contact(world: &World, guest: &Value, email: &str) -> Value {
    let body = json!({ "email": email, "name": "韩梅梅", "locale": "zh-CN" });
    world.ask(put("/v1/guests/me", body).token(guest)).await.is(200)
}

fn address() -> Value {
    json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区1号", "recipient": "韩梅梅",
        "phone": "13800138000",
    })
}

async fn a_guest_shops_like_a_member() {
    let world = World::new().await;
    let guest = begin(&world).await;
    let me = world.ask(get("/v1/me").token(&guest)).await.is(200);
    assert_eq!((&me["roles"], &me["permissions"]), (&json!(["guest"]), &json!(["shop"])));
    assert_eq!((&me["email"], &me["name"]), (&json!(""), &json!("")));
    world.ask(post("/v1/addresses", address()).token(&guest).key("a")).await.is(201);
    let refreshed =
        world.ask(post("/v1/sessions/refresh", json!({ "refresh_token": guest["refresh_token"] })));
    let guest = refreshed.await.is(200);
    let reply = contact(&world, &guest["account_id"], true).await;
    assert_eq!(
        (reply.email.as_str(), reply.locale.as_str(), reply.guest, reply.erased),
        ("", "en", true, false)
    );
    let view = set_contact(&world, &guest, "H@Example.com").await;
    assert_eq!((&view["email"], &view["kind"]), (&json!("h@example.com"), &json!("guest")));
    let reply = contact(&world, &guest["account_id"], false).await;
    assert_eq!((reply.email.as_str(), reply.name.as_str()), ("h@example.com", "韩梅梅"));
    assert_eq!((reply.locale.as_str(), reply.guest_token.as_str()), ("zh-CN", ""));
    // No name to log in by, not even with an empty password.
    for email in ["h@example.com", "acc_00000000000000000000000001@x.yz"] {
        world.log_in(email, "", "192.0.2.1").await.is_problem(401, "accounts.credentials_wrong");
    }
    let member = world.customer("m@example.com").await;
    let body = json!({ "email": "a@b.cd", "locale": "en" });
    world.ask(put("/v1/guests/me", body).token(&member)).await.is_problem(409, "accounts.not_a_guest");
}

async fn the_mailed_link_leads_to_the_guest_and_to_nobody_else() {
    let world = World::new().await;
    let guest = begin(&world).await;
    let token = contact(&world, &guest["account_id"], true).await.guest_token;
    let enter = |token: &str| post("/v1/guests/sessions", json!({ "token": token }));
    let tokens = world.ask(enter(&token)).await.is(201);
    assert_eq!(tokens["account_id"], guest["account_id"]);
    assert_ne!(tokens["session_id"], guest["session_id"]);
    world.ask(get("/v1/me").token(&tokens)).await.is(200);
    // The same secrets in a process that has just started.
    world.restarted().await.ask(enter(&token)).await.is(201);
    let other = begin(&world).await;
    let theirs = contact(&world, &other["account_id"], true).await.guest_token;
    let mixed = format!("{}{}", &token[..26], &theirs[26..]);
    let mut cut = token.clone();
    cut.pop();
    for wrong in ["", "mgt_", "mgt_AAAA", &mixed, &cut, &format!("{token}A"), &token.to_uppercase()] {
        world.ask(enter(wrong)).await.is_problem(401, "accounts.guest_token_invalid");
    }
    let member = world.customer("m@example.com").await;
    assert_eq!(contact(&world, &member["account_id"], true).await.guest_token, "", "members have none");
}

async fn a_log_in_brings_the_guest_along() {
    let world = World::new().await;
    let member = world.account("m@example.com", &[merx_kernel::Role::Customer]).await;
    let log_in = |guest: &Value, with: &str| {
        post(
            "/v1/sessions",
            json!({ "email": "m@example.com", "password": PASSWORD, "guest_token": guest[with] }),
        )
    };
    let told = async || world.facts_of("accounts.guest_logged_in.v1").await;
    for (n, with) in ["refresh_token", "access_token"].into_iter().enumerate() {
        let guest = begin(&world).await;
        world.ask(log_in(&guest, with)).await.is(201);
        let facts = told().await;
        assert_eq!(facts.len(), n + 1, "{with}");
        let expected = json!({ "guest_id": guest["account_id"], "account_id": member });
        assert!(facts.contains(&expected), "{with}: {facts:?}");
    }
    // A token that is good for nothing is passed over, and a member's is no guest's.
    let other = world.customer("o@example.com").await;
    for token in [json!("mrt_old"), json!(""), other["refresh_token"].clone(), other["access_token"].clone()]
    {
        world.ask(log_in(&json!({ "t": token }), "t")).await.is(201);
    }
    let wrong = json!({ "email": "m@example.com", "password": "wrong", "guest_token": begin(&world).await["refresh_token"] });
    world.ask(post("/v1/sessions", wrong)).await.is(401);
    assert_eq!(told().await.len(), 2);
}

async fn guests_of_one_network_are_limited() {
    let world =
        World::with(Settings { guests_per_minute_max: 6, guest_burst_max: 3, ..Settings::default() }).await;
    for _ in 0..3 {
        begin(&world).await;
    }
    let refused = world.ask(post("/v1/guests", json!({}))).await;
    refused.is_problem(429, "accounts.too_many_guests");
    assert_eq!(refused.headers["retry-after"], "10");
    world.ask(post("/v1/guests", json!({})).from("203.0.113.9")).await.is(201);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("guests": ; waiting a_guest_shops_like_a_member,
        the_mailed_link_leads_to_the_guest_and_to_nobody_else, a_log_in_brings_the_guest_along,
        guests_of_one_network_are_limited);
    trials.extend(on_every_mode("guests: who left nothing is swept", |world| async move {
        let idle = begin(&world).await;
        let (reached, sent) = (begin(&world).await, begin(&world).await);
        set_contact(&world, &reached, "r@example.com").await;
        let made = world.ask(post("/v1/addresses", address()).token(&sent).key("a")).await.is(201);
        let gone = crate::kit::delete(format!("/v1/addresses/{}", made["id"].as_str().unwrap()));
        world.ask(gone.token(&sent)).await.is(204);
        world.pass(29 * DAY).await;
        let late = begin(&world).await;
        world.pass(2 * DAY).await;
        prune(&world.state).await.unwrap();
        let there = async |guest: &Value| {
            let account_id = guest["account_id"].as_str().unwrap().to_owned();
            world.asks().contact(ContactRequest { account_id, with_guest_token: false }).await.is_ok()
        };
        assert_eq!(
            (there(&idle).await, there(&reached).await, there(&sent).await, there(&late).await),
            (false, true, true, true)
        );
        // Who has an open session is looked at again later.
        let again = post("/v1/sessions/refresh", json!({ "refresh_token": late["refresh_token"] }));
        world.ask(again).await.is(200);
        world.pass(28 * DAY + Duration::from_secs(3600)).await;
        prune(&world.state).await.unwrap();
        assert!(there(&late).await);
        world.pass(31 * DAY).await;
        prune(&world.state).await.unwrap();
        assert!(!there(&late).await);
        assert!(there(&reached).await && there(&sent).await);
    }));
    trials
}
