//! Registers partners' endpoints, changes their secrets, stops and starts them, tries them, and has things told again.

use serde_json::{Value, json};

use crate::people::{Ask, Client, promises::has};

const ALL: &str = "/v1/admin/webhooks";

pub async fn act(integrator: &Client<'_>) -> Option<()> {
    let listed = integrator.get(format!("{ALL}?limit=50")).await?;
    let hooks: Vec<Value> = listed.body["items"].as_array()?.clone();
    let Some(hook) = integrator.dice.pick(&hooks).filter(|_| !integrator.dice.one_in(4) || hooks.len() > 3)
    else {
        return register(integrator).await;
    };
    let path = format!("{ALL}/{}", hook["id"].as_str()?);
    let why = json!({"reason": "asked for by the partner"});
    match integrator.dice.below(6) {
        0 => integrator.post(format!("{path}/secret-rotation"), why).await.map(drop),
        1 => {
            integrator.post(format!("{path}/disable"), why.clone()).await?;
            integrator.town.pass(integrator.dice.span(120_000)).await;
            integrator.post(format!("{path}/enable"), why).await.map(drop)
        }
        2 => integrator.post(format!("{path}/test"), why).await.map(drop),
        _ => replay(integrator, &path).await,
    }
}

/// Signed in one of two ways. The same endpoint may be registered twice, and is told twice then.
async fn register(integrator: &Client<'_>) -> Option<()> {
    let signature = if integrator.dice.one_in(2) { "hmac" } else { "ed25519" };
    let url = format!("https://partner-{}.example.com/hooks", integrator.dice.below(2));
    let body = json!({"url": url, "types": ["ordering", "inventory"], "signature": signature});
    let made = integrator.post(ALL, body).await?;
    if made.status == 201 {
        let id = made.text_at("/id");
        integrator.was_promised("an endpoint", format!("{ALL}?limit=100"), move |seen| has(seen, "id", &id));
    }
    Some(())
}

/// What was told before, once more under its own id.
async fn replay(integrator: &Client<'_>, path: &str) -> Option<()> {
    let told = integrator.get(format!("{path}/deliveries?limit=20")).await?;
    let Some(delivery) = integrator.dice.pick(told.body["items"].as_array()?) else { return Some(()) };
    let body = json!({"message_id": delivery["message_id"], "reason": "they lost it"});
    integrator.ask(Ask::post(format!("{path}/replay"), body)).await.map(drop)
}
