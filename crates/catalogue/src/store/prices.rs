//! Prices: what `Quote` answers with, and the rules behind it.

use merx_contracts::ids::{AccountId, ProductId, Sku};
use merx_kernel::{Currency, Money, Result, Timestamp};
use merx_sql::{Query, Row, Tx, Value, params};

use super::{from_json, marks, sku_of};
use crate::domain::{Content, Listing, PriceId, PriceRule, ProductOption, price::price_at};

/// One sellable unit with everything a quote needs, now and later.
#[derive(Clone, Debug)]
pub struct QuotedSku {
    /// The code.
    pub sku: Sku,
    /// Its product.
    pub product: ProductId,
    /// The product's name, Chinese and English.
    pub title: (String, String),
    /// The chosen options, Chinese and English.
    pub choices: (String, String),
    /// The price without any rule.
    pub first_price: Money,
    /// The rules that are in force or will be.
    pub rules: Vec<PriceRule>,
    /// Gross weight of one.
    pub weight_grams: i64,
    /// The SKU is not retired.
    pub active: bool,
    /// The product's listing.
    pub listing: Listing,
    /// The most of one order; 0 for no limit.
    pub limit_per_order: i64,
    /// The most of one buyer; 0 for no limit.
    pub limit_per_buyer: i64,
}

impl QuotedSku {
    /// What one costs at a moment.
    pub fn price_at(&self, at: Timestamp) -> Money {
        Money::new(price_at(self.first_price.minor, &self.rules, at), self.first_price.currency)
    }
    /// Whether it can be bought at a moment.
    pub fn is_sellable(&self, at: Timestamp) -> bool {
        self.active && self.listing.is_listed(at)
    }
}

/// The SKUs among `codes` that were ever published, in no order, with the rules that end after `now`.
pub fn quoted(q: &mut impl Query, codes: &[Sku], now: Timestamp) -> Result<Vec<QuotedSku>> {
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT s.sku, s.product_id, p.title_zh, p.title_en, p.options, s.choices, s.price_minor, s.currency,
 s.weight_grams, s.status, p.status, p.list_at, p.delist_at, s.limit_per_order, s.limit_per_buyer,
 r.id, r.price_minor, r.begins_at, r.ends_at
 FROM catalogue_skus s JOIN catalogue_products p ON p.id = s.product_id
 LEFT JOIN catalogue_prices r ON r.sku = s.sku AND r.ends_at > ? WHERE s.sku IN ({}) ORDER BY s.sku",
        marks(codes.len())
    );
    let mut values: Vec<Value> = params![now];
    values.extend(codes.iter().map(|c| Value::from(c.as_str())));
    let rows = q.query(&sql, values, |row| {
        let rule = match row.get::<Option<PriceId>>(15)? {
            None => None,
            Some(id) => Some(PriceRule { id, minor: row.get(16)?, from: row.get(17)?, until: row.get(18)? }),
        };
        Ok((quoted_of(row)?, rule))
    })?;
    let mut found: Vec<QuotedSku> = Vec::with_capacity(codes.len());
    for (sku, rule) in rows {
        if found.last().is_none_or(|last| last.sku != sku.sku) {
            found.push(sku);
        }
        if let (Some(last), Some(rule)) = (found.last_mut(), rule) {
            last.rules.push(rule);
        }
    }
    Ok(found)
}

fn quoted_of(row: &Row<'_>) -> Result<QuotedSku> {
    let options: Vec<ProductOption> = from_json(&row.get::<String>(4)?)?;
    let choices: Vec<u16> = from_json(&row.get::<String>(5)?)?;
    let currency: Currency = row.get::<String>(7)?.parse()?;
    Ok(QuotedSku {
        sku: sku_of(row, 0)?,
        product: row.get(1)?,
        title: (row.get(2)?, row.get(3)?),
        choices: Content::describe_choices(&options, &choices),
        first_price: Money::new(row.get(6)?, currency),
        rules: Vec::new(),
        weight_grams: row.get(8)?,
        active: row.get::<String>(9)? == "active",
        listing: super::products::listing_of(row, 10)?,
        limit_per_order: row.get::<Option<i64>>(13)?.unwrap_or(0),
        limit_per_buyer: row.get::<Option<i64>>(14)?.unwrap_or(0),
    })
}

/// A price as staff see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The rule; cancelled ones end when they were cancelled, at the earliest when they began.
    pub rule: PriceRule,
    /// Its SKU.
    pub sku: Sku,
    /// The end it was made with.
    pub planned_end: Option<Timestamp>,
    /// When it was taken back.
    pub cancelled_at: Option<Timestamp>,
    /// Why it was made.
    pub reason: String,
    /// Who made it.
    pub made_by: Option<AccountId>,
    /// When.
    pub made_at: Timestamp,
}

/// What a SKU's prices hang on: its product, and its first price. Takes the SKU's row, so that its prices are changed
/// by one at a time.
pub fn take_sku(tx: &mut Tx<'_>, sku: &Sku) -> Result<Option<(ProductId, Money)>> {
    let sql = "UPDATE catalogue_skus SET prices_version = prices_version + 1 WHERE sku = ?";
    if !tx.guarded(sql, params![sku.as_str()])? {
        return Ok(None);
    }
    find_sku(tx, sku)
}

/// A SKU's product and first price.
pub fn find_sku(q: &mut impl Query, sku: &Sku) -> Result<Option<(ProductId, Money)>> {
    let sql = "SELECT product_id, price_minor, currency FROM catalogue_skus WHERE sku = ?";
    q.query_opt(sql, params![sku.as_str()], |row| {
        let currency: Currency = row.get::<String>(2)?.parse()?;
        Ok((row.get(0)?, Money::new(row.get(1)?, currency)))
    })
}

/// The rules of a SKU that end at `since` or later.
pub fn rules(q: &mut impl Query, sku: &Sku, since: Timestamp) -> Result<Vec<PriceRule>> {
    let sql =
        "SELECT id, price_minor, begins_at, ends_at FROM catalogue_prices WHERE sku = ? AND ends_at >= ?";
    q.query(sql, params![sku.as_str(), since], |row| {
        Ok(PriceRule { id: row.get(0)?, minor: row.get(1)?, from: row.get(2)?, until: row.get(3)? })
    })
}

/// Writes a new rule.
pub fn insert(tx: &mut Tx<'_>, price: &PriceRow) -> Result<()> {
    let sql = "INSERT INTO catalogue_prices
 (id, sku, price_minor, begins_at, ends_at, planned_end, cancelled_at, reason, made_by, made_at)
 VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)";
    let rule = price.rule;
    let row = params![
        rule.id,
        price.sku.as_str(),
        rule.minor,
        rule.from,
        rule.until,
        price.planned_end,
        price.reason.as_str(),
        price.made_by,
        price.made_at
    ];
    tx.execute(sql, row).map(drop)
}

/// Ends a rule that has not ended.
pub fn cancel(tx: &mut Tx<'_>, id: PriceId, ends: Timestamp, at: Timestamp) -> Result<bool> {
    let sql =
        "UPDATE catalogue_prices SET ends_at = ?, cancelled_at = ? WHERE id = ? AND cancelled_at IS NULL
 AND ends_at > ?";
    tx.guarded(sql, params![ends, at, id, at])
}

const COLUMNS: &str = "SELECT id, price_minor, begins_at, ends_at, sku, planned_end, cancelled_at, reason,
 made_by, made_at FROM catalogue_prices";

/// One rule.
pub fn find(q: &mut impl Query, id: PriceId) -> Result<Option<PriceRow>> {
    q.query_opt(&format!("{COLUMNS} WHERE id = ?"), params![id], price_of)
}

/// The rules of a SKU made before `before`, newest first.
pub fn list(q: &mut impl Query, sku: &Sku, before: PriceId, limit: i64) -> Result<Vec<PriceRow>> {
    let sql = format!("{COLUMNS} WHERE sku = ? AND id < ? ORDER BY id DESC LIMIT ?");
    q.query(&sql, params![sku.as_str(), before, limit], price_of)
}

fn price_of(row: &Row<'_>) -> Result<PriceRow> {
    let rule = PriceRule { id: row.get(0)?, minor: row.get(1)?, from: row.get(2)?, until: row.get(3)? };
    Ok(PriceRow {
        rule,
        sku: sku_of(row, 4)?,
        planned_end: row.get(5)?,
        cancelled_at: row.get(6)?,
        reason: row.get(7)?,
        made_by: row.get(8)?,
        made_at: row.get(9)?,
    })
}
