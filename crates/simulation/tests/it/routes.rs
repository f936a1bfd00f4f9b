//! Every route of the shop, walked: who may use it, whose objects it shows, and that it is described.

mod asked;
mod bodies;
mod described;
mod matrix;
mod objects;

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use merx_http::{Access, Route};
use merx_kernel::Role;
use merx_testkit::{Answer, TestApi};
use serde_json::{Value, json};

use merx_simulation::world::World;

/// The only routes with an object in their path that anybody may see.
const OPEN_TO_ALL: &[&str] = &["getCategory", "getErrorPage", "getOrderLink", "getPicture", "getProduct"];

fn has_params(route: &Route) -> bool {
    route.path().contains('{')
}

/// The path with something in place of every parameter. The guard decides before anybody reads it.
fn filled(route: &Route) -> String {
    let parts = route.path().split('/').map(|part| if part.starts_with('{') { "anything" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn knock(api: &TestApi, route: &Route) -> Answer {
    let body = (*route.method() != Method::GET).then(|| json!({}));
    api.send(route.method().clone(), &filled(route), body, Some("a-key")).await
}

#[tokio::test(start_paused = true)]
async fn every_route_is_guarded() {
    let world = World::new().await;
    let routes = &world.shop.routes;
    assert!(routes.len() >= 30, "only {} routes are wired", routes.len());
    assert_eq!(Route::check(routes), Vec::<String>::new());
    for route in routes.iter().filter(|route| has_params(route)) {
        let owner = route.access().owner().map(|owner| owner.reason());
        let open = OPEN_TO_ALL.contains(&route.operation_id());
        assert!(open || owner.is_some(), "{} {} has no owner rule", route.method(), route.path());
    }
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_passes_without_a_token_or_the_permission() {
    let world = World::new().await;
    let mut refused = 0;
    for route in &world.shop.routes {
        let place = format!("{} {}", route.method(), route.path());
        let stranger = knock(&world.api, route).await;
        match route.access() {
            Access::Public | Access::Signed(_) => {
                assert_ne!(stranger.status, StatusCode::UNAUTHORIZED, "{place}");
                continue;
            }
            _ => assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{place}: {}", stranger.text),
        }
        let Some(permission) = route.access().permission() else { continue };
        for role in Role::ALL.iter().filter(|role| !role.allows(permission)) {
            let answer = knock(&world.staff(*role).await, route).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{place} as {role:?}: {}", answer.text);
            refused += 1;
        }
    }
    assert!(refused >= 50, "only {refused} refusals were seen");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_description_is_whole() {
    let world = World::new().await;
    let document = world.api.get("/openapi.json").await.expect(200).body;
    assert_eq!(document["openapi"], "3.1.0");
    for name in ["title", "version"] {
        assert!(document["info"][name].as_str().is_some_and(|text| !text.is_empty()), "info.{name}");
    }
    let mut refs = Vec::new();
    references(&document, &mut refs);
    assert!(refs.len() > 100, "only {} references", refs.len());
    for reference in refs {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            check_operation(path, operation);
            let id = operation["operationId"].as_str().unwrap();
            described.insert((method.to_uppercase(), path.clone(), id.to_owned()));
        }
    }
    let name = |method: &str, path: &str, id: &str| (method.to_owned(), path.to_owned(), id.to_owned());
    let mut wired: BTreeSet<_> =
        world.shop.routes.iter().map(|r| name(r.method().as_str(), r.path(), r.operation_id())).collect();
    // The edge brings these.
    for id in ["livez", "readyz", "metrics"] {
        wired.insert(name("GET", &format!("/{id}"), id));
    }
    assert_eq!(described, wired);
    world.finish().await;
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// What OpenAPI 3.1.0 demands of an operation: responses with a description, and each parameter of the path, required.
fn check_operation(path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{path} never succeeds");
    assert!(responses.values().all(|r| r["description"].is_string()), "{path}: {operation}");
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let in_path = parameters.iter().filter(|p| p["in"] == "path");
    let named: BTreeSet<&str> = in_path
        .inspect(|p| assert_eq!(p["required"], true, "{path}"))
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    let braced = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    assert_eq!(named, braced.collect::<BTreeSet<_>>(), "{path}");
    assert!(parameters.iter().all(|p| p["schema"].is_object()), "{path}: {parameters:?}");
}
