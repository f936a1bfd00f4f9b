//! Staff set prices.

use axum::{extract::State as FromState, response::Response};
use merx_contracts::ids::Sku;
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{Money, Page, PageRequest, Timestamp};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{READ, Staff, WRITE, Why, views::PriceView, why};
use crate::{
    State,
    commands::{
        Act,
        change_price::{self, NewPrice},
    },
    domain::{PriceId, Reason, content::PRICE_MINOR_MAX},
    queries::id_cursor,
    store::prices,
};

/// A price to be set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBody {
    /// What one costs.
    #[schemars(extend("properties" = {"minor": {"minimum": 1, "maximum": PRICE_MINOR_MAX}}))]
    price: Money,
    /// From then on, exactly; now unless told.
    effective_from: Option<Timestamp>,
    /// Until just before then; without an end unless told.
    effective_until: Option<Timestamp>,
    /// Why.
    reason: Reason,
}

pub fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::post("/v1/admin/skus/{sku}/prices", WRITE, set_price, staff)
            .id("setPrice")
            .summary("Sets the price of a SKU, now or for a time to come, with the reason")
            .description(
                "Of the prices in force the one that began last counts; of those that began together, the one made \
                 last. When none is in force the SKU's first price counts.",
            )
            .param::<Sku>("sku")
            .body::<PriceBody>()
            .response::<PriceView>(201)
            .errors(&["catalogue.sku_not_found", "catalogue.too_many_prices"])
            .idempotency(Idempotency::Required),
        Route::get("/v1/admin/skus/{sku}/prices", READ, list_prices, staff)
            .id("listPrices")
            .summary("The prices of a SKU, those to come included, the last made first")
            .param::<Sku>("sku")
            .query::<PageRequest>()
            .response::<Page<PriceView>>(200)
            .errors(&["catalogue.sku_not_found"]),
        Route::delete("/v1/admin/skus/{sku}/prices/{price}", WRITE, cancel_price, staff)
            .id("cancelPrice")
            .summary("Takes a price back: one to come never begins, one in force ends now")
            .param::<Sku>("sku")
            .param::<PriceId>("price")
            .query::<Why>()
            .response::<PriceView>(200)
            .errors(&["catalogue.sku_not_found", "catalogue.price_not_found", "catalogue.price_over"]),
    ]
}

async fn set_price(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(sku): Path<Sku>,
    Json(body): Json<PriceBody>,
) -> Answer<Response> {
    let id: PriceId = staff.state.ids.next();
    let act = Act::new(&staff.state, Some(caller.account), Some(body.reason.into_string()));
    let new = NewPrice { price: body.price, from: body.effective_from, until: body.effective_until };
    staff
        .once(key, ("catalogue.set_price", id), move |tx, state| {
            let row = change_price::set(tx, state, &act, id, (&sku, &new))?;
            Ok(PriceView::new(row, state.currency, act.at))
        })
        .await
}

async fn list_prices(
    FromState(staff): FromState<Staff>,
    Path(sku): Path<Sku>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<PriceView>>> {
    let limit = page.checked_limit()?;
    let before: PriceId = id_cursor(&page)?;
    let read = move |q: &mut merx_sql::Reader<'_>| {
        Ok((prices::find_sku(q, &sku)?, prices::list(q, &sku, before, limit + 1)?))
    };
    let (known, mut rows) = staff.state.db.read("catalogue.list_prices", read).await?;
    let (_, first) = known.ok_or_else(change_price::unknown_sku)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows.last().filter(|_| more).map(|last| last.rule.id.to_string());
    let now = staff.state.clock.now();
    let items = rows.into_iter().map(|row| PriceView::new(row, first.currency, now)).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn cancel_price(
    FromState(staff): FromState<Staff>,
    Caller(caller): Caller,
    Path((sku, id)): Path<(Sku, PriceId)>,
    Query(query): Query<Why>,
) -> Answer<Json<PriceView>> {
    let act = Act::new(&staff.state, Some(caller.account), why(query.reason));
    let change = move |tx: &mut Tx<'_>, state: &State| {
        let row = change_price::cancel(tx, state, &act, &sku, id)?;
        Ok(PriceView::new(row, state.currency, act.at))
    };
    Ok(Json(staff.write("catalogue.cancel_price", change).await?))
}
