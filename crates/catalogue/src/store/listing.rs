//! What buyers see: lists of products, narrowed and sorted, and single ones.

use merx_contracts::ids::{BrandId, CategoryId, ProductId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Row, Value, params};

use super::{
    marks,
    pictures::{self, PictureRow},
    products::{content_of, spec_of},
};
use crate::domain::{Content, Decimal, Slug};

/// A product as buyers see it: SKUs carry the prices in force.
#[derive(Clone, Debug)]
pub struct PublicProduct {
    /// Its identity.
    pub id: ProductId,
    /// What it is.
    pub content: Content,
    /// Its pictures, in order.
    pub pictures: Vec<PictureRow>,
}

/// By what a list is sorted; the id decides between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    Newest,
    /// The cheapest first, by the lowest price of a product's SKUs.
    PriceUp,
    /// The dearest first, by the same price.
    PriceDown,
    /// By title.
    Title {
        /// The English one, else the Chinese.
        english: bool,
    },
}

/// Where a page ended: the value it was sorted by, and the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// A price.
    pub number: i64,
    /// A title.
    pub text: String,
    /// The last product.
    pub id: ProductId,
}

/// One attribute that a list is narrowed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeFilter {
    /// One of these choices.
    Choices(Vec<Slug>),
    /// Yes or no.
    Boolean(bool),
    /// From and to, both included.
    Range(Option<Decimal>, Option<Decimal>),
}

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct ListFilter {
    /// In one of these categories.
    pub categories: Option<Vec<CategoryId>>,
    /// Of this brand.
    pub brand: Option<BrandId>,
    /// With these attributes.
    pub attributes: Vec<(Slug, AttributeFilter)>,
    /// Lowest price at least so many minor units.
    pub price_min: Option<i64>,
    /// Lowest price at most so many minor units.
    pub price_max: Option<i64>,
    /// Words of the title, as patterns of LIKE with `!` as the escape.
    pub words: Vec<String>,
    /// Sorted by.
    pub order: Order,
    /// After this one.
    pub after: Option<After>,
    /// At most so many.
    pub limit: i64,
    /// The moment it is seen.
    pub now: Timestamp,
}

const LISTED: &str = "(p.status = 'active' OR p.list_at <= ?) AND (p.delist_at IS NULL OR p.delist_at > ?)";

/// The lowest price in force among a product's SKUs: in step with [`crate::domain::price::rule_at`].
const LOWEST: &str = "(SELECT MIN(COALESCE((SELECT r.price_minor FROM catalogue_prices r WHERE r.sku = s.sku
 AND r.begins_at <= ? AND r.ends_at > ? ORDER BY r.begins_at DESC, r.id DESC LIMIT 1), s.price_minor))
 FROM catalogue_skus s WHERE s.product_id = p.id AND s.status = 'active')";

/// A page of what is listed. Each product comes with where it stands in the order.
pub fn listed(q: &mut impl Query, filter: &ListFilter) -> Result<Vec<(PublicProduct, After)>> {
    let priced = filter.price_min.is_some()
        || filter.price_max.is_some()
        || matches!(filter.order, Order::PriceUp | Order::PriceDown);
    let mut values: Vec<Value> = Vec::new();
    let lowest = if priced {
        values.extend(params![filter.now, filter.now]);
        LOWEST
    } else {
        "0"
    };
    let title = match filter.order {
        Order::Title { english: true } => "LOWER(p.title_en)",
        Order::Title { english: false } => "LOWER(p.title_zh)",
        _ => "''",
    };
    let narrowed = narrow(filter, &mut values);
    let mut sql = format!(
        "SELECT x.id, x.title_zh, x.title_en, x.description_zh, x.description_en, x.options, x.category_id,
 x.brand_id, x.attributes, x.lowest, x.title FROM (SELECT p.id, p.title_zh, p.title_en, p.description_zh,
 p.description_en, p.options, p.category_id, p.brand_id, p.attributes, {lowest} AS lowest, {title} AS title
 FROM catalogue_products p WHERE {narrowed}) x WHERE 1 = 1"
    );
    for (bound, sign) in [(filter.price_min, ">="), (filter.price_max, "<=")] {
        if let Some(bound) = bound {
            sql.push_str(&format!(" AND x.lowest {sign} ?"));
            values.push(bound.into());
        }
    }
    let (key, sign, direction) = match filter.order {
        Order::Newest => ("x.id", "<", "DESC"),
        Order::PriceUp => ("x.lowest", ">", "ASC"),
        Order::PriceDown => ("x.lowest", "<", "DESC"),
        Order::Title { .. } => ("x.title", ">", "ASC"),
    };
    if let Some(after) = &filter.after {
        let of = || match filter.order {
            Order::Newest => Value::from(after.id),
            Order::Title { .. } => Value::from(&after.text),
            Order::PriceUp | Order::PriceDown => Value::from(after.number),
        };
        sql.push_str(&format!(" AND ({key} {sign} ? OR ({key} = ? AND x.id {sign} ?))"));
        values.extend([of(), of(), after.id.into()]);
    }
    sql.push_str(&format!(" ORDER BY {key} {direction}, x.id {direction} LIMIT ?"));
    values.push(filter.limit.into());
    let found = q.query(&sql, values, |row| {
        let product = public_of(row)?;
        let after = After { number: row.get(9)?, text: row.get(10)?, id: product.id };
        Ok((product, after))
    })?;
    let (products, places): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Ok(complete(q, products, filter.now)?.into_iter().zip(places).collect())
}

fn narrow(filter: &ListFilter, values: &mut Vec<Value>) -> String {
    let mut sql = LISTED.to_owned();
    values.extend(params![filter.now, filter.now]);
    if let Some(categories) = &filter.categories {
        sql.push_str(&format!(" AND p.category_id IN ({})", marks(categories.len())));
        values.extend(categories.iter().map(|id| Value::from(*id)));
    }
    if let Some(brand) = filter.brand {
        sql.push_str(" AND p.brand_id = ?");
        values.push(brand.into());
    }
    for word in &filter.words {
        sql.push_str(" AND (LOWER(p.title_zh) LIKE ? ESCAPE '!' OR LOWER(p.title_en) LIKE ? ESCAPE '!')");
        values.extend(params![word, word]);
    }
    for (code, of) in &filter.attributes {
        sql.push_str(" AND EXISTS (SELECT 1 FROM catalogue_product_attributes a WHERE a.product_id = p.id AND a.attribute = ?");
        values.push(code.as_str().into());
        match of {
            AttributeFilter::Choices(choices) => {
                sql.push_str(&format!(" AND a.choice IN ({})", marks(choices.len())));
                values.extend(choices.iter().map(|choice| Value::from(choice.as_str())));
            }
            AttributeFilter::Boolean(yes) => {
                sql.push_str(" AND a.number = ?");
                values.push((*yes).into());
            }
            AttributeFilter::Range(from, to) => {
                for (bound, sign) in [(from, ">="), (to, "<=")] {
                    if let Some(bound) = bound {
                        sql.push_str(&format!(" AND a.number {sign} ?"));
                        values.push(bound.millionths().into());
                    }
                }
            }
        }
        sql.push(')');
    }
    sql
}

/// One listed product.
pub fn one(q: &mut impl Query, id: ProductId, now: Timestamp) -> Result<Option<PublicProduct>> {
    let sql = format!(
        "SELECT p.id, p.title_zh, p.title_en, p.description_zh, p.description_en, p.options, p.category_id,
 p.brand_id, p.attributes FROM catalogue_products p WHERE p.id = ? AND {LISTED}"
    );
    let found = q.query_opt(&sql, params![id, now, now], public_of)?;
    Ok(complete(q, found.into_iter().collect(), now)?.pop())
}

fn public_of(row: &Row<'_>) -> Result<PublicProduct> {
    Ok(PublicProduct { id: row.get(0)?, content: content_of(row, 1)?, pictures: Vec::new() })
}

/// Adds SKUs, with the prices in force, and pictures.
fn complete(
    q: &mut impl Query,
    mut products: Vec<PublicProduct>,
    now: Timestamp,
) -> Result<Vec<PublicProduct>> {
    if products.is_empty() {
        return Ok(products);
    }
    let ids: Vec<ProductId> = products.iter().map(|p| p.id).collect();
    let sql = format!(
        "SELECT s.product_id, s.sku, s.choices, COALESCE((SELECT r.price_minor FROM catalogue_prices r
 WHERE r.sku = s.sku AND r.begins_at <= ? AND r.ends_at > ? ORDER BY r.begins_at DESC, r.id DESC LIMIT 1),
 s.price_minor), s.currency, s.weight_grams, s.limit_per_order, s.limit_per_buyer FROM catalogue_skus s
 WHERE s.status = 'active' AND s.product_id IN ({}) ORDER BY s.product_id, s.ordinal",
        marks(ids.len())
    );
    let mut values = params![now, now];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    let skus = q.query(&sql, values, |row| Ok((row.get::<ProductId>(0)?, spec_of(row, 1)?)))?;
    let shown = pictures::of_products(q, &ids)?;
    for (product, spec) in skus {
        if let Some(owner) = products.iter_mut().find(|p| p.id == product) {
            owner.content.skus.push(spec);
        }
    }
    for picture in shown {
        if let Some(owner) = products.iter_mut().find(|p| p.id == picture.product) {
            owner.pictures.push(picture);
        }
    }
    Ok(products)
}
