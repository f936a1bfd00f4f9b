//! What lists are asked for, in words of the store.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use merx_contracts::ids::{BrandId, CategoryId};
use merx_kernel::{BoundedText, Error, Id, IdKind, PageRequest, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{AttributeKind, Decimal, Slug},
    store::{
        listing::{After, AttributeFilter, ListFilter, Order},
        structure::Structure,
    },
};

/// The most words of a search that are looked at; all must be in the title.
const WORDS_MAX: usize = 8;
/// The most attributes a list is narrowed by, and the most choices of one.
const FILTERS_MAX: usize = 10;

/// By what products are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The newest first.
    #[default]
    Newest,
    /// The cheapest first, by the lowest price of a product's SKUs.
    PriceAsc,
    /// The dearest first, by that price.
    PriceDesc,
    /// By the English title.
    TitleEn,
    /// By the Chinese title, in the order of code points.
    TitleZh,
}

impl Sort {
    const fn order(self) -> Order {
        match self {
            Self::Newest => Order::Newest,
            Self::PriceAsc => Order::PriceUp,
            Self::PriceDesc => Order::PriceDown,
            Self::TitleEn => Order::Title { english: true },
            Self::TitleZh => Order::Title { english: false },
        }
    }
}

/// What a list of products is asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListProducts {
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
    /// In this category or one below it: its id or slug.
    #[schemars(length(min = 1, max = 64))]
    pub category: Option<String>,
    /// Of this brand: its id or slug.
    #[schemars(length(min = 1, max = 64))]
    pub brand: Option<String>,
    /// With these attributes: `material:cotton|linen,organic:true,volume:100..500`; either end of a range may be left
    /// out.
    pub attributes: Option<String>,
    /// Lowest price of its SKUs at least so many minor units.
    #[schemars(range(min = 0))]
    pub price_min: Option<i64>,
    /// Lowest price of its SKUs at most so many minor units.
    #[schemars(range(min = 0))]
    pub price_max: Option<i64>,
    /// Words that are all in the title, in any order and either language.
    pub q: Option<BoundedText<1, 100>>,
    /// By what it is sorted; the newest first unless told.
    pub sort: Option<Sort>,
}

/// A cursor: the order it belongs to, and where the page ended.
#[derive(Serialize, Deserialize)]
struct Cursor {
    s: Sort,
    n: i64,
    t: String,
    i: String,
}

/// The cursor after a product.
pub fn cursor_after(sort: Sort, after: &After) -> String {
    let cursor = Cursor { s: sort, n: after.number, t: after.text.clone(), i: after.id.to_string() };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

fn wrong_cursor() -> Error {
    Error::invalid("cursor", "must be the next_cursor of the page before, with the same sort")
}

/// A cursor that is an id; the beginning without one. `last` sorts behind every id.
pub fn id_cursor<K: IdKind>(page: &PageRequest) -> Result<Id<K>> {
    match &page.cursor {
        None => Ok(Id::from_bits(u128::MAX)),
        Some(cursor) => {
            cursor.parse().map_err(|_| Error::invalid("cursor", "must be the next_cursor of the page before"))
        }
    }
}

/// The words of a search as patterns of LIKE with `!` as the escape.
pub fn patterns(q: &str) -> Vec<String> {
    let escaped = |word: &str| {
        let mut out = String::from("%");
        for character in word.to_lowercase().chars() {
            if matches!(character, '%' | '_' | '!') {
                out.push('!');
            }
            out.push(character);
        }
        out.push('%');
        out
    };
    q.split_whitespace().take(WORDS_MAX).map(escaped).collect()
}

impl ListProducts {
    /// The order asked for.
    pub fn sort(&self) -> Sort {
        self.sort.unwrap_or_default()
    }

    /// What the store is asked, one item more than the page has.
    ///
    /// # Errors
    /// `Invalid` naming the parameter.
    pub fn filter(&self, structure: &Structure, now: Timestamp) -> Result<ListFilter> {
        let page = PageRequest { limit: self.limit, cursor: None };
        let category = self.category.as_deref().map(|text| category(structure, text)).transpose()?;
        let brand = self.brand.as_deref().map(|text| brand(structure, text)).transpose()?;
        for (name, price) in [("price_min", self.price_min), ("price_max", self.price_max)] {
            if price.is_some_and(|minor| minor < 0) {
                return Err(Error::invalid(name, "must be 0 or more minor units"));
            }
        }
        Ok(ListFilter {
            categories: category.map(|id| structure.tree.below(id).into_iter().collect()),
            brand,
            attributes: self.attributes.as_deref().map_or(Ok(Vec::new()), |text| filters(structure, text))?,
            price_min: self.price_min,
            price_max: self.price_max,
            words: self.q.as_ref().map(|q| patterns(q.as_str())).unwrap_or_default(),
            order: self.sort().order(),
            after: self.cursor.as_deref().map(|text| self.after(text)).transpose()?,
            limit: page.checked_limit()? + 1,
            now,
        })
    }

    fn after(&self, text: &str) -> Result<After> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong_cursor())?;
        let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| wrong_cursor())?;
        let id = cursor.i.parse().map_err(|_| wrong_cursor())?;
        if cursor.s != self.sort() {
            return Err(wrong_cursor());
        }
        Ok(After { number: cursor.n, text: cursor.t, id })
    }
}

/// A category by its id or slug.
///
/// # Errors
/// `Invalid` when there is none.
fn category(structure: &Structure, text: &str) -> Result<CategoryId> {
    let by_id = text.parse().ok().filter(|id| structure.tree.get(*id).is_some());
    let by_slug = || Some(structure.tree.by_slug(&Slug::new(text).ok()?)?.id);
    by_id.or_else(by_slug).ok_or_else(|| Error::invalid("category", "there is no such category"))
}

fn brand(structure: &Structure, text: &str) -> Result<BrandId> {
    let by_id = text.parse().ok().filter(|id| structure.brands.contains_key(id));
    let by_slug = || structure.brands.values().find(|b| b.slug.as_str() == text).map(|b| b.id);
    by_id.or_else(by_slug).ok_or_else(|| Error::invalid("brand", "there is no such brand"))
}

fn filters(structure: &Structure, text: &str) -> Result<Vec<(Slug, AttributeFilter)>> {
    let wrong = |detail: String| Error::invalid("attributes", detail);
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > FILTERS_MAX {
        return Err(wrong(format!("at most {FILTERS_MAX} attributes")));
    }
    let mut found = Vec::with_capacity(parts.len());
    for part in parts {
        let (code, value) = part
            .split_once(':')
            .ok_or_else(|| wrong("must be code:value pairs joined by commas".to_owned()))?;
        let definition = Slug::new(code).ok().and_then(|code| structure.attributes.get(&code));
        let definition = definition
            .filter(|d| d.filterable)
            .ok_or_else(|| wrong(format!("`{}` is no filter", code.escape_default())))?;
        let filter =
            one_filter(definition.kind, value).map_err(|e| wrong(format!("{}: {e}", definition.code)))?;
        found.push((definition.code.clone(), filter));
    }
    Ok(found)
}

fn one_filter(kind: AttributeKind, value: &str) -> Result<AttributeFilter, String> {
    match kind {
        AttributeKind::Text => Err("texts are no filters".to_owned()),
        AttributeKind::Boolean => match value {
            "true" => Ok(AttributeFilter::Boolean(true)),
            "false" => Ok(AttributeFilter::Boolean(false)),
            _ => Err("must be true or false".to_owned()),
        },
        AttributeKind::Choice => {
            let choices: Vec<Slug> = value.split('|').map(Slug::new).collect::<Result<_, _>>()?;
            if choices.len() > FILTERS_MAX {
                return Err(format!("at most {FILTERS_MAX} choices"));
            }
            Ok(AttributeFilter::Choices(choices))
        }
        AttributeKind::Number => {
            let end = |text: &str| -> Result<Option<Decimal>, String> {
                if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
            };
            match value.split_once("..") {
                Some((from, to)) => Ok(AttributeFilter::Range(end(from)?, end(to)?)),
                None => value.parse().map(|n| AttributeFilter::Range(Some(n), Some(n))),
            }
        }
    }
}
