//! `gateway.do`: the page method goes to the cashier, the others are answered here, spoilt when a switch says so.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use merx_alipay::{
    BeijingTime, BillQuery, Close, Method, Precreate, Query, Refund, RefundQuery, Yuan,
    gateway::{self, GatewayRequest},
};
use merx_kernel::Result;
use serde_json::{Map, Value, json};

use crate::{
    bills::{self, BillAsked},
    cashier,
    faults::{Armed, Fault},
    sandbox::Sandbox,
    trades::{self, Ordered, RefundAsked, RefundWhich, Ruled, Which},
};

/// How long a caller hears nothing when a switch makes the gateway time out.
const HANG: Duration = Duration::from_secs(30);

type Fields = Map<String, Value>;

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new().route("/gateway.do", any(gateway_do))
}

async fn gateway_do(State(sandbox): State<Sandbox>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let query = query.unwrap_or_default();
    let request = match GatewayRequest::parse(&query, &body) {
        Ok(request) => request,
        Err(fault) => return answer(&sandbox, "error", &fault.to_fields()),
    };
    if request.get("method").and_then(cashier::kind_of).is_some() {
        return cashier::opened(&sandbox, &query, &body).await;
    }
    match call(&sandbox, &request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(error = %error.chain(), "gateway call failed");
            answer(&sandbox, "error", &gateway::Fault::unknown().to_fields())
        }
    }
}

/// A JSON answer in the clear; one that cannot be signed is not sent half-made.
fn answer(sandbox: &Sandbox, method: &str, fields: &Fields) -> Response {
    match sandbox.sealed(false).answer(method, fields) {
        Ok(text) => json_text(text),
        Err(error) => {
            tracing::error!(error = %error.chain(), "cannot sign an answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json;charset=utf-8")], text).into_response()
}

/// Verifies a request by all the double knows of its application, and opens its content.
pub(crate) fn verified(sandbox: &Sandbox, request: GatewayRequest) -> Result<GatewayRequest, gateway::Fault> {
    let config = sandbox.config();
    request.verify(&config.app_id, &config.merchant_key)?;
    if let Some(known) = &config.certificates {
        request.verify_certificates(known)?;
    }
    request.decrypted(config.content_key.as_ref())
}

async fn call(sandbox: &Sandbox, request: &GatewayRequest) -> Result<Response> {
    let method = match request.require("method") {
        Ok(method) => method,
        Err(fault) => return Ok(answer(sandbox, "error", &fault.to_fields())),
    };
    let request = match verified(sandbox, request.clone()) {
        Ok(request) => request,
        Err(fault) => return Ok(answer(sandbox, "error", &fault.to_fields())),
    };
    let spoilt = sandbox.faults().take_for_call(method);
    let ruled = match &spoilt {
        Some((_, false)) => Ok(Err(gateway::Fault::unknown())),
        _ => carry_out(sandbox, method, &request).await,
    };
    let fields = match ruled? {
        Ok(fields) => done(fields),
        Err(fault) if fault.sub_code == UNKNOWN_METHOD => {
            return Ok(answer(sandbox, "error", &fault.to_fields()));
        }
        Err(fault) => fault.to_fields(),
    };
    let sealed = sandbox.sealed(request.is_encrypted());
    let text = sealed.answer(method, &fields)?;
    Ok(match spoilt.map(|(fault, _)| fault) {
        Some(Fault::GatewayTimeout(_)) => {
            sandbox.clock().sleep(HANG).await;
            (StatusCode::GATEWAY_TIMEOUT, "the gateway did not answer in time").into_response()
        }
        Some(Fault::GatewayUnknown(_)) => answer(sandbox, method, &gateway::Fault::unknown().to_fields()),
        Some(Fault::GatewayInProgress(_)) => json_text(sealed.answer(method, &in_progress())?),
        Some(Fault::HalfAnswer(_)) => json_text(text.chars().take(text.chars().count() / 2).collect()),
        Some(Fault::WrongSignature(_)) => {
            let foreign = sandbox.key().sign(format!("{text} ").as_bytes())?;
            let body = text.rsplit_once(",\"sign\":").map_or(text.as_str(), |(body, _)| body);
            json_text(format!("{body},\"sign\":\"{foreign}\"}}"))
        }
        _ => json_text(text),
    })
}

fn done(mut fields: Fields) -> Fields {
    fields.insert("code".to_owned(), "10000".into());
    fields.insert("msg".to_owned(), "Success".into());
    fields
}

fn in_progress() -> Fields {
    object(json!({"code": "10003", "msg": "order success pay inprocess"}))
}

const UNKNOWN_METHOD: &str = "isv.invalid-method";

/// Leaves `Err` of the inner result to the caller.
macro_rules! content {
    ($request:expr) => {
        match $request.biz_content() {
            Ok(content) => content,
            Err(fault) => return Ok(Err(fault)),
        }
    };
}

async fn carry_out(sandbox: &Sandbox, method: &str, request: &GatewayRequest) -> Ruled<Fields> {
    match method {
        Query::METHOD => query(sandbox, request).await,
        Close::METHOD => close(sandbox, request).await,
        Refund::METHOD => refund(sandbox, request).await,
        RefundQuery::METHOD => refund_query(sandbox, request).await,
        Precreate::METHOD => precreate(sandbox, request).await,
        BillQuery::METHOD => {
            let asked: BillAsked = content!(request);
            let placed = bills::place(sandbox, &asked).await?;
            Ok(placed.map(|url| object(json!({"bill_download_url": url}))))
        }
        other => {
            let text = format!("不存在的方法名: this double does not know the method {other}");
            Ok(Err(gateway::Fault::invalid(UNKNOWN_METHOD, text)))
        }
    }
}

fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

async fn query(sandbox: &Sandbox, request: &GatewayRequest) -> Ruled<Fields> {
    let which: Which = content!(request);
    let found = sandbox.db().read("sandbox.query", move |q| which.find(q)).await?;
    let now = sandbox.now();
    Ok(found.map(|trade| {
        let mut fields = object(json!({
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "trade_status": trade.status_at(now),
            "total_amount": Yuan::of_fen(trade.amount),
            "buyer_logon_id": "buy***@sandbox.example",
            "buyer_user_id": "2088000000000000",
            "point_amount": "0.00",
        }));
        if let Some(paid_at) = trade.paid_at {
            fields.insert("send_pay_date".to_owned(), json!(BeijingTime(paid_at)));
            fields.insert("buyer_pay_amount".to_owned(), json!(Yuan::of_fen(trade.amount)));
            fields.insert("receipt_amount".to_owned(), json!(Yuan::of_fen(trade.amount)));
        }
        fields
    }))
}

async fn close(sandbox: &Sandbox, request: &GatewayRequest) -> Ruled<Fields> {
    let which: Which = content!(request);
    let moment = sandbox.moment();
    let lands_after = sandbox.faults().take(|fault| match fault {
        Fault::PayAfterClose { after_ms } => Some(Duration::from_millis(*after_ms)),
        _ => None,
    });
    let closed = sandbox
        .db()
        .write("sandbox.close", move |tx| trades::close(tx, &which, &moment, lands_after))
        .await?;
    if let (Err(_), Some(after)) = (&closed, lands_after) {
        // Nothing was closed: the switch waits for a close that is.
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        sandbox.arm(Armed { fault: Fault::PayAfterClose { after_ms }, times: 1 })?;
    }
    Ok(closed.map(|trade| object(json!({"out_trade_no": trade.out_trade_no, "trade_no": trade.trade_no}))))
}

async fn refund(sandbox: &Sandbox, request: &GatewayRequest) -> Ruled<Fields> {
    let asked: RefundAsked = content!(request);
    let moment = sandbox.moment();
    let now = moment.now;
    let refunded =
        sandbox.db().write("sandbox.refund", move |tx| trades::refund(tx, &asked, &moment)).await?;
    Ok(refunded.map(|(trade, fen, moved)| {
        object(json!({
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "buyer_logon_id": "buy***@sandbox.example",
            "fund_change": if moved { "Y" } else { "N" },
            "refund_fee": Yuan::of_fen(trade.refunded),
            "send_back_fee": Yuan::of_fen(fen),
            "gmt_refund_pay": BeijingTime(now),
        }))
    }))
}

async fn refund_query(sandbox: &Sandbox, request: &GatewayRequest) -> Ruled<Fields> {
    let asked: RefundWhich = content!(request);
    let found = sandbox.db().read("sandbox.refund_query", move |q| trades::find_refund(q, &asked)).await?;
    Ok(found.map(|(trade, refund)| match refund {
        None => Fields::new(),
        Some(refund) => object(json!({
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "out_request_no": refund.out_request_no,
            "refund_amount": Yuan::of_fen(refund.amount.minor),
            "total_amount": Yuan::of_fen(trade.amount),
            "refund_status": "REFUND_SUCCESS",
            "gmt_refund_pay": BeijingTime(refund.at),
        })),
    }))
}

async fn precreate(sandbox: &Sandbox, request: &GatewayRequest) -> Ruled<Fields> {
    let ordered: Ordered = content!(request);
    let now = sandbox.now();
    let code = cashier::code_of(request);
    let offer = match ordered.into_offer("qr", code, now, request.get("notify_url"), None) {
        Ok(offer) => offer,
        Err(fault) => return Ok(Err(fault)),
    };
    let kept = sandbox.db().write("sandbox.precreate", move |tx| trades::precreate(tx, &offer, now)).await?;
    Ok(kept.map(|offer| {
        let qr_code = cashier::url_of(sandbox, &offer.code);
        object(json!({"out_trade_no": offer.out_trade_no, "qr_code": qr_code}))
    }))
}
