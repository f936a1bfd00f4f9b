//! Staff prepare, publish and list products.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::ProductId;
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Path, Query, Route, Versioned};
use merx_kernel::{BoundedText, Id, Page, PageRequest, Result, Timestamp};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    READ, Staff, WRITE, Why,
    views::{AdminProductLine, AdminProductView},
    why,
};
use crate::{
    State,
    commands::{
        Act,
        draft_product::{self, unknown},
        list_product, publish_product,
    },
    domain::{Content, Reason, Status},
    queries::{id_cursor, patterns},
    store::{
        history::ChangeKind,
        pictures,
        products::{self, AdminFilter, ProductRow},
    },
};

/// Bytes of a product: 200 SKUs and long texts.
const PRODUCT_BODY_BYTES_MAX: usize = 512 * 1024;

/// A product to be prepared.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    /// What it is. A draft may leave out what only a published product needs.
    content: Content,
    /// What the history says of it.
    reason: Option<Reason>,
}

/// Why something is done.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// What the history says of it.
    reason: Option<Reason>,
}

/// When a product is listed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingBody {
    /// From then on; now unless told.
    list_at: Option<Timestamp>,
    /// Until just before then; without an end unless told.
    delist_at: Option<Timestamp>,
    /// What the history says of it.
    reason: Option<Reason>,
}

/// When and why a product is taken off sale.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelistingBody {
    /// From then on; now unless told.
    delist_at: Option<Timestamp>,
    /// Why.
    reason: Reason,
}

/// What staff look for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListAdminProducts {
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
    /// Only these, as last written down: a plan that comes due this moment may not count yet.
    status: Option<Status>,
    /// Only those with a draft waiting, or only those without.
    has_draft: Option<bool>,
    /// Words that are all in the title.
    q: Option<BoundedText<1, 100>>,
}

const NOT_FOUND: &[&str] = &["catalogue.product_not_found"];
const PUBLISHING: &[&str] = &["catalogue.no_draft", "catalogue.not_ready", "catalogue.sku_taken"];

pub fn routes(staff: &Staff) -> Vec<Route> {
    let mut all = drafts(staff);
    all.extend(listing(staff));
    all
}

fn drafts(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/admin/products", READ, list_products, staff)
            .id("listAdminProducts")
            .summary("All products, drafts too, newest first")
            .query::<ListAdminProducts>()
            .response::<Page<AdminProductLine>>(200),
        Route::post("/v1/admin/products", WRITE, create_product, staff)
            .id("createProduct")
            .summary("Makes a product as a draft")
            .body::<ProductBody>()
            .body_bytes_max(PRODUCT_BODY_BYTES_MAX)
            .response::<AdminProductView>(201)
            .idempotency(Idempotency::Required),
        Route::get("/v1/admin/products/{product}", READ, get_product, staff)
            .id("getAdminProduct")
            .summary("One product with what is live, what is prepared and what is planned")
            .param::<ProductId>("product")
            .response::<AdminProductView>(200)
            .errors(NOT_FOUND),
        Route::put("/v1/admin/products/{product}", WRITE, edit_product, staff)
            .id("editProduct")
            .summary("Writes the product's draft; buyers see it once it is published")
            .param::<ProductId>("product")
            .if_match()
            .body::<ProductBody>()
            .body_bytes_max(PRODUCT_BODY_BYTES_MAX)
            .response::<AdminProductView>(200)
            .errors(NOT_FOUND),
        Route::delete("/v1/admin/products/{product}", WRITE, delete_product, staff)
            .id("deleteProduct")
            .summary("Removes a product that was never published")
            .param::<ProductId>("product")
            .if_match()
            .query::<Why>()
            .empty_response(204)
            .errors(NOT_FOUND)
            .errors(&["catalogue.published"]),
        Route::delete("/v1/admin/products/{product}/draft", WRITE, discard_draft, staff)
            .id("discardProductDraft")
            .summary("Throws the draft of a published product away")
            .param::<ProductId>("product")
            .if_match()
            .query::<Why>()
            .response::<AdminProductView>(200)
            .errors(NOT_FOUND)
            .errors(&["catalogue.no_draft", "catalogue.never_published"]),
    ]
}

fn listing(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/admin/products/{product}/publication", WRITE, publish, staff)
            .id("publishProduct")
            .summary("Makes the draft what buyers see, checked as a whole")
            .description(
                "Whether it is on sale stays as it is: a product published for the first time is `unlisted` until it is \
                 listed. SKUs that the draft does not have are retired; first prices of known SKUs stay.",
            )
            .param::<ProductId>("product")
            .if_match()
            .body::<ReasonBody>()
            .response::<AdminProductView>(201)
            .errors(NOT_FOUND)
            .errors(PUBLISHING)
            .idempotency(Idempotency::Required),
        Route::post("/v1/admin/products/{product}/listing", WRITE, list, staff)
            .id("listProduct")
            .summary("Puts a product on sale, now or at a time; publishes the draft of one that never was")
            .description("What was planned before is forgotten.")
            .param::<ProductId>("product")
            .body::<ListingBody>()
            .response::<AdminProductView>(201)
            .errors(NOT_FOUND)
            .errors(PUBLISHING)
            .errors(&["catalogue.already_listed"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/admin/products/{product}/delisting", WRITE, delist, staff)
            .id("delistProduct")
            .summary("Takes a product off sale, now or at a time, with the reason")
            .param::<ProductId>("product")
            .body::<DelistingBody>()
            .response::<AdminProductView>(201)
            .errors(NOT_FOUND)
            .errors(&["catalogue.not_listed"])
            .idempotency(Idempotency::Required),
        Route::delete("/v1/admin/products/{product}/schedule", WRITE, unplan, staff)
            .id("cancelProductSchedule")
            .summary("Takes back the planned listing and delisting")
            .param::<ProductId>("product")
            .query::<Why>()
            .response::<AdminProductView>(200)
            .errors(NOT_FOUND),
    ]
}

/// The product as staff see it, from inside a transaction.
fn view(tx: &mut Tx<'_>, product: ProductRow, at: Timestamp) -> Result<AdminProductView> {
    let shown = pictures::of_products(tx, &[product.id])?;
    Ok(AdminProductView::new(product, &shown, at))
}

fn versioned(body: AdminProductView) -> Versioned<AdminProductView> {
    Versioned { version: body.version, body }
}

async fn list_products(
    FromState(staff): FromState<Staff>,
    Query(asked): Query<ListAdminProducts>,
) -> Answer<Json<Page<AdminProductLine>>> {
    let page = PageRequest { limit: asked.limit, cursor: asked.cursor };
    let limit = page.checked_limit()?;
    let filter = AdminFilter {
        status: asked.status,
        has_draft: asked.has_draft,
        words: asked.q.as_ref().map(|q| patterns(q.as_str())).unwrap_or_default(),
        before: id_cursor(&page)?,
        limit: limit + 1,
    };
    let read = move |q: &mut merx_sql::Reader<'_>| products::admin_list(q, &filter);
    let mut found = staff.state.db.read("catalogue.admin_list", read).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > shown;
    found.truncate(shown);
    let now = staff.state.clock.now();
    let next_cursor = found.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(Page { items: found.iter().map(|p| AdminProductLine::new(p, now)).collect(), next_cursor }))
}

async fn get_product(
    FromState(staff): FromState<Staff>,
    Path(id): Path<ProductId>,
) -> Answer<Versioned<AdminProductView>> {
    let read =
        move |q: &mut merx_sql::Reader<'_>| Ok((products::find(q, id)?, pictures::of_products(q, &[id])?));
    let (found, shown) = staff.state.db.read("catalogue.admin_product", read).await?;
    let product = found.ok_or_else(unknown)?;
    Ok(versioned(AdminProductView::new(product, &shown, staff.state.clock.now())))
}

async fn create_product(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(body): Json<ProductBody>,
) -> Answer<Response> {
    let id: ProductId = staff.state.ids.next();
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    staff
        .once(key, ("catalogue.create_product", id), move |tx, state| {
            let product = draft_product::create(tx, state, &act, id, &body.content)?;
            view(tx, product, act.at)
        })
        .await
}

async fn edit_product(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<ProductId>,
    seen: IfMatch,
    Json(body): Json<ProductBody>,
) -> Answer<Versioned<AdminProductView>> {
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| {
        let product = draft_product::edit(tx, state, &act, id, seen, &body.content)?;
        view(tx, product, act.at)
    };
    Ok(versioned(staff.write("catalogue.edit_product", change).await?))
}

async fn delete_product(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<ProductId>,
    seen: IfMatch,
    Query(query): Query<Why>,
) -> Answer<StatusCode> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| draft_product::delete(tx, state, &act, id, seen);
    staff.write("catalogue.delete_product", change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn discard_draft(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<ProductId>,
    seen: IfMatch,
    Query(query): Query<Why>,
) -> Answer<Versioned<AdminProductView>> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| {
        let product = draft_product::discard(tx, state, &act, id, seen)?;
        view(tx, product, act.at)
    };
    Ok(versioned(staff.write("catalogue.discard_draft", change).await?))
}

/// A command on a product under the request's key.
async fn command(
    staff: &Staff,
    key: IdempotencyKey,
    label: &'static str,
    act: Act,
    run: impl Fn(&mut Tx<'_>, &State, &Act) -> Result<ProductRow> + Send + 'static,
) -> Answer<Response> {
    let effect: Id<ChangeKind> = staff.state.ids.next();
    staff
        .once(key, (label, effect), move |tx, state| {
            let product = run(tx, state, &act)?;
            view(tx, product, act.at)
        })
        .await
}

async fn publish(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ProductId>,
    seen: IfMatch,
    Json(body): Json<ReasonBody>,
) -> Answer<Response> {
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    command(&staff, key, "catalogue.publish_product", act, move |tx, state, act| {
        publish_product::publish(tx, state, act, id, seen)
    })
    .await
}

async fn list(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ProductId>,
    Json(body): Json<ListingBody>,
) -> Answer<Response> {
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let moments = (body.list_at, body.delist_at);
    command(&staff, key, "catalogue.list_product", act, move |tx, state, act| {
        list_product::list(tx, state, act, id, moments)
    })
    .await
}

async fn delist(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<ProductId>,
    Json(body): Json<DelistingBody>,
) -> Answer<Response> {
    let act = Act::new(&staff.state, Some(caller.account), Some(body.reason.into_string()));
    command(&staff, key, "catalogue.delist_product", act, move |tx, state, act| {
        list_product::delist(tx, state, act, id, body.delist_at)
    })
    .await
}

async fn unplan(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(id): Path<ProductId>,
    Query(query): Query<Why>,
) -> Answer<Versioned<AdminProductView>> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| {
        let product = list_product::unplan(tx, state, &act, id)?;
        view(tx, product, act.at)
    };
    Ok(versioned(staff.write("catalogue.cancel_schedule", change).await?))
}
