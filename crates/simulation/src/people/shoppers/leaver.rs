//! Takes what the shop knows of him and wants to be forgotten, with an order under way.

use serde_json::json;

use crate::{
    people::{Ask, Shopper, Town, town::PLENTY},
    world::PASSWORD,
};

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let leaver = Shopper::member(town, name).await?;
    let bought = leaver.buy(&[(PLENTY, 1)]).await?;
    leaver.note(&bought.id, "ring at the third floor").await?;
    let till = leaver.at_a_till(&bought).await?;
    if leaver.one_in(2) {
        leaver.pays(&till).await;
    }
    leaver.think().await;
    let export = leaver.client.ask(Ask::post("/v1/account/export", json!({})).only(&["200"])).await?;
    let known: Vec<&str> =
        export.body["addresses"].as_array()?.iter().filter_map(|address| address["id"].as_str()).collect();
    assert!(leaver.addresses.borrow().iter().all(|id| known.contains(&id.as_str())), "{}", export.text);
    let guess = Ask::post("/v1/account/erasure", json!({"password": "somebody's else"})).once();
    leaver.client.ask(guess.only(&["accounts.password_wrong", "accounts.too_many_logins"])).await?;

    // From here on what was promised to him is nobody's.
    town.has_left(leaver.account);
    let gone = &["request.unauthenticated", "request.token_revoked", "accounts.account_not_found"];
    let erased =
        leaver.client.ask(Ask::post("/v1/account/erasure", json!({"password": PASSWORD})).also(gone)).await?;
    if erased.status != 204 && !gone.contains(&erased.code()) {
        return Some(());
    }
    leaver.client.ask(Ask::get("/v1/account").only(gone)).await?;
    // What he left open can be paid all the same.
    if leaver.one_in(2) {
        leaver.pays(&till).await;
    }
    Some(())
}
