//! Brands are made, changed and removed.

use merx_contracts::ids::BrandId;
use merx_http::IfMatch;
use merx_kernel::{Error, Result};
use merx_sql::Tx;
use serde_json::{Value, json};

use super::act::{Act, Changed};
use crate::{
    State,
    store::structure::{self as store, Brand},
};

/// The most brands of a shop.
pub const BRANDS_MAX: usize = 5000;

fn shown(brand: &Brand) -> Value {
    json!({ "slug": brand.slug, "name": brand.name })
}

fn changed(id: BrandId, action: &'static str, was: Value, became: Value) -> Changed {
    Changed { kind: "brand", object: id.to_string(), product: None, action, was, became }
}

fn unknown() -> Error {
    Error::not_found("catalogue.brand_not_found", "There is no such brand.")
}

/// Makes a brand.
///
/// # Errors
/// `catalogue.slug_taken`, `catalogue.too_many_brands`.
pub fn create(tx: &mut Tx<'_>, state: &State, act: &Act, brand: &Brand) -> Result<Brand> {
    store::guard(tx)?;
    if store::structure(tx)?.brands.len() >= BRANDS_MAX {
        let message = format!("A shop has at most {BRANDS_MAX} brands.");
        return Err(Error::conflict("catalogue.too_many_brands", message));
    }
    store::insert_brand(tx, brand)?;
    act.record(tx, &state.store, changed(brand.id, "created", Value::Null, shown(brand)), Vec::new())?;
    Ok(Brand { version: 1, ..brand.clone() })
}

/// Changes a brand.
///
/// # Errors
/// `catalogue.brand_not_found`; `request.version_stale`; `catalogue.slug_taken`.
pub fn update(tx: &mut Tx<'_>, state: &State, act: &Act, seen: IfMatch, brand: &Brand) -> Result<Brand> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let before = structure.brands.get(&brand.id).ok_or_else(unknown)?;
    seen.check(before.version)?;
    let after = Brand { version: before.version, ..brand.clone() };
    if !store::update_brand(tx, &after)? {
        return Err(IfMatch::stale());
    }
    act.record(tx, &state.store, changed(brand.id, "changed", shown(before), shown(&after)), Vec::new())?;
    Ok(Brand { version: before.version + 1, ..after })
}

/// Removes a brand that no published product has.
///
/// # Errors
/// `catalogue.brand_not_found`; `request.version_stale`; `catalogue.brand_in_use`.
pub fn delete(tx: &mut Tx<'_>, state: &State, act: &Act, id: BrandId, seen: IfMatch) -> Result<()> {
    store::guard(tx)?;
    let structure = store::structure(tx)?;
    let before = structure.brands.get(&id).ok_or_else(unknown)?;
    seen.check(before.version)?;
    let products = store::products_of(tx, id)?;
    if products > 0 {
        let message = format!("{products} products have it; give them another first.");
        return Err(Error::conflict("catalogue.brand_in_use", message));
    }
    if !store::delete_brand(tx, id, before.version)? {
        return Err(IfMatch::stale());
    }
    act.record(tx, &state.store, changed(id, "deleted", shown(before), Value::Null), Vec::new())
}
