//! What endpoints were told, how it went, and telling it again.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{MessageId, WebhookId};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{Error, Page, PageRequest, Timestamp};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, READ, Reason, WRITE, WhyForm, keyed};
use crate::{
    commands::{self, Replay, Staff},
    queries,
    store::deliveries::{Attempt, DeliveryRow, DeliveryState},
};

/// One message for one endpoint.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub struct DeliveryView {
    /// The message; the receiver sees it as `webhook-id`, the same for every attempt and replay.
    pub message_id: MessageId,
    /// The type of the fact.
    #[serde(rename = "type")]
    pub kind: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts in all.
    pub attempts_made: i64,
    /// When the fact happened.
    pub happened_at: Timestamp,
    /// When it was taken in; what a replay goes by.
    pub created_at: Timestamp,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When it was answered 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            message_id: row.message,
            kind: row.kind,
            state: row.state,
            attempts_made: row.attempts,
            happened_at: row.happened_at,
            created_at: row.created_at,
            next_at: row.next_at,
            delivered_at: row.delivered_at,
        }
    }
}

/// A delivery with what is sent and how its attempts went.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryDetail")]
pub struct DeliveryDetailView {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// The body, as it is sent.
    pub body: String,
    /// Its attempts, the newest first; at most 100.
    pub attempts: Vec<Attempt>,
}

/// Which deliveries.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryFilter {
    /// Only of this state.
    pub state: Option<DeliveryState>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

/// What is sent again: one message, or everything taken in between two moments.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "from": "2026-11-19T08:00:00Z", "to": "2026-11-19T09:00:00Z", "reason": "the endpoint lost them"
}))]
struct ReplayRequest {
    /// One message; then without `from` and `to`.
    #[serde(default)]
    message_id: Option<MessageId>,
    /// From this moment, …
    #[serde(default)]
    from: Option<Timestamp>,
    /// … until before this one.
    #[serde(default)]
    to: Option<Timestamp>,
    /// Why; kept in the record of what staff did.
    #[serde(default)]
    reason: Option<Reason>,
}

/// What a replay does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookReplay")]
struct ReplayView {
    /// How many deliveries are on their way again. Those that still are on their first way are not among them.
    count: u64,
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let of = |route: Route| route.param::<WebhookId>("webhook").errors(&["notification.webhook_not_found"]);
    vec![
        of(Route::get("/v1/admin/webhooks/{webhook}/deliveries", READ, list, desk))
            .id("listWebhookDeliveries")
            .summary("What an endpoint was told, newest first")
            .query::<DeliveryFilter>()
            .response::<Page<DeliveryView>>(200),
        of(Route::get("/v1/admin/webhooks/{webhook}/deliveries/{message}", READ, show, desk))
            .id("getWebhookDelivery")
            .summary("One delivery with its body and attempts")
            .param::<MessageId>("message")
            .response::<DeliveryDetailView>(200)
            .errors(&["notification.delivery_not_found"]),
        of(keyed(Route::post("/v1/admin/webhooks/{webhook}/replay", WRITE, replay, desk)))
            .id("replayWebhook")
            .summary("Sends deliveries again, under the same webhook-id each")
            .description("Give `message_id`, or `from` and `to`. At most 10,000 at a time.")
            .body::<ReplayRequest>()
            .response::<ReplayView>(202)
            .errors(&[
                "notification.webhook_disabled",
                "notification.replay_too_large",
                "notification.delivery_not_found",
            ]),
        of(keyed(Route::post("/v1/admin/webhooks/{webhook}/test", WRITE, test, desk)))
            .id("testWebhook")
            .summary("Sends a test event; its delivery tells how it went")
            .body::<WhyForm>()
            .response::<DeliveryView>(202)
            .errors(&["notification.webhook_disabled"]),
    ]
}

async fn list(
    FromState(desk): FromState<Desk>,
    Path(id): Path<WebhookId>,
    Query(filter): Query<DeliveryFilter>,
) -> Answer<Json<Page<DeliveryView>>> {
    let page = PageRequest { limit: filter.limit, cursor: filter.cursor };
    let (rows, next_cursor) = queries::deliveries(&desk.state, id, filter.state, &page).await?;
    Ok(Json(Page { items: rows.into_iter().map(DeliveryView::from).collect(), next_cursor }))
}

async fn show(
    FromState(desk): FromState<Desk>,
    Path((id, message)): Path<(WebhookId, MessageId)>,
) -> Answer<Json<DeliveryDetailView>> {
    let (delivery, body, attempts) = queries::delivery(&desk.state, id, message).await?;
    Ok(Json(DeliveryDetailView { delivery: delivery.into(), body, attempts }))
}

async fn replay(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<WebhookId>,
    Json(form): Json<ReplayRequest>,
) -> Answer<Response> {
    let what = match (form.message_id, form.from, form.to) {
        (Some(message), None, None) => Replay::One(message),
        (None, Some(from), Some(to)) if from < to => Replay::Between(from, to),
        (None, Some(_), Some(_)) => return Err(Error::invalid("/to", "must be after `from`").into()),
        _ => {
            return Err(Error::invalid("", "give either `message_id`, or both `from` and `to`").into());
        }
    };
    let staff = desk.staff(caller.account, form.reason);
    let change = move |tx: &mut Tx<'_>, staff: &Staff| {
        commands::replay(tx, id, what, staff).map(|count| ReplayView { count })
    };
    desk.change("notification.replay", key, StatusCode::ACCEPTED, staff, change).await
}

async fn test(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<WebhookId>,
    Json(form): Json<WhyForm>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, form.reason);
    let event: MessageId = desk.state.ids.next();
    let change = move |tx: &mut Tx<'_>, staff: &Staff| {
        commands::test_webhook(tx, id, event, staff).map(DeliveryView::from)
    };
    desk.change("notification.test_webhook", key, StatusCode::ACCEPTED, staff, change).await
}
