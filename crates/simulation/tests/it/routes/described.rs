//! The description of the API as a judge: what is answered must be what it says.

use jsonschema::{Registry, Validator};
use merx_testkit::Answer;
use serde_json::{Value, json};

use merx_simulation::world::World;

/// Where the description stands among the schemas.
const PLACE: &str = "urn:merx:description";

/// One operation of the description.
#[derive(Clone)]
pub struct Operation {
    pub path: String,
    pub method: String,
    pub body: Value,
}

impl Operation {
    pub fn id(&self) -> &str {
        self.body["operationId"].as_str().unwrap()
    }
    /// The documented example of its JSON body.
    pub fn example(&self) -> Option<&Value> {
        self.body.pointer("/requestBody/content/application~1json/example")
    }
    /// The JSON Pointer of the operation.
    fn pointer(&self) -> String {
        format!("/paths/{}/{}", escaped(&self.path), self.method)
    }
}

/// What `/openapi.json` says.
pub struct Description {
    pub document: Value,
    registry: Registry<'static>,
}

impl Description {
    pub async fn of(world: &World) -> Self {
        let document = world.api.get("/openapi.json").await.expect(200).body;
        let mut registry = Registry::new();
        registry = registry.add(PLACE, document.clone()).unwrap();
        Self { document, registry: registry.prepare().unwrap() }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, methods) in self.document["paths"].as_object().unwrap() {
            for (method, body) in methods.as_object().unwrap() {
                let (path, method) = (path.clone(), method.clone());
                all.push(Operation { path, method, body: body.clone() });
            }
        }
        all
    }

    pub fn operation(&self, id: &str) -> Operation {
        let mut all = self.operations().into_iter();
        all.find(|o| o.id() == id).unwrap_or_else(|| panic!("{id} is not described"))
    }

    /// The schema at a JSON Pointer of the description; references inside it lead into the description.
    fn schema(&self, pointer: &str) -> Validator {
        let schema = json!({"$ref": format!("{PLACE}#{}", in_fragment(pointer))});
        let options = jsonschema::options().with_registry(&self.registry).should_validate_formats(true);
        options.build(&schema).unwrap_or_else(|e| panic!("{pointer}: {e}"))
    }

    /// What is wrong with a value by the schema at the pointer.
    pub fn faults(&self, pointer: &str, value: &Value) -> Vec<String> {
        let faults = self.schema(pointer);
        faults.iter_errors(value).map(|e| format!("{} at `{}`", e, e.instance_path())).collect()
    }

    /// What is undocumented in an answer of the operation: its status, its media type, its form, its code.
    pub fn undocumented(&self, operation: &Operation, answer: &Answer) -> Vec<String> {
        let status = answer.status.as_u16().to_string();
        let class = format!("{}XX", &status[..1]);
        let responses = &operation.body["responses"];
        let Some(key) = [status.as_str(), &class].into_iter().find(|key| responses[*key].is_object()) else {
            return vec![format!("{} answers {status}, which is not documented", operation.id())];
        };
        let content = responses[key]["content"].as_object();
        let given = answer.headers.get("content-type").and_then(|v| v.to_str().ok());
        let media = given.map(|given| given.split(';').next().unwrap_or_default().to_owned());
        let Some(content) = content else {
            let silent = answer.text.is_empty();
            return if silent { Vec::new() } else { vec![format!("{} has a body", operation.id())] };
        };
        let Some(media) = media.filter(|media| content.contains_key(media)) else {
            return vec![format!("{} answers {status} as {given:?}", operation.id())];
        };
        if !media.ends_with("json") {
            return Vec::new();
        }
        let pointer = format!("{}/responses/{key}/content/{}/schema", operation.pointer(), escaped(&media));
        let mut faults = self.faults(&pointer, &answer.body);
        if responses[key]["headers"]["ETag"].is_object() {
            let tag = answer.headers.get("etag").and_then(|tag| tag.to_str().ok());
            if tag != Some(&format!("\"{}\"", answer.body["version"])) {
                faults.push(format!("the ETag is {tag:?}, and not the version"));
            }
        }
        let told = |fault| format!("{} answers {status}: {fault}: {}", operation.id(), answer.text);
        faults.into_iter().map(told).collect()
    }

    /// Whether the operation's body has the property at this place, as documented.
    pub fn takes(&self, operation: &Operation, pointer: &str, name: &str) -> bool {
        let mut schema = &operation.body["requestBody"]["content"]["application/json"]["schema"];
        for step in pointer.split('/').skip(1) {
            schema = self.plain(schema);
            schema = if schema["items"].is_object() { &schema["items"] } else { &schema["properties"][step] };
        }
        self.plain(schema)["properties"][name].is_object()
    }

    /// The schema behind references and choices with null.
    fn plain<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.plain(self.document.pointer(&reference[1..]).unwrap());
        }
        let choices = schema["anyOf"].as_array().or(schema["allOf"].as_array());
        match choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null")) {
            Some(choice) => self.plain(choice),
            None => schema,
        }
    }

    /// Every example that does not fit the schema beside it.
    pub fn wrong_examples(&self) -> (usize, Vec<String>) {
        let (mut seen, mut wrong) = (0, Vec::new());
        for operation in self.operations() {
            let mut places = Vec::new();
            let inside = |pointer: &str| operation.body.pointer(pointer).and_then(Value::as_object).cloned();
            for (index, parameter) in
                operation.body["parameters"].as_array().into_iter().flatten().enumerate()
            {
                if !parameter["example"].is_null() {
                    places.push(format!("/parameters/{index}"));
                }
            }
            for media in inside("/requestBody/content").unwrap_or_default().keys() {
                places.push(format!("/requestBody/content/{}", escaped(media)));
            }
            for status in inside("/responses").unwrap_or_default().keys() {
                let content = format!("/responses/{status}/content");
                for media in inside(&content).unwrap_or_default().keys() {
                    places.push(format!("{content}/{}", escaped(media)));
                }
            }
            for place in places {
                let (holder, schema) = (operation.body.pointer(&place).unwrap(), format!("{place}/schema"));
                let Some(example) = holder.get("example").filter(|_| holder["schema"].is_object()) else {
                    continue;
                };
                seen += 1;
                let faults = self.faults(&format!("{}{schema}", operation.pointer()), example);
                wrong.extend(faults.iter().map(|fault| format!("{}{place}: {fault}", operation.id())));
            }
        }
        (seen, wrong)
    }
}

/// A step of a JSON Pointer (RFC 6901 §3).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// A JSON Pointer in a URI fragment (RFC 6901 §6).
fn in_fragment(pointer: &str) -> String {
    pointer.replace('{', "%7B").replace('}', "%7D")
}
