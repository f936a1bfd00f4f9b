//! Every body that is taken: its documented example is one, and nothing that is the server's to say can be said in it.

use merx_http::{Access, Owner};
use merx_kernel::Role;
use serde_json::{Value, json};

use super::{
    described::{Description, Operation},
    objects::{Asker, Objects},
};

/// A property, and a value it might be given.
type Property = (&'static str, fn() -> Value);

/// What only the shop says of a thing.
const OF_THE_SERVER: &[Property] = &[
    ("id", || json!("ord_00000000000000000000000001")),
    ("version", || json!(99)),
    ("account_id", || json!("acc_00000000000000000000000001")),
    ("owner", || json!("acc_00000000000000000000000001")),
    ("buyer_id", || json!("acc_00000000000000000000000001")),
    ("order_id", || json!("ord_00000000000000000000000001")),
    ("payment_id", || json!("pay_00000000000000000000000001")),
    ("role", || json!("administrator")),
    ("roles", || json!(["administrator"])),
    ("permissions", || json!(["staff_write"])),
    ("is_admin", || json!(true)),
    ("status", || json!("paid")),
    ("state", || json!("paid")),
    ("axes", || json!({"payment": "captured"})),
    ("price", || json!({"minor": 1, "currency": "CNY"})),
    ("unit_price", || json!({"minor": 1, "currency": "CNY"})),
    ("total", || json!({"minor": 1, "currency": "CNY"})),
    ("amount", || json!({"minor": 1, "currency": "CNY"})),
    ("discount", || json!({"minor": 1_000_000, "currency": "CNY"})),
    ("shipping_fee", || json!({"minor": 0, "currency": "CNY"})),
    ("paid", || json!(true)),
    ("paid_at", || json!("2026-11-20T08:30:00Z")),
    ("created_at", || json!("2026-11-20T08:30:00Z")),
    ("available", || json!(1_000_000)),
    ("limit_per_buyer", || json!(1_000_000)),
    ("password_hash", || json!("-")),
    ("__proto__", || json!({"role": "administrator"})),
];

/// The examples that are refused though their form is right: what they name is nowhere, or not for the one who asks.
const REFUSED_FOR_WHAT_THEY_NAME: &[(&str, &str)] = &[
    ("updateAttribute", "/attribute/code"),
    ("createCategory", "/parent_id"),
    ("updateCategory", "/parent_id"),
    ("arrangePictures", "/pictures/0/id"),
    ("adjustStock", "/warehouse_id"),
    ("receiveStock", "/warehouse_id"),
    ("openStockCount", "/warehouse_id"),
    ("sendTransfer", "/from_warehouse_id"),
    ("writeOrderNote", "/visibility"),
    ("addTrackingEvent", "/at"),
];

/// Every object inside a body, the body itself first, as JSON Pointers; free maps have no properties of their own.
fn objects_in(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(properties) => {
            if !pointer.ends_with("/attributes") {
                found.push(pointer.clone());
            }
            for (name, value) in properties {
                objects_in(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects_in(item, format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Who may do it.
async fn whoever_may(objects: &Objects, operation: &Operation) -> Asker {
    let route = objects.world.shop.routes.iter().find(|r| r.operation_id() == operation.id());
    match route.map(|route| route.access()) {
        None | Some(Access::Public | Access::Signed(_)) => Asker::nobody(),
        Some(access) if matches!(access.owner(), Some(Owner::Account(_))) => {
            Asker::person("the owner", &objects.victim.api)
        }
        Some(_) => Asker::person("an administrator", &objects.world.staff(Role::Administrator).await),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_servers_is_taken_from_a_client() {
    let objects = Objects::new().await;
    let description = Description::of(&objects.world).await;
    let (mut bodies, mut places, mut tried, mut taken) = (0, 0, 0, Vec::new());
    for operation in description.operations().iter().filter(|o| o.example().is_some()) {
        let asker = whoever_may(&objects, operation).await;
        let ask = objects.ask(operation, &asker).await;
        let body: Value = serde_json::from_str(ask.body.as_ref().unwrap()).unwrap();
        let mut inside = Vec::new();
        objects_in(&body, String::new(), &mut inside);
        // What the documented example has besides, in the form it is documented in.
        (bodies, places) = (bodies + 1, places + inside.len());
        for pointer in &inside {
            for (name, value) in OF_THE_SERVER {
                if description.takes(operation, pointer, name) {
                    continue;
                }
                let mut more = body.clone();
                more.pointer_mut(pointer).unwrap()[*name] = value();
                let ask = super::objects::Ask {
                    body: Some(more.to_string()),
                    key: format!("{}-{tried}", ask.key),
                    ..ask.clone()
                };
                let answer = objects.send(&asker, &ask).await;
                tried += 1;
                let named = answer.body["errors"].as_array().into_iter().flatten();
                let named = named.filter(|e| e["pointer"] == format!("{pointer}/{name}")).count();
                if answer.status != 400 || answer.code() != "request.invalid" || named != 1 {
                    let told = format!(
                        "{} takes {pointer}/{name}: {} {}",
                        operation.id(),
                        answer.status,
                        answer.text
                    );
                    taken.push(told);
                }
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert!(bodies >= 60, "only {bodies} bodies");
    println!(
        "PROOF | T36 | every body of the API with each property of the server's, in every object of it | size={tried} | {bodies} bodies, \
         {places} objects in them, {tried} properties sent: 0 taken | seed=-"
    );
    objects.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_parameter_is_refused_by_name() {
    let objects = Objects::new().await;
    let description = Description::of(&objects.world).await;
    let (mut tried, mut taken) = (0, Vec::new());
    for operation in &description.operations() {
        let parameters = operation.body["parameters"].as_array();
        if !parameters.into_iter().flatten().any(|p| p["in"] == "query") {
            continue;
        }
        let asker = whoever_may(&objects, operation).await;
        let mut ask = objects.ask(operation, &asker).await;
        ask.path.push_str("?owner=acc_00000000000000000000000001");
        let answer = objects.send(&asker, &ask).await;
        tried += 1;
        if answer.status != 400 || answer.text_at("/errors/0/pointer") != "owner" {
            taken.push(format!("{}: {} {}", operation.id(), answer.status, answer.text));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    println!(
        "PROOF | T36 | every query with a parameter nobody documented | size={tried} | 0 taken, each refused by name | seed=-"
    );
    objects.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_example_fits_its_schema_and_is_taken() {
    let objects = Objects::new().await;
    let description = Description::of(&objects.world).await;
    let (examples, mut wrong) = description.wrong_examples();
    let mut bodies = 0;
    for operation in description.operations().iter().filter(|o| o.example().is_some()) {
        let asker = whoever_may(&objects, operation).await;
        let mut ask = objects.ask(operation, &asker).await;
        ask.body = operation.example().map(Value::to_string);
        let answer = objects.send(&asker, &ask).await;
        bodies += 1;
        let named = answer.text_at("/errors/0/pointer");
        let known = REFUSED_FOR_WHAT_THEY_NAME.contains(&(operation.id(), named.as_str()));
        if answer.status == 400 && !known {
            wrong.push(format!(
                "{}'s example is refused: {} for {}",
                operation.id(),
                answer.text,
                ask.body.unwrap()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{examples} examples fit their schemas; {bodies} bodies are taken as documented");
    objects.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_reader_shows_every_operation() {
    let objects = Objects::new().await;
    let description = Description::of(&objects.world).await;
    let page = objects.world.api.get("/docs").await.expect(200).text;
    let operations = description.operations();
    for operation in &operations {
        let (id, path) = (operation.id(), &operation.path);
        let section = page.split_once(&format!("<section id=\"{id}\">"));
        let (_, section) = section.unwrap_or_else(|| panic!("{id} is not shown"));
        let (section, _) = section.split_once("</section>").unwrap();
        assert!(section.contains(&format!("<code>{path}</code>")), "{id}");
        for parameter in operation.body["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            assert!(section.contains(&format!("<code>{name}</code>")), "{id} does not show {name}");
        }
    }
    println!("{} operations are shown", operations.len());
    objects.finish().await;
}
