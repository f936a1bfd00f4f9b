//! Typed attributes: what a kind of product is described by.

use std::collections::BTreeSet;

use merx_kernel::BoundedText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decimal, LocalText, Slug, Wrong};

/// The most definitions of a shop.
pub const ATTRIBUTES_MAX: usize = 500;
/// The most choices of a definition.
pub const CHOICES_MAX: usize = 200;

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// A text in Chinese and English.
    Text,
    /// A number, perhaps with a unit.
    Number,
    /// Yes or no.
    Boolean,
    /// One of the choices of the definition.
    Choice,
}

impl AttributeKind {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Choice => "choice",
        }
    }
}

/// One of the values of an attribute of the kind choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// How products and filters name it.
    pub code: Slug,
    /// How people do.
    pub name: LocalText<80>,
}

/// The definition of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "code": "harvest", "name": {"zh": "采摘", "en": "Harvest"}, "kind": "choice", "filterable": true,
    "choices": [{"code": "spring", "name": {"zh": "春茶", "en": "Spring"}}]
}))]
pub struct AttributeSpec {
    /// How products and filters name it; never changes.
    pub code: Slug,
    /// How people do.
    pub name: LocalText<80>,
    /// What its values are; never changes.
    pub kind: AttributeKind,
    /// What a number counts: "cm", "ml".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<BoundedText<1, 20>>,
    /// The choices in the order they are shown, for the kind choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = CHOICES_MAX))]
    pub choices: Vec<Choice>,
    /// Whether lists of products can be narrowed by it; texts cannot.
    #[serde(default)]
    pub filterable: bool,
}

/// A value of an attribute: a text in both languages, a number, `true` or `false`, or the code of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Of the kind boolean.
    Boolean(bool),
    /// Of the kind number.
    Number(Decimal),
    /// Of the kind choice.
    Choice(Slug),
    /// Of the kind text.
    Text(LocalText<400>),
}

impl AttributeSpec {
    /// Checks every rule between the parts; pointers begin with `at`.
    pub fn check(&self, at: &str, wrong: &mut Wrong) {
        let choice = self.kind == AttributeKind::Choice;
        wrong.unless(
            choice != self.choices.is_empty() && self.choices.len() <= CHOICES_MAX,
            format!("{at}/choices"),
            format!("1 to {CHOICES_MAX} for the kind choice, none for the others"),
        );
        let codes: BTreeSet<&Slug> = self.choices.iter().map(|c| &c.code).collect();
        wrong.unless(codes.len() == self.choices.len(), format!("{at}/choices"), "a code stands twice");
        let unit = self.unit.is_none() || self.kind == AttributeKind::Number;
        wrong.unless(unit, format!("{at}/unit"), "only numbers have a unit");
        let filterable = !self.filterable || self.kind != AttributeKind::Text;
        wrong.unless(filterable, format!("{at}/filterable"), "texts are no filters; make it a choice");
    }

    /// What is wrong with a value of it, if anything.
    pub fn refuses(&self, value: &AttributeValue) -> Option<String> {
        match (self.kind, value) {
            (AttributeKind::Text, AttributeValue::Text(_))
            | (AttributeKind::Number, AttributeValue::Number(_))
            | (AttributeKind::Boolean, AttributeValue::Boolean(_)) => None,
            (AttributeKind::Choice, AttributeValue::Choice(code)) => {
                let known = self.choices.iter().any(|c| c.code == *code);
                (!known).then(|| {
                    let all: Vec<&str> = self.choices.iter().map(|c| c.code.as_str()).take(20).collect();
                    format!("must be one of the choices: {}", all.join(", "))
                })
            }
            (AttributeKind::Text, _) => Some("must be a text with zh and en".to_owned()),
            (AttributeKind::Number, _) => Some("must be a number".to_owned()),
            (AttributeKind::Boolean, _) => Some("must be true or false".to_owned()),
            (AttributeKind::Choice, _) => Some("must be the code of a choice".to_owned()),
        }
    }

    /// The choices that `next` has no more: they must not be in use.
    pub fn choices_gone(&self, next: &Self) -> Vec<Slug> {
        let kept: BTreeSet<&Slug> = next.choices.iter().map(|c| &c.code).collect();
        self.choices.iter().map(|c| &c.code).filter(|code| !kept.contains(code)).cloned().collect()
    }
}
