//! Who changed what, when and why.

use axum::extract::State as FromState;
use merx_contracts::ids::ProductId;
use merx_http::{Answer, Json, Path, Query, Route};
use merx_kernel::{Page, PageRequest};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{READ, Staff, views::ChangeView};
use crate::{
    commands::draft_product::unknown,
    queries::id_cursor,
    store::{
        history::{self, ChangeId, ChangeRow},
        products,
    },
};

/// Which changes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListChanges {
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
    /// Of this thing only: the id of a product, category or brand, a SKU, the code of an attribute.
    object: Option<String>,
}

pub fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/admin/products/{product}/history", READ, of_product, staff)
            .id("listProductHistory")
            .summary("Every change of a product, its pictures and prices, newest first")
            .param::<ProductId>("product")
            .query::<PageRequest>()
            .response::<Page<ChangeView>>(200)
            .errors(&["catalogue.product_not_found"]),
        Route::get("/v1/admin/catalogue/history", READ, of_all, staff)
            .id("listCatalogueHistory")
            .summary("Every change of the catalogue, or of one thing in it, newest first")
            .query::<ListChanges>()
            .response::<Page<ChangeView>>(200),
    ]
}

fn page_of(mut rows: Vec<ChangeRow>, limit: i64) -> Json<Page<ChangeView>> {
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows.last().filter(|_| more).map(|last| last.id.to_string());
    Json(Page { items: rows.into_iter().map(ChangeView::from).collect(), next_cursor })
}

async fn of_product(
    FromState(staff): FromState<Staff>,
    Path(id): Path<ProductId>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<ChangeView>>> {
    let limit = page.checked_limit()?;
    let before: ChangeId = id_cursor(&page)?;
    let read = move |q: &mut merx_sql::Reader<'_>| {
        Ok((products::find(q, id)?.is_some(), history::of_product(q, id, before, limit + 1)?))
    };
    let (known, rows) = staff.state.db.read("catalogue.product_history", read).await?;
    // A draft that was deleted is still told of.
    if !known && rows.is_empty() && page.cursor.is_none() {
        return Err(unknown().into());
    }
    Ok(page_of(rows, limit))
}

async fn of_all(
    FromState(staff): FromState<Staff>,
    Query(asked): Query<ListChanges>,
) -> Answer<Json<Page<ChangeView>>> {
    let page = PageRequest { limit: asked.limit, cursor: asked.cursor };
    let limit = page.checked_limit()?;
    let before: ChangeId = id_cursor(&page)?;
    let object = asked.object;
    let read =
        move |q: &mut merx_sql::Reader<'_>| history::of_object(q, object.as_deref(), before, limit + 1);
    let rows = staff.state.db.read("catalogue.history", read).await?;
    Ok(page_of(rows, limit))
}
