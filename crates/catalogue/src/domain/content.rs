//! What a product is: the part that staff edit as a draft and publish as a whole.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{BrandId, CategoryId, Sku};
use merx_kernel::{Currency, Error, Money, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AttributeSpec, AttributeValue, LocalText, Slug, Tree, Wrong};

/// A way in which the SKUs of a product differ, with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductOption {
    /// "Colour".
    pub name: LocalText<40>,
    /// "Black", "White", in the order they are shown.
    pub values: Vec<LocalText<40>>,
}

/// A sellable unit of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkuSpec {
    /// The merchant's code, unique in the shop.
    pub sku: Sku,
    /// For each option of the product, the index of the chosen value.
    #[serde(default)]
    pub choices: Vec<u16>,
    /// The first price of one unit, with which the SKU is published. Later prices are set by
    /// `POST /v1/admin/skus/{sku}/prices`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("properties" = {"minor": {"minimum": 1, "maximum": PRICE_MINOR_MAX}}))]
    pub price: Option<Money>,
    /// Gross weight of one unit in grams.
    #[schemars(range(max = WEIGHT_GRAMS_MAX))]
    pub weight_grams: u32,
    /// The most units one order may have; no limit without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    pub limit_per_order: Option<u32>,
    /// The most units one buyer may ever buy; no limit without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    pub limit_per_buyer: Option<u32>,
}

/// What a product is. A draft may leave out what only a published product needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its name.
    pub title: LocalText<200>,
    /// What it is; needed to be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<LocalText<4000>>,
    /// The category it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<CategoryId>,
    /// Its brand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand_id: Option<BrandId>,
    /// Values of the attributes of its category, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, AttributeValue>")]
    pub attributes: BTreeMap<Slug, AttributeValue>,
    /// How its SKUs differ; none for a product with one SKU.
    #[serde(default)]
    pub options: Vec<ProductOption>,
    /// Its SKUs; at least one to be published.
    #[serde(default)]
    pub skus: Vec<SkuSpec>,
}

/// The most options of a product.
pub const OPTIONS_MAX: usize = 3;
/// The most values of an option.
pub const VALUES_MAX: usize = 50;
/// The most SKUs of a product.
pub const SKUS_MAX: usize = 200;
/// The most attributes of a product.
pub const PRODUCT_ATTRIBUTES_MAX: usize = 100;
/// The heaviest unit: one tonne.
pub const WEIGHT_GRAMS_MAX: u32 = 1_000_000;
/// The largest limit of purchase.
pub const LIMIT_MAX: u32 = 1_000_000;
/// The dearest unit in minor units: Alipay takes at most 100,000,000 yuan.
pub const PRICE_MINOR_MAX: i64 = 10_000_000_000;

/// What a product is published against.
#[derive(Clone, Copy, Debug)]
pub struct PublishRules<'a> {
    /// The categories.
    pub tree: &'a Tree,
    /// The definitions.
    pub attributes: &'a BTreeMap<Slug, AttributeSpec>,
    /// The brands.
    pub brands: &'a BTreeSet<BrandId>,
    /// The shop's currency.
    pub currency: Currency,
    /// The first prices of the SKUs that were published before.
    pub first_prices: &'a BTreeMap<Sku, Money>,
}

impl Content {
    /// Checks what even a draft must keep: sizes, and that no code stands twice. Pointers begin with `at`.
    ///
    /// # Errors
    /// `Invalid` naming each property that breaks a rule.
    pub fn check_draft(&self, at: &str) -> Result<()> {
        let mut wrong = Wrong::default();
        self.check_sizes(at, &mut wrong);
        wrong.invalid()
    }

    /// Checks the whole as buyers will see it.
    ///
    /// # Errors
    /// `catalogue.not_ready` (Rejected) naming each property that breaks a rule, relative to the draft.
    pub fn check_publishable(&self, rules: &PublishRules<'_>) -> Result<()> {
        let mut wrong = Wrong::default();
        self.check_sizes("", &mut wrong);
        wrong.unless(self.description.is_some(), "/description", "is needed to be published");
        wrong.unless(!self.skus.is_empty(), "/skus", "at least one is needed to be published");
        self.check_choices(&mut wrong);
        self.check_prices(rules, &mut wrong);
        self.check_place(rules, &mut wrong);
        wrong.into_result(|| {
            Error::rejected(
                "catalogue.not_ready",
                "The draft is not ready to be published; see what is missing.",
            )
        })
    }

    fn check_sizes(&self, at: &str, wrong: &mut Wrong) {
        let count = self.options.len();
        wrong.unless(count <= OPTIONS_MAX, format!("{at}/options"), format!("at most {OPTIONS_MAX} options"));
        for (index, option) in self.options.iter().enumerate() {
            let fits = (1..=VALUES_MAX).contains(&option.values.len());
            wrong.unless(fits, format!("{at}/options/{index}/values"), format!("1 to {VALUES_MAX} values"));
        }
        wrong.unless(self.skus.len() <= SKUS_MAX, format!("{at}/skus"), format!("at most {SKUS_MAX} SKUs"));
        let attributes = self.attributes.len() <= PRODUCT_ATTRIBUTES_MAX;
        wrong.unless(attributes, format!("{at}/attributes"), format!("at most {PRODUCT_ATTRIBUTES_MAX}"));
        let mut codes = BTreeSet::new();
        for (index, sku) in self.skus.iter().enumerate() {
            let at = |property: &str| format!("{at}/skus/{index}/{property}");
            wrong.unless(codes.insert(&sku.sku), at("sku"), "the code stands twice");
            wrong.unless(sku.choices.len() <= OPTIONS_MAX, at("choices"), "one for every option");
            if let Some(price) = sku.price {
                let fits = (1..=PRICE_MINOR_MAX).contains(&price.minor);
                wrong.unless(fits, at("price/minor"), format!("1 to {PRICE_MINOR_MAX} minor units"));
            }
            let weight = sku.weight_grams <= WEIGHT_GRAMS_MAX;
            wrong.unless(weight, at("weight_grams"), format!("at most {WEIGHT_GRAMS_MAX} grams"));
            for (name, limit) in
                [("limit_per_order", sku.limit_per_order), ("limit_per_buyer", sku.limit_per_buyer)]
            {
                let fits = limit.is_none_or(|limit| (1..=LIMIT_MAX).contains(&limit));
                wrong.unless(fits, at(name), format!("1 to {LIMIT_MAX}; leave it out for no limit"));
            }
        }
    }

    fn check_choices(&self, wrong: &mut Wrong) {
        let mut chosen = BTreeSet::new();
        for (index, sku) in self.skus.iter().enumerate() {
            let at = format!("/skus/{index}/choices");
            let fits = sku.choices.len() == self.options.len()
                && sku.choices.iter().zip(&self.options).all(|(c, o)| usize::from(*c) < o.values.len());
            if !fits {
                wrong.add(at, "one existing value for every option");
            } else if !chosen.insert(&sku.choices) {
                wrong.add(at, "another SKU has the same choices");
            }
        }
    }

    fn check_prices(&self, rules: &PublishRules<'_>, wrong: &mut Wrong) {
        for (index, sku) in self.skus.iter().enumerate() {
            let at = format!("/skus/{index}/price");
            let first = rules.first_prices.get(&sku.sku);
            match (sku.price, first) {
                (None, None) => wrong.add(at, "is needed to be published"),
                (Some(price), None) if price.currency != rules.currency => {
                    wrong.add(format!("{at}/currency"), format!("the shop sells in {}", rules.currency));
                }
                (Some(price), Some(first)) if price != *first => wrong.add(
                    at,
                    "the SKU is published already: set its price with POST /v1/admin/skus/{sku}/prices",
                ),
                _ => {}
            }
        }
    }

    fn check_place(&self, rules: &PublishRules<'_>, wrong: &mut Wrong) {
        if self.brand_id.is_some_and(|brand| !rules.brands.contains(&brand)) {
            wrong.add("/brand_id", "there is no such brand");
        }
        let expected = match self.category_id {
            Some(category) if rules.tree.get(category).is_none() => {
                wrong.add("/category_id", "there is no such category");
                return;
            }
            Some(category) => rules.tree.attributes(category),
            None => Vec::new(),
        };
        for attribute in expected.iter().filter(|a| a.required && !self.attributes.contains_key(&a.code)) {
            wrong.add(format!("/attributes/{}", attribute.code), "the category needs it");
        }
        for (code, value) in &self.attributes {
            let at = format!("/attributes/{code}");
            match rules.attributes.get(code).filter(|_| expected.iter().any(|a| a.code == *code)) {
                None => wrong.add(at, "is no attribute of the category"),
                Some(definition) => {
                    if let Some(refused) = definition.refuses(value) {
                        wrong.add(at, refused);
                    }
                }
            }
        }
    }

    /// "Colour: black, Size: M" in both languages; empty for a product without options.
    pub fn describe_choices(options: &[ProductOption], choices: &[u16]) -> (String, String) {
        let mut zh = Vec::with_capacity(options.len());
        let mut en = Vec::with_capacity(options.len());
        for (option, choice) in options.iter().zip(choices) {
            if let Some(value) = option.values.get(usize::from(*choice)) {
                zh.push(format!("{}：{}", option.name.zh, value.zh));
                en.push(format!("{}: {}", option.name.en, value.en));
            }
        }
        (zh.join("，"), en.join(", "))
    }
}
