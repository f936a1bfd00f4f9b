//! Staff keep the pictures of products.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{PictureId, ProductId};
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, IfMatch, Json, Path, Query, RawBody, Route};
use merx_kernel::{BoundedText, Page};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Staff, WRITE, Why, views::PictureView, why};
use crate::{
    State,
    commands::{
        Act,
        keep_pictures::{self, PICTURES_MAX},
    },
    domain::Reason,
    pictures::PICTURE_BYTES_MAX,
    store::pictures::LocalAlt,
};

/// Reading and writing a large picture takes a while.
const UPLOAD_MS_MAX: u64 = 60_000;
const MEDIA: &[&str] = &["image/png", "image/jpeg", "image/webp", "image/svg+xml"];

/// What goes with a picture.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AddPicture {
    /// What it shows, in Chinese.
    alt_zh: Option<BoundedText<0, 200>>,
    /// What it shows, in English.
    alt_en: Option<BoundedText<0, 200>>,
    /// What the history says of it.
    reason: Option<Reason>,
}

/// The pictures of a product in their order.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrangePictures {
    /// Each picture of the product once.
    #[schemars(length(max = PICTURES_MAX))]
    pictures: Vec<ArrangedPicture>,
    /// What the history says of it.
    reason: Option<Reason>,
}

/// A picture in its place.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrangedPicture {
    /// The picture.
    id: PictureId,
    /// What it shows, in words; empty for decoration.
    alt: AltBody,
}

/// A text that may be empty.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AltBody {
    /// Chinese.
    zh: BoundedText<0, 200>,
    /// English.
    en: BoundedText<0, 200>,
}

const NOT_FOUND: &[&str] = &["catalogue.product_not_found"];

pub fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/admin/products/{product}/pictures", WRITE, add_picture, staff)
            .id("addPicture")
            .summary("Adds a picture at the end; the body is its bytes")
            .description(
                "PNG, JPEG, WebP or SVG, told by its bytes alone; at most 10 MiB and 25 million pixels. It is turned \
                 upright, freed of everything but the picture, and written in widths of 320, 640 and 1280. An SVG must \
                 only draw: no scripts, styles, links, animations or embedded things.",
            )
            .param::<ProductId>("product")
            .query::<AddPicture>()
            .raw_body(MEDIA)
            .body_bytes_max(PICTURE_BYTES_MAX)
            .handler_ms_max(UPLOAD_MS_MAX)
            .response::<PictureView>(201)
            .errors(NOT_FOUND)
            .errors(&["catalogue.picture_refused", "catalogue.too_many_pictures"])
            .idempotency(Idempotency::Required),
        Route::put("/v1/admin/products/{product}/pictures", WRITE, arrange_pictures, staff)
            .id("arrangePictures")
            .summary("Puts the pictures into an order and says what they show")
            .param::<ProductId>("product")
            .if_match()
            .body::<ArrangePictures>()
            .response::<Page<PictureView>>(200)
            .errors(NOT_FOUND),
        Route::delete("/v1/admin/products/{product}/pictures/{picture}", WRITE, remove_picture, staff)
            .id("removePicture")
            .summary("Removes a picture")
            .param::<ProductId>("product")
            .param::<PictureId>("picture")
            .query::<Why>()
            .empty_response(204)
            .errors(NOT_FOUND)
            .errors(&["catalogue.picture_not_found"]),
    ]
}

async fn add_picture(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(product): Path<ProductId>,
    Query(query): Query<AddPicture>,
    RawBody(bytes): RawBody,
) -> Answer<Response> {
    let made = keep_pictures::take_in(&staff.state, bytes).await?;
    let id: PictureId = staff.state.ids.next();
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let words = |alt: Option<BoundedText<0, 200>>| alt.map(BoundedText::into_string).unwrap_or_default();
    let alt = LocalAlt { zh: words(query.alt_zh), en: words(query.alt_en) };
    staff
        .once(key, ("catalogue.add_picture", id), move |tx, state| {
            let picture = keep_pictures::add(tx, state, &act, (id, product), (&alt, &made))?;
            Ok(PictureView::from(&picture))
        })
        .await
}

async fn arrange_pictures(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path(product): Path<ProductId>,
    seen: IfMatch,
    Json(body): Json<ArrangePictures>,
) -> Answer<Json<Page<PictureView>>> {
    let act = Act::new(&staff.state, Some(caller.account), why(body.reason));
    let alt = |alt: AltBody| LocalAlt { zh: alt.zh.into_string(), en: alt.en.into_string() };
    let order: Vec<(PictureId, LocalAlt)> =
        body.pictures.into_iter().map(|picture| (picture.id, alt(picture.alt))).collect();
    let change = move |tx: &mut Tx<'_>, state: &State| {
        keep_pictures::arrange(tx, state, &act, (product, seen), &order)
    };
    let pictures = staff.write("catalogue.arrange_pictures", change).await?;
    Ok(Json(Page { items: pictures.iter().map(PictureView::from).collect(), next_cursor: None }))
}

async fn remove_picture(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path((product, id)): Path<(ProductId, PictureId)>,
    Query(query): Query<Why>,
) -> Answer<StatusCode> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| keep_pictures::remove(tx, state, &act, product, id);
    staff.write("catalogue.remove_picture", change).await?;
    Ok(StatusCode::NO_CONTENT)
}
