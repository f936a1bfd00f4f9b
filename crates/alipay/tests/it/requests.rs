use merx_alipay::{
    Call, Merchant, Method, OutTradeNo, PagePay, Params, Precreate, Query, SignedRequest, Subject, Yuan,
    gateway::GatewayRequest,
};
use merx_kernel::{Currency, Money};

use crate::world::{APP, MERCHANT_KEY, OTHER_KEY, amount, merchant, now, order_no, page_pay};

fn verify(query: &str, body: &str) -> Result<GatewayRequest, String> {
    let request = GatewayRequest::parse(query, body.as_bytes()).map_err(|fault| fault.sub_code)?;
    request.verify(APP, &MERCHANT_KEY.public_key().unwrap()).map_err(|fault| fault.sub_code)?;
    Ok(request)
}

fn query_of(url: &str) -> &str {
    url.split_once('?').unwrap().1
}

pub fn a_page_payment_is_one_signed_url() {
    let url = merchant().sign(&page_pay(), now()).unwrap().url();
    assert!(url.starts_with("http://127.0.0.1:8081/gateway.do?"));
    assert!(url.is_ascii());
    let request = verify(query_of(&url), "").unwrap();
    assert_eq!(request.get("method"), Some(PagePay::METHOD));
    assert_eq!(request.get("timestamp"), Some("2026-11-20 16:30:00"), "Beijing time");
    assert_eq!(request.get("return_url"), Some("http://127.0.0.1:8080/orders/1?from=alipay"));
    let biz: serde_json::Value = request.biz_content().unwrap();
    assert_eq!(
        biz,
        serde_json::json!({
            "out_trade_no": order_no().as_str(),
            "total_amount": "88.88",
            "subject": "长江牌茶杯 two cups, 50% off + \"gift\"",
            "product_code": "FAST_INSTANT_TRADE_PAY",
            "time_expire": "2026-11-20 16:59:00",
        })
    );
}

pub fn a_call_is_split_as_official_clients_split_it() {
    let request = merchant().sign(&Query { out_trade_no: order_no() }, now()).unwrap();
    let (url, body) = request.post();
    assert!(body.starts_with("biz_content=") && !body.contains('&'), "{body}");
    assert!(!url.contains("biz_content"));
    let read = verify(query_of(&url), &body).unwrap();
    assert_eq!(read.get("method"), Some(Query::METHOD));
    assert!(SignedRequest::CONTENT_TYPE.starts_with("application/x-www-form-urlencoded"));
    assert!(verify(query_of(&request.url()), "").is_ok(), "all in the URL is the same request");
    assert_eq!(Query { out_trade_no: order_no() }.out_trade_no(), Some(&order_no()));
}

pub fn values_beyond_the_limits_are_refused() {
    for text in ["", "a-b", "中", &"x".repeat(65)] {
        assert!(OutTradeNo::new(text).unwrap_err().is("alipay.request_invalid"), "{text}");
    }
    for minor in [0, -1, 10_000_000_001] {
        assert!(Yuan::payable(Money::new(minor, Currency::CNY)).is_err(), "{minor}");
    }
    assert!(Yuan::payable(Money::new(100, Currency::USD)).is_err());
    assert_eq!(Yuan::payable(Money::new(10_000_000_000, Currency::CNY)).unwrap().to_string(), "100000000.00");
    for text in ["", " ", "a/b", "a=b", "a&b", "a\nb", &"茶".repeat(257)] {
        assert!(Subject::new(text).is_err(), "{text}");
        assert!(Subject::new(Subject::nearest(text).as_str()).is_ok(), "{text}");
    }
    let precreate = Precreate {
        out_trade_no: order_no(),
        total_amount: Yuan::payable(amount()).unwrap(),
        subject: Subject::nearest("x"),
        time_expire: merx_alipay::BeijingTime(now()),
        notify_url: "/relative".to_owned(),
    };
    let error = merchant().sign(&precreate, now()).unwrap_err();
    assert!(error.message().contains("notify_url must be an absolute"), "{error}");
}

pub fn the_gateway_refuses_what_was_tampered_with() {
    let good = merchant().sign(&page_pay(), now()).unwrap();
    let tampered = |name: &str, value: &str| {
        verify(&good.params().clone().with(name, value).to_form(), "").expect_err(name)
    };
    let biz = good.params().get("biz_content").unwrap().replace("88.88", "0.01");
    assert_eq!(tampered("biz_content", &biz), "isv.invalid-signature");
    assert_eq!(tampered("notify_url", "http://evil.example/"), "isv.invalid-signature");
    assert_eq!(tampered("extra", "1"), "isv.invalid-signature");
    assert_eq!(tampered("sign_type", "RSA"), "isv.invalid-signature-type");
    assert_eq!(tampered("charset", "gbk"), "isv.invalid-charset");
    assert_eq!(tampered("version", "2.0"), "isv.invalid-version");
    assert_eq!(tampered("timestamp", "2026-11-20T16:30:00"), "isv.invalid-timestamp");
    assert_eq!(tampered("app_id", "1"), "isv.invalid-app-id");
    assert_eq!(tampered("sign", ""), "isv.missing-sign");
    let twice = format!("{}&app_id={APP}", good.params().to_form());
    assert_eq!(verify(&twice, "").unwrap_err(), "isv.invalid-parameter");
    let foreign = Merchant::new("http://x/", APP, "s", OTHER_KEY.clone(), OTHER_KEY.public_key().unwrap());
    let foreign = foreign.sign(&page_pay(), now()).unwrap();
    assert_eq!(verify(&foreign.params().to_form(), "").unwrap_err(), "isv.invalid-signature");
    let unsigned_text = Params::new().with("sign", "x").with("a", "").with("sign_type", "RSA2");
    assert_eq!(unsigned_text.request_signing_text(), "sign_type=RSA2");
}
