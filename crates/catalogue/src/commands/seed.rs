//! A catalogue loaded by the shop itself: demo, import, tests. Everything has an identity chosen beforehand; what is
//! there already stays as it is, so that a load killed half-way is finished by the next.

use std::slice;

use bytes::Bytes;
use futures_util::future::try_join_all;
use merx_contracts::ids::{CategoryId, PictureId, ProductId};
use merx_kernel::{Error, Result};
use merx_sql::{Inserted, Tx};
use serde_json::{Value, json};

use super::{
    act::Act,
    draft_product::{changed, existing, shown},
    keep_categories::CategorySpec,
    keep_pictures::{names, put, row},
    publish_product::publish_as,
};
use crate::{
    State,
    domain::{AttributeSpec, Category, Content, Listing, LocalText, Status, Wrong},
    pictures::Made,
    store::{
        history, pictures, products,
        structure::{self, Brand},
    },
};

/// Products in one transaction.
const CHUNK: usize = 20;
/// What the history says of them.
const REASON: &str = "loaded";

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// Definitions of attributes.
    pub attributes: Vec<AttributeSpec>,
    /// Categories, each after the one it lies in.
    pub categories: Vec<(CategoryId, CategorySpec)>,
    /// Brands; versions are not looked at.
    pub brands: Vec<Brand>,
    /// Products.
    pub products: Vec<SeedProduct>,
}

/// A product to load.
#[derive(Clone, Debug)]
pub struct SeedProduct {
    /// Its identity.
    pub id: ProductId,
    /// What it is; must be ready to be published unless it stays a draft.
    pub content: Content,
    /// [`Status::Draft`] leaves it a draft.
    pub status: Status,
    /// Its pictures, in order.
    pub pictures: Vec<SeedPicture>,
}

/// A picture to load.
#[derive(Clone, Debug)]
pub struct SeedPicture {
    /// Its identity.
    pub id: PictureId,
    /// PNG, JPEG, WebP or SVG.
    pub bytes: Bytes,
    /// What it shows.
    pub alt: LocalText<200>,
}

/// Loads a catalogue: one transaction for what products are sorted into, and two for every twenty products. No facts
/// are published for what nobody has seen before; the history has a row for each product.
///
/// # Errors
/// `catalogue.not_ready` for a product that breaks a rule; `catalogue.sku_taken`; `catalogue.picture_refused`; what the
/// database or the store of pictures answers. What was loaded until then stays.
pub async fn seed(state: &State, seed: Seed) -> Result<()> {
    let Seed { attributes, categories, brands, products } = seed;
    if !(attributes.is_empty() && categories.is_empty() && brands.is_empty()) {
        let load = move |tx: &mut Tx<'_>| load_structure(tx, &attributes, &categories, &brands);
        state.db.write("catalogue.seed", load).await?;
        state.forget();
    }
    let mut products = products.into_iter().peekable();
    while products.peek().is_some() {
        let chunk: Vec<SeedProduct> = products.by_ref().take(CHUNK).collect();
        load_chunk(state, chunk).await?;
        state.forget();
    }
    Ok(())
}

fn load_structure(
    tx: &mut Tx<'_>,
    attributes: &[AttributeSpec],
    categories: &[(CategoryId, CategorySpec)],
    brands: &[Brand],
) -> Result<()> {
    structure::guard(tx)?;
    for definition in attributes {
        let mut wrong = Wrong::default();
        definition.check("", &mut wrong);
        wrong.invalid()?;
        let _ = structure::insert_attribute(tx, definition)?;
    }
    for (id, spec) in categories {
        let found = structure::structure(tx)?;
        if found.tree.get(*id).is_some() {
            continue;
        }
        let order = found.tree.place(*id, spec.parent, None)?;
        structure::insert_category(
            tx,
            &Category {
                id: *id,
                parent: spec.parent,
                ordinal: i64::try_from(order.len()).unwrap_or(0) - 1,
                slug: spec.slug.clone(),
                name: spec.name.clone(),
                attributes: spec.attributes.clone(),
                version: 1,
            },
        )?;
    }
    let known = structure::structure(tx)?.brands;
    for brand in brands.iter().filter(|brand| !known.contains_key(&brand.id)) {
        structure::insert_brand(tx, brand)?;
    }
    Ok(())
}

/// A product with its files made, and the identity of its row in the history.
struct Ready {
    product: SeedProduct,
    files: Vec<Vec<Made>>,
    act: Act,
}

async fn load_chunk(state: &State, chunk: Vec<SeedProduct>) -> Result<()> {
    let ids: Vec<ProductId> = chunk.iter().map(|p| p.id).collect();
    let known = state.db.read("catalogue.seed", move |q| products::several(q, &ids)).await?;
    let missing = chunk.into_iter().filter(|p| !known.iter().any(|k| k.id == p.id));
    let ready = try_join_all(missing.map(async |product| {
        let made = product.pictures.iter().map(|p| state.pool.make_in_turn(p.bytes.clone()));
        let files = try_join_all(made).await?;
        Result::<Ready>::Ok(Ready { product, files, act: Act::new(state, None, Some(REASON.to_owned())) })
    }))
    .await?;
    let files: Vec<Vec<Made>> = ready.iter().flat_map(|r| &r.files).cloned().collect();
    if !files.is_empty() {
        put(state, &files).await?;
    }
    let own = state.clone();
    let load = move |tx: &mut Tx<'_>| ready.iter().try_for_each(|ready| load_product(tx, &own, ready));
    state.db.write("catalogue.seed", load).await
}

fn load_product(tx: &mut Tx<'_>, state: &State, Ready { product, files, act }: &Ready) -> Result<()> {
    product.content.check_draft("")?;
    if products::insert_draft(tx, product.id, &product.content, act.at)? == Inserted::Exists {
        return Ok(());
    }
    if product.status != Status::Draft {
        let before = existing(tx, product.id)?;
        publish_as(tx, state, &before, Listing::of(product.status))?;
    }
    pictures::claim(tx, &names(files.iter().flatten()), act.at)?;
    for (ordinal, (picture, made)) in (0i64..).zip(product.pictures.iter().zip(files)) {
        let row = row(picture.id, product.id, picture.alt.clone().into(), made);
        if !pictures::insert(tx, &row, ordinal)?.is_new() {
            return Err(Error::internal("a picture to load has the id of another"));
        }
    }
    let mut became = shown(&product.content);
    became["status"] = json!(product.status);
    history::insert(tx, slice::from_ref(&act.row(changed(product.id, "loaded", Value::Null, became))))
}
