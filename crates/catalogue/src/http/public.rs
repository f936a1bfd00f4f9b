//! What everybody may look at.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use axum::{
    extract::State as FromState,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use merx_contracts::ids::ProductId;
use merx_http::{Access, Answer, Json, Path, Query, Route};
use merx_kernel::{Error, Page, PageRequest, Result};
use serde::Serialize;

use super::views::{
    BrandView, CategoryAttributeView, CategoryDetailView, CategoryRef, CategoryView, ProductView,
};
use crate::{
    State,
    commands::draft_product::unknown,
    domain::{Category, Slug},
    pictures::key_of,
    queries::{ListProducts, cursor_after},
    store::{listing, pictures, structure::Structure},
};

/// A year: what is under the name of a hash never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A drawing that is opened by itself can do nothing at all.
const DRAWING_POLICY: &str = "default-src 'none'; sandbox";
const MEDIA: &[&str] = &["image/jpeg", "image/webp", "image/svg+xml"];

pub fn routes(state: &State) -> Vec<Route> {
    vec![
        Route::get("/v1/products", Access::Public, list_products, state)
            .id("listProducts")
            .summary("Products on sale, narrowed and sorted")
            .description("Prices are those in force now; a product counts with the lowest price of its SKUs.")
            .query::<ListProducts>()
            .response::<Page<ProductView>>(200),
        Route::get("/v1/products/{product}", Access::Public, get_product, state)
            .id("getProduct")
            .summary("One product on sale")
            .description(
                "The ETag changes with everything that is shown; If-None-Match answers 304 until then.",
            )
            .param::<ProductId>("product")
            .response::<ProductView>(200)
            .empty_response(304)
            .errors(&["catalogue.product_not_found"]),
        Route::get("/v1/categories", Access::Public, list_categories, state)
            .id("listCategories")
            .summary("All categories, parents before children, siblings in order")
            .response::<Page<CategoryView>>(200),
        Route::get("/v1/categories/{category}", Access::Public, get_category, state)
            .id("getCategory")
            .summary("One category by id or slug, with what its products are described and filtered by")
            .response::<CategoryDetailView>(200)
            .errors(&["catalogue.category_not_found"]),
        Route::get("/v1/brands", Access::Public, list_brands, state)
            .id("listBrands")
            .summary("Brands in the order of their slugs")
            .query::<PageRequest>()
            .response::<Page<BrandView>>(200),
        Route::get("/pictures/{picture}", Access::Public, get_picture, state)
            .id("getPicture")
            .summary("The bytes of a picture, under a name that never means anything else")
            .raw_response(200, MEDIA)
            .errors(&["catalogue.picture_not_found"]),
    ]
}

async fn list_products(
    FromState(state): FromState<State>,
    Query(asked): Query<ListProducts>,
) -> Answer<Json<Page<ProductView>>> {
    let structure = state.shelves.now(&state.db).await?;
    let filter = asked.filter(&structure, state.clock.now())?;
    let limit = usize::try_from(filter.limit - 1).unwrap_or(usize::MAX);
    let mut found = state.db.read("catalogue.list_products", move |q| listing::listed(q, &filter)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(_, after)| cursor_after(asked.sort(), after));
    let items = found.into_iter().map(|(product, _)| ProductView::new(product, &structure)).collect();
    Ok(Json(Page { items, next_cursor: last }))
}

async fn get_product(
    FromState(state): FromState<State>,
    Path(id): Path<ProductId>,
    headers: HeaderMap,
) -> Answer<Response> {
    let structure = state.shelves.now(&state.db).await?;
    let now = state.clock.now();
    let product = state.db.read("catalogue.get_product", move |q| listing::one(q, id, now)).await?;
    let view = ProductView::new(product.ok_or_else(unknown)?, &structure);
    Ok(tagged(&view, &headers)?)
}

/// JSON with a tag made of its bytes, so that prices that change by plan and names of categories count too.
fn tagged(view: &impl Serialize, headers: &HeaderMap) -> Result<Response> {
    let body = serde_json::to_vec(view)
        .map_err(|e| Error::internal("a response cannot be written as JSON").with_source(e))?;
    let mut tag = String::from("\"");
    for byte in &digest::digest(&digest::SHA256, &body).as_ref()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let known =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).any(|list| {
            list.split(',').map(|t| t.trim().trim_start_matches("W/")).any(|t| t == tag || t == "*")
        });
    let value = HeaderValue::from_str(&tag).map_err(|e| Error::internal("a tag").with_source(e))?;
    let always =
        [(header::ETAG, value), (header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"))];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, always).into_response());
    }
    let media = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((always, media, body).into_response())
}

async fn list_categories(FromState(state): FromState<State>) -> Answer<Json<Page<CategoryView>>> {
    let structure = state.shelves.now(&state.db).await?;
    let items = structure.tree.walk().into_iter().map(|c| CategoryView::new(c, &structure)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// A category by its id or slug.
fn find_category<'a>(structure: &'a Structure, text: &str) -> Result<&'a Category> {
    let by_id = text.parse().ok().and_then(|id| structure.tree.get(id));
    let by_slug = || structure.tree.by_slug(&Slug::new(text).ok()?);
    by_id
        .or_else(by_slug)
        .ok_or_else(|| Error::not_found("catalogue.category_not_found", "There is no such category."))
}

async fn get_category(
    FromState(state): FromState<State>,
    Path(text): Path<String>,
) -> Answer<Json<CategoryDetailView>> {
    let structure = state.shelves.now(&state.db).await?;
    let category = find_category(&structure, &text)?;
    let attributes = structure.tree.attributes(category.id);
    let attributes = attributes
        .iter()
        .filter_map(|of| Some(CategoryAttributeView::new(of, structure.attributes.get(&of.code)?)));
    Ok(Json(CategoryDetailView {
        category: CategoryView::new(category, &structure),
        path: structure.tree.path(category.id).into_iter().map(CategoryRef::from).collect(),
        attributes: attributes.collect(),
    }))
}

async fn list_brands(
    FromState(state): FromState<State>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<BrandView>>> {
    let limit = usize::try_from(page.checked_limit()?).unwrap_or(usize::MAX);
    let after = page.cursor.as_deref().map(Slug::new).transpose();
    let after = after.map_err(|_| Error::invalid("cursor", "must be the next_cursor of the page before"))?;
    let structure = state.shelves.now(&state.db).await?;
    let mut brands: Vec<_> =
        structure.brands.values().filter(|b| after.as_ref().is_none_or(|a| b.slug > *a)).collect();
    brands.sort_by(|a, b| a.slug.cmp(&b.slug));
    let more = brands.len() > limit;
    brands.truncate(limit);
    let next_cursor = brands.last().filter(|_| more).map(|last| last.slug.to_string());
    Ok(Json(Page { items: brands.into_iter().map(BrandView::from).collect(), next_cursor }))
}

async fn get_picture(FromState(state): FromState<State>, Path(name): Path<String>) -> Answer<Response> {
    let missing = || Error::not_found("catalogue.picture_not_found", "There is no such picture.");
    let key = key_of(&name).map_err(|_| missing())?;
    let media_type = state.db.read("catalogue.get_picture", move |q| pictures::media_type(q, &name)).await?;
    let media_type = media_type.ok_or_else(missing)?;
    let bytes = state.objects.get(&key).await?.ok_or_else(|| {
        state.metrics.alert("catalogue_object_missing");
        tracing::error!(%key, "an object that a row knows is not in the store");
        missing()
    })?;
    let media =
        HeaderValue::from_str(&media_type).map_err(|e| Error::internal("a media type").with_source(e))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if media_type == "image/svg+xml" {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DRAWING_POLICY));
    }
    let shared = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(shared, HeaderValue::from_static("cross-origin"));
    Ok(response)
}
