//! JSON bodies: the check for one meaning, and typed bodies behind it.

use std::collections::BTreeSet;

use axum::{body::Body, extract::FromRequest};
use futures_util::FutureExt as _;
use merx_accounts::domain::{address::AddressForm, email::Email};
use merx_catalogue::domain::{AttributeSpec, Content};
use merx_contracts::ids::Sku;
use merx_http::{Json, check_json};
use merx_kernel::{Money, Quantity, RoleName, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The scalars of the API in one body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is read for the reading's sake")]
struct Scalars {
    money: Option<Money>,
    quantity: Option<Quantity>,
    sku: Option<Sku>,
    at: Option<Timestamp>,
    role: Option<RoleName>,
    email: Option<Email>,
    count: Option<u32>,
    delta: Option<i64>,
    lines: Option<Vec<Scalars>>,
}

/// One body, taken as each of several types.
pub fn body(input: &[u8]) {
    let checked = check_json(input);
    let read = serde_json::from_slice::<Value>(input);
    if checked.is_ok() {
        let value = read.as_ref().unwrap_or_else(|e| panic!("checked, and no JSON: {e}"));
        assert!(depth(value) <= 32, "deeper than is allowed");
    }
    match take::<Map<String, Value>>(input) {
        Ok(taken) => {
            assert!(checked.is_ok(), "taken without the check");
            same(&Value::Object(taken), &read.unwrap());
        }
        Err(status) => assert!((400..500).contains(&status), "{status}"),
    }
    let statuses = [
        take::<AddressForm>(input).err(),
        take::<Content>(input).err(),
        take::<AttributeSpec>(input).err(),
        take::<Scalars>(input).err(),
    ];
    for status in statuses.into_iter().flatten() {
        assert!((400..500).contains(&status), "{status}");
    }
}

/// The body as a handler takes it, or the status of the refusal.
fn take<T: DeserializeOwned>(body: &[u8]) -> Result<T, u16> {
    let request = http::Request::post("/")
        .header("content-type", "application/json")
        .body(Body::from(body.to_vec()))
        .unwrap();
    let taken = Json::<T>::from_request(request, &()).now_or_never().expect("nothing to wait for");
    taken.map(|Json(value)| value).map_err(|problem| {
        use axum::response::IntoResponse as _;
        problem.into_response().status().as_u16()
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The same but for how a number is written: `2.0` is 2.
fn same(taken: &Value, read: &Value) {
    match (taken, read) {
        (Value::Object(a), Value::Object(b)) => {
            let names = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(a), names(b));
            a.iter().for_each(|(name, value)| same(value, &b[name]));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| same(a, b));
        }
        (Value::Number(a), Value::Number(b)) => {
            let equal = a == b || a.as_f64() == b.as_f64();
            assert!(equal, "{b} was taken as {a}");
        }
        _ => assert_eq!(taken, read),
    }
}
