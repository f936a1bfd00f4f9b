//! A merchant, an Alipay, and what they say to each other in most tests.

use std::sync::LazyLock;

use merx_alipay::{
    BeijingTime, Expected, Merchant, OutTradeNo, PagePay, Params, PrivateKey, PublicKey, Subject, Yuan,
    gateway,
};
use merx_kernel::{Currency, Money, Timestamp};
use serde_json::{Map, Value};

pub const APP: &str = "2021000000000001";
pub const SELLER: &str = "2088000000000002";
pub const GATEWAY: &str = "http://127.0.0.1:8081/gateway.do";

pub static MERCHANT_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());
pub static ALIPAY_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());
pub static OTHER_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());

pub fn alipay_public() -> PublicKey {
    ALIPAY_KEY.public_key().unwrap()
}

pub fn merchant() -> Merchant {
    Merchant::new(GATEWAY, APP, SELLER, MERCHANT_KEY.clone(), alipay_public())
}

pub fn order_no() -> OutTradeNo {
    OutTradeNo::new("01kabcdefghjkmnpqrstvwxyz0").unwrap()
}

pub fn amount() -> Money {
    Money::new(8_888, Currency::CNY)
}

pub fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-20T08:30:00Z").unwrap()
}

pub fn page_pay() -> PagePay {
    PagePay::new(
        order_no(),
        Yuan::payable(amount()).unwrap(),
        Subject::new("长江牌茶杯 two cups, 50% off + \"gift\"").unwrap(),
        BeijingTime(Timestamp::parse_rfc3339("2026-11-20T08:59:00Z").unwrap()),
        "http://127.0.0.1:8080/v1/payments/alipay/notifications?shop=1&x=%2F",
    )
    .returning_to("http://127.0.0.1:8080/orders/1?from=alipay")
}

pub fn expected(out_trade_no: &OutTradeNo) -> Expected<'_> {
    Expected { app_id: APP, seller_id: SELLER, out_trade_no, amount: amount() }
}

/// The fields of a notification of payment, with everything that could trip a decoder.
pub fn paid_fields() -> Params {
    [
        ("app_id", APP),
        ("auth_app_id", APP),
        ("buyer_logon_id", "abc***@example.com"),
        ("buyer_pay_amount", "88.88"),
        ("charset", "utf-8"),
        ("fund_bill_list", r#"[{"amount":"88.88","fundChannel":"ALIPAYACCOUNT"}]"#),
        ("gmt_create", "2026-11-20 16:30:10"),
        ("gmt_payment", "2026-11-20 16:30:20"),
        ("notify_id", "2026112000222163020000000001"),
        ("notify_time", "2026-11-20 16:30:21"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", order_no().as_str()),
        ("passback_params", ""),
        ("seller_id", SELLER),
        ("subject", "长江牌茶杯 two cups, 50% off + \"gift\""),
        ("total_amount", "88.88"),
        ("trade_no", "2026112022001400000000000001"),
        ("trade_status", "TRADE_SUCCESS"),
        ("version", "1.0"),
    ]
    .into_iter()
    .fold(Params::new(), |params, (name, value)| params.with(name, value))
}

pub fn signed(fields: Params) -> Params {
    gateway::signed_notification(fields, &ALIPAY_KEY).unwrap()
}

pub fn fields(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(map) => map,
        other => panic!("expected an object, got {other}"),
    }
}
