//! The `OpenAPI` 3.1 description, from the same routes the router is made of.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    access::{Access, Owner},
    problem::ProblemBody,
    route::{BodyForm, Idempotency, Route, RouteFacts},
};

/// What the description says of the API as a whole.
#[derive(Clone, Debug)]
pub struct Info {
    /// The title.
    pub title: String,
    /// The version of the software.
    pub version: String,
}

impl Default for Info {
    fn default() -> Self {
        Self { title: "Merx".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// Codes that any route may answer with a 4xx status.
const COMMON: [&str; 6] = [
    "request.invalid",
    "request.malformed_json",
    "request.no_route",
    "request.method_not_allowed",
    "request.rate_limited",
    "request.uri_too_long",
];
const WITH_BODY: [&str; 4] = [
    "request.body_incomplete",
    "request.body_timeout",
    "request.body_too_large",
    "request.unsupported_media_type",
];
const WITH_LOGIN: [&str; 4] =
    ["request.unauthenticated", "request.token_expired", "request.token_invalid", "request.token_revoked"];
const WITH_KEY: [&str; 3] =
    ["request.idempotency_key_missing", "request.idempotency_key_reused", "request.in_flight"];
const SERVER_SIDE: [&str; 4] =
    ["internal", "request.overloaded", "request.timeout", "request.revocations_unknown"];

/// The description of these routes.
pub fn openapi(routes: &[Route], info: &Info) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemBody>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let facts = &route.facts;
        let operation = operation(facts, &mut generator, &problem);
        paths.entry(facts.path).or_default().insert(facts.method.as_str().to_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": info.title,
            "version": info.version,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Errors are RFC 9457 problems with a stable `code`, explained under `/docs/errors`.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token of a session, ten minutes old at most." },
            },
            "headers": headers(),
        },
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "RateLimit": text("What is left for this client: `\"client\";r=<requests left>;t=<seconds until fully rested>`."),
        "RateLimit-Policy": text("The limit: `\"client\";q=<requests>;w=<seconds>`."),
        "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 0 } },
        "X-Request-Id": text("The id of the request, also in the log."),
        "Idempotency-Replayed": text("`true` when this answers a repetition with the first answer."),
    })
}

fn operation(facts: &RouteFacts, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut out = Map::new();
    let mut set = |name: &str, value: Value| out.insert(name.to_owned(), value);
    set("operationId", json!(facts.id));
    set("summary", json!(facts.summary));
    set("tags", json!([tag(facts.path)]));
    if let Some(description) = facts.description {
        set("description", json!(description));
    }
    let parameters = parameters(facts, generator);
    if !parameters.is_empty() {
        set("parameters", Value::Array(parameters));
    }
    if let Some((form, schema)) = facts.body {
        let media = match form {
            BodyForm::Json => "application/json",
            BodyForm::UrlEncoded => "application/x-www-form-urlencoded",
        };
        set(
            "requestBody",
            json!({ "required": true, "content": { media: { "schema": schema(generator) } } }),
        );
    }
    set("responses", responses(facts, generator, problem));
    set("security", if facts.access.needs_login() { json!([{ "bearer": [] }]) } else { json!([]) });
    set("x-merx-access", access(facts.access));
    if let Some(idempotency) = facts.idempotency {
        set("x-merx-idempotency", json!(idempotency_text(idempotency)));
    }
    Value::Object(out)
}

fn tag(path: &str) -> &str {
    let first = path.trim_start_matches('/').trim_start_matches("v1/");
    first.split('/').next().unwrap_or(first)
}

fn access(access: Access) -> Value {
    let owner = |owner: Owner| match owner {
        Owner::Account(rule) => json!({ "account": rule }),
        Owner::None(reason) => json!({ "none": reason }),
    };
    match access {
        Access::Public => json!({ "public": true }),
        Access::Signed(by) => json!({ "signed": by }),
        Access::LoggedIn { owner: rule } => json!({ "owner": owner(rule) }),
        Access::Permission { permission, owner: rule } => {
            json!({ "permission": permission, "owner": owner(rule) })
        }
    }
}

fn idempotency_text(idempotency: Idempotency) -> String {
    match idempotency {
        Idempotency::Required => "by the header Idempotency-Key".to_owned(),
        Idempotency::Natural(reason) => reason.to_owned(),
        Idempotency::Excluded(reason) => format!("none: {reason}"),
    }
}

fn parameters(facts: &RouteFacts, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut out = Vec::new();
    for name in facts.path_params() {
        let schema =
            facts.params.get(name).map_or_else(|| json!({ "type": "string" }), |s| json!(s(generator)));
        out.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    if let Some(query) = facts.query {
        let schema = query(generator);
        let whole = resolved(&schema, generator);
        let required: Vec<&str> =
            whole["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, schema) in whole["properties"].as_object().into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|s| s.remove("description"));
            let mut parameter = json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            out.push(parameter);
        }
    }
    if facts.idempotency == Some(Idempotency::Required) {
        out.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "New for each intent, the same for each repetition; kept for 24 hours.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    out
}

/// The schema itself where `schema` is a reference to it.
fn resolved(schema: &Schema, generator: &SchemaGenerator) -> Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
    match name.and_then(|name| generator.definitions().get(name)) {
        Some(definition) => definition.clone(),
        None => json!(schema),
    }
}

fn responses(facts: &RouteFacts, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut out = Map::new();
    for (status, description, schema) in &facts.responses {
        let mut response = json!({ "description": description, "headers": header_refs(facts, false) });
        if let Some(schema) = schema {
            response["content"] = json!({ "application/json": { "schema": schema(generator) } });
        }
        out.insert(status.to_string(), response);
    }
    let client_side = facts.error_codes();
    out.insert("4XX".to_owned(), problem_response("Refused", facts, problem, &client_side));
    out.insert("5XX".to_owned(), problem_response("Not served", facts, problem, &SERVER_SIDE));
    Value::Object(out)
}

impl RouteFacts {
    /// Every code the route may answer with a 4xx status.
    fn error_codes(&self) -> Vec<&'static str> {
        let mut codes = COMMON.to_vec();
        if self.body.is_some() {
            codes.extend(WITH_BODY);
        }
        if self.access.needs_login() {
            codes.extend(WITH_LOGIN);
        }
        if matches!(self.access, Access::Permission { .. }) {
            codes.push("request.forbidden");
        }
        if self.idempotency == Some(Idempotency::Required) {
            codes.extend(WITH_KEY);
        }
        codes.extend_from_slice(&self.errors);
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

fn problem_response(description: &str, facts: &RouteFacts, problem: &Schema, codes: &[&str]) -> Value {
    json!({
        "description": description,
        "headers": header_refs(facts, true),
        "content": { "application/problem+json": { "schema": {
            "allOf": [problem, { "properties": { "code": { "enum": codes } } }],
        } } },
    })
}

fn header_refs(facts: &RouteFacts, refused: bool) -> Value {
    let mut out = Map::new();
    let mut add = |name: &str| {
        out.insert(name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    };
    add("X-Request-Id");
    if facts.unlimited.is_none() && !matches!(facts.access, Access::Signed(_)) {
        add("RateLimit");
        add("RateLimit-Policy");
    }
    if refused {
        add("Retry-After");
    }
    if facts.idempotency == Some(Idempotency::Required) {
        add("Idempotency-Replayed");
    }
    Value::Object(out)
}
