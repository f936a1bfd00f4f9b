//! The `OpenAPI` 3.1 description, from the same routes the router is made of.

use std::collections::BTreeMap;

use merx_kernel::{PageRequest, Permission};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    access::{Access, Owner},
    example::{example, example_named},
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

/// The form of a version in `ETag` and `If-Match`.
const VERSION: &str = "^\"[0-9]{1,18}\"$";

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
const WITH_VERSION: [&str; 2] = ["request.version_missing", "request.version_stale"];
const SERVER_SIDE: [&str; 4] =
    ["internal", "request.overloaded", "request.timeout", "request.revocations_unknown"];

/// What the tag of a group's routes for staff ends with.
pub(crate) const STAFF: &str = "-staff";

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
    let mut definitions = Value::Object(generator.take_definitions(true));
    let mut paths = json!(paths);
    plain_enums(&mut definitions);
    plain_enums(&mut paths);
    with_examples(&mut paths, &definitions);
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
            "schemas": definitions,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token of a session, ten minutes old at most." },
                "key": { "type": "http", "scheme": "bearer", "bearerFormat": "merx_…",
                    "description": "The secret of a program's API key." },
            },
            "headers": headers(),
        },
    })
}

/// A choice of words, each with its meaning, as an `enum` with the meanings in the description: generators of clients
/// know enums, and stumble over a `oneOf` of constants.
fn plain_enums(value: &mut Value) {
    if let Some(words) = words_of(value) {
        let meaning: Vec<String> =
            words.iter().filter_map(|(w, m)| m.as_ref().map(|m| format!("`{w}`: {m}"))).collect();
        let words: Vec<&String> = words.iter().map(|(word, _)| word).collect();
        let mut plain = json!({ "type": "string", "enum": words });
        let text = value["description"].as_str().map(str::to_owned).into_iter().chain(meaning);
        let text = text.collect::<Vec<_>>().join("\n\n");
        if !text.is_empty() {
            plain["description"] = json!(text);
        }
        *value = plain;
        return;
    }
    match value {
        Value::Object(properties) => properties.values_mut().for_each(plain_enums),
        Value::Array(items) => items.iter_mut().for_each(plain_enums),
        _ => {}
    }
}

/// Word and meaning of each choice, where a schema is nothing but a choice of words.
fn words_of(schema: &Value) -> Option<Vec<(String, Option<String>)>> {
    let choices = schema.get("oneOf")?.as_array()?;
    let mut words = Vec::new();
    for choice in choices {
        let meaning = choice.get("description").and_then(Value::as_str).map(str::to_owned);
        match (choice.get("const").and_then(Value::as_str), choice.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => words.push((word.to_owned(), meaning)),
            (None, Some(plain)) => {
                for word in plain {
                    words.push((word.as_str()?.to_owned(), None));
                }
            }
            _ => return None,
        }
    }
    Some(words)
}

/// Puts an example beside every schema of a body, of an answer and of a parameter.
fn with_examples(paths: &mut Value, definitions: &Value) {
    let operations = paths.as_object_mut().into_iter().flat_map(|p| p.values_mut());
    for operation in operations.filter_map(Value::as_object_mut).flat_map(|o| o.values_mut()) {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            if parameter["required"] == true {
                parameter["example"] = example_named(&name, &parameter["schema"], definitions);
            }
        }
        if let Some(content) = operation.pointer_mut("/requestBody/content") {
            exemplify(content, definitions);
        }
        for (status, response) in
            operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten()
        {
            // A problem's example is in its own schema.
            if let Some(content) = response.get_mut("content").filter(|_| !status.ends_with("XX")) {
                exemplify(content, definitions);
            }
        }
    }
}

fn exemplify(content: &mut Value, definitions: &Value) {
    // Bytes and pages have no example.
    let shaped = |media: &str| media.ends_with("json") || media.ends_with("urlencoded");
    let content = content.as_object_mut().into_iter().flatten();
    for (_, media) in content.filter(|(media, _)| shaped(media)) {
        media["example"] = example(&media["schema"], definitions);
    }
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "RateLimit": text("What is left for this client: `\"client\";r=<requests left>;t=<seconds until fully rested>`."),
        "RateLimit-Policy": text("The limit: `\"client\";q=<requests>;w=<seconds>`."),
        "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 0 } },
        "X-Request-Id": text("The id of the request, also in the log."),
        "ETag": {
            "description": "The version of what is shown, for `If-Match`.", "required": true,
            "schema": { "type": "string", "pattern": VERSION },
        },
        "Idempotency-Replayed": text("`true` when this answers a repetition with the first answer."),
    })
}

fn operation(facts: &RouteFacts, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut out = Map::new();
    let mut set = |name: &str, value: Value| out.insert(name.to_owned(), value);
    set("operationId", json!(facts.id));
    set("summary", json!(facts.summary));
    set("tags", json!([tag(facts)]));
    if let Some(description) = facts.description {
        set("description", json!(description));
    }
    let parameters = parameters(facts, generator);
    if !parameters.is_empty() {
        set("parameters", Value::Array(parameters));
    }
    if let Some((form, schema)) = facts.body {
        let content = match form {
            BodyForm::Json => json!({ "application/json": { "schema": schema(generator) } }),
            BodyForm::UrlEncoded => {
                json!({ "application/x-www-form-urlencoded": { "schema": schema(generator) } })
            }
            BodyForm::Raw(media) => raw_content(media),
        };
        set("requestBody", json!({ "required": true, "content": content }));
    }
    set("responses", responses(facts, generator, problem));
    set("security", security(facts.access));
    set("x-merx-access", access(facts.access));
    if let Some(idempotency) = facts.idempotency {
        set("x-merx-idempotency", json!(idempotency_text(idempotency)));
    }
    Value::Object(out)
}

/// What staff do stands apart from what buyers do.
fn tag(facts: &RouteFacts) -> String {
    let path = facts.path.trim_start_matches('/').trim_start_matches("v1/");
    let group = facts.group.unwrap_or_else(|| path.split('/').next().unwrap_or(path));
    match facts.access.permission() {
        Some(permission) if permission != Permission::Shop => format!("{group}{STAFF}"),
        _ => group.to_owned(),
    }
}

fn access(access: Access) -> Value {
    let owner = |owner: Owner| match owner {
        Owner::Account(rule) => json!({ "account": rule }),
        Owner::None(reason) => json!({ "none": reason }),
    };
    match access {
        Access::Public => json!({ "public": true }),
        Access::Signed(by) => json!({ "signed": by }),
        Access::LoggedIn { owner: rule } => json!({ "owner": owner(rule), "session_only": true }),
        Access::Permission { permission, owner: rule } => {
            json!({ "permission": permission, "owner": owner(rule) })
        }
        Access::SessionPermission { permission, owner: rule } => {
            json!({ "permission": permission, "owner": owner(rule), "session_only": true })
        }
    }
}

fn security(access: Access) -> Value {
    match (access.needs_login(), access.session_only()) {
        (false, _) => json!([]),
        (true, true) => json!([{ "bearer": [] }]),
        (true, false) => json!([{ "bearer": [] }, { "key": [] }]),
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
            bound_limit(name, &mut schema);
            let mut parameter = json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            out.push(parameter);
        }
    }
    if facts.if_match {
        out.push(json!({
            "name": "If-Match", "in": "header", "required": true,
            "description": "The ETag of what was read, so that no change of others is lost.",
            "schema": { "type": "string", "pattern": VERSION },
        }));
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

/// Every list takes its `limit` by the kernel's rule, which a type of its own could not say without being another
/// type.
fn bound_limit(name: &str, schema: &mut Value) {
    if name != "limit" {
        return;
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("minimum".to_owned(), json!(1));
        schema.insert("maximum".to_owned(), json!(PageRequest::LIMIT_MAX));
        schema.insert("default".to_owned(), json!(PageRequest::LIMIT_DEFAULT));
        schema.remove("format");
    }
}

/// Bytes of one of these media types. OpenAPI 3.1 would do without a schema; generators of clients would not.
fn raw_content(media: &[&str]) -> Value {
    let schema = |media: &str| match media.starts_with("text/") {
        true => json!({ "type": "string" }),
        false => json!({ "type": "string", "format": "binary" }),
    };
    let all = media.iter().map(|m| ((*m).to_owned(), json!({ "schema": schema(m) })));
    all.collect::<Map<_, _>>().into()
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
            let schema = schema(generator);
            // What tells its version tells it in the header too: [`Versioned`](crate::Versioned), [`crate::respond`].
            if resolved(&schema, generator)["properties"]["version"].is_object() {
                response["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
            }
            response["content"] = json!({ "application/json": { "schema": schema } });
        } else if let Some(media) = facts.raw_responses.get(status) {
            response["content"] = raw_content(media);
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
        if self.access.permission().is_some() {
            codes.push("request.forbidden");
        }
        if self.access.session_only() {
            codes.push("request.session_required");
        } else if self.access.needs_login() {
            codes.push("request.api_key_invalid");
        }
        if self.idempotency == Some(Idempotency::Required) {
            codes.extend(WITH_KEY);
        }
        if self.if_match {
            codes.extend(WITH_VERSION);
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
