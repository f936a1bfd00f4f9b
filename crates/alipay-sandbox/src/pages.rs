//! The pages for a person: what can be paid and what was, and what can go wrong.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use merx_alipay::{Params, TradeStatus, Yuan};
use merx_kernel::{Result, Timestamp};
use minijinja::{Environment, Value, context};
use serde_json::json;

use crate::{
    cashier,
    control::{self, Told},
    faults::{Armed, DESCRIBED},
    home,
    ledger::EntryKind,
    sandbox::Sandbox,
    store::{self, Listed},
};

const STYLE: &str = include_str!("style.css");
const INDEX: &str = include_str!("index.html");
const FAULTS: &str = include_str!("faults.html");
const LEDGER: &str = include_str!("ledger.html");
/// The most trades the first page lists.
const LISTED_MAX: i64 = 100;
/// The most entries the page of the ledger lists, the newest; programs get all.
const ENTRIES_MAX: usize = 500;

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/", get(index))
        .route("/ledger", get(ledger))
        .route("/sandbox/faults", get(faults).post(arm))
        .route("/sandbox/faults/clear", post(clear))
}

/// A page that runs no script and loads nothing.
pub(crate) fn page(status: u16, name: &'static str, text: &'static str, context: Value) -> Response {
    let mut templates = Environment::new();
    let rendered = templates
        .add_template(name, text)
        .and_then(|()| templates.get_template(name)?.render(context! { style => STYLE, ..context }));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match rendered {
        Ok(html) => {
            let policy =
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
            let headers = [
                (header::CONTENT_SECURITY_POLICY, policy),
                (header::CACHE_CONTROL, "no-store"),
                (header::REFERRER_POLICY, "same-origin"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (status, headers, Html(html)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, page = name, "cannot draw a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether a browser asks; programs and curl get JSON.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}

async fn index(State(sandbox): State<Sandbox>, headers: HeaderMap) -> Result<Response, Told> {
    if !wants_page(&headers) {
        return Ok(Json(control::routes_told(&sandbox)).into_response());
    }
    let rows = sandbox.db().read("sandbox.latest", |q| store::latest(q, LISTED_MAX)).await?;
    let now = sandbox.now();
    let rows: Vec<Value> = rows.iter().map(|row| listed(&sandbox, row, now)).collect();
    let armed: u32 = sandbox.armed().iter().map(|armed| armed.times).sum();
    let config = sandbox.config();
    let context = context! {
        title => "支付宝沙箱 · Alipay sandbox",
        app_id => config.app_id.as_str(),
        seller_id => config.seller_id.as_str(),
        rows => rows,
        rows_max => LISTED_MAX,
        armed => armed,
    };
    Ok(page(200, "index.html", INDEX, context))
}

fn listed(sandbox: &Sandbox, row: &Listed, now: Timestamp) -> Value {
    let ends = row.trade_expires_at.unwrap_or(row.expires_at);
    let status = match row.status {
        Some(TradeStatus::WaitBuyerPay) if ends <= now => Some(TradeStatus::TradeClosed),
        status => status,
    };
    let (zh, en) = match status {
        None if row.expires_at <= now => ("已过期，无人付款", "expired, nobody came"),
        None => ("等待扫码或登录", "nobody has begun"),
        Some(TradeStatus::WaitBuyerPay) => ("等待付款", "waits for the buyer"),
        Some(TradeStatus::TradeSuccess) if row.refunded > 0 => ("部分退款", "partly refunded"),
        Some(TradeStatus::TradeSuccess | TradeStatus::TradeFinished) => ("已付款", "paid"),
        Some(TradeStatus::TradeClosed) if row.refunded > 0 => ("已全额退款", "refunded"),
        Some(TradeStatus::TradeClosed) => ("已关闭", "closed"),
    };
    context! {
        at => row.created_at.to_beijing_string(),
        number => row.out_trade_no.as_str(),
        subject => row.subject.as_str(),
        trade_no => row.trade_no.as_deref(),
        amount => Yuan::of_fen(row.amount).to_string(),
        refunded => (row.refunded > 0).then(|| Yuan::of_fen(row.refunded).to_string()),
        qr => row.kind == "qr",
        cashier => cashier::url_of(sandbox, &row.code),
        has_begun => status.is_some(),
        payable => matches!(status, None | Some(TradeStatus::WaitBuyerPay)) && ends > now,
        zh => zh,
        en => en,
    }
}

async fn ledger(State(sandbox): State<Sandbox>, headers: HeaderMap) -> Result<Response, Told> {
    let mut entries = sandbox.ledger().await?;
    if !wants_page(&headers) {
        return Ok(Json(json!({"entries": entries})).into_response());
    }
    let of = |kind| entries.iter().filter(|e| e.kind == kind).map(|e| e.amount.minor).sum::<i64>();
    let (paid, back) = (of(EntryKind::Capture), of(EntryKind::Refund));
    let count = entries.len();
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.kind)));
    let rows: Vec<Value> = entries
        .iter()
        .take(ENTRIES_MAX)
        .map(|entry| {
            context! {
                at => entry.at.to_beijing_string(),
                refund => entry.kind == EntryKind::Refund,
                amount => Yuan::of_fen(entry.amount.minor).to_string(),
                number => entry.out_trade_no.as_str(),
                request => entry.out_request_no.as_str(),
                trade_no => entry.trade_no.as_str(),
            }
        })
        .collect();
    let context = context! {
        title => "账簿 · Ledger",
        rows => rows,
        rows_max => ENTRIES_MAX,
        count => count,
        paid => Yuan::of_fen(paid).to_string(),
        back => Yuan::of_fen(back).to_string(),
        balance => Yuan::of_fen(paid - back).to_string(),
    };
    Ok(page(200, "ledger.html", LEDGER, context))
}

async fn faults(State(sandbox): State<Sandbox>, headers: HeaderMap) -> Response {
    let armed = sandbox.armed();
    if !wants_page(&headers) {
        let told = json!({
            "switches": DESCRIBED,
            "armed": armed,
            "to_arm": "POST /faults with the example and optionally `times`, as application/json",
            "to_clear": "DELETE /faults",
        });
        return Json(told).into_response();
    }
    let armed: Vec<Value> = armed
        .iter()
        .map(|one| {
            let text = serde_json::to_string(&one.fault).unwrap_or_default();
            context! { times => one.times, fault => one.fault.name(), text => text }
        })
        .collect();
    let switches: Vec<Value> = DESCRIBED.iter().map(|one| minijinja::value::Serde(one).into()).collect();
    let context = context! {
        title => "故障开关 · Faults",
        switches => switches,
        armed => armed,
        url => sandbox.config().public_url.trim_end_matches('/'),
    };
    page(200, "faults.html", FAULTS, context)
}

/// A form of the page above. A foreign page can send forms too, so it must come from here.
fn own_form(sandbox: &Sandbox, headers: &HeaderMap, bytes: &[u8]) -> Result<Params, Told> {
    if !home::is_own_page(sandbox, headers) {
        return Err(control::refused("the form must be sent by the page of the sandbox itself").into());
    }
    Ok(Params::from_form(bytes)?)
}

async fn arm(State(sandbox): State<Sandbox>, headers: HeaderMap, bytes: Bytes) -> Result<Redirect, Told> {
    let form = own_form(&sandbox, &headers, &bytes)?;
    let text = form.get("switch").unwrap_or_default();
    let mut armed: Armed =
        serde_json::from_str(text).map_err(|e| control::refused(format!("the switch is not one: {e}")))?;
    if let Some(times) = form.get("times") {
        armed.times = times.parse().map_err(|_| control::refused("`times` is not a number"))?;
    }
    sandbox.arm(armed)?;
    sandbox.remember().await?;
    Ok(Redirect::to("/sandbox/faults"))
}

async fn clear(State(sandbox): State<Sandbox>, headers: HeaderMap, bytes: Bytes) -> Result<Redirect, Told> {
    own_form(&sandbox, &headers, &bytes)?;
    sandbox.disarm();
    sandbox.remember().await?;
    Ok(Redirect::to("/sandbox/faults"))
}
