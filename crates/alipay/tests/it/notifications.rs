use merx_alipay::{Mismatch, Notified, OutTradeNo, Params, TradeStatus};
use merx_kernel::{Currency, Money};

use crate::world::{APP, SELLER, amount, expected, merchant, order_no, paid_fields, signed};

fn verify(params: &Params) -> Result<merx_alipay::Notification, merx_kernel::Error> {
    merchant().notification(params.to_form().as_bytes())
}

pub fn a_signed_notification_is_read() {
    let notification = verify(&signed(paid_fields())).unwrap();
    assert_eq!((notification.app_id.as_str(), notification.seller_id.as_str()), (APP, SELLER));
    assert_eq!(notification.out_trade_no, order_no());
    assert_eq!(notification.total_amount, amount());
    assert_eq!(notification.trade_status, TradeStatus::TradeSuccess);
    assert_eq!(notification.gmt_payment.unwrap().to_string(), "2026-11-20T08:30:20.000Z");
    assert_eq!(notification.notified(), Notified::Paid);
    assert_eq!(notification.mismatches(&expected(&order_no())), []);
}

pub fn each_field_that_differs_is_named() {
    let cases = [
        ("app_id", "2021000000000009"),
        ("seller_id", "2088000000000009"),
        ("out_trade_no", "other"),
        ("total_amount", "88.87"),
        ("total_amount", "8888"),
    ];
    for (field, value) in cases {
        let notification = verify(&signed(paid_fields().with(field, value))).unwrap();
        let found = notification.mismatches(&expected(&order_no()));
        assert_eq!(found.iter().map(|m| m.field).collect::<Vec<_>>(), [field]);
    }
    let dollars = verify(&signed(paid_fields().with("trans_currency", "USD"))).unwrap();
    assert_eq!(
        dollars.mismatches(&expected(&order_no())),
        [Mismatch { field: "total_amount", expected: "88.88 CNY".into(), found: "88.88 USD".into() }]
    );
    let short = verify(&signed(paid_fields().with("total_amount", "88.9"))).unwrap();
    assert_eq!(short.total_amount, Money::new(8_890, Currency::CNY));
    assert!(OutTradeNo::new("other").is_ok());
}

pub fn what_it_is_about() {
    let about = |pairs: &[(&str, &str)]| {
        let fields = pairs.iter().fold(paid_fields(), |p, (name, value)| p.with(*name, *value));
        verify(&signed(fields)).unwrap().notified()
    };
    let refund = [("refund_fee", "1.00"), ("gmt_refund", "2026-11-21 10:00:00"), ("out_biz_no", "r1")];
    assert_eq!(about(&[("trade_status", "WAIT_BUYER_PAY")]), Notified::Waiting);
    assert_eq!(about(&[("trade_status", "TRADE_FINISHED")]), Notified::Paid);
    assert_eq!(about(&[("trade_status", "TRADE_CLOSED")]), Notified::Closed);
    assert_eq!(about(&[("refund_fee", "0.00")]), Notified::Paid);
    let part = Notified::Refunded(Money::new(100, Currency::CNY));
    assert_eq!(about(&refund), part, "a refund of a part keeps TRADE_SUCCESS and is no new payment");
    assert_eq!(about(&[refund[0], ("trade_status", "TRADE_CLOSED")]), part);
}

pub fn a_signed_one_with_a_broken_field_is_refused() {
    let mut cases = vec![
        paid_fields().with("trade_status", "TRADE_PAID"),
        paid_fields().with("total_amount", "88.888"),
        paid_fields().with("total_amount", "1e2"),
        paid_fields().with("total_amount", "NaN"),
        paid_fields().with("out_trade_no", "a b"),
        paid_fields().with("gmt_payment", "2026-11-20T16:30:20"),
        paid_fields().with("trans_currency", "XXX"),
    ];
    for name in
        ["app_id", "seller_id", "out_trade_no", "trade_no", "trade_status", "total_amount", "notify_id"]
    {
        let mut without = paid_fields();
        without.remove(name);
        cases.push(without);
        cases.push(paid_fields().with(name, ""));
    }
    for fields in cases {
        let error = verify(&signed(fields)).unwrap_err();
        assert!(error.is("alipay.notification_invalid"), "{error}");
        assert!(error.message().contains('`'), "it names the field: {error}");
    }
    let other_charset = verify(&signed(paid_fields().with("charset", "GBK"))).unwrap_err();
    assert!(other_charset.is("alipay.signature_invalid"), "{other_charset}");
}

/// The signed text of an unpaid trade with a chosen subject, cut at other places, is that of a paid one.
pub fn a_subject_cannot_pose_as_fields() {
    let subject = "x&total_amount=88.88&trade_no=1&trade_status=TRADE_SUCCESS&zz=";
    let honest = signed(paid_fields().with("trade_status", "WAIT_BUYER_PAY").with("subject", subject));
    let text = honest.notification_signing_text();
    let (head, tail) = text.split_once("&zz=").unwrap();
    let mut forged = Params::new();
    for pair in head.split('&') {
        let (name, value) = pair.split_once('=').unwrap();
        forged.set(name, value);
    }
    forged.set("zz", tail);
    for name in ["sign", "sign_type"] {
        forged.set(name, honest.get(name).unwrap());
    }
    assert_eq!(forged.notification_signing_text(), text, "one signature fits both");
    for params in [honest, forged] {
        assert!(verify(&params).unwrap_err().is("alipay.signature_invalid"));
    }
}
