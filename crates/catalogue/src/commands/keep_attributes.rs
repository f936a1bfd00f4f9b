//! Definitions of attributes are made, changed and removed.

use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::{Inserted, Tx};
use serde_json::{Value, json};

use super::act::{Act, Changed};
use crate::{
    State,
    domain::{AttributeSpec, Slug, Wrong, attribute::ATTRIBUTES_MAX},
    store::structure as store,
};

fn shown(definition: &AttributeSpec) -> Value {
    json!(definition)
}

fn changed(code: &Slug, action: &'static str, was: Value, became: Value) -> Changed {
    Changed { kind: "attribute", object: code.to_string(), product: None, action, was, became }
}

fn unknown() -> Error {
    Error::not_found("catalogue.attribute_not_found", "There is no such attribute.")
}

fn in_use(what: &str, products: i64) -> Error {
    let message = format!("{what} is in use by {products} published products; change them first.");
    Error::conflict("catalogue.attribute_in_use", message)
}

/// Makes a definition.
///
/// # Errors
/// `Invalid`; `catalogue.slug_taken`, `catalogue.too_many_attributes`.
pub fn create(tx: &mut Tx<'_>, state: &State, act: &Act, definition: &AttributeSpec) -> Result<()> {
    let mut wrong = Wrong::default();
    definition.check("/attribute", &mut wrong);
    wrong.invalid()?;
    store::guard(tx)?;
    if store::structure(tx)?.attributes.len() >= ATTRIBUTES_MAX {
        let message = format!("A shop has at most {ATTRIBUTES_MAX} attributes.");
        return Err(Error::conflict("catalogue.too_many_attributes", message));
    }
    if store::insert_attribute(tx, definition)? == Inserted::Exists {
        return Err(Error::conflict("catalogue.slug_taken", "Another attribute has this code."));
    }
    let changed = changed(&definition.code, "created", Value::Null, shown(definition));
    act.record(tx, &state.store, changed, Vec::new())
}

/// Changes a definition; what products already say must stay true.
///
/// # Errors
/// `Invalid` for another kind or unit; `catalogue.attribute_not_found`; `request.version_stale`;
/// `catalogue.attribute_in_use` when a choice that products have would go.
pub fn update(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    seen: IfMatch,
    definition: &AttributeSpec,
) -> Result<i64> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let code = &definition.code;
    let before = structure.attributes.get(code).ok_or_else(unknown)?;
    let version = structure.attribute_versions.get(code).copied().unwrap_or(0);
    seen.check(version)?;
    let mut wrong = Wrong::default();
    definition.check("/attribute", &mut wrong);
    wrong.unless(before.kind == definition.kind, "/attribute/kind", "never changes; make another attribute");
    wrong.unless(before.unit == definition.unit, "/attribute/unit", "never changes; make another attribute");
    wrong.invalid()?;
    for choice in before.choices_gone(definition) {
        let products = store::products_with(tx, code, Some(&choice))?;
        if products > 0 {
            return Err(in_use(&format!("The choice `{choice}`"), products));
        }
    }
    if !store::update_attribute(tx, definition, version)? {
        return Err(IfMatch::stale());
    }
    act.record(tx, &state.store, changed(code, "changed", shown(before), shown(definition)), Vec::new())?;
    Ok(version + 1)
}

/// Removes a definition that neither categories nor published products have.
///
/// # Errors
/// `catalogue.attribute_not_found`; `request.version_stale`; `catalogue.attribute_in_use`.
pub fn delete(tx: &mut Tx<'_>, state: &State, act: &Act, code: &Slug, seen: IfMatch) -> Result<()> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let before = structure.attributes.get(code).ok_or_else(unknown)?;
    let version = structure.attribute_versions.get(code).copied().unwrap_or(0);
    seen.check(version)?;
    let of_categories =
        structure.tree.walk().iter().filter(|c| c.attributes.iter().any(|a| a.code == *code)).count();
    let products = store::products_with(tx, code, None)?;
    if of_categories > 0 || products > 0 {
        let message = format!(
            "{of_categories} categories and {products} published products have it; change them first."
        );
        return Err(Error::conflict("catalogue.attribute_in_use", message));
    }
    if !store::delete_attribute(tx, code, version)? {
        return Err(IfMatch::stale());
    }
    act.record(tx, &state.store, changed(code, "deleted", shown(before), Value::Null), Vec::new())
}
