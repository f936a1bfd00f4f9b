//! Pictures of a product are added, arranged and removed; each change is seen by buyers at once.

use bytes::Bytes;
use futures_util::future::try_join_all;
use merx_contracts::ids::{PictureId, ProductId};
use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::Tx;
use serde_json::{Value, json};

use super::{
    act::{Act, Changed},
    draft_product::{again, existing},
};
use crate::{
    State,
    pictures::{Made, key_of},
    store::{
        pictures::{self as store, LocalAlt, PictureFile, PictureRow},
        products::{self, ProductRow},
    },
};

/// The most pictures of a product.
pub const PICTURES_MAX: usize = 20;

/// The files of a picture that comes in, put where they belong. Nothing shows them yet: what becomes of no picture is
/// swept up later.
///
/// # Errors
/// `catalogue.picture_refused`, `catalogue.pictures_busy`, `objects.unavailable`.
pub async fn take_in(state: &State, bytes: Bytes) -> Result<Vec<Made>> {
    let made = state.pool.make(bytes).await?;
    put(state, std::slice::from_ref(&made)).await?;
    Ok(made)
}

/// Puts files where they belong, rows first: an object that no row knows is never made.
pub(super) async fn put(state: &State, pictures: &[Vec<Made>]) -> Result<()> {
    let objects = names(pictures.iter().flatten());
    let at = state.clock.now();
    state.db.write("catalogue.claim_objects", move |tx| store::claim(tx, &objects, at)).await?;
    try_join_all(pictures.iter().flatten().map(async |made| {
        let key = key_of(&made.object)?;
        state.objects.put(&key, made.bytes.clone(), made.media_type).await
    }))
    .await
    .map(drop)
}

/// The objects of files, each once.
pub(super) fn names<'a>(files: impl Iterator<Item = &'a Made>) -> Vec<(String, &'static str)> {
    let mut names: Vec<(String, &'static str)> = files.map(|f| (f.object.clone(), f.media_type)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The row of a picture with its files.
pub(super) fn row(id: PictureId, product: ProductId, alt: LocalAlt, made: &[Made]) -> PictureRow {
    let file = |made: &Made| PictureFile {
        object: made.object.clone(),
        width: i64::from(made.width),
        height: i64::from(made.height),
    };
    PictureRow { id, product, alt, files: made.iter().map(file).collect() }
}

fn shown(pictures: &[PictureRow]) -> Value {
    let one = |picture: &PictureRow| {
        let objects: Vec<&str> = picture.files.iter().map(|f| f.object.as_str()).collect();
        json!({ "id": picture.id, "alt": { "zh": picture.alt.zh, "en": picture.alt.en }, "objects": objects })
    };
    json!({ "pictures": pictures.iter().map(one).collect::<Vec<_>>() })
}

/// Writes down that a product's pictures changed, and tells it when buyers can see it.
fn record(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    (product, action): (&ProductRow, &'static str),
    (before, after): (&[PictureRow], &[PictureRow]),
) -> Result<()> {
    if !products::touch(tx, product.id, product.version)? {
        return Err(again());
    }
    let listed = product.listing.is_listed(act.at);
    let facts = if listed { vec![act.product_changed(product.id, true)?] } else { Vec::new() };
    let changed = Changed {
        kind: "pictures",
        object: product.id.to_string(),
        product: Some(product.id),
        action,
        was: shown(before),
        became: shown(after),
    };
    act.record(tx, &state.store, changed, facts)
}

/// Adds a picture at the end.
///
/// # Errors
/// `catalogue.product_not_found`, `catalogue.too_many_pictures`.
pub fn add(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    (id, product): (PictureId, ProductId),
    (alt, made): (&LocalAlt, &[Made]),
) -> Result<PictureRow> {
    let owner = existing(tx, product)?;
    let before = store::of_products(tx, &[product])?;
    if before.len() >= PICTURES_MAX {
        let message = format!("A product has at most {PICTURES_MAX} pictures; delete one first.");
        return Err(Error::conflict("catalogue.too_many_pictures", message));
    }
    store::claim(tx, &names(made.iter()), act.at)?;
    let picture = row(id, product, alt.clone(), made);
    // Behind all others, whose ordinals are small numbers or earlier times.
    let ordinal = i64::try_from(before.len()).unwrap_or(0) + act.at.as_millis();
    if !store::insert(tx, &picture, ordinal)?.is_new() {
        return Err(Error::internal("a fresh picture id is taken"));
    }
    let mut after = before.clone();
    after.push(picture.clone());
    record(tx, state, act, (&owner, "added"), (&before, &after))?;
    Ok(picture)
}

/// Puts the pictures of a product into an order, and says what they show. Each is named once.
///
/// # Errors
/// `Invalid` for another set of pictures; `catalogue.product_not_found`; `request.version_stale`.
pub fn arrange(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    (product, seen): (ProductId, IfMatch),
    order: &[(PictureId, LocalAlt)],
) -> Result<Vec<PictureRow>> {
    let owner = existing(tx, product)?;
    seen.check(owner.version)?;
    let before = store::of_products(tx, &[product])?;
    let mut after = Vec::with_capacity(order.len());
    for (index, (id, alt)) in order.iter().enumerate() {
        let known = before.iter().find(|p| p.id == *id && !order[..index].iter().any(|(o, _)| o == id));
        let known = known.ok_or_else(|| {
            Error::invalid(format!("/pictures/{index}/id"), "must be a picture of the product, named once")
        })?;
        after.push(PictureRow { alt: alt.clone(), ..known.clone() });
    }
    if after.len() != before.len() {
        return Err(Error::invalid("/pictures", "must name every picture of the product"));
    }
    for (ordinal, picture) in (0i64..).zip(&after) {
        store::arrange(tx, picture.id, ordinal, &picture.alt)?;
    }
    record(tx, state, act, (&owner, "arranged"), (&before, &after))?;
    Ok(after)
}

/// Removes a picture.
///
/// # Errors
/// `catalogue.product_not_found`, `catalogue.picture_not_found`.
pub fn remove(tx: &mut Tx<'_>, state: &State, act: &Act, product: ProductId, id: PictureId) -> Result<()> {
    let owner = existing(tx, product)?;
    let before = store::of_products(tx, &[product])?;
    if !before.iter().any(|picture| picture.id == id) {
        return Err(Error::not_found("catalogue.picture_not_found", "There is no such picture."));
    }
    store::delete(tx, id)?;
    let after: Vec<PictureRow> = before.iter().filter(|picture| picture.id != id).cloned().collect();
    record(tx, state, act, (&owner, "removed"), (&before, &after))
}
