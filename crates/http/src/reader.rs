//! The API as a page to read, `GET /docs`: one self-contained HTML page from the `OpenAPI` description, without a
//! script and without anything from elsewhere.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use crate::{
    example::{example, example_named},
    openapi::STAFF,
};

const STYLE: &str = include_str!("reader/reader.css");

/// The page of a description made by [`crate::openapi()`].
pub fn reader(description: &Value) -> String {
    let page = Page { definitions: &description["components"]["schemas"] };
    let mut tags: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, methods) in description["paths"].as_object().into_iter().flatten() {
        for (method, body) in methods.as_object().into_iter().flatten() {
            let tag = body["tags"][0].as_str().unwrap_or("other");
            tags.entry(tag).or_default().push(Operation { path, method, body });
        }
    }
    let mut out = String::with_capacity(512 * 1024);
    let title = escaped(description["info"]["title"].as_str().unwrap_or_default());
    let version = escaped(description["info"]["version"].as_str().unwrap_or_default());
    put(
        &mut out,
        format_args!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} API {version}</title><style>{STYLE}</style></head><body>\
             <header><h1>{title} API <small>{version}</small></h1><p>Errors are problems (RFC 9457) with a stable \
             <code>code</code>; each code has a page. The description for programs is \
             <a href=\"/openapi.json\">/openapi.json</a>.</p>\
             <p>People log in with <a href=\"#logIn\"><code>POST /v1/sessions</code></a> and send <code>Authorization: Bearer \
             …</code>; the token lives ten minutes and is renewed by <code>POST /v1/sessions/refresh</code>. Programs have keys \
             (<code>POST /v1/api-keys</code>). Every POST that changes something carries an <code>Idempotency-Key</code> of the \
             client's own making: sent again under the same key, it has one effect and one answer. What several people edit has \
             an <code>ETag</code>, and a change sends it as <code>If-Match</code>. Lists take <code>limit</code> and \
             <code>cursor</code>.</p></header><nav aria-label=\"Operations\">"
        ),
    );
    for (tag, operations) in &tags {
        put(&mut out, format_args!("<details><summary>{}</summary><ul>", heading(tag)));
        for operation in operations {
            put(
                &mut out,
                format_args!(
                    "<li><a href=\"#{}\"><b class=\"{1}\">{1}</b> {2}</a></li>",
                    escaped(operation.id()),
                    escaped(operation.method),
                    escaped(operation.path)
                ),
            );
        }
        out.push_str("</ul></details>");
    }
    out.push_str("</nav><main>");
    for (tag, operations) in &tags {
        put(&mut out, format_args!("<h2 id=\"tag-{}\">{}</h2>", escaped(tag), heading(tag)));
        for operation in operations {
            page.operation(&mut out, operation);
        }
    }
    out.push_str("</main></body></html>");
    out
}

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    body: &'a Value,
}

impl<'a> Operation<'a> {
    fn id(&self) -> &'a str {
        self.body["operationId"].as_str().unwrap_or_default()
    }
    fn parameters(&self) -> impl Iterator<Item = &'a Value> {
        self.body["parameters"].as_array().into_iter().flatten()
    }
    /// Media type and what it is, of the request body.
    fn request(&self) -> Option<(&'a String, &'a Value)> {
        self.body["requestBody"]["content"].as_object()?.iter().next()
    }
}

struct Page<'a> {
    definitions: &'a Value,
}

impl Page<'_> {
    fn operation(&self, out: &mut String, operation: &Operation<'_>) {
        let text = |name: &str| told(operation.body[name].as_str().unwrap_or_default());
        put(
            out,
            format_args!(
                "<section id=\"{id}\"><h3><a href=\"#{id}\"><b class=\"{0}\">{0}</b> <code>{1}</code></a></h3><p>{2}</p>",
                escaped(operation.method),
                escaped(operation.path),
                text("summary"),
                id = escaped(operation.id()),
            ),
        );
        if operation.body["description"].is_string() {
            put(out, format_args!("<p>{}</p>", text("description")));
        }
        put(
            out,
            format_args!(
                "<p class=\"who\">{} · repetition: {}</p>",
                who(operation.body),
                text("x-merx-idempotency")
            ),
        );
        self.parameters(out, operation);
        if let Some((media, body)) = operation.request() {
            put(out, format_args!("<h4>Body <small>{}</small></h4>", escaped(media)));
            self.schema(out, &body["schema"]);
        }
        put(out, format_args!("<h4>Call</h4><pre>{}</pre>", escaped(&self.curl(operation))));
        self.responses(out, operation);
        out.push_str("</section>");
    }

    fn parameters(&self, out: &mut String, operation: &Operation<'_>) {
        if operation.parameters().next().is_none() {
            return;
        }
        out.push_str("<table><thead><tr><th>Parameter</th><th>In</th><th>Form</th><th>Meaning</th></tr></thead><tbody>");
        for parameter in operation.parameters() {
            let text = |name: &str| told(parameter[name].as_str().unwrap_or_default());
            let must = if parameter["required"] == true { " <i>required</i>" } else { "" };
            put(
                out,
                format_args!(
                    "<tr><td><code>{}</code>{must}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    text("name"),
                    text("in"),
                    escaped(&self.form(&parameter["schema"])),
                    text("description")
                ),
            );
        }
        out.push_str("</tbody></table>");
    }

    /// The properties of an object, one row each.
    fn schema(&self, out: &mut String, schema: &Value) {
        let whole = self.resolved(schema);
        let Some(properties) = whole["properties"].as_object() else { return };
        let required = whole["required"].as_array();
        out.push_str("<table><thead><tr><th>Property</th><th>Form</th><th>Meaning</th></tr></thead><tbody>");
        for (name, property) in properties {
            let must = required.is_some_and(|r| r.iter().any(|r| r == name));
            let meaning =
                property["description"].as_str().or(self.resolved(property)["description"].as_str());
            put(
                out,
                format_args!(
                    "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>",
                    escaped(name),
                    if must { " <i>required</i>" } else { "" },
                    escaped(&self.form(property)),
                    told(meaning.unwrap_or_default())
                ),
            );
        }
        out.push_str("</tbody></table>");
    }

    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next());
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }

    /// The form of a value in a few words.
    fn form(&self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["enum"].as_array() {
            return choices
                .iter()
                .map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(" | ");
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(choices) = schema[choice].as_array() {
                return choices.iter().map(|c| self.form(c)).collect::<Vec<_>>().join(" | ");
            }
        }
        if let Some(value) = schema["const"].as_str() {
            return value.to_owned();
        }
        let kind = match &schema["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "),
            _ => String::new(),
        };
        let mut form =
            if kind == "array" { format!("list of {}", self.form(&schema["items"])) } else { kind };
        for (word, label) in [
            ("format", ""),
            ("pattern", ""),
            ("minimum", "≥ "),
            ("maximum", "≤ "),
            ("minLength", "at least "),
            ("maxLength", "at most "),
        ] {
            match &schema[word] {
                Value::Null => {}
                // That a text has no control characters goes without saying.
                Value::String(text) if text.contains("\\u0000") => {}
                Value::String(text) => {
                    let _ = write!(form, ", {label}{text}");
                }
                other => {
                    let _ = write!(form, ", {label}{other}");
                }
            }
        }
        form
    }

    fn responses(&self, out: &mut String, operation: &Operation<'_>) {
        for (status, response) in operation.body["responses"].as_object().into_iter().flatten() {
            let content = response["content"].as_object().and_then(|c| c.iter().next());
            if status.ends_with("XX") {
                let codes = &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]
                    ["code"]["enum"];
                if status == "4XX" {
                    put(out, format_args!("<details><summary>Refusals</summary><p class=\"codes\">"));
                    for code in codes.as_array().into_iter().flatten().filter_map(Value::as_str) {
                        put(
                            out,
                            format_args!("<a href=\"/docs/errors/{0}\"><code>{0}</code></a> ", escaped(code)),
                        );
                    }
                    out.push_str("</p></details>");
                }
                continue;
            }
            let description = escaped(response["description"].as_str().unwrap_or_default());
            put(out, format_args!("<h4>{} <small>{description}</small></h4>", escaped(status)));
            if let Some((media, body)) = content {
                if !media.ends_with("json") {
                    put(out, format_args!("<p>{}</p>", escaped(media)));
                    continue;
                }
                self.schema(out, &body["schema"]);
                put(
                    out,
                    format_args!(
                        "<details><summary>Example</summary><pre>{}</pre></details>",
                        escaped(&self.shown(&body["schema"]))
                    ),
                );
            }
        }
    }

    fn shown(&self, schema: &Value) -> String {
        serde_json::to_string_pretty(&example(schema, self.definitions)).unwrap_or_default()
    }

    /// The call as one would type it.
    fn curl(&self, operation: &Operation<'_>) -> String {
        let mut path = operation.path.to_owned();
        let mut query = Vec::new();
        let mut call = String::from("curl");
        if operation.method != "get" {
            let _ = write!(call, " -X {}", operation.method.to_uppercase());
        }
        let mut headers = Vec::new();
        for parameter in operation.parameters() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = match example_named(name, &parameter["schema"], self.definitions) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
                Some("query") if parameter["required"] == true => query.push(format!("{name}={value}")),
                Some("header") => headers.push(format!("{name}: {value}")),
                _ => {}
            }
        }
        if operation.body["security"].as_array().is_some_and(|s| !s.is_empty()) {
            headers.push("Authorization: Bearer $TOKEN".to_owned());
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let _ = write!(call, " \"$MERX{path}{query}\"");
        for header in headers {
            let quote = if header.contains('$') { '"' } else { '\'' };
            let _ = write!(call, " \\\n  -H {quote}{header}{quote}");
        }
        if let Some((media, body)) = operation.request() {
            let _ = write!(call, " \\\n  -H 'Content-Type: {media}'");
            if media == "application/json" {
                let _ = write!(call, " \\\n  -d '{}'", self.shown(&body["schema"]).replace('\'', "'\\''"));
            } else {
                call.push_str(" \\\n  --data-binary @file");
            }
        }
        call
    }
}

/// A tag as people read it.
fn heading(tag: &str) -> String {
    match tag.strip_suffix(STAFF) {
        Some(group) => format!("{}, for staff", escaped(group)),
        None => escaped(tag),
    }
}

/// Who may call, in words.
fn who(operation: &Value) -> String {
    let access = &operation["x-merx-access"];
    if access["public"] == true {
        return "anybody".to_owned();
    }
    if let Some(by) = access["signed"].as_str() {
        return format!("signed: {}", escaped(by));
    }
    let rule = access["owner"]["account"].as_str().or(access["owner"]["none"].as_str()).unwrap_or_default();
    let who = access["permission"].as_str().map_or_else(
        || "whoever is logged in".to_owned(),
        |p| format!("permission <code>{}</code>", escaped(p)),
    );
    let session = if access["session_only"] == true { ", in a session" } else { "" };
    format!("{who}{session} ({})", escaped(rule))
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Escaped, with what stands in backticks as code.
fn told(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in escaped(text).split('`').enumerate() {
        match (index, index % 2) {
            (0, _) => {}
            (_, 1) => out.push_str("<code>"),
            _ => out.push_str("</code>"),
        }
        out.push_str(part);
    }
    if text.matches('`').count() % 2 == 1 {
        out.push_str("</code>");
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
