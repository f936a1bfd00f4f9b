//! A gateway of the tests: Alipay's side of the wire, with a ledger and faults on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_alipay::{
    Params, PrivateKey,
    gateway::{Fault, GatewayRequest, signed_answer, signed_notification},
};
use merx_contracts::ids::{AttemptId, RefundId};
use serde_json::{Map, Value, json};

pub const APP_ID: &str = "2021000000000001";
/// What the text of a code begins with.
pub const QR: &str = "https://qr.alipay.test/";
/// Where the bill is.
const BILL_URL: &str = "http://gateway.test/bill";
pub const SELLER_ID: &str = "2088000000000001";

/// What goes wrong with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The call never arrives.
    LostCall,
    /// The call takes effect, the answer never arrives.
    LostAnswer,
    /// 20000 after the effect.
    UnknownAfter,
    /// 20000 without the effect.
    UnknownBefore,
    /// Half of the answer.
    HalfAnswer,
    /// The answer says what we want to hear, signed by somebody else.
    WrongSignature,
    /// 10003.
    InProgress,
    /// 40004 with this code, without the effect.
    Refused(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Waiting,
    Closed,
    Paid,
}

#[derive(Clone, Debug)]
pub struct Trade {
    pub trade_no: String,
    pub fen: i64,
    pub status: Status,
    /// By request number.
    pub refunds: BTreeMap<String, i64>,
}

impl Trade {
    fn refunded(&self) -> i64 {
        self.refunds.values().sum()
    }
    fn status_name(&self) -> &'static str {
        match self.status {
            Status::Waiting => "WAIT_BUYER_PAY",
            Status::Closed => "TRADE_CLOSED",
            Status::Paid if self.refunded() == self.fen => "TRADE_CLOSED",
            Status::Paid => "TRADE_SUCCESS",
        }
    }
}

#[derive(Default)]
pub struct Ledger {
    pub trades: BTreeMap<String, Trade>,
    /// What a QR code was made for, by the number: the amount.
    pub codes: BTreeMap<String, i64>,
    pub troubles: VecDeque<Trouble>,
    /// Troubles for every call from now on.
    pub down: bool,
    /// The refunds the seller's account has too little for, by their request numbers.
    pub unfunded: std::collections::BTreeSet<String>,
    /// The bill of whatever day is asked for.
    pub bill: Option<Vec<u8>>,
    /// The methods called.
    pub calls: Vec<String>,
    next: u64,
}

#[derive(Clone)]
pub struct Gateway {
    ledger: Arc<Mutex<Ledger>>,
    pub alipay: PrivateKey,
    pub merchant: PrivateKey,
    stranger: PrivateKey,
}

/// Keys are slow to make in a debug build, so all tests share three.
fn keys() -> &'static [PrivateKey; 3] {
    static KEYS: std::sync::OnceLock<[PrivateKey; 3]> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| std::array::from_fn(|_| PrivateKey::generate().unwrap()))
}

pub fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
fn fen(yuan: &str) -> i64 {
    yuan.replace('.', "").parse().unwrap()
}
fn text<'a>(content: &'a Value, name: &str) -> &'a str {
    content[name].as_str().unwrap_or_else(|| panic!("biz_content has no {name}: {content}"))
}

impl Gateway {
    pub fn new() -> Self {
        let [alipay, merchant, stranger] = keys().clone();
        Self { ledger: Arc::default(), alipay, merchant, stranger }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// The buyer opens the URL; the trade begins. Answers what the cashier was told.
    pub fn visit(&self, pay_url: &str) -> Value {
        let query = pay_url.split_once('?').unwrap().1;
        let request = GatewayRequest::parse(query, b"").unwrap();
        request
            .verify(APP_ID, &self.merchant.public_key().unwrap())
            .expect("the pay URL is signed by the shop");
        assert_eq!(request.get("method"), Some("alipay.trade.page.pay"));
        let content: Value = request.biz_content().unwrap();
        self.begin(text(&content, "out_trade_no"), fen(text(&content, "total_amount")));
        content
    }

    /// The buyer scans a code; the trade begins.
    pub fn scan(&self, qr_code: &str) {
        let number = qr_code.strip_prefix(QR).unwrap().to_owned();
        let fen = self.ledger().codes[&number];
        self.begin(&number, fen);
    }

    fn begin(&self, out_trade_no: &str, fen: i64) {
        let mut ledger = self.ledger();
        ledger.next += 1;
        let number = ledger.next;
        ledger.trades.entry(out_trade_no.to_owned()).or_insert_with(|| Trade {
            trade_no: format!("20261120220014{number:014}"),
            fen,
            status: Status::Waiting,
            refunds: BTreeMap::new(),
        });
    }

    /// The buyer pays, if the trade is still open.
    pub fn pay(&self, attempt_id: AttemptId) -> bool {
        let mut ledger = self.ledger();
        let trade = ledger.trades.get_mut(&attempt_id.bare()).unwrap();
        if trade.status == Status::Waiting {
            trade.status = Status::Paid;
        }
        trade.status == Status::Paid
    }

    /// Money that lands although the trade was closed.
    pub fn pay_closed(&self, attempt_id: AttemptId) {
        self.ledger().trades.get_mut(&attempt_id.bare()).unwrap().status = Status::Paid;
    }

    pub fn trade(&self, attempt_id: AttemptId) -> Trade {
        self.ledger().trades[&attempt_id.bare()].clone()
    }

    pub fn refunded(&self, attempt_id: AttemptId) -> i64 {
        self.trade(attempt_id).refunded()
    }

    pub fn refund_of(&self, attempt_id: AttemptId, refund_id: RefundId) -> Option<i64> {
        self.trade(attempt_id).refunds.get(&refund_id.bare()).copied()
    }

    /// What came in and did not go back, over all trades.
    pub fn balance(&self) -> i64 {
        let ledger = self.ledger();
        ledger.trades.values().filter(|t| t.status == Status::Paid).map(|t| t.fen - t.refunded()).sum()
    }

    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.ledger().troubles.extend(troubles);
    }

    pub fn calls(&self, method: &str) -> usize {
        self.ledger().calls.iter().filter(|m| *m == method).count()
    }

    /// The fields of the notification a trade deserves.
    pub fn fields(&self, attempt_id: AttemptId) -> Params {
        let trade = self.trade(attempt_id);
        let fields = Params::new()
            .with("notify_id", format!("n{}{}", trade.trade_no, trade.refunded()))
            .with("notify_time", "2026-11-20 16:30:00")
            .with("notify_type", "trade_status_sync")
            .with("charset", "utf-8")
            .with("version", "1.0")
            .with("app_id", APP_ID)
            .with("seller_id", SELLER_ID)
            .with("buyer_id", "2088102000000001")
            .with("buyer_logon_id", "zhang***@example.com")
            .with("out_trade_no", attempt_id.bare())
            .with("trade_no", trade.trade_no.as_str())
            .with("trade_status", trade.status_name())
            .with("total_amount", yuan(trade.fen));
        if trade.refunded() == 0 {
            return fields;
        }
        fields.with("refund_fee", yuan(trade.refunded())).with("gmt_refund", "2026-11-20 16:31:00")
    }

    /// Signs fields as Alipay does.
    pub fn signed(&self, fields: Params) -> String {
        signed_notification(fields, &self.alipay).unwrap().to_form()
    }

    /// The notification a trade deserves, signed.
    pub fn notification(&self, attempt_id: AttemptId) -> String {
        self.signed(self.fields(attempt_id))
    }

    fn answer(&self, query: &str, body: &[u8]) -> Result<String, StatusCode> {
        let request = GatewayRequest::parse(query, body).unwrap();
        let method = request.get("method").unwrap_or_default().to_owned();
        let trouble = {
            let mut ledger = self.ledger();
            ledger.calls.push(method.clone());
            if ledger.down { Some(Trouble::LostCall) } else { ledger.troubles.pop_front() }
        };
        let unavailable = Fault::unknown().to_fields();
        let fields = match trouble {
            Some(Trouble::LostCall) => return Err(StatusCode::GATEWAY_TIMEOUT),
            Some(Trouble::UnknownBefore) => unavailable.clone(),
            Some(Trouble::Refused(code)) => Fault::business(code, "refused by the test").to_fields(),
            Some(Trouble::InProgress) => done(json!({ "code": "10003" })),
            _ => match request.verify(APP_ID, &self.merchant.public_key().unwrap()) {
                Ok(()) => self.carry_out(&method, &request).unwrap_or_else(|fault| fault.to_fields()),
                Err(fault) => fault.to_fields(),
            },
        };
        let sign = |fields: &Map<String, Value>, key| signed_answer(&method, fields, key).unwrap();
        let text = sign(&fields, &self.alipay);
        match trouble {
            Some(Trouble::LostAnswer) => Err(StatusCode::GATEWAY_TIMEOUT),
            Some(Trouble::UnknownAfter) => Ok(sign(&unavailable, &self.alipay)),
            Some(Trouble::HalfAnswer) => Ok(text[..text.len() / 2].to_owned()),
            Some(Trouble::WrongSignature) => Ok(sign(&flattering(&method, &request), &self.stranger)),
            _ => Ok(text),
        }
    }

    fn carry_out(&self, method: &str, request: &GatewayRequest) -> Result<Map<String, Value>, Fault> {
        let content: Value = request.biz_content()?;
        if method == "alipay.data.dataservice.bill.downloadurl.query" {
            return match self.ledger().bill {
                Some(_) => Ok(done(json!({ "code": "10000", "bill_download_url": BILL_URL }))),
                None => Err(Fault::business("isp.bill_not_exist", "账单不存在")),
            };
        }
        let number = text(&content, "out_trade_no").to_owned();
        let mut ledger = self.ledger();
        if method == "alipay.trade.precreate" {
            return precreate(&mut ledger, &number, &content);
        }
        let unfunded = content["out_request_no"].as_str().is_some_and(|no| ledger.unfunded.contains(no));
        let trade = ledger.trades.get_mut(&number);
        let trade = trade.ok_or_else(|| Fault::business("ACQ.TRADE_NOT_EXIST", "交易不存在"))?;
        let head = json!({ "code": "10000", "out_trade_no": number, "trade_no": trade.trade_no });
        let more = match method {
            "alipay.trade.query" => {
                json!({ "trade_status": trade.status_name(), "total_amount": yuan(trade.fen) })
            }
            "alipay.trade.close" => {
                if trade.status != Status::Waiting {
                    return Err(Fault::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"));
                }
                trade.status = Status::Closed;
                json!({})
            }
            "alipay.trade.refund" if unfunded => {
                return Err(Fault::business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户余额不足"));
            }
            "alipay.trade.refund" => refund(trade, &content)?,
            "alipay.trade.fastpay.refund.query" => {
                match trade.refunds.get(text(&content, "out_request_no")) {
                    Some(back) => json!({
                        "out_request_no": content["out_request_no"],
                        "refund_amount": yuan(*back),
                        "refund_status": "REFUND_SUCCESS",
                    }),
                    None => json!({}),
                }
            }
            other => panic!("the gateway of the tests does not know {other}"),
        };
        let mut fields = done(head);
        fields.extend(done(more));
        Ok(fields)
    }
}

/// Makes a code and no trade. The same order again gets the same code.
fn precreate(ledger: &mut Ledger, number: &str, content: &Value) -> Result<Map<String, Value>, Fault> {
    if let Some(trade) = ledger.trades.get(number) {
        match trade.status {
            Status::Closed => return Err(Fault::business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")),
            Status::Paid => return Err(Fault::business("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")),
            Status::Waiting => {}
        }
    }
    assert!(content["time_expire"].is_string(), "a code has its own expiry: {content}");
    let asked = fen(text(content, "total_amount"));
    if *ledger.codes.entry(number.to_owned()).or_insert(asked) != asked {
        return Err(Fault::business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改"));
    }
    Ok(done(json!({ "code": "10000", "out_trade_no": number, "qr_code": format!("{QR}{number}") })))
}

fn refund(trade: &mut Trade, content: &Value) -> Result<Value, Fault> {
    let (request_no, back) = (text(content, "out_request_no"), fen(text(content, "refund_amount")));
    if trade.status != Status::Paid {
        return Err(Fault::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"));
    }
    let change = match trade.refunds.get(request_no) {
        Some(known) if *known == back => "N",
        Some(_) => return Err(Fault::business("ACQ.DISCORDANT_REPEAT_REQUEST", "重复请求不一致")),
        None if trade.refunded() + back > trade.fen => {
            return Err(Fault::business("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限"));
        }
        None => {
            trade.refunds.insert(request_no.to_owned(), back);
            "Y"
        }
    };
    Ok(json!({ "fund_change": change, "refund_fee": yuan(trade.refunded()) }))
}

fn done(fields: Value) -> Map<String, Value> {
    fields.as_object().unwrap().clone()
}

/// What an attacker between us and the gateway would like us to believe.
fn flattering(method: &str, request: &GatewayRequest) -> Map<String, Value> {
    let content: Value = request.biz_content().unwrap();
    let mut fields = done(json!({
        "code": "10000",
        "out_trade_no": content["out_trade_no"],
        "trade_no": "666",
        "qr_code": "https://qr.alipay.test/somebodyelses",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "19.99",
    }));
    if method.contains("refund") {
        fields.extend(done(json!({
            "fund_change": "Y",
            "refund_fee": content["refund_amount"],
            "out_request_no": content["out_request_no"],
            "refund_amount": content["refund_amount"],
            "refund_status": "REFUND_SUCCESS",
        })));
    }
    fields
}

async fn serve(State(gateway): State<Gateway>, uri: Uri, body: Bytes) -> Response {
    if uri.path() == "/bill" {
        return gateway.ledger().bill.clone().unwrap_or_default().into_response();
    }
    match gateway.answer(uri.query().unwrap_or(""), &body) {
        Ok(text) => (StatusCode::OK, text).into_response(),
        Err(status) => (status, String::new()).into_response(),
    }
}
