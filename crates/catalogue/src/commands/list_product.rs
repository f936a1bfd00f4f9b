//! Products are put on sale and taken off it, now or at a planned moment.

use merx_contracts::ids::ProductId;
use merx_kernel::{Result, Timestamp};
use merx_platform::{DueTimer, Store, store::TimerId};
use merx_sql::Tx;
use serde_json::{Value, json};

use super::{
    act::{Act, Changed},
    draft_product::{again, changed, existing},
    publish_product::publish_as,
};
use crate::{
    State,
    domain::{Listing, Status},
    store::products::{self as store, ProductRow},
};

/// The timer of a planned listing, …
pub const LISTS: &str = "product_lists";
/// … and of a planned delisting.
pub const DELISTS: &str = "product_delists";

fn shown(listing: Listing) -> Value {
    json!({ "status": listing.status, "list_at": listing.list_at, "delist_at": listing.delist_at })
}

fn set_timers(tx: &mut Tx<'_>, store: &Store, id: ProductId, listing: Listing) -> Result<()> {
    for (kind, moment) in [(LISTS, listing.list_at), (DELISTS, listing.delist_at)] {
        let timer = TimerId::of(kind, id);
        match moment {
            Some(moment) => store.timers.schedule(tx, timer, moment)?,
            None => store.timers.cancel(tx, timer)?,
        }
    }
    Ok(())
}

fn note(id: ProductId, action: &'static str, before: Listing, after: Listing) -> Changed {
    changed(id, action, shown(before), shown(after))
}

/// Lists a product now or at `list_at`, until `delist_at` if given. One that was never published is published first, and
/// checked as a whole.
///
/// # Errors
/// `catalogue.product_not_found`; as [`Listing::list`] and [`publish_as`].
pub fn list(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    (list_at, delist_at): (Option<Timestamp>, Option<Timestamp>),
) -> Result<ProductRow> {
    let before = existing(tx, id)?;
    let published = before.listing.status != Status::Draft;
    let from = if published { before.listing } else { Listing::of(Status::Unlisted) };
    let after = from.list(act.at, list_at, delist_at)?;
    if !published {
        publish_as(tx, state, &before, after)?;
        let version = before.version + 1;
        let planned = store::save_listing(tx, id, version, after, act.reason.as_deref())?;
        if !planned {
            return Err(again());
        }
    } else if !store::save_listing(tx, id, before.version, after, act.reason.as_deref())? {
        return Err(again());
    }
    set_timers(tx, &state.store, id, after)?;
    let action = if list_at.is_some() { "listing_planned" } else { "listed" };
    finish(tx, state, act, &before, after, action)
}

/// Takes a product off sale now or at `delist_at`.
///
/// # Errors
/// `catalogue.product_not_found`; as [`Listing::delist`].
pub fn delist(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: ProductId,
    delist_at: Option<Timestamp>,
) -> Result<ProductRow> {
    let before = existing(tx, id)?;
    let after = before.listing.delist(act.at, delist_at)?;
    save(tx, state, act, &before, after)?;
    let action = if delist_at.is_some() { "delisting_planned" } else { "delisted" };
    finish(tx, state, act, &before, after, action)
}

/// Takes back what is planned; what has happened stays.
///
/// # Errors
/// `catalogue.product_not_found`.
pub fn unplan(tx: &mut Tx<'_>, state: &State, act: &Act, id: ProductId) -> Result<ProductRow> {
    let before = existing(tx, id)?;
    let after = before.listing.unplanned(act.at);
    if after == before.listing {
        return Ok(before);
    }
    save(tx, state, act, &before, after)?;
    finish(tx, state, act, &before, after, "plan_cancelled")
}

fn save(tx: &mut Tx<'_>, state: &State, act: &Act, before: &ProductRow, after: Listing) -> Result<()> {
    if !store::save_listing(tx, before.id, before.version, after, act.reason.as_deref())? {
        return Err(again());
    }
    set_timers(tx, &state.store, before.id, after)
}

fn finish(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    before: &ProductRow,
    after: Listing,
    action: &'static str,
) -> Result<ProductRow> {
    let listed = after.status == Status::Listed;
    // A plan changes nothing for buyers; a moment that has passed without its timer is told here.
    let facts = if listed || before.listing.status == Status::Listed {
        vec![act.product_changed(before.id, listed)?]
    } else {
        Vec::new()
    };
    act.record(tx, &state.store, note(before.id, action, before.listing, after), facts)?;
    existing(tx, before.id)
}

/// A planned moment has come: writes down what it made true, and tells it.
///
/// # Errors
/// What the database answers.
pub async fn come_due(state: &State, timer: DueTimer) -> Result<()> {
    let id = ProductId::from_bits(timer.key());
    let act = Act::new(state, None, None);
    let own = state.clone();
    let write = move |tx: &mut Tx<'_>| {
        if !timer.fired(tx)? {
            return Ok(());
        }
        let Some(before) = store::find(tx, id)? else { return Ok(()) };
        let after = before.listing.settled(timer.due_at());
        if after == before.listing {
            return Ok(());
        }
        let reason = before.plan_reason.clone();
        if !store::save_listing(tx, id, before.version, after, reason.as_deref())? {
            return Err(again());
        }
        let act = act.because(reason);
        let listed = after.status == Status::Listed;
        let action = if listed { "listed" } else { "delisted" };
        let facts = vec![act.product_changed(id, listed)?];
        act.record(tx, &own.store, note(id, action, before.listing, after), facts)
    };
    state.db.write("catalogue.plan_due", write).await?;
    state.forget();
    Ok(())
}
