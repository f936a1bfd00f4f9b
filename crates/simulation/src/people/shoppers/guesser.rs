//! Guesses: passwords of a member, codes of somebody invited, tokens of guests. It is never the right one, and never told
//! apart from what is not there.

use serde_json::json;

use crate::{
    people::{Ask, Client, Town, Who},
    world::email,
};

const WRONG: &[&str] = &["accounts.credentials_wrong", "accounts.too_many_logins"];

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let guesser = Client::new(town, Who::Nobody, name);
    let people = town.people();
    let member = guesser.dice.pick(&people).map(|(account, _)| email(*account));
    // Somebody who is not there takes real work to be refused: once is enough.
    if guesser.dice.one_in(4) {
        let body = json!({"email": "nobody@shop.test", "password": "guessed"});
        guesser.ask(Ask::post("/v1/sessions", body).only(WRONG).once()).await?;
    }
    for number in 0..guesser.dice.below(14) {
        let Some(email) = &member else { break };
        let body = json!({"email": email, "password": format!("guessed {number}")});
        guesser.ask(Ask::post("/v1/sessions", body).only(WRONG).once()).await?;
        town.pass(guesser.dice.span(20_000)).await;
    }
    let invited = town.invited();
    for number in 0..7 {
        let Some(email) = guesser.dice.pick(&invited) else { break };
        let body =
            json!({"email": email, "code": format!("ABCD{number:04}"), "password": "correct horse battery"});
        let only = &["accounts.code_wrong", "accounts.too_many_logins", "request.invalid"];
        guesser.ask(Ask::post("/v1/invitations/acceptance", body).only(only).once()).await?;
    }
    for number in 0..3 {
        let body = json!({"token": format!("mgt_{number:026}")});
        let only = &["accounts.guest_token_invalid", "accounts.too_many_logins", "request.invalid"];
        guesser.ask(Ask::post("/v1/guests/sessions", body).only(only).once()).await?;
    }
    let bearer = guesser.elsewhere(Who::Bearer("merx_0000000000".to_owned()), "with a key");
    let only = &["request.api_key_invalid", "request.token_invalid", "request.unauthenticated"];
    bearer.ask(Ask::get("/v1/orders").only(only).once()).await.map(drop)
}
