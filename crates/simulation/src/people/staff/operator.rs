//! Looks after the machine: rebuilds read models beside the running shop, redrives what could not be delivered, looks at
//! what is under way.

use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use merx_server::admin::{Operations, operations};
use merx_testkit::{Answer, request};
use serde_json::Value;

use crate::people::Client;

/// Those with read models that events make.
const REBUILT: &[&str] = &["ordering", "payment", "inventory"];

pub async fn act(operator: &Client<'_>) -> Option<()> {
    match operator.dice.below(4) {
        0 => rebuild(operator).await,
        1 => redrive(operator).await,
        2 => {
            let paths = ["/sagas", "/timers", "/dead-letters"];
            let path = operator.dice.pick(&paths)?;
            let answer = send(operator, &operator.town.world.running.admin, Method::GET, path).await?;
            assert_ne!(answer.code(), "internal", "{}", answer.text);
            Some(())
        }
        _ => operator.get("/v1/inventory/orphans").await.map(drop),
    }
}

/// As over the socket of the data folder; `None` when the process went meanwhile.
async fn send(operator: &Client<'_>, to: &Router, method: Method, path: &str) -> Option<Answer> {
    let asked = Request::builder().method(method.clone()).uri(path).body(Body::empty()).unwrap();
    let answer = request(to, asked).await;
    let trace = &operator.town.world.trace;
    trace.see(format!("{}: {method} {path} -> {} {}", operator.name, answer.status, answer.text));
    operator.town.tally.count(format!("operator: {method} {} {}", path.split('/').nth(1)?, answer.status), 1);
    Some(answer)
}

/// Read models are what the events make of them, while people buy.
async fn rebuild(operator: &Client<'_>) -> Option<()> {
    let context = operator.dice.pick(REBUILT)?;
    let routes = operations(Operations::of(&operator.town.world.shop));
    let path = format!("/projections/{context}/rebuild");
    let answer = send(operator, &routes, Method::POST, &path).await?;
    let last: Value = serde_json::from_str(answer.text.lines().last()?).ok()?;
    let how = if last["done"].is_object() { "done" } else { "failed" };
    operator.town.tally.count(format!("rebuild {how}"), 1);
    assert!(
        last["failed"].is_null() || last["failed"]["code"] != "internal",
        "the rebuild of {context}: {}",
        answer.text
    );
    if last["done"].is_object() {
        assert_eq!(
            last["done"]["mended"], 0,
            "rows of {context} were not what their events make: {}",
            answer.text
        );
    }
    Some(())
}

/// Whatever could not be delivered, once more.
async fn redrive(operator: &Client<'_>) -> Option<()> {
    let admin = &operator.town.world.running.admin;
    let listed = send(operator, admin, Method::GET, "/dead-letters").await?;
    for letter in listed.body["items"].as_array().into_iter().flatten() {
        let (subscription, message) = (letter["subscription"].as_str()?, letter["message"].as_str()?);
        let path = format!("/dead-letters/{subscription}/{message}/redrive");
        send(operator, admin, Method::POST, &path).await?;
    }
    Some(())
}
