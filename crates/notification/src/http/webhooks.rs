//! Endpoints, as staff keep them.

use axum::{
    extract::State as FromState,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_contracts::ids::WebhookId;
use merx_http::{
    Answer, Begun, Caller, IdempotencyKey, IfMatch, Json, Path, Query, Route, Versioned, answer, replayed,
    respond,
};
use merx_kernel::{BoundedText, Error, Page, PageRequest, Result, Secret, Timestamp};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, READ, Reason, WRITE, WhyForm, keyed};
use crate::{
    commands::{self, NewWebhook, Staff},
    domain::{
        DisabledBecause, Webhook, WebhookState,
        signature::{SECRET_BYTES, Scheme, SigningKey},
        webhook::{TYPES_MAX, checked_types, types_to_ask_for},
    },
    queries,
    store::{self, webhooks::SecretId},
};

/// An endpoint. Its secret is shown once, when it is made or rotated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub struct WebhookView {
    /// Its identity.
    pub id: WebhookId,
    /// Where it is.
    pub url: String,
    /// The types of facts it is told of, or their beginnings (`ordering`).
    pub types: Vec<String>,
    /// What it is for.
    pub description: String,
    /// How it is signed for.
    pub signature: Scheme,
    /// Whether it is told.
    pub state: WebhookState,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_because: Option<DisabledBecause>,
    /// Failures since the last success.
    pub failures: i64,
    /// Since when it only fails; after five days it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it last answered 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// When it last did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Rises with every change; the ETag.
    pub version: i64,
    /// Only in the answer to making it or rotating its secret: `whsec_…`, the shared secret (hmac), or `whpk_…`, the
    /// public key (ed25519).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            types: webhook.types,
            description: webhook.description,
            signature: webhook.signature,
            state: webhook.state,
            disabled_because: webhook.disabled_because,
            failures: webhook.failures,
            failing_since: webhook.failing_since,
            last_success_at: webhook.last_success_at,
            last_failure_at: webhook.last_failure_at,
            created_at: webhook.created_at,
            version: webhook.version,
            secret: None,
        }
    }
}

/// An endpoint to be made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRequest {
    /// Where it is: https, on a public address.
    #[schemars(length(max = 2000), regex(pattern = r"^https://[^\s@/?#]+"))]
    url: String,
    /// The types of facts it is told of, or their beginnings at a point (`ordering`, `ordering.order_paid.v2`).
    #[schemars(length(min = 1, max = TYPES_MAX), extend("items" = {"type": "string", "enum": types_to_ask_for()}))]
    types: Vec<String>,
    /// What it is for.
    #[serde(default)]
    description: Option<BoundedText<0, 200>>,
    /// How it is signed for.
    #[serde(default)]
    signature: Scheme,
}

/// An endpoint to be changed: all of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    /// Where it is: https, on a public address.
    #[schemars(length(max = 2000), regex(pattern = r"^https://[^\s@/?#]+"))]
    url: String,
    /// The types of facts it is told of, or their beginnings at a point.
    #[schemars(length(min = 1, max = TYPES_MAX), extend("items" = {"type": "string", "enum": types_to_ask_for()}))]
    types: Vec<String>,
    /// What it is for.
    #[serde(default)]
    description: Option<BoundedText<0, 200>>,
    /// Why; kept in the record of what staff did.
    #[serde(default)]
    reason: Option<Reason>,
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    const ONE: &str = "/v1/admin/webhooks/{webhook}";
    let of = |route: Route| route.param::<WebhookId>("webhook").errors(&["notification.webhook_not_found"]);
    vec![
        keyed(Route::post("/v1/admin/webhooks", WRITE, create, desk))
            .id("createWebhook")
            .summary("Makes an endpoint that is told of facts, signed by the Standard Webhooks rules")
            .description(
                "The answer shows the secret (or, for ed25519, the public key); it is not shown again.",
            )
            .body::<WebhookRequest>()
            .response::<WebhookView>(201)
            .errors(&["notification.webhook_limit"]),
        Route::get("/v1/admin/webhooks", READ, list, desk)
            .id("listWebhooks")
            .summary("Endpoints, oldest first")
            .query::<PageRequest>()
            .response::<Page<WebhookView>>(200),
        of(Route::get(ONE, READ, show, desk))
            .id("getWebhook")
            .summary("One endpoint and its health")
            .response::<WebhookView>(200),
        of(Route::put(ONE, WRITE, change, desk))
            .id("changeWebhook")
            .summary("Changes where an endpoint is and what it is told")
            .if_match()
            .body::<WebhookChange>()
            .response::<WebhookView>(200),
        of(Route::delete(ONE, WRITE, remove, desk))
            .id("deleteWebhook")
            .summary("Removes an endpoint and its secrets; nothing more is sent to it")
            .empty_response(204),
        of(keyed(Route::post("/v1/admin/webhooks/{webhook}/disable", WRITE, disable, desk)))
            .id("disableWebhook")
            .summary("Stops telling an endpoint; what happens meanwhile is kept for a replay")
            .body::<WhyForm>()
            .response::<WebhookView>(200),
        of(keyed(Route::post("/v1/admin/webhooks/{webhook}/enable", WRITE, enable, desk)))
            .id("enableWebhook")
            .summary("Tells an endpoint again, of what happens from now on")
            .body::<WhyForm>()
            .response::<WebhookView>(200),
        of(keyed(Route::post("/v1/admin/webhooks/{webhook}/secret-rotation", WRITE, rotate, desk)))
            .id("rotateWebhookSecret")
            .summary("Gives an endpoint a new secret; the old one signs beside it for 24 hours")
            .body::<WhyForm>()
            .response::<WebhookView>(200),
    ]
}

/// Where it is and what it is told, checked.
fn checked(desk: &Desk, url: &str, types: &[String]) -> Result<Vec<String>> {
    desk.state.config.webhooks.reach().check(url).map_err(|e| Error::invalid("/url", e))?;
    checked_types(types).map_err(|e| Error::invalid("/types", e))
}

fn text(description: Option<BoundedText<0, 200>>) -> String {
    description.map(BoundedText::into_string).unwrap_or_default()
}

async fn create(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(form): Json<WebhookRequest>,
) -> Answer<Response> {
    let types = checked(&desk, &form.url, &form.types)?;
    let ids = &desk.state.ids;
    let new = NewWebhook {
        id: ids.next(),
        url: form.url,
        types,
        description: text(form.description),
        signature: form.signature,
        secret: ids.next(),
        bytes: Secret::new(ids.random_bytes::<SECRET_BYTES>().to_vec()),
    };
    let (staff, max) = (desk.staff(caller.account, None), desk.state.config.webhooks.endpoints_max);
    let secret = new.secret;
    let change = move |tx: &mut Tx<'_>| commands::create_webhook(tx, &new, max, &staff).map(drop);
    with_secret(&desk, "notification.create_webhook", key, StatusCode::CREATED, secret, change).await
}

async fn rotate(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<WebhookId>,
    Json(form): Json<WhyForm>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, form.reason);
    let secret: SecretId = desk.state.ids.next();
    let bytes = Secret::new(desk.state.ids.random_bytes::<SECRET_BYTES>().to_vec());
    let change = move |tx: &mut Tx<'_>| commands::rotate_secret(tx, id, secret, &bytes, &staff).map(drop);
    with_secret(&desk, "notification.rotate_secret", key, StatusCode::OK, secret, change).await
}

/// A change whose answer shows a secret. The answer is not kept with the key, where it would lie about for a day, but
/// made from the secret's row each time; the effect's identity is the secret's.
async fn with_secret(
    desk: &Desk,
    label: &'static str,
    key: IdempotencyKey,
    status: StatusCode,
    secret: SecretId,
    change: impl Fn(&mut Tx<'_>) -> Result<()> + Send + 'static,
) -> Answer<Response> {
    let (keys, now) = (desk.state.store.idempotency, desk.state.clock.now());
    let write = move |tx: &mut Tx<'_>| {
        let (effect, repeated) = match key.begin(keys, tx, secret, now)? {
            Begun::Fresh => {
                change(tx)?;
                (secret, false)
            }
            Begun::Repeated { effect, .. } => (effect, true),
        };
        Ok((shown(tx, effect)?, repeated))
    };
    let (view, repeated) = desk.state.db.write(label, write).await?;
    let response = respond(answer(status, &view)?);
    Ok(if repeated { replayed(response) } else { response })
}

/// The endpoint a secret is of, with that secret.
fn shown(tx: &mut Tx<'_>, secret: SecretId) -> Result<WebhookView> {
    let gone = || Error::not_found("notification.webhook_not_found", "There is no such endpoint any more.");
    let (id, bytes) = store::webhooks::secret(tx, secret)?.ok_or_else(gone)?;
    let webhook = store::webhooks::one(tx, id)?.ok_or_else(gone)?;
    let secret = SigningKey::new(webhook.signature, bytes).for_receiver()?;
    Ok(WebhookView { secret: Some(secret), ..webhook.into() })
}

async fn list(
    FromState(desk): FromState<Desk>,
    Query(page): Query<PageRequest>,
) -> Answer<Json<Page<WebhookView>>> {
    let (webhooks, next_cursor) = queries::webhooks(&desk.state, &page).await?;
    Ok(Json(Page { items: webhooks.into_iter().map(WebhookView::from).collect(), next_cursor }))
}

fn versioned(webhook: Webhook) -> Versioned<WebhookView> {
    Versioned { version: webhook.version, body: webhook.into() }
}

async fn show(FromState(desk): FromState<Desk>, Path(id): Path<WebhookId>) -> Answer<Versioned<WebhookView>> {
    Ok(versioned(queries::webhook(&desk.state, id).await?))
}

async fn change(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    seen: IfMatch,
    Path(id): Path<WebhookId>,
    Json(form): Json<WebhookChange>,
) -> Answer<Versioned<WebhookView>> {
    let types = checked(&desk, &form.url, &form.types)?;
    let staff = desk.staff(caller.account, form.reason);
    let (url, text) = (form.url, text(form.description));
    let write = move |tx: &mut Tx<'_>| commands::change_webhook(tx, id, seen, &url, &types, &text, &staff);
    Ok(versioned(desk.state.db.write("notification.change_webhook", write).await?))
}

async fn remove(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    Path(id): Path<WebhookId>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, None);
    let write = move |tx: &mut Tx<'_>| commands::remove_webhook(tx, id, &staff);
    desk.state.db.write("notification.delete_webhook", write).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn disable(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<WebhookId>,
    Json(form): Json<WhyForm>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, form.reason);
    switch(desk, key, id, WebhookState::Disabled, staff).await
}

async fn enable(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<WebhookId>,
    Json(form): Json<WhyForm>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, form.reason);
    switch(desk, key, id, WebhookState::Enabled, staff).await
}

async fn switch(
    desk: Desk,
    key: IdempotencyKey,
    id: WebhookId,
    to: WebhookState,
    staff: Staff,
) -> Answer<Response> {
    let change = move |tx: &mut Tx<'_>, staff: &Staff| {
        commands::switch_webhook(tx, id, to, staff).map(WebhookView::from)
    };
    desk.change("notification.switch_webhook", key, StatusCode::OK, staff, change).await
}
