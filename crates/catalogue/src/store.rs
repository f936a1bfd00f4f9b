//! Every SQL text of catalogue.

use merx_contracts::ids::{ProductId, Sku};
use merx_kernel::{BoundedText, Currency, Error, Money, Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use crate::domain::{LocalText, Product, ProductOption, SkuSpec};

const INSERT_PRODUCT: &str = "INSERT INTO catalogue_products
 (id, status, title_zh, title_en, description_zh, description_en, options, created_at)
 VALUES (?, 'active', ?, ?, ?, ?, ?, ?)";
const INSERT_SKUS: &str = "INSERT INTO catalogue_skus
 (sku, product_id, ordinal, choices, price_minor, currency, weight_grams, status) VALUES";
const LISTED: &str = "SELECT id, title_zh, title_en, description_zh, description_en, options
 FROM catalogue_products WHERE status = 'active' AND id < ? ORDER BY id DESC LIMIT ?";
const ONE: &str = "SELECT id, title_zh, title_en, description_zh, description_en, options
 FROM catalogue_products WHERE status = 'active' AND id = ?";

/// One sellable line as quoted.
pub struct QuotedSku {
    /// The code.
    pub sku: Sku,
    /// Its product.
    pub product: ProductId,
    /// The product's name, Chinese and English.
    pub title: (String, String),
    /// The chosen options, Chinese and English.
    pub choices: (String, String),
    /// Present price.
    pub price: Money,
    /// Gross weight of one.
    pub weight_grams: i64,
    /// SKU and product are active.
    pub sellable: bool,
}

/// Writes a product with its SKUs; `Exists` when the product id is known.
pub fn insert(tx: &mut Tx<'_>, product: &Product, at: Timestamp) -> Result<Inserted> {
    let row = params![
        product.id,
        product.title.zh.as_str(),
        product.title.en.as_str(),
        product.description.zh.as_str(),
        product.description.en.as_str(),
        to_json(&product.options)?,
        at
    ];
    if matches!(tx.insert_new(INSERT_PRODUCT, row)?, Inserted::Exists) {
        return Ok(Inserted::Exists);
    }
    let mut rows = Vec::with_capacity(product.skus.len());
    for (ordinal, sku) in (0i64..).zip(&product.skus) {
        rows.push(params![
            sku.sku.as_str(),
            product.id,
            ordinal,
            to_json(&sku.choices)?,
            sku.price.minor,
            sku.price.currency.code(),
            i64::from(sku.weight_grams),
            "active"
        ]);
    }
    tx.insert_rows(INSERT_SKUS, 8, rows)?;
    Ok(Inserted::New)
}

/// Active products made before `before`, newest first, with their active SKUs.
pub fn listed(q: &mut impl Query, before: ProductId, limit: i64) -> Result<Vec<Product>> {
    let products = q.query(LISTED, params![before, limit], product_of)?;
    with_skus(q, products)
}

/// One active product.
pub fn one(q: &mut impl Query, id: ProductId) -> Result<Option<Product>> {
    let product = q.query_opt(ONE, params![id], product_of)?;
    Ok(with_skus(q, product.into_iter().collect())?.pop())
}

/// The SKUs among `codes` that exist, in no order.
pub fn quoted(q: &mut impl Query, codes: &[Sku]) -> Result<Vec<QuotedSku>> {
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT s.sku, s.product_id, p.title_zh, p.title_en, p.options, s.choices, s.price_minor, s.currency,
 s.weight_grams, s.status, p.status FROM catalogue_skus s JOIN catalogue_products p ON p.id = s.product_id
 WHERE s.sku IN ({})",
        marks(codes.len())
    );
    let values = codes.iter().map(|c| Value::from(c.as_str())).collect();
    q.query(&sql, values, |row| {
        let options: Vec<ProductOption> = from_json(&row.get::<String>(4)?)?;
        let choices: Vec<u16> = from_json(&row.get::<String>(5)?)?;
        let active = |index| Ok::<_, Error>(row.get::<String>(index)? == "active");
        Ok(QuotedSku {
            sku: sku_of(row, 0)?,
            product: row.get(1)?,
            title: (row.get(2)?, row.get(3)?),
            choices: Product::describe_choices(&options, &choices),
            price: price_of(row, 6)?,
            weight_grams: row.get(8)?,
            sellable: active(9)? && active(10)?,
        })
    })
}

fn with_skus(q: &mut impl Query, mut products: Vec<Product>) -> Result<Vec<Product>> {
    if products.is_empty() {
        return Ok(products);
    }
    let sql = format!(
        "SELECT product_id, sku, choices, price_minor, currency, weight_grams FROM catalogue_skus
 WHERE status = 'active' AND product_id IN ({}) ORDER BY product_id, ordinal",
        marks(products.len())
    );
    let ids = products.iter().map(|p| Value::from(p.id)).collect();
    let skus = q.query(&sql, ids, |row| {
        let weight: i64 = row.get(5)?;
        let spec = SkuSpec {
            sku: sku_of(row, 1)?,
            choices: from_json(&row.get::<String>(2)?)?,
            price: price_of(row, 3)?,
            weight_grams: u32::try_from(weight).map_err(|_| inconsistent("a weight is out of range"))?,
        };
        Ok((row.get::<ProductId>(0)?, spec))
    })?;
    for (product, spec) in skus {
        if let Some(owner) = products.iter_mut().find(|p| p.id == product) {
            owner.skus.push(spec);
        }
    }
    Ok(products)
}

fn product_of(row: &Row) -> Result<Product> {
    Ok(Product {
        id: row.get(0)?,
        title: LocalText { zh: text(row, 1)?, en: text(row, 2)? },
        description: LocalText { zh: text(row, 3)?, en: text(row, 4)? },
        options: from_json(&row.get::<String>(5)?)?,
        skus: Vec::new(),
    })
}

fn text<const MAX: usize>(row: &Row, index: usize) -> Result<BoundedText<1, MAX>> {
    BoundedText::new(row.get::<String>(index)?).map_err(inconsistent)
}
fn sku_of(row: &Row, index: usize) -> Result<Sku> {
    Sku::new(row.get::<String>(index)?).map_err(inconsistent)
}
fn price_of(row: &Row, index: usize) -> Result<Money> {
    let currency: Currency = row.get::<String>(index + 1)?.parse()?;
    Ok(Money::new(row.get(index)?, currency))
}
fn inconsistent(what: impl Into<String>) -> Error {
    Error::internal(format!("inconsistent catalogue row: {}", what.into()))
}
fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}
fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("cannot write JSON").with_source(e))
}
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| inconsistent("JSON of another shape").with_source(e))
}
