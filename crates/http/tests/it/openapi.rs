//! The description of the API.

use serde_json::Value;

use crate::kit::Kit;

async fn description() -> Value {
    let reply = Kit::new().get("/openapi.json").await;
    assert_eq!(reply.header("content-type"), "application/json");
    reply.json()
}

/// Every value under `key`, anywhere.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == key {
                    found.extend(inner.as_str());
                }
                collect(inner, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn every_reference_leads_somewhere() {
    let api = description().await;
    assert_eq!(api["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&api, "$ref", &mut references);
    assert!(references.contains(&"#/components/schemas/Order"));
    assert!(references.contains(&"#/components/schemas/Problem"));
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_says_all_there_is_to_know() {
    let api = description().await;
    let place = &api["paths"]["/v1/orders"]["post"];
    assert_eq!(place["operationId"], "place");
    for (path, method, tag) in [
        ("/v1/orders", "post", "orders"),
        ("/v1/me", "get", "people"),
        ("/v1/stock", "get", "warehouse-staff"),
        ("/v1/hello", "get", "hello"),
        ("/livez", "get", "service"),
    ] {
        assert_eq!(api["paths"][path][method]["tags"], serde_json::json!([tag]), "{path}");
    }
    assert_eq!(place["security"][0]["bearer"], Value::Array(vec![]));
    assert_eq!(place["x-merx-access"]["permission"], "shop");
    assert_eq!(place["x-merx-access"]["owner"]["account"], "made for the caller");
    let key = &place["parameters"][0];
    assert_eq!((key["name"].as_str(), key["in"].as_str()), (Some("Idempotency-Key"), Some("header")));
    let body = &place["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Order");
    let refused = &place["responses"]["4XX"];
    let codes =
        refused["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
            .as_array()
            .unwrap();
    for code in
        ["shop.sold_out", "request.idempotency_key_missing", "request.forbidden", "request.body_too_large"]
    {
        assert!(codes.contains(&code.into()), "{code} is not in {codes:?}");
    }
    for header in ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"] {
        assert!(refused["headers"][header].is_object(), "{header}");
    }
    assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(api["paths"]["/v1/hello"]["get"]["security"], Value::Array(vec![]));
    let list = &api["paths"]["/v1/list"]["get"]["parameters"];
    let names: Vec<_> = list.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cursor", "limit"]);
    let limit = &list[1]["schema"];
    assert_eq!((limit["minimum"].as_u64(), limit["maximum"].as_u64()), (Some(1), Some(100)), "{limit}");
    let account = &api["paths"]["/v1/accounts/{account}"]["get"]["parameters"][0];
    assert_eq!((account["name"].as_str(), account["required"].as_bool()), (Some("account"), Some(true)));
    assert_eq!(account["schema"]["$ref"], "#/components/schemas/Id_acc");
}

#[tokio::test(start_paused = true)]
async fn operation_ids_are_unique() {
    let api = description().await;
    let mut ids = Vec::new();
    collect(&api, "operationId", &mut ids);
    let total = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), total);
}
