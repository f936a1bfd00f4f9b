//! `/docs` and the examples of the description.

use serde_json::{Value, json};

use crate::kit::Kit;

#[tokio::test]
async fn the_reader_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let kit = Kit::new();
    let reply = kit.get("/docs").await;
    assert_eq!(reply.status, 200);
    let policy = reply.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = &reply.text;
    for forbidden in ["<script", "src=", "@import", "url(", "<link", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for heading in
        ["<h2 id=\"tag-people\">people</h2>", ">warehouse, for staff</h2>", "<summary>service</summary>"]
    {
        assert!(page.contains(heading), "{heading}");
    }
    let api = kit.get("/openapi.json").await.json();
    for operation in operations(&api) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
}

#[tokio::test]
async fn every_body_and_answer_has_an_example() {
    let api = Kit::new().get("/openapi.json").await.json();
    let mut seen = 0;
    for operation in operations(&api) {
        let bodies = operation.pointer("/requestBody/content").into_iter();
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answers = answers.filter(|(status, _)| !status.ends_with("XX")).map(|(_, r)| &r["content"]);
        for (name, media) in bodies.chain(answers).filter_map(Value::as_object).flatten() {
            // Bytes and pages have none.
            if name.ends_with("json") || name.ends_with("urlencoded") {
                assert!(!media["example"].is_null(), "{operation}");
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "{seen}");
}

#[test]
fn an_example_fits_its_schema() {
    let definitions = json!({ "Money": { "type": "object", "required": ["minor", "currency"], "properties": {
        "minor": { "type": "integer", "maximum": 500 }, "currency": { "type": "string", "pattern": "^[A-Z]{3}$" } } } });
    for (schema, expected) in [
        (json!({ "$ref": "#/components/schemas/Money" }), json!({ "minor": 500, "currency": "CNY" })),
        (
            json!({ "type": "string", "pattern": "^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$" }),
            json!("ord_019m7w6e62kfk5rnhjjk0pgmnh"),
        ),
        (json!({ "anyOf": [{ "type": "null" }, { "type": "boolean" }] }), json!(true)),
        (json!({ "type": ["string", "null"], "minLength": 6, "maxLength": 8 }), json!("textxx")),
        (json!({ "type": "array", "items": { "enum": ["paid", "shipped"] } }), json!(["paid"])),
        (json!({ "type": "string", "format": "date-time" }), json!("2026-11-19T08:30:00Z")),
        (
            json!({ "allOf": [{ "properties": { "a": { "const": 1 } } }, { "properties": { "b": { "const": 2 } } }] }),
            json!({ "a": 1, "b": 2 }),
        ),
    ] {
        assert_eq!(merx_http::example(&schema, &definitions), expected, "{schema}");
    }
}

fn operations(api: &Value) -> impl Iterator<Item = &Value> {
    let paths = api["paths"].as_object().expect("paths").values();
    paths.flat_map(|methods| methods.as_object().expect("methods").values())
}
