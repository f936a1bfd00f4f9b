//! An example of everything the API takes and answers, made from the schemas, so that no example can be wrong about
//! its form. What a schema does not say, a believable value, is chosen by the name of the property.

use serde_json::{Map, Value, json};

/// How deep an example goes before it leaves out what may be left out.
const DEPTH_MAX: usize = 8;

/// The 26 characters of an id in examples.
const ID: &str = "019m7w6e62kfk5rnhjjk0pgmnh";

/// What a property of this name usually holds. One that ends like it (`new_password`) holds the same.
const BY_NAME: &[(&str, &str)] = &[
    ("action", "catalogue.price_changed"),
    ("address", "10.0.0.7"),
    ("carrier", "SF Express"),
    ("city", "杭州市"),
    ("client", "Firefox on Linux"),
    ("code", "EAST-1"),
    ("context", "ordering"),
    ("country", "CN"),
    ("currency", "CNY"),
    ("description", "Orders for the warehouse's own system"),
    ("detail", "must be from 1 to 100"),
    ("email", "xiaoming@example.com"),
    ("en", "West Lake Longjing"),
    ("idempotency-key", "4f2b8c1e-order-1"),
    ("if_match", "\"3\""),
    ("instance", "req_019m7w6e62kfk5rnhjjk0pgmnh"),
    ("label", "Standard"),
    ("line1", "西湖区龙井路 1 号"),
    ("line2", "3 幢 501"),
    ("locale", "zh-CN"),
    ("method", "standard"),
    ("name", "王小明"),
    ("note", "Please ring twice."),
    ("number", "261120-7K3M-9QXA"),
    ("password", "correct horse battery staple"),
    ("phone", "13800138000"),
    ("place", "Hangzhou"),
    ("pointer", "/limit"),
    ("postcode", "310013"),
    ("reason", "asked for by the buyer"),
    ("recipient", "王小明"),
    ("region", "浙江省"),
    ("sku", "TEA-LJ-100"),
    ("text", "The parcel waits at the counter."),
    ("token", "mSCYV2h8rJ5q0tXgkW3nZb7L"),
    ("tracking_number", "SF1234567890123"),
    ("unit", "g"),
    ("url", "https://partner.example.com/hooks/merx"),
    ("zh", "西湖龙井"),
];

/// Texts of a form, by the regular expression that says it.
const BY_PATTERN: &[(&str, &str)] = &[
    ("^[A-Za-z0-9._-]{1,64}$", "TEA-LJ-100"),
    ("^\"[0-9]{1,18}\"$", "\"3\""),
    ("^[A-Z]{2}$", "CN"),
    ("^[A-Z]{3}$", "CNY"),
    ("^[a-z][a-z0-9_]{1,39}$", "marketing"),
    ("^[a-z0-9]+(-[a-z0-9]+)*$", "green-tea"),
];

/// Moments that lie ahead for some time: who tries an example should not be told that it is over.
const AHEAD: &[(&str, &str)] = &[
    ("list_at", "2028-03-01T00:00:00Z"),
    ("effective_from", "2028-03-01T00:00:00Z"),
    ("delist_at", "2028-09-01T00:00:00Z"),
    ("effective_until", "2028-09-01T00:00:00Z"),
    ("expires_at", "2028-09-01T00:00:00Z"),
];

/// An example that fits `schema`; references are looked up in `definitions` (`/components/schemas`).
pub fn example(schema: &Value, definitions: &Value) -> Value {
    of("", schema, definitions, 0)
}

/// The same for a value called `name`.
pub fn example_named(name: &str, schema: &Value, definitions: &Value) -> Value {
    of(name, schema, definitions, 0)
}

fn of(name: &str, schema: &Value, definitions: &Value, depth: usize) -> Value {
    if let Some(told) = told(schema) {
        return told;
    }
    if let Some(found) = schema["$ref"].as_str().and_then(|r| definitions.get(r.rsplit('/').next()?)) {
        return of(name, found, definitions, depth);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return all_of(name, schema, parts, definitions, depth);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let first = choices.iter().find(|c| c["type"] != "null").or(choices.first());
            return first.map_or(Value::Null, |first| of(name, first, definitions, depth));
        }
    }
    match kind(schema) {
        Some("object") => object(schema, definitions, depth),
        Some("array") => {
            let items = if depth < DEPTH_MAX {
                of(name, &schema["items"], definitions, depth + 1)
            } else {
                Value::Null
            };
            if items.is_null() { json!([]) } else { json!([items]) }
        }
        Some("string") => json!(text(name, schema)),
        Some("integer") => json!(integer(name, schema)),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

/// What the schema itself says.
fn told(schema: &Value) -> Option<Value> {
    for word in ["example", "const", "default"] {
        if let Some(value) = schema.get(word).filter(|v| !v.is_null()) {
            return Some(value.clone());
        }
    }
    ["examples", "enum"].iter().find_map(|word| schema[word].as_array()?.first().cloned())
}

fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ if schema["properties"].is_object() => Some("object"),
        _ => None,
    }
}

fn all_of(name: &str, schema: &Value, parts: &[Value], definitions: &Value, depth: usize) -> Value {
    let mut whole = Map::new();
    let mut own = schema.clone();
    if let Some(own) = own.as_object_mut() {
        own.remove("allOf");
    }
    for part in parts.iter().chain([&own]) {
        match of(name, part, definitions, depth) {
            Value::Object(properties) => whole.extend(properties),
            Value::Null => {}
            other => return other,
        }
    }
    Value::Object(whole)
}

fn object(schema: &Value, definitions: &Value, depth: usize) -> Value {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if depth < DEPTH_MAX || required.contains(&name.as_str()) {
            let value = of(name, property, definitions, depth + 1);
            // Nothing better than null is known: what may be left out is.
            if !value.is_null() || required.contains(&name.as_str()) {
                out.insert(name.clone(), value);
            }
        }
    }
    Value::Object(out)
}

fn integer(name: &str, schema: &Value) -> i64 {
    let usual = match name {
        "minor" | "price_minor" => 16_800,
        "quantity" | "version" => 2,
        "limit" => 20,
        "status" => 409,
        _ => 1,
    };
    let bound = |word: &str| schema[word].as_i64();
    usual.max(bound("minimum").unwrap_or(i64::MIN)).min(bound("maximum").unwrap_or(i64::MAX))
}

fn text(name: &str, schema: &Value) -> String {
    let usual = |known: &[(&str, &'static str)], name: &str| {
        known.iter().find(|(known, _)| *known == name).map(|(_, usual)| *usual)
    };
    if let Some(pattern) = schema["pattern"].as_str() {
        // The kernel's ids, `^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$`, or what begins with one.
        if let Some((before, _)) = pattern.split_once("_[0-7][0-9a-hjkmnp-tv-z]{25}") {
            return format!("{}_{ID}", before.trim_start_matches(['^', '(']));
        }
        if let Some(fitting) = usual(BY_PATTERN, pattern) {
            return fitting.to_owned();
        }
    }
    match schema["format"].as_str() {
        Some("date-time") => return usual(AHEAD, name).unwrap_or("2026-11-19T08:30:00Z").to_owned(),
        Some("date") => return "2026-11-20".to_owned(),
        Some("email") => return "xiaoming@example.com".to_owned(),
        Some("uri" | "url") => return "https://partner.example.com/hooks/merx".to_owned(),
        Some("uuid") => return "019ac1f0-6c00-7000-8000-000000000001".to_owned(),
        _ => {}
    }
    let name = name.to_lowercase();
    let known = usual(BY_NAME, &name).or_else(|| usual(BY_NAME, name.rsplit('_').next()?));
    sized(known.unwrap_or("text"), schema)
}

/// As long as it must be and no longer than it may be.
fn sized(text: &str, schema: &Value) -> String {
    let bound = |word: &str| schema[word].as_u64().and_then(|n| usize::try_from(n).ok());
    let mut out: String = text.chars().take(bound("maxLength").unwrap_or(usize::MAX)).collect();
    while out.chars().count() < bound("minLength").unwrap_or(0) {
        out.push('x');
    }
    out
}
