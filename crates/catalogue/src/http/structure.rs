//! Staff keep categories, brands and attributes.

use axum::{extract::State as FromState, response::Response};
use merx_contracts::ids::{BrandId, CategoryId};
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Path, Query, Route, Versioned};
use merx_kernel::{Error, Id, Page, PageRequest};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    READ, Staff, WRITE, Why,
    views::{AdminAttributeView, AdminBrandView, AdminCategoryView},
    why,
};
use crate::{
    State,
    commands::{
        Act, keep_attributes, keep_brands,
        keep_categories::{self, CategorySpec},
    },
    domain::{AttributeSpec, CategoryAttribute, LocalText, Reason, Slug, category::CATEGORY_ATTRIBUTES_MAX},
    store::{history::ChangeKind, structure::Brand},
};

/// A category to be made or changed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryBody {
    /// Its name in links; unique.
    slug: Slug,
    /// Its name.
    name: LocalText<80>,
    /// The category it lies in; a topmost one without it.
    parent_id: Option<CategoryId>,
    /// Its place among its siblings, from 0; the end, or where it is, unless told.
    #[schemars(range(max = 10_000))]
    position: Option<u32>,
    /// Its own attributes; those of the categories above count too.
    #[serde(default)]
    #[schemars(length(max = CATEGORY_ATTRIBUTES_MAX))]
    attributes: Vec<CategoryAttribute>,
    /// What the history says of it.
    reason: Option<Reason>,
}

impl CategoryBody {
    fn split(self) -> (CategorySpec, Option<Reason>) {
        let spec = CategorySpec {
            slug: self.slug,
            name: self.name,
            parent: self.parent_id,
            position: self.position,
            attributes: self.attributes,
        };
        (spec, self.reason)
    }
}

/// A brand to be made or changed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandBody {
    /// Its name in links; unique.
    slug: Slug,
    /// Its name.
    name: LocalText<80>,
    /// What the history says of it.
    reason: Option<Reason>,
}

/// A definition to be made or changed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeBody {
    /// The definition. Code, kind and unit never change.
    attribute: AttributeSpec,
    /// What the history says of it.
    reason: Option<Reason>,
}

const CATEGORY_RULES: &[&str] = &["catalogue.slug_taken", "catalogue.category_too_deep"];

pub fn routes(staff: &Staff) -> Vec<Route> {
    let mut all = categories(staff);
    all.extend(brands(staff));
    all.extend(attributes(staff));
    all
}

fn categories(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/admin/categories", WRITE, create_category, staff)
            .id("createCategory")
            .summary("Makes a category")
            .body::<CategoryBody>()
            .response::<AdminCategoryView>(201)
            .errors(CATEGORY_RULES)
            .errors(&["catalogue.too_many_categories"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/admin/categories/{category}", READ, get_category, staff)
            .id("getCategoryToEdit")
            .summary("One category with its version")
            .param::<CategoryId>("category")
            .response::<AdminCategoryView>(200)
            .errors(&["catalogue.category_not_found"]),
        Route::put("/v1/admin/categories/{category}", WRITE, update_category, staff)
            .id("updateCategory")
            .summary("Changes or moves a category")
            .param::<CategoryId>("category")
            .if_match()
            .body::<CategoryBody>()
            .response::<AdminCategoryView>(200)
            .errors(CATEGORY_RULES)
            .errors(&["catalogue.category_not_found", "catalogue.category_cycle"]),
        Route::delete("/v1/admin/categories/{category}", WRITE, delete_category, staff)
            .id("deleteCategory")
            .summary("Removes a category with nothing in it")
            .param::<CategoryId>("category")
            .if_match()
            .query::<Why>()
            .empty_response(204)
            .errors(&["catalogue.category_not_found", "catalogue.category_in_use"]),
    ]
}

fn brands(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/admin/brands", WRITE, create_brand, staff)
            .id("createBrand")
            .summary("Makes a brand")
            .body::<BrandBody>()
            .response::<AdminBrandView>(201)
            .errors(&["catalogue.slug_taken", "catalogue.too_many_brands"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/admin/brands/{brand}", READ, get_brand, staff)
            .id("getBrandToEdit")
            .summary("One brand with its version")
            .param::<BrandId>("brand")
            .response::<AdminBrandView>(200)
            .errors(&["catalogue.brand_not_found"]),
        Route::put("/v1/admin/brands/{brand}", WRITE, update_brand, staff)
            .id("updateBrand")
            .summary("Changes a brand")
            .param::<BrandId>("brand")
            .if_match()
            .body::<BrandBody>()
            .response::<AdminBrandView>(200)
            .errors(&["catalogue.brand_not_found", "catalogue.slug_taken"]),
        Route::delete("/v1/admin/brands/{brand}", WRITE, delete_brand, staff)
            .id("deleteBrand")
            .summary("Removes a brand that no published product has")
            .param::<BrandId>("brand")
            .if_match()
            .query::<Why>()
            .empty_response(204)
            .errors(&["catalogue.brand_not_found", "catalogue.brand_in_use"]),
    ]
}

fn attributes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/admin/attributes", READ, list_attributes, staff)
            .id("listAttributes")
            .summary("Definitions of attributes in the order of their codes")
            .query::<PageRequest>()
            .response::<Page<AdminAttributeView>>(200),
        Route::post("/v1/admin/attributes", WRITE, create_attribute, staff)
            .id("createAttribute")
            .summary("Makes a definition; categories say which products have it")
            .body::<AttributeBody>()
            .response::<AdminAttributeView>(201)
            .errors(&["catalogue.slug_taken", "catalogue.too_many_attributes"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/admin/attributes/{attribute}", READ, get_attribute, staff)
            .id("getAttribute")
            .summary("One definition with its version")
            .param::<Slug>("attribute")
            .response::<AdminAttributeView>(200)
            .errors(&["catalogue.attribute_not_found"]),
        Route::put("/v1/admin/attributes/{attribute}", WRITE, update_attribute, staff)
            .id("updateAttribute")
            .summary("Changes a definition; what published products say stays true")
            .param::<Slug>("attribute")
            .if_match()
            .body::<AttributeBody>()
            .response::<AdminAttributeView>(200)
            .errors(&["catalogue.attribute_not_found", "catalogue.attribute_in_use"]),
        Route::delete("/v1/admin/attributes/{attribute}", WRITE, delete_attribute, staff)
            .id("deleteAttribute")
            .summary("Removes a definition that neither categories nor published products have")
            .param::<Slug>("attribute")
            .if_match()
            .query::<Why>()
            .empty_response(204)
            .errors(&["catalogue.attribute_not_found", "catalogue.attribute_in_use"]),
    ]
}

async fn create_category(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<CategoryBody>,
) -> Answer<Response> {
    let (spec, reason) = body.split();
    let id: CategoryId = staff.state.ids.next();
    let act = Act::new(&staff.state, Some(caller.account), why(reason));
    staff
        .once(key, ("catalogue.create_category", id), move |tx, state| {
            let category = keep_categories::create(tx, state, &act, id, &spec)?;
            Ok(AdminCategoryView::from(&category))
        })
        .await
}

async fn get_category(
    FromState(staff): FromState<Staff>,
    Path(id): Path<CategoryId>,
) -> Answer<Versioned<AdminCategoryView>> {
    let structure = staff.state.shelves.now(&staff.state.db).await?;
    let category = structure
        .tree
        .get(id)
        .ok_or_else(|| Error::not_found("catalogue.category_not_found", "There is no such category."))?;
    Ok(Versioned { version: category.version, body: category.into() })
}

async fn update_category(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<CategoryId>,
    seen: IfMatch,
    Json(body): Json<CategoryBody>,
) -> Answer<Versioned<AdminCategoryView>> {
    let (spec, reason) = body.split();
    let act = Act::new(&staff.state, Some(caller.account), why(reason));
    let change =
        move |tx: &mut Tx<'_>, state: &State| keep_categories::update(tx, state, &act, id, seen, &spec);
    let category = staff.write("catalogue.update_category", change).await?;
    Ok(Versioned { version: category.version, body: (&category).into() })
}

async fn delete_category(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<CategoryId>,
    seen: IfMatch,
    Query(query): Query<Why>,
) -> Answer<http::StatusCode> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| keep_categories::delete(tx, state, &act, id, seen);
    staff.write("catalogue.delete_category", change).await?;
    Ok(http::StatusCode::NO_CONTENT)
}

async fn create_brand(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<BrandBody>,
) -> Answer<Response> {
    let brand = Brand { id: staff.state.ids.next(), slug: body.slug, name: body.name, version: 1 };
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    staff
        .once(key, ("catalogue.create_brand", brand.id), move |tx, state| {
            Ok(AdminBrandView::from(&keep_brands::create(tx, state, &act, &brand)?))
        })
        .await
}

async fn get_brand(
    FromState(staff): FromState<Staff>,
    Path(id): Path<BrandId>,
) -> Answer<Versioned<AdminBrandView>> {
    let structure = staff.state.shelves.now(&staff.state.db).await?;
    let missing = || Error::not_found("catalogue.brand_not_found", "There is no such brand.");
    let brand = structure.brands.get(&id).ok_or_else(missing)?;
    Ok(Versioned { version: brand.version, body: brand.into() })
}

async fn update_brand(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<BrandId>,
    seen: IfMatch,
    Json(body): Json<BrandBody>,
) -> Answer<Versioned<AdminBrandView>> {
    let brand = Brand { id, slug: body.slug, name: body.name, version: seen.0 };
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| keep_brands::update(tx, state, &act, seen, &brand);
    let brand = staff.write("catalogue.update_brand", change).await?;
    Ok(Versioned { version: brand.version, body: (&brand).into() })
}

async fn delete_brand(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<BrandId>,
    seen: IfMatch,
    Query(query): Query<Why>,
) -> Answer<http::StatusCode> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| keep_brands::delete(tx, state, &act, id, seen);
    staff.write("catalogue.delete_brand", change).await?;
    Ok(http::StatusCode::NO_CONTENT)
}

async fn list_attributes(
    FromState(staff): FromState<Staff>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<AdminAttributeView>>> {
    let limit = usize::try_from(page.checked_limit()?).unwrap_or(usize::MAX);
    let structure = staff.state.shelves.now(&staff.state.db).await?;
    let after = page.cursor.unwrap_or_default();
    let mut codes = structure.attributes.keys().filter(|code| code.as_str() > after.as_str());
    let shown: Vec<&Slug> = codes.by_ref().take(limit).collect();
    let next_cursor = shown.last().filter(|_| codes.next().is_some()).map(ToString::to_string);
    let items = shown.into_iter().filter_map(|code| {
        Some(AdminAttributeView {
            attribute: structure.attributes.get(code)?.clone(),
            version: *structure.attribute_versions.get(code)?,
        })
    });
    Ok(Json(Page { items: items.collect(), next_cursor }))
}

async fn create_attribute(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<AttributeBody>,
) -> Answer<Response> {
    let effect: Id<ChangeKind> = staff.state.ids.next();
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let attribute = body.attribute;
    staff
        .once(key, ("catalogue.create_attribute", effect), move |tx, state| {
            keep_attributes::create(tx, state, &act, &attribute)?;
            Ok(AdminAttributeView { attribute: attribute.clone(), version: 1 })
        })
        .await
}

async fn get_attribute(
    FromState(staff): FromState<Staff>,
    Path(code): Path<Slug>,
) -> Answer<Versioned<AdminAttributeView>> {
    let structure = staff.state.shelves.now(&staff.state.db).await?;
    let found = structure.attributes.get(&code).zip(structure.attribute_versions.get(&code));
    let (attribute, version) = found
        .ok_or_else(|| Error::not_found("catalogue.attribute_not_found", "There is no such attribute."))?;
    let body = AdminAttributeView { attribute: attribute.clone(), version: *version };
    Ok(Versioned { version: *version, body })
}

async fn update_attribute(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(code): Path<Slug>,
    seen: IfMatch,
    Json(body): Json<AttributeBody>,
) -> Answer<Versioned<AdminAttributeView>> {
    let attribute = body.attribute;
    if attribute.code != code {
        return Err(Error::invalid("/attribute/code", "must be the code of the path").into());
    }
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let own = attribute.clone();
    let change = move |tx: &mut Tx<'_>, state: &State| keep_attributes::update(tx, state, &act, seen, &own);
    let version = staff.write("catalogue.update_attribute", change).await?;
    Ok(Versioned { version, body: AdminAttributeView { attribute, version } })
}

async fn delete_attribute(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(code): Path<Slug>,
    seen: IfMatch,
    Query(query): Query<Why>,
) -> Answer<http::StatusCode> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| keep_attributes::delete(tx, state, &act, &code, seen);
    staff.write("catalogue.delete_attribute", change).await?;
    Ok(http::StatusCode::NO_CONTENT)
}
