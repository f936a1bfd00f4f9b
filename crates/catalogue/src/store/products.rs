//! Products: the live content, the draft beside it, and the listing.

use std::collections::BTreeMap;

use merx_contracts::ids::{ProductId, Sku};
use merx_kernel::{Currency, Error, Money, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::{from_json, inconsistent, marks, sku_of, text, to_json};
use crate::domain::{AttributeValue, Content, Listing, LocalText, SkuSpec, Status};

/// A product as staff know it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductRow {
    /// Its identity.
    pub id: ProductId,
    /// Whether buyers find it, now and by plan.
    pub listing: Listing,
    /// Why it is planned so.
    pub plan_reason: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// What is published; `None` before the first time. SKUs carry their first prices.
    pub live: Option<Content>,
    /// What is being prepared.
    pub draft: Option<Content>,
    /// SKUs that were published once and are not any more.
    pub retired: Vec<SkuSpec>,
}

impl ProductRow {
    /// The first prices of all SKUs that were ever published.
    pub fn first_prices(&self) -> BTreeMap<Sku, Money> {
        let live = self.live.iter().flat_map(|live| &live.skus);
        live.chain(&self.retired).filter_map(|sku| Some((sku.sku.clone(), sku.price?))).collect()
    }
}

const COLUMNS: &str =
    "SELECT id, status, list_at, delist_at, plan_reason, version, draft, title_zh, title_en,
 description_zh, description_en, options, category_id, brand_id, attributes FROM catalogue_products";

/// Reads status, list_at and delist_at.
pub(super) fn listing_of(row: &Row<'_>, index: usize) -> Result<Listing> {
    let status = row.get::<String>(index)?;
    let status = Status::from_stored(&status).ok_or_else(|| inconsistent("an unknown status"))?;
    Ok(Listing { status, list_at: row.get(index + 1)?, delist_at: row.get(index + 2)? })
}

/// Reads title, description, options, category, brand and attributes; the SKUs are read apart.
pub(super) fn content_of(row: &Row<'_>, first: usize) -> Result<Content> {
    let attributes: Option<String> = row.get(first + 7)?;
    Ok(Content {
        title: LocalText { zh: text(row, first)?, en: text(row, first + 1)? },
        description: Some(LocalText { zh: text(row, first + 2)?, en: text(row, first + 3)? }),
        options: from_json(&row.get::<String>(first + 4)?)?,
        category_id: row.get(first + 5)?,
        brand_id: row.get(first + 6)?,
        attributes: attributes.map_or_else(|| Ok(BTreeMap::new()), |json| from_json(&json))?,
        skus: Vec::new(),
    })
}

fn product_of(row: &Row<'_>) -> Result<ProductRow> {
    let listing = listing_of(row, 1)?;
    let live = (listing.status != Status::Draft).then(|| content_of(row, 7)).transpose()?;
    let draft: Option<String> = row.get(6)?;
    Ok(ProductRow {
        id: row.get(0)?,
        listing,
        plan_reason: row.get(4)?,
        version: row.get(5)?,
        live,
        draft: draft.map(|json| from_json(&json)).transpose()?,
        retired: Vec::new(),
    })
}

/// Writes a product that nobody but staff knows yet.
pub fn insert_draft(tx: &mut Tx<'_>, id: ProductId, draft: &Content, at: Timestamp) -> Result<Inserted> {
    let sql = "INSERT INTO catalogue_products
 (id, status, title_zh, title_en, description_zh, description_en, options, created_at, draft, version)
 VALUES (?, 'draft', ?, ?, '', '', '[]', ?, ?, 1)";
    let title = &draft.title;
    tx.insert_new(sql, params![id, title.zh.as_str(), title.en.as_str(), at, to_json(draft)?])
}

/// One product, with its SKUs.
pub fn find(q: &mut impl Query, id: ProductId) -> Result<Option<ProductRow>> {
    let found = q.query_opt(&format!("{COLUMNS} WHERE id = ?"), params![id], product_of)?;
    Ok(with_skus(q, found.into_iter().collect())?.pop())
}

/// Several products, with their SKUs, in no order.
pub fn several(q: &mut impl Query, ids: &[ProductId]) -> Result<Vec<ProductRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("{COLUMNS} WHERE id IN ({})", marks(ids.len()));
    let found = q.query(&sql, ids.iter().map(|id| Value::from(*id)).collect(), product_of)?;
    with_skus(q, found)
}

/// What staff look for in their list of products.
#[derive(Clone, Debug)]
pub struct AdminFilter {
    /// Only these.
    pub status: Option<Status>,
    /// Only those with a draft, or without.
    pub has_draft: Option<bool>,
    /// Words of the title, already as patterns of LIKE.
    pub words: Vec<String>,
    /// Made before this one.
    pub before: ProductId,
    /// At most so many.
    pub limit: i64,
}

/// Products for staff, newest first, without their SKUs.
pub fn admin_list(q: &mut impl Query, filter: &AdminFilter) -> Result<Vec<ProductRow>> {
    let mut sql = format!("{COLUMNS} WHERE id < ?");
    let mut values = params![filter.before];
    if let Some(status) = filter.status {
        sql.push_str(" AND status = ?");
        values.push(status.stored().into());
    }
    if let Some(has_draft) = filter.has_draft {
        sql.push_str(if has_draft { " AND draft IS NOT NULL" } else { " AND draft IS NULL" });
    }
    for word in &filter.words {
        sql.push_str(" AND (LOWER(title_zh) LIKE ? ESCAPE '!' OR LOWER(title_en) LIKE ? ESCAPE '!')");
        values.extend(params![word, word]);
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(filter.limit.into());
    q.query(&sql, values, product_of)
}

fn with_skus(q: &mut impl Query, mut products: Vec<ProductRow>) -> Result<Vec<ProductRow>> {
    let published: Vec<Value> =
        products.iter().filter(|p| p.live.is_some()).map(|p| Value::from(p.id)).collect();
    if published.is_empty() {
        return Ok(products);
    }
    let sql = format!(
        "SELECT product_id, status, sku, choices, price_minor, currency, weight_grams, limit_per_order,
 limit_per_buyer FROM catalogue_skus WHERE product_id IN ({}) ORDER BY product_id, ordinal",
        marks(published.len())
    );
    let skus = q.query(&sql, published, |row| {
        Ok((row.get::<ProductId>(0)?, row.get::<String>(1)? == "active", spec_of(row, 2)?))
    })?;
    for (product, active, spec) in skus {
        let Some(owner) = products.iter_mut().find(|p| p.id == product) else { continue };
        match &mut owner.live {
            Some(live) if active => live.skus.push(spec),
            _ => owner.retired.push(spec),
        }
    }
    Ok(products)
}

/// Reads sku, choices, price, currency, weight and the two limits.
pub(super) fn spec_of(row: &Row<'_>, first: usize) -> Result<SkuSpec> {
    let currency: Currency = row.get::<String>(first + 3)?.parse()?;
    let small = |index: usize| -> Result<u32> {
        u32::try_from(row.get::<i64>(index)?).map_err(|_| inconsistent("a number is out of range"))
    };
    let limit = |index: usize| row.get::<Option<i64>>(index)?.map(|_| small(index)).transpose();
    Ok(SkuSpec {
        sku: sku_of(row, first)?,
        choices: from_json(&row.get::<String>(first + 1)?)?,
        price: Some(Money::new(row.get(first + 2)?, currency)),
        weight_grams: small(first + 4)?,
        limit_per_order: limit(first + 5)?,
        limit_per_buyer: limit(first + 6)?,
    })
}

/// Writes or removes the draft; `false` when the version is another.
pub fn save_draft(tx: &mut Tx<'_>, id: ProductId, version: i64, draft: Option<&Content>) -> Result<bool> {
    let sql = "UPDATE catalogue_products SET draft = ?, version = version + 1 WHERE id = ? AND version = ?";
    tx.guarded(sql, params![draft.map(to_json).transpose()?, id, version])
}

/// Notes that something of the product changed; `false` when the version is another.
pub fn touch(tx: &mut Tx<'_>, id: ProductId, version: i64) -> Result<bool> {
    let sql = "UPDATE catalogue_products SET version = version + 1 WHERE id = ? AND version = ?";
    tx.guarded(sql, params![id, version])
}

/// Writes the listing; `false` when the version is another.
pub fn save_listing(
    tx: &mut Tx<'_>,
    id: ProductId,
    version: i64,
    listing: Listing,
    reason: Option<&str>,
) -> Result<bool> {
    let sql = "UPDATE catalogue_products SET status = ?, list_at = ?, delist_at = ?, plan_reason = ?,
 version = version + 1 WHERE id = ? AND version = ?";
    let planned = listing.list_at.is_some() || listing.delist_at.is_some();
    let reason = reason.filter(|_| planned);
    tx.guarded(sql, params![listing.status.stored(), listing.list_at, listing.delist_at, reason, id, version])
}

/// Removes a product that was never published; `false` when it was, or its version is another.
pub fn delete_draft(tx: &mut Tx<'_>, id: ProductId, version: i64) -> Result<bool> {
    let sql = "DELETE FROM catalogue_products WHERE id = ? AND version = ? AND status = 'draft'";
    tx.guarded(sql, params![id, version])
}

/// The SKUs among `content`'s that belong to another product than `id`.
pub fn taken_skus(q: &mut impl Query, id: ProductId, content: &Content) -> Result<Vec<Sku>> {
    if content.skus.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT sku FROM catalogue_skus WHERE product_id <> ? AND sku IN ({}) ORDER BY sku",
        marks(content.skus.len())
    );
    let mut values = params![id];
    values.extend(content.skus.iter().map(|s| Value::from(s.sku.as_str())));
    q.query(&sql, values, |row| sku_of(row, 0))
}

/// Makes `content` what buyers see, and forgets the draft. The product's row must be there; the guard of the structure
/// must be held.
pub fn publish(tx: &mut Tx<'_>, before: &ProductRow, content: &Content, listing: Listing) -> Result<bool> {
    let description =
        content.description.as_ref().ok_or_else(|| Error::internal("published without a description"))?;
    let sql = "UPDATE catalogue_products SET status = ?, list_at = ?, delist_at = ?, draft = NULL,
 version = version + 1, title_zh = ?, title_en = ?, description_zh = ?, description_en = ?, options = ?,
 category_id = ?, brand_id = ?, attributes = ? WHERE id = ? AND version = ?";
    let attributes = if content.attributes.is_empty() { None } else { Some(to_json(&content.attributes)?) };
    let row = params![
        listing.status.stored(),
        listing.list_at,
        listing.delist_at,
        content.title.zh.as_str(),
        content.title.en.as_str(),
        description.zh.as_str(),
        description.en.as_str(),
        to_json(&content.options)?,
        content.category_id,
        content.brand_id,
        attributes,
        before.id,
        before.version
    ];
    if !tx.guarded(sql, row)? {
        return Ok(false);
    }
    replace_skus(tx, before, content)?;
    if before.live.is_some() {
        let sql = "DELETE FROM catalogue_product_attributes WHERE product_id = ?";
        tx.execute(sql, params![before.id])?;
    }
    let rows = content.attributes.iter().map(|(code, value)| {
        let (choice, number) = match value {
            AttributeValue::Choice(choice) => (Some(choice.as_str()), None),
            AttributeValue::Number(number) => (None, Some(number.millionths())),
            AttributeValue::Boolean(yes) => (None, Some(i64::from(*yes))),
            AttributeValue::Text(_) => (None, None),
        };
        params![code.as_str(), before.id, choice, number]
    });
    let head = "INSERT INTO catalogue_product_attributes (attribute, product_id, choice, number) VALUES";
    tx.insert_rows(head, 4, rows.collect())?;
    Ok(true)
}

/// All SKUs in one statement each way. First prices stay, and a SKU that is no more part of the product keeps its code.
fn replace_skus(tx: &mut Tx<'_>, before: &ProductRow, content: &Content) -> Result<()> {
    let first_prices = before.first_prices();
    let known = before.live.iter().flat_map(|live| &live.skus).chain(&before.retired);
    let gone = known.filter(|old| !content.skus.iter().any(|new| new.sku == old.sku));
    let all = content.skus.iter().map(|sku| (sku, "active")).chain(gone.map(|sku| (sku, "retired")));
    let mut rows = Vec::new();
    for (ordinal, (sku, status)) in (0i64..).zip(all) {
        let price = first_prices.get(&sku.sku).copied().or(sku.price);
        let price = price.ok_or_else(|| Error::internal("a SKU was published without a price"))?;
        rows.push(params![
            sku.sku.as_str(),
            before.id,
            ordinal,
            to_json(&sku.choices)?,
            price.minor,
            price.currency.code(),
            i64::from(sku.weight_grams),
            status,
            sku.limit_per_order.map(i64::from),
            sku.limit_per_buyer.map(i64::from)
        ]);
    }
    if before.live.is_some() {
        tx.execute("DELETE FROM catalogue_skus WHERE product_id = ?", params![before.id])?;
    }
    let head = "INSERT INTO catalogue_skus (sku, product_id, ordinal, choices, price_minor, currency,
 weight_grams, status, limit_per_order, limit_per_buyer) VALUES";
    tx.insert_rows(head, 10, rows)
}
