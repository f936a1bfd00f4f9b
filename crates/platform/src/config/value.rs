//! A configuration value that knows where it came from, and a deserialiser over it whose errors say so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use merx_kernel::secret::SECRET_NAME;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// Where a value came from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Nowhere: the empty root.
    Nothing,
    /// The file.
    File(PathBuf),
    /// An environment variable.
    Env(Arc<str>),
    /// What the program does without being told.
    Default,
    /// Whoever reads it as a secret notes its path.
    Watched(Arc<str>, Arc<Mutex<BTreeSet<String>>>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("configuration"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Default | Self::Watched(..) => f.write_str("default"),
        }
    }
}

/// What is wrong, and where. The path grows from the inside out.
#[derive(Debug)]
pub(super) struct Problem {
    path: Vec<String>,
    origin: Option<Origin>,
    detail: String,
}

impl Problem {
    pub(super) fn at(path: &[&str], origin: &Origin, detail: impl Into<String>) -> Self {
        let path = path.iter().rev().map(|s| (*s).to_owned()).collect();
        Self { path, origin: Some(origin.clone()), detail: detail.into() }
    }

    fn under(mut self, key: &str, origin: &Origin) -> Self {
        self.path.push(key.to_owned());
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// The path of the key, outermost first.
    pub(super) fn path(&self) -> String {
        self.path.iter().rev().map(String::as_str).collect::<Vec<_>>().join(".")
    }

    /// What is wrong, and where it was written.
    pub(super) fn detail(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{} ({origin})", self.detail),
            None => self.detail.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path(), self.detail())
    }
}
impl std::error::Error for Problem {}
impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), origin: None, detail: message.to_string() }
    }

    /// The path names the key that is not there.
    fn missing_field(field: &'static str) -> Self {
        Self { path: vec![field.to_owned()], origin: None, detail: "is missing".to_owned() }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    value: Kind,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Kind {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Leaf(toml::Value),
    /// From the environment: a text that is read as whatever is asked for.
    Text(String),
}

impl Node {
    pub(super) fn empty() -> Self {
        Self { value: Kind::Table(BTreeMap::new()), origin: Origin::Nothing }
    }

    pub(super) fn new(value: toml::Value, origin: Origin) -> Self {
        let value = match value {
            toml::Value::Table(table) => {
                Kind::Table(table.into_iter().map(|(k, v)| (k, Self::new(v, origin.clone()))).collect())
            }
            toml::Value::Array(list) => {
                Kind::List(list.into_iter().map(|v| Self::new(v, origin.clone())).collect())
            }
            leaf => Kind::Leaf(leaf),
        };
        Self { value, origin }
    }

    /// Overrides the value at `path` by a text of the environment.
    pub(super) fn set(&mut self, path: &[String], variable: &str, text: String) -> Result<(), Problem> {
        let origin = Origin::Env(Arc::from(variable));
        let Some((key, rest)) = path.split_first() else {
            *self = Self { value: Kind::Text(text), origin };
            return Ok(());
        };
        if key.is_empty() {
            return Err(Problem::at(&[], &origin, "has an empty part in its name"));
        }
        let Kind::Table(table) = &mut self.value else {
            let detail = format!("holds a value, so `{key}` cannot be set inside it");
            return Err(Problem::at(&[], &origin, detail));
        };
        let child = table.entry(key.clone()).or_insert_with(Self::empty);
        child.set(rest, variable, text).map_err(|p| p.under(key, &origin))
    }

    /// Takes out the value that `problem` is about, or the list it is in; `false` when it is about none that is here.
    pub(super) fn take_out(&mut self, problem: &Problem) -> bool {
        let mut path = problem.path.iter().rev().peekable();
        let mut here = self;
        while let (Some(key), Kind::Table(table)) = (path.next(), &mut here.value) {
            let last = path.peek().is_none();
            match table.get(key).map(|child| matches!(child.value, Kind::Table(_))) {
                Some(true) if !last => {}
                Some(_) => return table.remove(key).is_some(),
                None => return false,
            }
            let Some(child) = table.get_mut(key) else { return false };
            here = child;
        }
        false
    }

    /// Puts every value of `over` in place of the one here.
    pub(super) fn overlay(&mut self, over: Self) {
        match (&mut self.value, over) {
            (Kind::Table(table), Self { value: Kind::Table(over), .. }) => {
                for (key, node) in over {
                    table.entry(key).or_insert_with(Self::empty).overlay(node);
                }
            }
            (_, over) => *self = over,
        }
    }

    /// Every value that is no table, with its path, in order of path.
    pub(super) fn leaves(&self, path: &str) -> Vec<(String, String, Origin)> {
        let shown = match &self.value {
            Kind::Table(table) => {
                let below = |(key, node): (&String, &Self)| {
                    node.leaves(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") })
                };
                return table.iter().flat_map(below).collect();
            }
            Kind::List(items) => {
                let items: Vec<_> =
                    items.iter().flat_map(|item| item.leaves("")).map(|(_, shown, _)| shown).collect();
                format!("[{}]", items.join(", "))
            }
            // A basic string on one line, which is the same in JSON.
            Kind::Leaf(toml::Value::String(text)) | Kind::Text(text) => {
                serde_json::Value::String(text.clone()).to_string()
            }
            Kind::Leaf(leaf) => leaf.to_string(),
        };
        vec![(path.to_owned(), shown, self.origin.clone())]
    }

    /// The same values, each of which notes its path in `secrets` when it is read as one.
    pub(super) fn watched(self, path: &str, secrets: &Arc<Mutex<BTreeSet<String>>>) -> Self {
        let value = match self.value {
            Kind::Table(table) => {
                let below = |(key, node): (String, Self)| {
                    let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    (key, node.watched(&inner, secrets))
                };
                Kind::Table(table.into_iter().map(below).collect())
            }
            Kind::List(items) => {
                Kind::List(items.into_iter().map(|item| item.watched(path, secrets)).collect())
            }
            other => other,
        };
        Self { value, origin: Origin::Watched(Arc::from(path), secrets.clone()) }
    }

    /// What kind of value it is. Never the value: it may be a secret.
    fn found(&self) -> &'static str {
        match &self.value {
            Kind::Table(_) => "a table",
            Kind::List(_) => "a list",
            Kind::Leaf(leaf) => leaf.type_str(),
            Kind::Text(_) => "another text",
        }
    }

    /// The first leaf inside: what it says of its origin is exact, also where a table was begun by the environment.
    fn innermost(&self) -> &Self {
        match &self.value {
            Kind::Table(table) => table.values().next().map_or(self, Self::innermost),
            _ => self,
        }
    }

    fn wrong(&self, expected: &dyn fmt::Display) -> Problem {
        Problem::at(&[], &self.origin, format!("expected {expected}, found {}", self.found()))
    }

    /// Reads a text of the environment as a `T`; anything else as it is.
    fn parsed<T: std::str::FromStr>(
        self,
        expected: &str,
        leaf: fn(T) -> toml::Value,
    ) -> Result<Self, Problem> {
        match &self.value {
            Kind::Text(text) => match text.trim().parse() {
                Ok(value) => Ok(Self { value: Kind::Leaf(leaf(value)), origin: self.origin }),
                Err(_) => Err(self.wrong(&expected)),
            },
            _ => Ok(self),
        }
    }

    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let origin = self.origin.clone();
        let expected = expected(&visitor);
        let found = self.found();
        let result = match self.value {
            Kind::Table(table) => visitor.visit_map(Entries::of(table)),
            Kind::List(list) => visitor.visit_seq(Items { items: list.into_iter(), index: 0 }),
            Kind::Text(text) => visitor.visit_string(text),
            Kind::Leaf(toml::Value::String(text)) => visitor.visit_string(text),
            Kind::Leaf(toml::Value::Integer(number)) => visitor.visit_i64(number),
            Kind::Leaf(toml::Value::Float(number)) => visitor.visit_f64(number),
            Kind::Leaf(toml::Value::Boolean(on)) => visitor.visit_bool(on),
            Kind::Leaf(other) => visitor.visit_string(other.to_string()),
        };
        result.map_err(|mut problem: Problem| {
            if problem.origin.is_none() && problem.detail.starts_with("invalid type") {
                problem.detail = format!("expected {expected}, found {found}");
            }
            problem.origin.get_or_insert(origin);
            problem
        })
    }
}

/// What a visitor says it wants.
fn expected<'de, V: Visitor<'de>>(visitor: &V) -> String {
    struct Shown<'a, V>(&'a V);
    impl<'de, V: Visitor<'de>> fmt::Display for Shown<'_, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(f)
        }
    }
    Shown(visitor).to_string()
}

macro_rules! parsed {
    ($expected:literal, $type:ty, $leaf:path: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.parsed::<$type>($expected, $leaf)?.visit(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit(visitor)
    }

    parsed!("`true` or `false`", bool, toml::Value::Boolean: deserialize_bool);
    parsed!("a whole number", i64, toml::Value::Integer:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    parsed!("a number", f64, toml::Value::Float: deserialize_f32 deserialize_f64);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if let (Origin::Watched(path, secrets), SECRET_NAME) = (&self.origin, name) {
            secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_string());
        }
        visitor.visit_newtype_struct(self)
    }

    /// A text of the environment is a list separated by commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let Kind::Text(text) = &self.value else { return self.visit(visitor) };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let list = items
            .map(|item| Self { value: Kind::Text(item.to_owned()), origin: self.origin.clone() })
            .collect();
        Self { value: Kind::List(list), origin: self.origin }.visit(visitor)
    }

    /// The keys are known here, so what nobody reads is found here whatever the type's attributes say.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let Kind::Table(table) = &self.value else { return Err(self.wrong(&"a table")) };
        if let Some((key, node)) = table.iter().find(|(key, _)| !fields.contains(&key.as_str())) {
            let detail = match nearest(key, fields) {
                Some(near) => format!("is not a key of the configuration; did you mean `{near}`?"),
                None => format!("is not a key of the configuration; here are: {}", fields.join(", ")),
            };
            return Err(Problem::at(&[key], &node.innermost().origin, detail));
        }
        self.visit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let origin = self.origin.clone();
        let result = match self.value {
            Kind::Text(text) | Kind::Leaf(toml::Value::String(text)) => {
                visitor.visit_enum(de::value::StringDeserializer::new(text))
            }
            Kind::Table(table) => {
                visitor.visit_enum(de::value::MapAccessDeserializer::new(Entries::of(table)))
            }
            _ => return Err(self.wrong(&expected(&visitor))),
        };
        result.map_err(|mut problem: Problem| {
            problem.origin.get_or_insert(origin);
            problem
        })
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Problem> for Node {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

struct Entries {
    entries: std::collections::btree_map::IntoIter<String, Node>,
    value: Option<(String, Node)>,
}

impl Entries {
    fn of(table: BTreeMap<String, Node>) -> Self {
        Self { entries: table.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key.clone(), node));
        seed.deserialize(de::value::StringDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Problem> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let origin = node.origin.clone();
        seed.deserialize(node).map_err(|p: Problem| p.under(&key, &origin))
    }
}

struct Items {
    items: std::vec::IntoIter<Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let (index, origin) = (self.index, node.origin.clone());
        self.index += 1;
        seed.deserialize(node).map(Some).map_err(|p: Problem| p.under(&index.to_string(), &origin))
    }
}

/// The known key that a mistyped one most likely stands for: at most a third of its letters differ.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let best = known.iter().map(|candidate| (distance(key, candidate), *candidate)).min()?;
    (best.0 <= key.len().div_ceil(3)).then_some(best.1)
}

/// Levenshtein distance of two keys.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
