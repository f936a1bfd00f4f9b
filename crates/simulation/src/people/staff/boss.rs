//! Invites people and closes their accounts, gives them other work, makes keys and takes them back: what was taken back
//! is good for nothing at once.

use std::time::Duration;

use serde_json::json;

use super::replace;
use crate::{
    people::{Ask, Client, Who, promises::has},
    world::PASSWORD,
};

/// What a closed account is told.
const OUT: &[&str] = &["request.unauthenticated", "request.token_revoked", "request.forbidden"];

pub async fn act(boss: &Client<'_>) -> Option<()> {
    match boss.dice.below(5) {
        0 | 1 => invite(boss).await,
        2 | 3 => key(boss).await,
        _ => {
            let seen = boss.get("/v1/admin/audit?limit=50").await?;
            let items = seen.body["items"].as_array()?;
            let linked = items.windows(2).all(|pair| pair[0]["prev_hash"] == pair[1]["hash"]);
            assert!(linked, "the record of the staff is no chain: {}", seen.text);
            Some(())
        }
    }
}

/// Somebody new, who does something else soon, and leaves.
async fn invite(boss: &Client<'_>) -> Option<()> {
    let email = format!("new-{}@shop.test", boss.dice.below(1_000_000));
    let body = json!({"email": email, "name": "Li", "roles": ["support"], "reason": "there is much to do"});
    let made = boss.post("/v1/staff", body).await?;
    if made.status != 201 {
        return Some(());
    }
    boss.town.has_invited(&email);
    let id = made.text_at("/id");
    let path = format!("/v1/staff/{id}");
    let other = json!({"roles": ["warehouse"], "reason": "nobody packs"});
    replace(boss, &path, Ask::put(format!("{path}/roles"), other)).await?;
    if boss.dice.one_in(3) {
        boss.post(format!("{path}/invitation"), json!({"reason": "the mail was lost"})).await?;
    }
    // The mail with the code is on its way.
    boss.town.pass(Duration::from_secs(5) + boss.dice.span(120_000)).await;
    let newcomer = join(boss, &email).await;
    if let Some(newcomer) = &newcomer {
        newcomer.ask(Ask::get("/v1/shipments").only(&["200"])).await?;
    }
    if boss.dice.one_in(2) {
        let closed = json!({"status": "deactivated", "reason": "left us"});
        let closed = replace(boss, &path, Ask::put(format!("{path}/status"), closed)).await?;
        if closed.status == 200 {
            if let Some(newcomer) = newcomer {
                newcomer.ask(Ask::get("/v1/shipments").only(OUT)).await?;
            }
            boss.was_promised("a closed account", path, |seen| seen.text_at("/status") == "deactivated");
        }
    }
    Some(())
}

/// Who was invited sets a password by the code in the mail, and logs in.
async fn join<'a>(boss: &Client<'a>, email: &str) -> Option<Client<'a>> {
    let letters = boss.town.world.letters(email);
    let is_code = |word: &&str| word.len() == 9 && word.find('-') == Some(4) && word.to_uppercase() == **word;
    let code = letters
        .last()?
        .text
        .split(|c: char| c.is_whitespace() || ".,:;".contains(c))
        .find(is_code)?
        .to_owned();
    let door = boss.elsewhere(Who::Nobody, "and a newcomer");
    let accepted = json!({"email": email, "code": code, "password": PASSWORD});
    door.ask(Ask::post("/v1/invitations/acceptance", accepted)).await?;
    let entered = door.post("/v1/sessions", json!({"email": email, "password": PASSWORD})).await?;
    if entered.status != 201 {
        // Somebody has guessed until the code was dead.
        return None;
    }
    boss.town.tally.count("a newcomer is in", 1);
    Some(boss.elsewhere(Who::Bearer(entered.text_at("/access_token")), "as a newcomer"))
}

/// A key for a program, which is used, taken back, and then good for nothing.
async fn key(boss: &Client<'_>) -> Option<()> {
    let made = boss.post("/v1/api-keys", json!({"name": "a program", "scopes": ["orders_read"]})).await?;
    if made.status != 201 {
        return Some(());
    }
    let id = made.text_at("/id");
    let secret = made.text_at("/secret");
    if !secret.is_empty() {
        let program = boss.elsewhere(Who::Bearer(secret), "by a program");
        program.ask(Ask::get("/v1/admin/orders").only(&["200"])).await?;
        program.ask(Ask::get("/v1/staff").only(&["request.forbidden", "request.session_required"])).await?;
        let revoked = boss.ask(Ask::delete(format!("/v1/api-keys/{id}"))).await?;
        if revoked.status == 204 {
            program.ask(Ask::get("/v1/admin/orders").only(&["request.api_key_invalid"])).await?;
            boss.was_promised("a revoked key", "/v1/api-keys", move |seen| !has(seen, "id", &id));
        }
    }
    Some(())
}
