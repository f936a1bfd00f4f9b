//! What a test or a person steers and sees by HTTP: switches, forged notifications, trades, the ledger.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use merx_kernel::{Error, ErrorKind, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{faults::Armed, sandbox::Sandbox, store, trades::Shown};

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/faults", get(list_faults).post(arm_fault).delete(clear_faults))
        .route("/notifications", post(send_notification))
        .route("/trades/{out_trade_no}", get(show_trade))
}

pub(crate) fn refused(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "sandbox.request_invalid", detail)
}

/// An error of a control route, as a person with curl can read it.
pub(crate) struct Told(Error);

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let (status, message) = match self.0.kind() {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, self.0.message()),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, self.0.message()),
            ErrorKind::Unavailable => (StatusCode::BAD_GATEWAY, self.0.message()),
            _ => {
                tracing::error!(error = %self.0.chain(), "control route failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "something is broken; the log says what")
            }
        };
        (status, Json(json!({"code": self.0.code(), "message": message}))).into_response()
    }
}

/// JSON, sent as such: a web page the buyer has open cannot send it across origins.
pub(crate) fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(refused("send JSON with the header `content-type: application/json`"));
    }
    serde_json::from_slice(bytes).map_err(|e| refused(format!("the body is not what this route takes: {e}")))
}

/// What there is, for a program; a browser is shown the page.
pub(crate) fn routes_told(sandbox: &Sandbox) -> Value {
    json!({
        "name": "Merx's double of the Alipay gateway; for development only",
        "app_id": sandbox.config().app_id,
        "seller_id": sandbox.config().seller_id,
        "routes": {
            "gateway": "GET|POST /gateway.do",
            "cashier": "GET /cashier/{code}, POST /cashier/{code}/payment, POST /cashier/{code}/login",
            "what_can_go_wrong": "GET /sandbox/faults",
            "switches": "GET|POST|DELETE /faults",
            "signed_notification_with_any_fields": "POST /notifications {out_trade_no, replace}",
            "trade": "GET /trades/{out_trade_no}",
            "ledger": "GET /ledger",
            "fee_on_bills": "PUT /bills/fee {basis_points}",
            "what_is_wrong_with_a_bill": "POST|DELETE /bills/{yyyy-mm-dd}/changes {change: add|drop|amount|fee|trade_no, out_trade_no, …}",
        },
    })
}

async fn list_faults(State(sandbox): State<Sandbox>) -> Json<Vec<Armed>> {
    Json(sandbox.armed())
}

async fn arm_fault(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Vec<Armed>>), Told> {
    sandbox.arm(body(&headers, &bytes)?)?;
    sandbox.remember().await?;
    Ok((StatusCode::CREATED, Json(sandbox.armed())))
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Result<StatusCode, Told> {
    sandbox.disarm();
    sandbox.remember().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forged {
    out_trade_no: String,
    #[serde(default)]
    replace: BTreeMap<String, String>,
}

async fn send_notification(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Told> {
    let forged: Forged = body(&headers, &bytes)?;
    let replace: Vec<(String, String)> = forged.replace.into_iter().collect();
    let reply = sandbox.send_forged(&forged.out_trade_no, &replace).await?;
    Ok(Json(json!({"status": reply.status, "body": reply.body, "taken": reply.is_success()})))
}

async fn show_trade(
    State(sandbox): State<Sandbox>,
    Path(out_trade_no): Path<String>,
) -> Result<Json<Value>, Told> {
    let number = out_trade_no.clone();
    let (trade, notices) = sandbox
        .db()
        .read("sandbox.show_trade", move |q| {
            Ok((store::find_trade(q, Some(&number), None)?, store::notices_of(q, &number)?))
        })
        .await?;
    let trade = trade.ok_or_else(|| {
        Error::not_found("sandbox.no_such_trade", format!("No buyer has begun a trade `{out_trade_no}`."))
    })?;
    let notices: Vec<Value> = notices
        .into_iter()
        .map(|(id, state, tries, reply)| {
            json!({"notify_id": id, "state": state, "tries": tries, "last_reply": reply})
        })
        .collect();
    Ok(Json(json!({"trade": Shown::of(&trade, sandbox.now()), "notifications": notices})))
}
