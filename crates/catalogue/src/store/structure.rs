//! Categories, brands, definitions of attributes, and the row that guards the rules between them and products.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::{BrandId, CategoryId};
use merx_kernel::{Error, Result};
use merx_sql::{Inserted, Query, Row, Tx, params};

use super::{from_json, inconsistent, text, to_json};
use crate::domain::{AttributeSpec, Category, LocalText, Slug, Tree};

const CATEGORIES: &str = "SELECT id, parent_id, ordinal, slug, name_zh, name_en, attributes, version
 FROM catalogue_categories ORDER BY id";
const BRANDS: &str = "SELECT id, slug, name_zh, name_en, version FROM catalogue_brands ORDER BY slug";
const ATTRIBUTES: &str = "SELECT definition, version FROM catalogue_attributes ORDER BY code";

/// A brand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Its identity.
    pub id: BrandId,
    /// Its name in links; unique.
    pub slug: Slug,
    /// Its name.
    pub name: LocalText<80>,
    /// Rises with every change.
    pub version: i64,
}

/// Everything products are sorted into and described by.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// The categories.
    pub tree: Tree,
    /// The brands by id.
    pub brands: BTreeMap<BrandId, Brand>,
    /// The definitions by code, each with its version.
    pub attributes: BTreeMap<Slug, AttributeSpec>,
    /// The versions of the definitions.
    pub attribute_versions: BTreeMap<Slug, i64>,
}

impl Structure {
    /// The ids of all brands.
    pub fn brand_ids(&self) -> BTreeSet<BrandId> {
        self.brands.keys().copied().collect()
    }
}

/// Takes the row that whoever changes the structure, or publishes against it, holds until its commit: a rule over
/// several rows is decided by one at a time.
pub fn guard(tx: &mut Tx<'_>) -> Result<()> {
    let sql = "UPDATE catalogue_guards SET version = version + 1 WHERE name = 'structure'";
    if tx.guarded(sql, params![])? { Ok(()) } else { Err(inconsistent("the guard row is missing")) }
}

/// The whole structure.
pub fn structure(q: &mut impl Query) -> Result<Structure> {
    let tree = Tree::new(q.query(CATEGORIES, params![], category_of)?);
    let brands = q.query(BRANDS, params![], |row| {
        Ok(Brand {
            id: row.get(0)?,
            slug: slug_of(row, 1)?,
            name: LocalText { zh: text(row, 2)?, en: text(row, 3)? },
            version: row.get(4)?,
        })
    })?;
    let definitions = q.query(ATTRIBUTES, params![], |row| {
        Ok((from_json::<AttributeSpec>(&row.get::<String>(0)?)?, row.get::<i64>(1)?))
    })?;
    let mut found = Structure { tree, ..Structure::default() };
    found.brands.extend(brands.into_iter().map(|brand| (brand.id, brand)));
    for (definition, version) in definitions {
        found.attribute_versions.insert(definition.code.clone(), version);
        found.attributes.insert(definition.code.clone(), definition);
    }
    Ok(found)
}

fn category_of(row: &Row<'_>) -> Result<Category> {
    Ok(Category {
        id: row.get(0)?,
        parent: row.get(1)?,
        ordinal: row.get(2)?,
        slug: slug_of(row, 3)?,
        name: LocalText { zh: text(row, 4)?, en: text(row, 5)? },
        attributes: from_json(&row.get::<String>(6)?)?,
        version: row.get(7)?,
    })
}

pub(super) fn slug_of(row: &Row<'_>, index: usize) -> Result<Slug> {
    Slug::new(row.get::<String>(index)?).map_err(inconsistent)
}

fn slug_taken(error: Error) -> Error {
    if error.is("sql.duplicate") {
        return Error::conflict("catalogue.slug_taken", "Another one has this slug; choose a different one.");
    }
    error
}

/// Writes a new category.
pub fn insert_category(tx: &mut Tx<'_>, category: &Category) -> Result<()> {
    let sql = "INSERT INTO catalogue_categories
 (id, parent_id, ordinal, slug, name_zh, name_en, attributes, version) VALUES (?, ?, ?, ?, ?, ?, ?, 1)";
    let row = params![
        category.id,
        category.parent,
        category.ordinal,
        category.slug.as_str(),
        category.name.zh.as_str(),
        category.name.en.as_str(),
        to_json(&category.attributes)?
    ];
    tx.execute(sql, row).map(drop).map_err(slug_taken)
}

/// Writes a category anew; `false` when its version is another than the one it carries.
pub fn update_category(tx: &mut Tx<'_>, category: &Category) -> Result<bool> {
    let sql =
        "UPDATE catalogue_categories SET parent_id = ?, ordinal = ?, slug = ?, name_zh = ?, name_en = ?,
 attributes = ?, version = version + 1 WHERE id = ? AND version = ?";
    let row = params![
        category.parent,
        category.ordinal,
        category.slug.as_str(),
        category.name.zh.as_str(),
        category.name.en.as_str(),
        to_json(&category.attributes)?,
        category.id,
        category.version
    ];
    tx.guarded(sql, row).map_err(slug_taken)
}

/// Moves a category to another place among its siblings; that is no change of the category itself.
pub fn reorder_category(tx: &mut Tx<'_>, id: CategoryId, ordinal: i64) -> Result<()> {
    tx.execute("UPDATE catalogue_categories SET ordinal = ? WHERE id = ?", params![ordinal, id]).map(drop)
}

/// Removes a category; `false` when its version is another.
pub fn delete_category(tx: &mut Tx<'_>, id: CategoryId, version: i64) -> Result<bool> {
    tx.guarded("DELETE FROM catalogue_categories WHERE id = ? AND version = ?", params![id, version])
}

/// Writes a new brand.
pub fn insert_brand(tx: &mut Tx<'_>, brand: &Brand) -> Result<()> {
    let sql = "INSERT INTO catalogue_brands (id, slug, name_zh, name_en, version) VALUES (?, ?, ?, ?, 1)";
    let name = &brand.name;
    let row = params![brand.id, brand.slug.as_str(), name.zh.as_str(), name.en.as_str()];
    tx.execute(sql, row).map(drop).map_err(slug_taken)
}

/// Writes a brand anew; `false` when its version is another than the one it carries.
pub fn update_brand(tx: &mut Tx<'_>, brand: &Brand) -> Result<bool> {
    let sql = "UPDATE catalogue_brands SET slug = ?, name_zh = ?, name_en = ?, version = version + 1
 WHERE id = ? AND version = ?";
    let name = &brand.name;
    let row = params![brand.slug.as_str(), name.zh.as_str(), name.en.as_str(), brand.id, brand.version];
    tx.guarded(sql, row).map_err(slug_taken)
}

/// Removes a brand; `false` when its version is another.
pub fn delete_brand(tx: &mut Tx<'_>, id: BrandId, version: i64) -> Result<bool> {
    tx.guarded("DELETE FROM catalogue_brands WHERE id = ? AND version = ?", params![id, version])
}

/// Writes a new definition; `Exists` when the code is known.
pub fn insert_attribute(tx: &mut Tx<'_>, definition: &AttributeSpec) -> Result<Inserted> {
    let sql = "INSERT INTO catalogue_attributes (code, definition, version) VALUES (?, ?, 1)";
    tx.insert_new(sql, params![definition.code.as_str(), to_json(definition)?])
}

/// Writes a definition anew; `false` when its version is another.
pub fn update_attribute(tx: &mut Tx<'_>, definition: &AttributeSpec, version: i64) -> Result<bool> {
    let sql = "UPDATE catalogue_attributes SET definition = ?, version = version + 1 WHERE code = ? AND version = ?";
    tx.guarded(sql, params![to_json(definition)?, definition.code.as_str(), version])
}

/// Removes a definition; `false` when its version is another.
pub fn delete_attribute(tx: &mut Tx<'_>, code: &Slug, version: i64) -> Result<bool> {
    tx.guarded(
        "DELETE FROM catalogue_attributes WHERE code = ? AND version = ?",
        params![code.as_str(), version],
    )
}

/// How many products are published in a category.
pub fn products_in(q: &mut impl Query, id: CategoryId) -> Result<i64> {
    q.query_one("SELECT COUNT(*) FROM catalogue_products WHERE category_id = ?", params![id], |r| r.get(0))
}

/// How many products are published under a brand.
pub fn products_of(q: &mut impl Query, id: BrandId) -> Result<i64> {
    q.query_one("SELECT COUNT(*) FROM catalogue_products WHERE brand_id = ?", params![id], |r| r.get(0))
}

/// How many published products have an attribute; with `choice`, that choice of it.
pub fn products_with(q: &mut impl Query, code: &Slug, choice: Option<&Slug>) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM catalogue_product_attributes WHERE attribute = ?";
    match choice {
        None => q.query_one(sql, params![code.as_str()], |row| row.get(0)),
        Some(choice) => {
            q.query_one(&format!("{sql} AND choice = ?"), params![code.as_str(), choice.as_str()], |r| {
                r.get(0)
            })
        }
    }
}
