//! Is logged in at ten places, ends some of them, and keeps the others fresh: what was ended is over at once, and a
//! token that was used up ends its whole session.

use serde_json::json;

use crate::{
    people::{Ask, Client, Shopper, Town, Who},
    world::{PASSWORD, email},
};

/// One log-in.
struct Place<'a> {
    client: Client<'a>,
    session: String,
    refresh: String,
}

const OVER: &[&str] = &["request.token_revoked", "request.token_expired"];

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let shopper = Shopper::member(town, name).await?;
    let mut places = Vec::new();
    for number in 0..2 + shopper.client.dice.below(9) {
        let door = shopper.client.elsewhere(Who::Nobody, &format!("at place {number}"));
        let body = json!({"email": email(shopper.account), "password": PASSWORD});
        let entered = door.post("/v1/sessions", body).await?;
        if entered.status != 201 {
            continue;
        }
        let client =
            shopper.client.elsewhere(Who::Bearer(entered.text_at("/access_token")), &format!("in {number}"));
        let (session, refresh) = (entered.text_at("/session_id"), entered.text_at("/refresh_token"));
        places.push(Place { client, session, refresh });
    }
    let listed = places.first()?.client.get("/v1/sessions").await?;
    let ids: Vec<&str> =
        listed.body["items"].as_array()?.iter().filter_map(|item| item["id"].as_str()).collect();
    assert!(places.iter().all(|place| ids.contains(&place.session.as_str())), "{}", listed.text);
    end_one(&mut places).await?;
    refresh_one(&shopper, &mut places).await?;
    end_the_rest(&shopper, places).await
}

/// Ends one from another.
async fn end_one(places: &mut Vec<Place<'_>>) -> Option<()> {
    if places.len() < 2 {
        return Some(());
    }
    let gone = places.pop()?;
    let path = format!("/v1/sessions/{}", gone.session);
    places[0].client.ask(Ask::delete(path).only(&["204"])).await?;
    gone.client.ask(Ask::get("/v1/me").only(OVER)).await?;
    let refresh = json!({"refresh_token": gone.refresh});
    let refused = &["accounts.refresh_token_invalid", "accounts.refresh_token_reused"];
    gone.client
        .elsewhere(Who::Nobody, "tries")
        .ask(Ask::post("/v1/sessions/refresh", refresh).only(refused))
        .await?;
    Some(())
}

/// Refreshes one; then its first token is used by somebody who has stolen it.
async fn refresh_one(shopper: &Shopper<'_>, places: &mut Vec<Place<'_>>) -> Option<()> {
    let Some(mut place) = places.pop() else { return Some(()) };
    let door = shopper.client.elsewhere(Who::Nobody, "keeps fresh");
    let path = "/v1/sessions/refresh";
    let fresh = door.post(path, json!({"refresh_token": place.refresh})).await?;
    if fresh.status != 200 {
        // An answer that was lost: the token is used up, and so is the session.
        return Some(());
    }
    place.client.who = Who::Bearer(fresh.text_at("/access_token"));
    place.client.ask(Ask::get("/v1/me").only(&["200"])).await?;
    if shopper.one_in(2) {
        let refused = &["accounts.refresh_token_reused", "accounts.refresh_token_invalid"];
        door.ask(Ask::post(path, json!({"refresh_token": place.refresh})).only(refused)).await?;
        place.client.ask(Ask::get("/v1/me").only(OVER)).await?;
        let newer = json!({"refresh_token": fresh.text_at("/refresh_token")});
        door.ask(Ask::post(path, newer).only(refused)).await?;
        return Some(());
    }
    place.refresh = fresh.text_at("/refresh_token");
    places.push(place);
    Some(())
}

/// All others, or by a new password all others.
async fn end_the_rest(shopper: &Shopper<'_>, places: Vec<Place<'_>>) -> Option<()> {
    let Some((here, others)) = places.split_first() else { return Some(()) };
    // A new password is real work: few do it.
    let way = if shopper.one_in(8) {
        Ask::put(
            "/v1/account/password",
            json!({"password": PASSWORD, "new_password": "another horse battery"}),
        )
    } else {
        Ask::delete("/v1/sessions/elsewhere")
    };
    let ended = here.client.ask(way).await?;
    if ended.status != 204 {
        return Some(());
    }
    for other in others {
        other.client.ask(Ask::get("/v1/me").only(OVER)).await?;
    }
    here.client.ask(Ask::get("/v1/me").only(&["200"])).await?;
    here.client.ask(Ask::delete("/v1/sessions/current").only(&["204"]).later(OVER)).await?;
    here.client.ask(Ask::get("/v1/me").only(OVER)).await.map(drop)
}
