//! One route: handler, guard and documentation in one value.

use std::collections::BTreeMap;

use axum::{handler::Handler, routing::MethodRouter};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::access::{Access, Owner};

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What makes a repeated request harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// The client must send `Idempotency-Key`; the handler takes [`crate::IdempotencyKey`].
    Required,
    /// The method or the object's own identity makes repetition harmless; says how.
    Natural(&'static str),
    /// Repetition is not made harmless; says why that is right.
    Excluded(&'static str),
}

/// The form of a request body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
    Json,
    UrlEncoded,
    /// Bytes of one of these media types.
    Raw(&'static [&'static str]),
}

/// The part of a route that is known before a request comes.
#[derive(Clone)]
pub(crate) struct RouteFacts {
    pub method: Method,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub description: Option<&'static str>,
    pub access: Access,
    pub group: Option<&'static str>,
    pub idempotency: Option<Idempotency>,
    pub body: Option<(BodyForm, SchemaOf)>,
    pub query: Option<SchemaOf>,
    pub params: BTreeMap<&'static str, SchemaOf>,
    pub responses: Vec<(u16, &'static str, Option<SchemaOf>)>,
    /// The media types of answers that are not JSON, by status.
    pub raw_responses: BTreeMap<u16, &'static [&'static str]>,
    /// The request must carry `If-Match`.
    pub if_match: bool,
    pub errors: Vec<&'static str>,
    pub body_bytes_max: Option<usize>,
    pub handler_ms_max: Option<u64>,
    pub unlimited: Option<&'static str>,
}

/// One route of the public surface.
#[derive(Clone)]
pub struct Route {
    pub(crate) facts: RouteFacts,
    pub(crate) handler: MethodRouter<()>,
}

macro_rules! constructors {
    ($($name:ident, $method:ident, $filter:ident;)*) => {$(
        #[doc = concat!("A ", stringify!($method), " route: path template, who may use it, handler, the handler's state.")]
        pub fn $name<H, T, S>(path: &'static str, access: Access, handler: H, state: &S) -> Self
        where
            H: Handler<T, S>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            let handler = MethodRouter::new().on(axum::routing::MethodFilter::$filter, handler);
            Self::new(Method::$method, path, access, handler.with_state(state.clone()))
        }
    )*};
}

impl Route {
    constructors! {
        get, GET, GET;
        post, POST, POST;
        put, PUT, PUT;
        patch, PATCH, PATCH;
        delete, DELETE, DELETE;
    }

    fn new(method: Method, path: &'static str, access: Access, handler: MethodRouter<()>) -> Self {
        let natural = method == Method::GET || method == Method::PUT || method == Method::DELETE;
        let facts = RouteFacts {
            idempotency: natural
                .then_some(Idempotency::Natural("by the nature of the method (RFC 9110 §9.2.2)")),
            method,
            path,
            id: "",
            summary: "",
            description: None,
            access,
            group: None,
            body: None,
            query: None,
            params: BTreeMap::new(),
            responses: Vec::new(),
            raw_responses: BTreeMap::new(),
            if_match: false,
            errors: Vec::new(),
            body_bytes_max: None,
            handler_ms_max: None,
            unlimited: None,
        };
        Self { facts, handler }
    }

    /// The operation's id, unique among all routes: `placeOrder`. Also its name in metrics and logs.
    #[must_use]
    pub const fn id(mut self, id: &'static str) -> Self {
        self.facts.id = id;
        self
    }
    /// What it belongs to, a heading of the description: a context's name. The first step of its path unless told.
    #[must_use]
    pub const fn group(mut self, group: &'static str) -> Self {
        self.facts.group = Some(group);
        self
    }
    /// One line on what it does.
    #[must_use]
    pub const fn summary(mut self, summary: &'static str) -> Self {
        self.facts.summary = summary;
        self
    }
    /// More than one line on what it does.
    #[must_use]
    pub const fn description(mut self, description: &'static str) -> Self {
        self.facts.description = Some(description);
        self
    }
    /// The JSON body.
    #[must_use]
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.facts.body = Some((BodyForm::Json, schema_of::<T>));
        self
    }
    /// The body is a form (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn form<T: JsonSchema>(mut self) -> Self {
        self.facts.body = Some((BodyForm::UrlEncoded, schema_of::<T>));
        self
    }
    /// The body is bytes of one of these media types; the handler takes [`crate::RawBody`].
    #[must_use]
    pub fn raw_body(mut self, media: &'static [&'static str]) -> Self {
        self.facts.body = Some((BodyForm::Raw(media), |_| Schema::default()));
        self
    }
    /// The request must carry `If-Match`; the handler takes [`crate::IfMatch`].
    #[must_use]
    pub const fn if_match(mut self) -> Self {
        self.facts.if_match = true;
        self
    }
    /// The query parameters: the properties of `T`.
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.facts.query = Some(schema_of::<T>);
        self
    }
    /// The form of the path parameter `name`; text unless told.
    #[must_use]
    pub fn param<T: JsonSchema>(mut self, name: &'static str) -> Self {
        self.facts.params.insert(name, schema_of::<T>);
        self
    }
    /// An answer with a JSON body.
    #[must_use]
    pub fn response<T: JsonSchema>(mut self, status: u16) -> Self {
        self.facts.responses.push((status, reason(status), Some(schema_of::<T>)));
        self
    }
    /// An answer without a body.
    #[must_use]
    pub fn empty_response(mut self, status: u16) -> Self {
        self.facts.responses.push((status, reason(status), None));
        self
    }
    /// An answer with a body of one of these media types.
    #[must_use]
    pub fn raw_response(mut self, status: u16, media: &'static [&'static str]) -> Self {
        self.facts.responses.push((status, reason(status), None));
        self.facts.raw_responses.insert(status, media);
        self
    }
    /// The codes of its own it may answer, besides those every route has.
    #[must_use]
    pub fn errors(mut self, codes: &[&'static str]) -> Self {
        self.facts.errors.extend_from_slice(codes);
        self
    }
    /// What makes a repetition harmless; a POST or PATCH must say.
    #[must_use]
    pub const fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.facts.idempotency = Some(idempotency);
        self
    }
    /// Another body limit than [`crate::Limits::body_bytes_max`].
    #[must_use]
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.facts.body_bytes_max = Some(bytes);
        self
    }
    /// Another time limit than [`crate::Limits::handler_ms_max`].
    #[must_use]
    pub const fn handler_ms_max(mut self, ms: u64) -> Self {
        self.facts.handler_ms_max = Some(ms);
        self
    }
    /// Neither counted against the client's rate nor refused for overload; says why.
    #[must_use]
    pub const fn unlimited(mut self, reason: &'static str) -> Self {
        self.facts.unlimited = Some(reason);
        self
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.facts.method
    }
    /// The path template.
    pub const fn path(&self) -> &'static str {
        self.facts.path
    }
    /// The operation's id.
    pub const fn operation_id(&self) -> &'static str {
        self.facts.id
    }
    /// Who may use it.
    pub const fn access(&self) -> Access {
        self.facts.access
    }
    /// The statuses of its answers when it does what it is asked.
    pub fn statuses(&self) -> impl Iterator<Item = u16> {
        self.facts.responses.iter().map(|(status, ..)| *status)
    }
    /// Whether its requests carry an `Idempotency-Key`.
    pub fn is_keyed(&self) -> bool {
        self.facts.idempotency == Some(Idempotency::Required)
    }
    /// The codes of its own.
    pub fn codes(&self) -> &[&'static str] {
        &self.facts.errors
    }

    /// Walks the routes and says what is wrong with them; empty when nothing is. A test runs it over the
    /// routes of all contexts.
    pub fn check(routes: &[Self]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut ids = BTreeMap::new();
        let mut places = BTreeMap::new();
        for route in routes {
            let facts = &route.facts;
            let place = format!("{} {}", facts.method, facts.path);
            facts.check(|finding: &str| findings.push(format!("{place}: {finding}")));
            if let Some(other) = ids.insert(facts.id, place.clone()) {
                findings.push(format!("{place}: has the id `{}` of {other}", facts.id));
            }
            if places.insert(place.clone(), ()).is_some() {
                findings.push(format!("{place}: exists twice"));
            }
        }
        findings
    }
}

impl RouteFacts {
    fn check(&self, mut found: impl FnMut(&str)) {
        if self.id.is_empty() {
            found("has no id");
        }
        if self.summary.is_empty() {
            found("has no summary");
        }
        if self.responses.is_empty() {
            found("names no response");
        }
        match self.access {
            Access::Signed("") => found("does not say whose signature and how"),
            access => match access.owner() {
                Some(owner) if owner.reason().is_empty() => found("has no owner rule"),
                Some(Owner::None(_)) if matches!(access, Access::LoggedIn { .. }) => {
                    found("needs neither a permission nor an owner");
                }
                _ => {}
            },
        }
        match self.idempotency {
            None => found("has no idempotency decision"),
            Some(Idempotency::Natural(reason) | Idempotency::Excluded(reason)) if reason.is_empty() => {
                found("gives no reason for its idempotency decision");
            }
            _ => {}
        }
        for name in self.params.keys() {
            if !self.path_params().any(|p| p == *name) {
                found("documents a path parameter it does not have");
            }
        }
        if self.method == Method::GET && self.body.is_some() {
            found("is a GET with a body");
        }
        if self.errors.iter().any(|code| !code.contains('.')) {
            found("names a code that is not `<context>.<code>`");
        }
    }

    /// The names between braces in the path template.
    pub(crate) fn path_params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
    /// Whether the handler changes something and must outlive the client.
    pub(crate) fn mutates(&self) -> bool {
        self.method != Method::GET
    }
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Answer")
}
