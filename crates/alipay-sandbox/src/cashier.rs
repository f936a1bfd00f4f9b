//! The cashier: what the buyer's browser sees. Works without JavaScript and without cookies.

use std::fmt;

use aws_lc_rs::digest;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use merx_alipay::{
    AppPay, Method, PagePay, Params, TradeStatus, WapPay, Yuan,
    gateway::{self, GatewayRequest},
};
use merx_kernel::{Error, Id, Result, Timestamp};
use minijinja::context;
use qrcode::{QrCode, render::svg};

use crate::{
    faults::Fault,
    gateway as calls, pages,
    sandbox::Sandbox,
    store::{self, Offer, Trade},
    trades::{self, Ordered, Paid},
};

const PAGE: &str = include_str!("cashier.html");

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/cashier/{code}", get(show_page))
        .route("/cashier/{code}/login", post(login_page))
        .route("/cashier/{code}/payment", post(payment_page))
}

/// Why the cashier does not go on: what the page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRefused {
    /// The HTTP status of the page.
    pub status: u16,
    /// Alipay's code, such as `ACQ.TRADE_HAS_CLOSE`.
    pub code: String,
    /// The sentence, Chinese first.
    pub message: String,
}

impl fmt::Display for PageRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cashier refused with {} {}: {}", self.status, self.code, self.message)
    }
}
impl std::error::Error for PageRefused {}

impl From<gateway::Fault> for PageRefused {
    fn from(fault: gateway::Fault) -> Self {
        let status = match fault.sub_code.as_str() {
            "ACQ.TRADE_HAS_CLOSE" => 410,
            "ACQ.CONTEXT_INCONSISTENT" => 409,
            _ => 400,
        };
        Self { status, code: fault.sub_code, message: fault.sub_msg }
    }
}

impl From<Error> for PageRefused {
    fn from(error: Error) -> Self {
        tracing::error!(error = %error.chain(), "cashier failed");
        let message = "系统繁忙，请稍后再试: something is broken; its log says what".to_owned();
        Self { status: 500, code: "isp.unknow-error".to_owned(), message }
    }
}

/// The code of the offer a signed request makes: the same request, the same page.
pub(crate) fn code_of(request: &GatewayRequest) -> String {
    let hash = digest::digest(&digest::SHA256, request.get("sign").unwrap_or_default().as_bytes());
    let half = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    Id::<()>::from_bits(u128::from_be_bytes(half)).bare()
}

/// Where the page of an offer is.
pub(crate) fn url_of(sandbox: &Sandbox, code: &str) -> String {
    format!("{}/cashier/{code}", sandbox.config().public_url.trim_end_matches('/'))
}

/// What kind of offer a method makes, where it is one that the buyer is sent to the cashier with.
pub(crate) fn kind_of(method: &str) -> Option<&'static str> {
    match method {
        PagePay::METHOD => Some("page"),
        WapPay::METHOD => Some("wap"),
        AppPay::METHOD => Some("app"),
        _ => None,
    }
}

/// A browser came with a payment URL. What it can pay is kept; a trade is not made.
pub(crate) async fn open(sandbox: &Sandbox, query: &str, body: &[u8]) -> Result<Offer, PageRefused> {
    let request = GatewayRequest::parse(query, body)?;
    let Some(kind) = kind_of(request.require("method")?) else {
        return Err(gateway::Fault::invalid("isv.invalid-method", "this is not a payment page").into());
    };
    let request = calls::verified(sandbox, request)?;
    let code = code_of(&request);
    let asked = code.clone();
    let known = sandbox.db().read("sandbox.offer", move |q| store::offer_by_code(q, &asked)).await?;
    if let Some(offer) = known {
        return Ok(offer);
    }
    let ordered: Ordered = request.biz_content()?;
    let urls = (request.get("notify_url"), request.get("return_url"));
    let offer = ordered.into_offer(kind, code, sandbox.now(), urls.0, urls.1)?;
    let kept = offer.clone();
    sandbox.db().write("sandbox.open", move |tx| store::keep_offer(tx, &kept)).await?;
    Ok(offer)
}

async fn offer_of(sandbox: &Sandbox, code: &str) -> Result<Offer, PageRefused> {
    let asked = code.to_owned();
    let found = sandbox.db().read("sandbox.offer", move |q| store::offer_by_code(q, &asked)).await?;
    found.ok_or_else(|| PageRefused {
        status: 404,
        code: "ACQ.TRADE_NOT_EXIST".to_owned(),
        message: "没有这笔订单: there is nothing to pay under this code; go back to the shop".to_owned(),
    })
}

/// Whether a switch lets money in after the end; it is used up only when it is needed.
fn take_late(sandbox: &Sandbox, offer: &Offer, trade: Option<&Trade>) -> bool {
    is_over(offer, trade, sandbox.now())
        && sandbox.faults().take(|f| matches!(f, Fault::PayAfterExpiry).then_some(())).is_some()
}

fn is_over(offer: &Offer, trade: Option<&Trade>, now: Timestamp) -> bool {
    match trade {
        Some(trade) => trade.status_at(now) == TradeStatus::TradeClosed && trade.refunded == 0,
        None => offer.expires_at <= now,
    }
}

async fn trade_of(sandbox: &Sandbox, offer: &Offer) -> Result<Option<Trade>> {
    let number = offer.out_trade_no.clone();
    sandbox.db().read("sandbox.trade", move |q| store::find_trade(q, Some(&number), None)).await
}

/// The buyer logs in: the trade begins.
pub(crate) async fn log_in(sandbox: &Sandbox, code: &str) -> Result<Trade, PageRefused> {
    let offer = offer_of(sandbox, code).await?;
    let moment = sandbox.moment();
    let ruled =
        sandbox.db().write("sandbox.log_in", move |tx| trades::begin(tx, &offer, &moment, false)).await?;
    Ok(ruled?)
}

/// The buyer confirms.
pub(crate) async fn pay(sandbox: &Sandbox, code: &str) -> Result<Paid, PageRefused> {
    let offer = offer_of(sandbox, code).await?;
    let late = take_late(sandbox, &offer, trade_of(sandbox, &offer).await?.as_ref());
    let moment = sandbox.moment();
    let (kind, return_url) = (offer.kind.clone(), offer.return_url.clone());
    let ruled = sandbox.db().write("sandbox.pay", move |tx| trades::pay(tx, &offer, &moment, late)).await?;
    let (trade, now) = ruled?;
    let return_to = return_url.map(|url| return_to(sandbox, &kind, &url, &trade)).transpose()?;
    Ok(Paid { out_trade_no: trade.out_trade_no, trade_no: trade.trade_no, now, return_to })
}

/// The merchant's return URL with what Alipay adds. Signed, and still no proof of payment: it passes through the
/// buyer's hands and may come at any time or never.
fn return_to(sandbox: &Sandbox, kind: &str, url: &str, trade: &Trade) -> Result<String> {
    let config = sandbox.config();
    let fields = Params::new()
        .with("method", format!("alipay.trade.{kind}.pay.return"))
        .with("app_id", config.app_id.as_str())
        .with("auth_app_id", config.app_id.as_str())
        .with("seller_id", config.seller_id.as_str())
        .with("charset", "utf-8")
        .with("version", "1.0")
        .with("timestamp", sandbox.now().to_beijing_string())
        .with("out_trade_no", trade.out_trade_no.as_str())
        .with("trade_no", trade.trade_no.as_str())
        .with("total_amount", Yuan::of_fen(trade.amount).to_string());
    let signed = gateway::signed_notification(fields, sandbox.key())?.to_form();
    let (url, fragment) = url.split_once('#').map_or((url, ""), |(url, fragment)| (url, fragment));
    let joint = if url.contains('?') { '&' } else { '?' };
    let hash = if fragment.is_empty() { "" } else { "#" };
    Ok(format!("{url}{joint}{signed}{hash}{fragment}"))
}

/// The page that opens on a payment URL.
pub(crate) async fn opened(sandbox: &Sandbox, query: &str, body: &[u8]) -> Response {
    match open(sandbox, query, body).await {
        Ok(offer) => show(sandbox, &offer).await,
        Err(refused) => refused_page(&refused),
    }
}

async fn show_page(State(sandbox): State<Sandbox>, Path(code): Path<String>) -> Response {
    match offer_of(&sandbox, &code).await {
        Ok(offer) => show(&sandbox, &offer).await,
        Err(refused) => refused_page(&refused),
    }
}

async fn login_page(State(sandbox): State<Sandbox>, Path(code): Path<String>) -> Response {
    match log_in(&sandbox, &code).await {
        Ok(_) => see_other(&url_of(&sandbox, &code)),
        Err(refused) => refused_page(&refused),
    }
}

async fn payment_page(State(sandbox): State<Sandbox>, Path(code): Path<String>) -> Response {
    match pay(&sandbox, &code).await {
        Ok(paid) => see_other(&paid.return_to.unwrap_or_else(|| url_of(&sandbox, &code))),
        Err(refused) => refused_page(&refused),
    }
}

fn see_other(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

async fn show(sandbox: &Sandbox, offer: &Offer) -> Response {
    match shown(sandbox, offer).await {
        Ok(page) => page,
        Err(refused) => refused_page(&refused),
    }
}

async fn shown(sandbox: &Sandbox, offer: &Offer) -> Result<Response, PageRefused> {
    let trade = trade_of(sandbox, offer).await?;
    let now = sandbox.now();
    let paid = trade.as_ref().is_some_and(|t| t.status.is_paid() || t.refunded > 0);
    let let_in = sandbox.armed().iter().any(|armed| armed.fault == Fault::PayAfterExpiry);
    let over = is_over(offer, trade.as_ref(), now) && !let_in;
    let (status, zh, en) = match (paid, over) {
        (true, _) => (200, "已付款", "Paid"),
        (false, true) => (410, "订单已过期或已关闭", "This order can no longer be paid"),
        (false, false) => (200, "确认付款", "Confirm the payment"),
    };
    let return_to = match (&trade, &offer.return_url) {
        (Some(trade), Some(url)) if paid => Some(return_to(sandbox, &offer.kind, url, trade)?),
        _ => None,
    };
    let url = url_of(sandbox, &offer.code);
    // Who has scanned a code, or pays in a phone's browser or an app, is on the phone already.
    let phone = offer.kind != "page";
    let drawn = QrCode::new(&url).map_err(|e| Error::internal("cannot draw the QR code").with_source(e))?;
    let qr = drawn.render::<svg::Color<'_>>().min_dimensions(160, 160).build();
    let context = context! {
        title => format!("¥{} · {}", Yuan::of_fen(offer.amount), offer.subject),
        heading_zh => zh,
        heading_en => en,
        amount => Yuan::of_fen(offer.amount).to_string(),
        subject => offer.subject.as_str(),
        out_trade_no => offer.out_trade_no.as_str(),
        trade_no => trade.map(|t| t.trade_no),
        expires_at => offer.expires_at.to_beijing_string(),
        message => over.then_some("请回到商家重新下单或换一种付款方式。 Go back to the shop for a new payment."),
        payable => !paid && !over,
        phone => phone,
        scanned => offer.kind == "qr",
        in_app => offer.kind == "app",
        qr => (!phone).then_some(qr),
        url => url,
        return_to => return_to,
    };
    Ok(page(status, context))
}

fn refused_page(refused: &PageRefused) -> Response {
    let context = context! {
        title => format!("{} · {}", refused.status, refused.code),
        heading_zh => "无法付款",
        heading_en => "Payment refused",
        message => format!("{} ({})", refused.message, refused.code),
    };
    page(refused.status, context)
}

fn page(status: u16, context: minijinja::Value) -> Response {
    pages::page(status, "cashier.html", PAGE, context)
}
