//! Addresses over HTTP.

use merx_sql::{Query, params};
use serde_json::{Value, json};

use crate::kit::{World, delete, get, post, put};

fn shenzhen() -> Value {
    json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区科技园南路1号", "line2": "3栋502",
        "postcode": "518000", "recipient": "王小明", "phone": "138 0013 8000",
    })
}
fn with(name: &str, value: Value) -> Value {
    let mut form = shenzhen();
    form[name] = value;
    form
}
async fn add(world: &World, tokens: &Value, key: &str, form: Value) -> String {
    let made = world.ask(post("/v1/addresses", form).token(tokens).key(key)).await.is(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn an_address_is_added_listed_edited_and_deleted() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let old = add(&world, &me, "k1", shenzhen()).await;
    let path = format!("/v1/addresses/{old}");
    let seen = world.ask(get(&path).token(&me)).await.is(200);
    assert_eq!(seen["address"]["phone"], "13800138000");
    assert_eq!(
        seen["label"],
        json!(["518000 CN", "广东省 深圳市 南山区科技园南路1号 3栋502", "王小明 13800138000"])
    );
    let new = world.ask(put(&path, with("recipient", json!("李雷"))).token(&me)).await.is(200);
    let new = new["id"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    let before = world.ask(get(&path).token(&me)).await.is(200);
    assert_eq!(
        (before["address"]["recipient"].as_str(), before["retired"].as_bool()),
        (Some("王小明"), Some(true))
    );
    assert_eq!(before["replaced_by"], new);
    let list = world.ask(get("/v1/addresses").token(&me)).await.is(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["id"], new);
    // The repetition of an edit answers what the edit did.
    let again = world.ask(put(&path, with("recipient", json!("李雷"))).token(&me)).await.is(200);
    assert_eq!(again["id"], new);
    world
        .ask(put(&path, with("recipient", json!("韩梅梅"))).token(&me))
        .await
        .is_problem(409, "accounts.address_retired");
    let same = world
        .ask(put(format!("/v1/addresses/{new}"), with("recipient", json!("李雷"))).token(&me))
        .await
        .is(200);
    assert_eq!(same["id"], new, "nothing changed, so no new version");
    for _ in 0..2 {
        world.ask(delete(format!("/v1/addresses/{new}")).token(&me)).await.is(204);
    }
    let list = world.ask(get("/v1/addresses").token(&me)).await.is(200);
    assert_eq!(list["items"], json!([]));
}

async fn the_same_key_adds_one_address_and_keeps_nothing_personal() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let asked = (0..20).map(|_| world.ask(post("/v1/addresses", shenzhen()).token(&me).key("k1")));
    let replies = futures_util::future::join_all(asked).await;
    let first = replies[0].json["id"].clone();
    assert!(replies.iter().all(|r| r.status == 201 && r.json["id"] == first));
    let list = world.ask(get("/v1/addresses").token(&me)).await.is(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let other = world.ask(post("/v1/addresses", with("line2", json!("x"))).token(&me).key("k1")).await;
    other.is_problem(422, "request.idempotency_key_reused");
    let kept = |q: &mut merx_sql::Reader<'_>| {
        q.query("SELECT body FROM accounts_idempotency", params![], |r| r.get::<String>(0))
    };
    let kept = world.deps.db.read("test.kept", kept).await.unwrap();
    assert_eq!(kept, [format!("{{\"id\":{first}}}")]);
}

async fn fifty_addresses_are_the_most() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let mut last = String::new();
    for number in 0..50 {
        last = add(&world, &me, &format!("k{number}"), shenzhen()).await;
    }
    let full = world.ask(post("/v1/addresses", shenzhen()).token(&me).key("k50")).await;
    full.is_problem(409, "accounts.address_limit");
    world.ask(put(format!("/v1/addresses/{last}"), with("line2", json!("x"))).token(&me)).await.is(200);
    let full = world.ask(post("/v1/addresses", shenzhen()).token(&me).key("k50")).await;
    full.is_problem(409, "accounts.address_limit");
    let list = world.ask(get("/v1/addresses").token(&me)).await.is(200);
    let one = list["items"][7]["id"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        world.ask(delete(format!("/v1/addresses/{one}")).token(&me)).await.is(204);
    }
    add(&world, &me, "k50", shenzhen()).await;
    world.ask(post("/v1/addresses", shenzhen()).token(&me).key("k51")).await.is(409);
}

async fn a_foreign_address_is_as_absent_as_none() {
    let world = World::new().await;
    let (mine, theirs) = (world.customer("a@example.com").await, world.customer("b@example.com").await);
    let id = add(&world, &theirs, "k1", shenzhen()).await;
    for path in [format!("/v1/addresses/{id}"), "/v1/addresses/adr_00000000000000000000000001".to_owned()] {
        for asked in [get(&path), put(&path, with("line2", json!("x"))), delete(&path)] {
            world.ask(asked.token(&mine)).await.is_problem(404, "accounts.address_not_found");
        }
    }
    assert_eq!(world.ask(get(format!("/v1/addresses/{id}")).token(&theirs)).await.is(200)["retired"], false);
    let list = world.ask(get("/v1/addresses").token(&mine)).await.is(200);
    assert_eq!(list["items"], json!([]));
}

async fn wrong_addresses_are_named_property_by_property() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let mut all_wrong = shenzhen();
    for name in ["region", "city"] {
        all_wrong.as_object_mut().unwrap().remove(name);
    }
    all_wrong["postcode"] = json!("51800");
    all_wrong["phone"] = json!("12345678901");
    let reply = world.ask(post("/v1/addresses", all_wrong).token(&me).key("k")).await;
    reply.is_problem(400, "request.invalid");
    assert_eq!(reply.pointers(), ["/region", "/city", "/postcode", "/phone"]);
    for (name, value) in [
        ("country", json!("XX")),
        ("country", json!("中国")),
        ("line1", json!("")),
        ("line1", json!("x".repeat(201))),
        ("recipient", json!("a\u{0}b")),
        ("phone", json!("call me")),
        ("postcode", json!("<script>")),
        ("account_id", json!("acc_00000000000000000000000001")),
        ("retired", json!(true)),
        ("id", json!("adr_00000000000000000000000001")),
    ] {
        let reply = world.ask(post("/v1/addresses", with(name, value)).token(&me).key("k")).await;
        reply.is_problem(400, "request.invalid");
        assert_eq!(reply.pointers(), [format!("/{name}")]);
    }
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("addresses": ; waiting an_address_is_added_listed_edited_and_deleted, the_same_key_adds_one_address_and_keeps_nothing_personal, fifty_addresses_are_the_most, a_foreign_address_is_as_absent_as_none, wrong_addresses_are_named_property_by_property)
}
