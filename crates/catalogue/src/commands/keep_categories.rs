//! Categories are made, changed, moved and removed.

use merx_contracts::ids::CategoryId;
use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::Tx;
use serde_json::json;

use super::act::{Act, Changed};
use crate::{
    State,
    domain::{
        Category, CategoryAttribute, LocalText, Slug, Wrong,
        category::{CATEGORIES_MAX, CATEGORY_ATTRIBUTES_MAX},
    },
    store::structure::{self as store, Structure},
};

/// What staff say of a category.
#[derive(Clone, Debug)]
pub struct CategorySpec {
    /// Its name in links.
    pub slug: Slug,
    /// Its name.
    pub name: LocalText<80>,
    /// The category it lies in.
    pub parent: Option<CategoryId>,
    /// Its place among its siblings, from 0; the end, or where it is, unless told.
    pub position: Option<u32>,
    /// Its own attributes.
    pub attributes: Vec<CategoryAttribute>,
}

fn check(spec: &CategorySpec, structure: &Structure) -> Result<()> {
    let mut wrong = Wrong::default();
    let count = spec.attributes.len() <= CATEGORY_ATTRIBUTES_MAX;
    wrong.unless(count, "/attributes", format!("at most {CATEGORY_ATTRIBUTES_MAX}"));
    for (index, attribute) in spec.attributes.iter().enumerate() {
        let at = format!("/attributes/{index}/code");
        let known = structure.attributes.contains_key(&attribute.code);
        wrong.unless(known, at.clone(), "there is no such attribute");
        let twice = spec.attributes[..index].iter().any(|a| a.code == attribute.code);
        wrong.unless(!twice, at, "stands twice");
    }
    wrong.invalid()
}

fn shown(category: &Category) -> serde_json::Value {
    json!({
        "slug": category.slug, "name": category.name, "parent_id": category.parent,
        "position": category.ordinal, "attributes": category.attributes,
    })
}

fn changed(
    id: CategoryId,
    action: &'static str,
    was: serde_json::Value,
    became: serde_json::Value,
) -> Changed {
    Changed { kind: "category", object: id.to_string(), product: None, action, was, became }
}

fn unknown() -> Error {
    Error::not_found("catalogue.category_not_found", "There is no such category.")
}

/// Puts `category` in its place and renumbers its siblings; answers it with its ordinal.
fn arrange(tx: &mut Tx<'_>, structure: &Structure, order: &[CategoryId], id: CategoryId) -> Result<i64> {
    let mut own = 0;
    for (ordinal, sibling) in (0i64..).zip(order) {
        if *sibling == id {
            own = ordinal;
        } else if structure.tree.get(*sibling).is_some_and(|c| c.ordinal != ordinal) {
            store::reorder_category(tx, *sibling, ordinal)?;
        }
    }
    Ok(own)
}

/// Makes a category.
///
/// # Errors
/// `Invalid`; `catalogue.slug_taken`, `catalogue.category_too_deep`, `catalogue.too_many_categories`.
pub fn create(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: CategoryId,
    spec: &CategorySpec,
) -> Result<Category> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    check(spec, &structure)?;
    if structure.tree.len() >= CATEGORIES_MAX {
        return Err(Error::conflict(
            "catalogue.too_many_categories",
            format!("A shop has at most {CATEGORIES_MAX} categories."),
        ));
    }
    let order = structure.tree.place(id, spec.parent, spec.position)?;
    let ordinal = arrange(tx, &structure, &order, id)?;
    let category = Category {
        id,
        parent: spec.parent,
        ordinal,
        slug: spec.slug.clone(),
        name: spec.name.clone(),
        attributes: spec.attributes.clone(),
        version: 1,
    };
    store::insert_category(tx, &category)?;
    let changed = changed(id, "created", serde_json::Value::Null, shown(&category));
    act.record(tx, &state.store, changed, Vec::new())?;
    Ok(category)
}

/// Changes or moves a category.
///
/// # Errors
/// `catalogue.category_not_found`; `request.version_stale`; as [`create`], and `catalogue.category_cycle`.
pub fn update(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: CategoryId,
    seen: IfMatch,
    spec: &CategorySpec,
) -> Result<Category> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let before = structure.tree.get(id).ok_or_else(unknown)?;
    seen.check(before.version)?;
    check(spec, &structure)?;
    let stays = spec.position.is_none() && spec.parent == before.parent;
    let position = if stays { u32::try_from(before.ordinal).ok() } else { spec.position };
    let order = structure.tree.place(id, spec.parent, position)?;
    let ordinal = arrange(tx, &structure, &order, id)?;
    let after = Category {
        id,
        parent: spec.parent,
        ordinal,
        slug: spec.slug.clone(),
        name: spec.name.clone(),
        attributes: spec.attributes.clone(),
        version: before.version,
    };
    if !store::update_category(tx, &after)? {
        return Err(IfMatch::stale());
    }
    act.record(tx, &state.store, changed(id, "changed", shown(before), shown(&after)), Vec::new())?;
    Ok(Category { version: before.version + 1, ..after })
}

/// Removes a category that has neither categories nor published products in it.
///
/// # Errors
/// `catalogue.category_not_found`; `request.version_stale`; `catalogue.category_in_use`.
pub fn delete(tx: &mut Tx<'_>, state: &State, act: &Act, id: CategoryId, seen: IfMatch) -> Result<()> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let before = structure.tree.get(id).ok_or_else(unknown)?;
    seen.check(before.version)?;
    let (children, products) = (structure.tree.children(Some(id)).len(), store::products_in(tx, id)?);
    if children > 0 || products > 0 {
        return Err(Error::conflict(
            "catalogue.category_in_use",
            format!("{children} categories and {products} products lie in it; move them first."),
        ));
    }
    if !store::delete_category(tx, id, before.version)? {
        return Err(IfMatch::stale());
    }
    let changed = changed(id, "deleted", shown(before), serde_json::Value::Null);
    act.record(tx, &state.store, changed, Vec::new())
}
