//! Products and SKUs, and the rules that make them fit together.

use std::collections::BTreeSet;

use merx_contracts::ids::{ProductId, Sku};
use merx_kernel::{BoundedText, Error, Money, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One text in the languages the product speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalText<const MAX: usize> {
    /// Chinese.
    pub zh: BoundedText<1, MAX>,
    /// English.
    pub en: BoundedText<1, MAX>,
}

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
    pub choices: Vec<u16>,
    /// Present price of one unit.
    pub price: Money,
    /// Gross weight of one unit in grams.
    pub weight_grams: u32,
}

/// A product as the shop keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its identity.
    pub id: ProductId,
    /// Its name.
    pub title: LocalText<200>,
    /// What it is.
    pub description: LocalText<4000>,
    /// How its SKUs differ; none for a product with one SKU.
    pub options: Vec<ProductOption>,
    /// Its SKUs, at least one.
    pub skus: Vec<SkuSpec>,
}

/// The most options of a product.
pub const OPTIONS_MAX: usize = 3;
/// The most values of an option.
pub const VALUES_MAX: usize = 50;
/// The most SKUs of a product.
pub const SKUS_MAX: usize = 200;
/// The heaviest unit: one tonne.
pub const WEIGHT_GRAMS_MAX: u32 = 1_000_000;
/// The dearest unit in minor units: Alipay takes at most 100,000,000 yuan.
pub const PRICE_MINOR_MAX: i64 = 10_000_000_000;

impl Product {
    /// Checks every rule between the parts.
    ///
    /// # Errors
    /// `Invalid` naming each property that breaks a rule.
    pub fn check(&self) -> Result<()> {
        let mut wrong: Vec<(String, String)> = Vec::new();
        if self.options.len() > OPTIONS_MAX {
            wrong.push(("/options".into(), format!("at most {OPTIONS_MAX} options")));
        }
        for (index, option) in self.options.iter().enumerate() {
            if !(1..=VALUES_MAX).contains(&option.values.len()) {
                wrong.push((format!("/options/{index}/values"), format!("1 to {VALUES_MAX} values")));
            }
        }
        if !(1..=SKUS_MAX).contains(&self.skus.len()) {
            wrong.push(("/skus".into(), format!("1 to {SKUS_MAX} SKUs")));
        }
        self.check_skus(&mut wrong);
        let mut wrong = wrong.into_iter();
        let Some((pointer, detail)) = wrong.next() else { return Ok(()) };
        Err(wrong.fold(Error::invalid(pointer, detail), |e, (pointer, detail)| e.with_field(pointer, detail)))
    }

    fn check_skus(&self, wrong: &mut Vec<(String, String)>) {
        let mut codes = BTreeSet::new();
        let mut chosen = BTreeSet::new();
        let currency = self.skus.first().map(|s| s.price.currency);
        for (index, sku) in self.skus.iter().enumerate() {
            let at = |property: &str| format!("/skus/{index}/{property}");
            if !codes.insert(&sku.sku) {
                wrong.push((at("sku"), "the code stands twice".into()));
            }
            let fits = sku.choices.len() == self.options.len()
                && sku.choices.iter().zip(&self.options).all(|(c, o)| usize::from(*c) < o.values.len());
            if !fits {
                wrong.push((at("choices"), "one existing value for every option".into()));
            } else if !chosen.insert(&sku.choices) {
                wrong.push((at("choices"), "another SKU has the same choices".into()));
            }
            if !(1..=PRICE_MINOR_MAX).contains(&sku.price.minor) {
                wrong.push((at("price/minor"), format!("1 to {PRICE_MINOR_MAX} minor units")));
            }
            if Some(sku.price.currency) != currency {
                wrong.push((at("price/currency"), "all SKUs of a product have one currency".into()));
            }
            if sku.weight_grams > WEIGHT_GRAMS_MAX {
                wrong.push((at("weight_grams"), format!("at most {WEIGHT_GRAMS_MAX} grams")));
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
