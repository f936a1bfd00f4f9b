//! A draft becomes what buyers see, as a whole and at once.

use merx_contracts::ids::ProductId;
use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::Tx;
use serde_json::Value;

use super::{
    act::Act,
    draft_product::{again, changed, existing, no_draft, shown},
};
use crate::{
    State,
    domain::{Content, Listing, PublishRules, Status},
    store::{
        products::{self as store, ProductRow},
        structure,
    },
};

/// Publishes the draft; what is listed stays listed.
///
/// # Errors
/// `catalogue.product_not_found`, `catalogue.no_draft`; `request.version_stale`; as [`publish_as`].
pub fn publish(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    seen: IfMatch,
) -> Result<ProductRow> {
    let before = existing(tx, id)?;
    seen.check(before.version)?;
    let listing = match before.listing.status {
        Status::Draft => Listing::of(Status::Unlisted),
        _ => before.listing,
    };
    let content = publish_as(tx, state, &before, listing)?;
    let listed = listing.is_listed(act.at);
    // Nobody sees a product that is not listed, before or after.
    let facts = if listed { vec![act.product_changed(id, true)?] } else { Vec::new() };
    let was = before.live.as_ref().map_or(Value::Null, shown);
    act.record(tx, &state.store, changed(id, "published", was, shown(&content)), facts)?;
    existing(tx, id)
}

/// Publishes the draft of `before` under a new listing, without a word to anybody.
///
/// # Errors
/// `catalogue.no_draft`; `catalogue.not_ready` naming what is missing; `catalogue.sku_taken`.
pub fn publish_as(tx: &mut Tx<'_>, state: &State, before: &ProductRow, listing: Listing) -> Result<Content> {
    let content = before.draft.clone().ok_or_else(no_draft)?;
    structure::guard(tx)?;
    let found = structure::structure(tx)?;
    content.check_publishable(&PublishRules {
        tree: &found.tree,
        attributes: &found.attributes,
        brands: &found.brand_ids(),
        currency: state.currency,
        first_prices: &before.first_prices(),
    })?;
    refuse_taken(tx, before.id, &content)?;
    if store::publish(tx, before, &content, listing)? { Ok(content) } else { Err(again()) }
}

/// SKU codes are unique in the whole shop.
pub(super) fn refuse_taken(tx: &mut Tx<'_>, id: ProductId, content: &Content) -> Result<()> {
    match store::taken_skus(tx, id, content)?.first() {
        None => Ok(()),
        Some(sku) => {
            Err(Error::conflict("catalogue.sku_taken", format!("The SKU {sku} belongs to another product.")))
        }
    }
}
