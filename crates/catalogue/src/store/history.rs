//! Who changed what, when and why.

use merx_contracts::ids::{AccountId, ProductId};
use merx_kernel::{Id, IdKind, Result, Timestamp};
use merx_sql::{Query, Row, Tx, params};
use serde_json::Value;

use super::{from_json, to_json};

/// Marks the ids of history rows.
pub enum ChangeKind {}
impl IdKind for ChangeKind {
    const PREFIX: &'static str = "chg";
}
/// A row of the history; ids rise with time.
pub type ChangeId = Id<ChangeKind>;

/// A change as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeRow {
    /// Its identity.
    pub id: ChangeId,
    /// What kind of thing was changed: `product`, `sku`, `category`, …
    pub kind: String,
    /// The thing, in public form.
    pub object: String,
    /// The product it belongs to, if to one.
    pub product: Option<ProductId>,
    /// What was done, `published`.
    pub action: String,
    /// The changed fields as they were; an object.
    pub was: Value,
    /// As they are since.
    pub became: Value,
    /// Who did it; nobody for what happened by plan.
    pub actor: Option<AccountId>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

const COLUMNS: &str = "SELECT id, kind, object, product_id, action, was, became, actor, reason, at
 FROM catalogue_history";

/// Writes changes; the closure that does may run again only after a rollback.
pub fn insert(tx: &mut Tx<'_>, changes: &[ChangeRow]) -> Result<()> {
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        rows.push(params![
            change.id,
            change.kind.as_str(),
            change.object.as_str(),
            change.product,
            change.action.as_str(),
            to_json(&change.was)?,
            to_json(&change.became)?,
            change.actor,
            change.reason.clone(),
            change.at
        ]);
    }
    let head = "INSERT INTO catalogue_history
 (id, kind, object, product_id, action, was, became, actor, reason, at) VALUES";
    tx.insert_rows(head, 10, rows)
}

/// The changes of a product before `before`, newest first.
pub fn of_product(q: &mut impl Query, id: ProductId, before: ChangeId, limit: i64) -> Result<Vec<ChangeRow>> {
    let sql = format!("{COLUMNS} WHERE product_id = ? AND id < ? ORDER BY id DESC LIMIT ?");
    q.query(&sql, params![id, before, limit], row_of)
}

/// The changes of one object, or of all, before `before`, newest first.
pub fn of_object(
    q: &mut impl Query,
    object: Option<&str>,
    before: ChangeId,
    limit: i64,
) -> Result<Vec<ChangeRow>> {
    match object {
        None => {
            let sql = format!("{COLUMNS} WHERE id < ? ORDER BY id DESC LIMIT ?");
            q.query(&sql, params![before, limit], row_of)
        }
        Some(object) => {
            let sql = format!("{COLUMNS} WHERE object = ? AND id < ? ORDER BY id DESC LIMIT ?");
            q.query(&sql, params![object, before, limit], row_of)
        }
    }
}

fn row_of(row: &Row<'_>) -> Result<ChangeRow> {
    Ok(ChangeRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        object: row.get(2)?,
        product: row.get(3)?,
        action: row.get(4)?,
        was: from_json(&row.get::<String>(5)?)?,
        became: from_json(&row.get::<String>(6)?)?,
        actor: row.get(7)?,
        reason: row.get(8)?,
        at: row.get(9)?,
    })
}
