//! Products are prepared as drafts: made, edited, thrown away. What buyers see changes only when a draft is published.

use merx_contracts::ids::ProductId;
use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::{Inserted, Tx, contention};
use serde_json::{Value, json};

use super::act::{Act, Changed};
use crate::{
    State,
    domain::{Content, Status},
    store::{
        pictures,
        products::{self as store, ProductRow},
    },
};

/// A content for the history: SKUs by code, so that a change of one is seen as that.
pub fn shown(content: &Content) -> Value {
    let mut value = json!(content);
    let skus = content.skus.iter().map(|sku| (sku.sku.to_string(), json!(sku)));
    value["skus"] = Value::Object(skus.collect());
    value
}

/// A change of a product for the history.
pub fn changed(id: ProductId, action: &'static str, was: Value, became: Value) -> Changed {
    Changed { kind: "product", object: id.to_string(), product: Some(id), action, was, became }
}

/// There is no such product.
pub fn unknown() -> Error {
    Error::not_found("catalogue.product_not_found", "There is no such product, or it is no longer on sale.")
}

/// The product, or that there is none.
///
/// # Errors
/// `catalogue.product_not_found`.
pub fn existing(tx: &mut Tx<'_>, id: ProductId) -> Result<ProductRow> {
    store::find(tx, id)?.ok_or_else(unknown)
}

/// What a guarded update answers that lost against another since the row was read in the same transaction: again.
pub(super) fn again() -> Error {
    contention("the product changed while it was read")
}

/// Makes a product that nobody but staff knows.
///
/// # Errors
/// `Invalid` naming what is too large.
pub fn create(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    content: &Content,
) -> Result<ProductRow> {
    content.check_draft("/content")?;
    if store::insert_draft(tx, id, content, act.at)? == Inserted::Exists {
        return Err(Error::internal("a fresh product id is taken"));
    }
    act.record(tx, &state.store, changed(id, "drafted", Value::Null, shown(content)), Vec::new())?;
    existing(tx, id)
}

/// Writes the draft of a product, new or known.
///
/// # Errors
/// `Invalid` naming what is too large; `catalogue.product_not_found`; `request.version_stale`.
pub fn edit(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    seen: IfMatch,
    content: &Content,
) -> Result<ProductRow> {
    content.check_draft("/content")?;
    let before = existing(tx, id)?;
    seen.check(before.version)?;
    if !store::save_draft(tx, id, before.version, Some(content))? {
        return Err(again());
    }
    let was = before.draft.as_ref().or(before.live.as_ref()).map_or(Value::Null, shown);
    act.record(tx, &state.store, changed(id, "draft_edited", was, shown(content)), Vec::new())?;
    Ok(ProductRow { version: before.version + 1, draft: Some(content.clone()), ..before })
}

/// Throws the draft of a published product away.
///
/// # Errors
/// `catalogue.product_not_found`, `catalogue.no_draft`, `catalogue.never_published`; `request.version_stale`.
pub fn discard(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    seen: IfMatch,
) -> Result<ProductRow> {
    let before = existing(tx, id)?;
    seen.check(before.version)?;
    let Some(draft) = &before.draft else { return Err(no_draft()) };
    let Some(live) = &before.live else {
        let message = "The product was never published: delete it, or publish the draft.";
        return Err(Error::conflict("catalogue.never_published", message));
    };
    if !store::save_draft(tx, id, before.version, None)? {
        return Err(again());
    }
    act.record(tx, &state.store, changed(id, "draft_discarded", shown(draft), shown(live)), Vec::new())?;
    Ok(ProductRow { version: before.version + 1, draft: None, ..before })
}

/// Nothing is being prepared.
pub(super) fn no_draft() -> Error {
    Error::conflict("catalogue.no_draft", "The product has no draft; edit it first.")
}

/// Removes a product that was never published, with its pictures.
///
/// # Errors
/// `catalogue.product_not_found`, `catalogue.published`; `request.version_stale`.
pub fn delete(tx: &mut Tx<'_>, state: &State, act: &Act, id: ProductId, seen: IfMatch) -> Result<()> {
    let before = existing(tx, id)?;
    seen.check(before.version)?;
    if before.listing.status != Status::Draft {
        let message = "The product was published, and orders may name it: take it off sale instead.";
        return Err(Error::conflict("catalogue.published", message));
    }
    if !store::delete_draft(tx, id, before.version)? {
        return Err(again());
    }
    pictures::delete_of(tx, id)?;
    let was = before.draft.as_ref().map_or(Value::Null, shown);
    act.record(tx, &state.store, changed(id, "deleted", was, Value::Null), Vec::new())
}
