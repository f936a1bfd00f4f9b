//! Transfers between warehouses.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{Sku, TransferId, WarehouseId};
use merx_http::{Answer, Caller, Idempotency, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{BoundedText, Page, PageRequest, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{READ, REASON_MAX, Staff, WRITE, views::TransferView};
use crate::{
    commands::transfer_stock::transfer_stock,
    domain::{
        TransferCommand,
        transfer::{TransferLine, not_found},
    },
    queries::{cut, id_cursor},
    store::{self, TransferFilter},
};

/// Units of a SKU.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LineBody {
    /// The SKU.
    sku: Sku,
    /// Units.
    #[schemars(range(min = 0, max = 1_000_000))]
    quantity: i64,
}

/// A transfer that sets out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SendTransfer {
    /// From here.
    from_warehouse_id: WarehouseId,
    /// To there; an active warehouse.
    to_warehouse_id: WarehouseId,
    /// What, each SKU once; no more than is available.
    #[schemars(length(min = 1, max = 100))]
    lines: Vec<LineBody>,
    /// Why; no personal data.
    reason: BoundedText<1, REASON_MAX>,
}

/// A transfer that arrived.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveTransfer {
    /// How many of each SKU of the transfer arrived; all unless told.
    #[schemars(length(min = 1, max = 100))]
    lines: Option<Vec<LineBody>>,
    /// What became of missing units, which are written off; needed when any are missing.
    reason: Option<BoundedText<1, REASON_MAX>>,
}

/// A transfer that is called back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RecallTransfer {
    /// Why; no personal data.
    reason: BoundedText<1, REASON_MAX>,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TransferStatus {
    /// On the way.
    Sent,
    /// Arrived, all or in part.
    Received,
    /// Called back.
    Recalled,
}

/// Which transfers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TransferQuery {
    /// Standing so only.
    status: Option<TransferStatus>,
    /// From or to this warehouse only.
    warehouse_id: Option<WarehouseId>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

pub(super) fn routes(staff: &Staff) -> Vec<Route> {
    vec![
        Route::get("/v1/transfers", READ, list, staff)
            .id("listTransfers")
            .summary("Transfers between warehouses, newest first, without their lines")
            .query::<TransferQuery>()
            .response::<Page<TransferView>>(200),
        Route::get("/v1/transfers/{transfer_id}", READ, get, staff)
            .id("getTransfer")
            .summary("One transfer")
            .param::<TransferId>("transfer_id")
            .response::<TransferView>(200)
            .errors(&["inventory.transfer_not_found"]),
        Route::post("/v1/transfers", WRITE, send, staff)
            .id("sendTransfer")
            .summary("Sends stock to another warehouse")
            .description("Until it arrives it is in transit: in the sender's books, and free for no order.")
            .body::<SendTransfer>()
            .response::<TransferView>(201)
            .errors(&["inventory.warehouse_unknown", "inventory.warehouse_closed", "inventory.not_available"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/transfers/{transfer_id}/receipt", WRITE, receive, staff)
            .id("receiveTransfer")
            .summary("Takes a transfer in, all of it or less; what is missing is written off")
            .param::<TransferId>("transfer_id")
            .body::<ReceiveTransfer>()
            .response::<TransferView>(201)
            .errors(&["inventory.transfer_not_found", "inventory.transfer_ended"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/transfers/{transfer_id}/recall", WRITE, recall, staff)
            .id("recallTransfer")
            .summary("Calls a transfer back: its units are where they were")
            .param::<TransferId>("transfer_id")
            .body::<RecallTransfer>()
            .response::<TransferView>(201)
            .errors(&["inventory.transfer_not_found", "inventory.transfer_ended"])
            .idempotency(Idempotency::Required),
    ]
}

fn view(q: &mut impl merx_sql::Query, id: TransferId) -> Result<TransferView> {
    let row = store::transfer(q, id)?.ok_or_else(not_found)?;
    Ok(TransferView::new(row, store::transfer_lines(q, id)?))
}

async fn list(
    FromState(staff): FromState<Staff>,
    Query(query): Query<TransferQuery>,
) -> Answer<Json<Page<TransferView>>> {
    let TransferQuery { status, warehouse_id, limit, cursor } = query;
    let status = status.map(|status| match status {
        TransferStatus::Sent => "sent",
        TransferStatus::Received => "received",
        TransferStatus::Recalled => "recalled",
    });
    let page = PageRequest { limit, cursor };
    let (limit, cursor) = (page.checked_limit()?, id_cursor(&page, u128::MAX)?);
    let filter = TransferFilter { status, warehouse: warehouse_id };
    let read = move |q: &mut merx_sql::Reader<'_>| store::transfers(q, &filter, cursor, limit + 1);
    let (rows, more) = cut(staff.state.db.read("inventory.transfers", read).await?, limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.bare());
    let items = rows.into_iter().map(|row| TransferView::new(row, Vec::new())).collect();
    Ok(Json(Page { items, next_cursor }))
}

async fn get(FromState(staff): FromState<Staff>, Path(id): Path<TransferId>) -> Answer<Json<TransferView>> {
    Ok(Json(staff.state.db.read("inventory.transfer", move |q| view(q, id)).await?))
}

async fn send(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json<SendTransfer>,
) -> Answer<Response> {
    let of = async |pointer, id| staff.state.warehouse_at(pointer, Some(id)).await;
    let from = of("/from_warehouse_id", body.from_warehouse_id).await?.id;
    let to = of("/to_warehouse_id", body.to_warehouse_id).await?.id;
    let line = |l: LineBody| TransferLine { sku: l.sku, quantity: l.quantity };
    let lines = body.lines.into_iter().map(line).collect();
    let command = TransferCommand::Send { from, to, lines, reason: body.reason.into_string() };
    let id = staff.state.ids.next();
    once(staff, caller, key, id, command).await
}

async fn receive(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<TransferId>,
    Json(body): Json<ReceiveTransfer>,
) -> Answer<Response> {
    let arrived = body.lines.map(|lines| lines.into_iter().map(|l| (l.sku, l.quantity)).collect());
    let reason = body.reason.map(BoundedText::into_string);
    once(staff, caller, key, id, TransferCommand::Receive { arrived, reason }).await
}

async fn recall(
    FromState(staff): FromState<Staff>,
    caller: Caller,
    key: IdempotencyKey,
    Path(id): Path<TransferId>,
    Json(body): Json<RecallTransfer>,
) -> Answer<Response> {
    once(staff, caller, key, id, TransferCommand::Recall { reason: body.reason.into_string() }).await
}

async fn once(
    staff: Staff,
    caller: Caller,
    key: IdempotencyKey,
    id: TransferId,
    command: TransferCommand,
) -> Answer<Response> {
    let act = staff.act(&caller);
    staff
        .once("inventory.transfer", key, id, StatusCode::CREATED, move |tx| {
            transfer_stock(tx, &act, id, &command)?;
            view(tx, id)
        })
        .await
}
