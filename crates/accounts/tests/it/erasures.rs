//! Erasing a person, and that a restore does not bring one back.

use std::sync::Arc;

use merx_accounts::{
    ErasureLog, Settings, State,
    commands::erase_person::{reapply_erasures, reconcile_erasures},
};
use merx_contracts::accounts::v1::{AddressRequest, ContactRequest};
use merx_kernel::{Role, Secret};
use merx_sql::{Query as _, params};
use serde_json::{Value, json};

use crate::{
    kit::{PASSWORD, World, get, post, put},
    modes::on_every_mode,
};

const NAME: &str = "王小明";

async fn somebody(world: &World) -> (Value, String) {
    let me = world.customer("a@example.com").await;
    let form = json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区1号", "recipient": NAME,
        "phone": "13800138000",
    });
    let made = world.ask(post("/v1/addresses", form).token(&me).key("a")).await.is(201);
    let key = json!({ "name": "mine", "scopes": ["shop"] });
    world.ask(post("/v1/api-keys", key).token(&me).key("k")).await.is(201);
    (me, made["id"].as_str().unwrap().to_owned())
}

/// Whatever is in the tables about people.
async fn everything(world: &World) -> String {
    let read = |q: &mut merx_sql::Reader<'_>| {
        let mut all = String::new();
        for (sql, columns) in [
            ("SELECT email, name, contact_email, password_hash FROM accounts_accounts", 4),
            ("SELECT region, city, line1, line2, postcode, recipient, phone FROM accounts_addresses", 7),
            ("SELECT client FROM accounts_sessions", 1),
            ("SELECT name FROM accounts_api_keys", 1),
            ("SELECT envelope FROM accounts_outbox", 1),
        ] {
            for row in q.query(sql, params![], |row| (0..columns).map(|n| row.get::<String>(n)).collect())? {
                let row: Vec<String> = row;
                all.push_str(&row.join("\n"));
            }
        }
        let bodies =
            q.query("SELECT body FROM accounts_idempotency", params![], |r| r.get::<Option<String>>(0))?;
        all.push_str(&format!("{bodies:?}"));
        Ok(all)
    };
    world.deps.db.read("test.everything", read).await.unwrap()
}

async fn is_gone(world: &World, me: &Value, address: &str) {
    let all = everything(world).await;
    for trace in [NAME, "a@example.com", "13800138000", "南山区", "argon2", "mine"] {
        assert!(!all.contains(trace), "{trace} is left");
    }
    let account_id = me["account_id"].as_str().unwrap().to_owned();
    let ask = ContactRequest { account_id: account_id.clone(), with_guest_token: true };
    let contact = world.asks().contact(ask).await.unwrap().into_inner();
    assert!(contact.erased && contact.email.is_empty() && contact.name.is_empty());
    let ask = AddressRequest { address_id: address.to_owned(), account_id };
    let shown = world.asks().address(ask).await.unwrap().into_inner();
    assert!(shown.erased && shown.retired && shown.recipient.is_empty() && shown.country.is_empty());
}

async fn a_person_is_erased(world: Arc<World>) {
    let (me, address) = somebody(&world).await;
    let erase = |body: Value| post("/v1/account/erasure", body).token(&me);
    world.ask(erase(json!({}))).await.is_problem(400, "request.invalid");
    world.ask(erase(json!({ "password": "wrong" }))).await.is_problem(403, "accounts.password_wrong");
    assert!(world.facts_of("accounts.person_erased.v1").await.is_empty());
    world.ask(erase(json!({ "password": PASSWORD }))).await.is(204);
    is_gone(&world, &me, &address).await;
    world.ask(get("/v1/me").token(&me)).await.is_problem(401, "request.token_revoked");
    let refresh = json!({ "refresh_token": me["refresh_token"] });
    world.ask(post("/v1/sessions/refresh", refresh)).await.is_problem(401, "accounts.refresh_token_invalid");
    world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is_problem(401, "accounts.credentials_wrong");
    let told = world.facts_of("accounts.person_erased.v1").await;
    assert_eq!(told, [json!({ "account_id": me["account_id"] })]);
    // The address is free again, for somebody else.
    world.customer("a@example.com").await;
}

async fn staff_erase_a_customer_once() {
    let world = World::new().await;
    let support = world.staff("s@example.com", &[Role::Support]).await;
    let (me, address) = somebody(&world).await;
    let path = format!("/v1/admin/accounts/{}/erasure", me["account_id"].as_str().unwrap());
    let ask = |key: &str| post(&path, json!({ "reason": "letter of 3 May" })).token(&support).key(key);
    world.ask(ask("k")).await.is(200);
    assert_eq!(world.ask(ask("k")).await.is(200)["id"], me["account_id"]);
    world.ask(ask("other")).await.is_problem(404, "accounts.account_not_found");
    let told = world.facts().await;
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "accounts.person_erased.v1").count(), 1, "{kinds:?}");
    let acts = world.facts_of("accounts.staff_acted.v1").await;
    assert_eq!(acts[0]["reason"], "letter of 3 May");
    // Nobody of the erased is in what is left; staff still are.
    world.log_in("a@example.com", PASSWORD, "192.0.2.1").await.is(401);
    let gone = everything(&world).await;
    assert!(!gone.contains("13800138000"), "{address}");
}

async fn a_guest_needs_no_password_to_be_erased() {
    let world = World::new().await;
    let guest = world.ask(post("/v1/guests", json!({}))).await.is(201);
    let account_id = guest["account_id"].as_str().unwrap().to_owned();
    let ask = ContactRequest { account_id, with_guest_token: true };
    let token = world.asks().contact(ask).await.unwrap().into_inner().guest_token;
    world.ask(post("/v1/account/erasure", json!({})).token(&guest)).await.is(204);
    world.ask(get("/v1/me").token(&guest)).await.is_problem(401, "request.token_revoked");
    let enter = post("/v1/guests/sessions", json!({ "token": token }));
    world.ask(enter).await.is_problem(401, "accounts.guest_token_invalid");
}

/// A request that came in before the erasure, or at another server that has not heard of it yet.
async fn what_comes_late_brings_nothing_back(world: Arc<World>) {
    let (me, address) = somebody(&world).await;
    let beside = world.restarted().await;
    world.ask(post("/v1/account/erasure", json!({ "password": PASSWORD })).token(&me)).await.is(204);
    let form = json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区1号", "recipient": NAME,
        "phone": "13800138000",
    });
    let late = [
        post("/v1/addresses", form.clone()).key("late"),
        put(format!("/v1/addresses/{address}"), form),
        put("/v1/account", json!({ "name": NAME, "locale": "en" })).version(1),
        post("/v1/api-keys", json!({ "name": "mine", "scopes": ["shop"] })).key("late"),
    ];
    for ask in late {
        let reply = beside.ask(ask.token(&me)).await;
        assert!(reply.status.is_client_error(), "{} {}", reply.status, reply.json);
    }
    is_gone(&world, &me, &address).await;
}

async fn the_list_outlives_the_database(world: Arc<World>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("erasures.log");
    let (me, address) = somebody(&world).await;
    world.state.keep_erasures_in(&file);
    world.ask(post("/v1/account/erasure", json!({ "password": PASSWORD })).token(&me)).await.is(204);
    let log = ErasureLog::new(&file);
    let written = log.read().unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].0.to_string(), me["account_id"].as_str().unwrap());
    assert_eq!(reconcile_erasures(&world.state).await.unwrap(), 0);

    // A back-up from before the erasure is put in the place of the database.
    world.sql("DELETE FROM accounts_erasures").await;
    world
        .sql("UPDATE accounts_accounts SET email = 'a@example.com', name = '王小明', status = 'active', roles = 'customer'")
        .await;
    world.sql("UPDATE accounts_addresses SET recipient = '王小明', line1 = '南山区1号', erased = 0").await;
    assert_eq!(reapply_erasures(&world.deps.db, &world.deps.ids, &file).await.unwrap(), 1);
    assert_eq!(reapply_erasures(&world.deps.db, &world.deps.ids, &file).await.unwrap(), 0);
    is_gone(&world, &me, &address).await;
    assert_eq!(world.facts_of("accounts.person_erased.v1").await.len(), 2, "the others are told again");

    // A start does the same by itself.
    world.sql("DELETE FROM accounts_erasures").await;
    world.sql("UPDATE accounts_accounts SET name = '王小明', status = 'active'").await;
    let state = State::new(
        &merx_platform::Deps { metrics: merx_platform::telemetry::Metrics::new(), ..world.deps.clone() },
        Settings::default(),
        &Secret::new(vec![5; 32]),
    )
    .unwrap();
    state.keep_erasures_in(&file);
    let started = world.started(state).await;
    is_gone(&started, &me, &address).await;
    // And a crash between the commit and the line is made good by it.
    std::fs::remove_file(&file).unwrap();
    reconcile_erasures(&world.state).await.unwrap();
    assert_eq!(log.read().unwrap(), written);
}

fn a_line_that_was_not_written_whole_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("erasures.log");
    let log = ErasureLog::new(&file);
    assert_eq!(log.read().unwrap(), []);
    let someone = |n: u128| (merx_kernel::Id::from_bits(n), crate::kit::START);
    log.append(&[]).unwrap();
    assert!(!file.exists());
    log.append(&[someone(1), someone(2)]).unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    for cut in 1..=20 {
        std::fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(log.read().unwrap(), [someone(1)], "{cut}");
        log.append(&[someone(3)]).unwrap();
        assert_eq!(log.read().unwrap(), [someone(1), someone(3)], "{cut}");
    }
    std::fs::write(&file, format!("rubbish\n{whole}")).unwrap();
    let error = log.read().unwrap_err();
    assert_eq!(error.code(), "accounts.erasure_log_unusable");
    assert!(error.message().contains("line 1"), "{}", error.message());
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let mut trials = crate::trials!("erasures": a_line_that_was_not_written_whole_is_passed_over; waiting
        staff_erase_a_customer_once, a_guest_needs_no_password_to_be_erased);
    trials.extend(on_every_mode("erasures: a person is erased", a_person_is_erased));
    trials.extend(on_every_mode(
        "erasures: what comes late brings nothing back",
        what_comes_late_brings_nothing_back,
    ));
    trials.extend(on_every_mode("erasures: the list outlives the database", the_list_outlives_the_database));
    trials
}
