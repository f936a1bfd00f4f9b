//! Certificate mode and encrypted contents, against what Python's `cryptography` made (`certificates/make.py`).

use std::sync::LazyLock;

use merx_alipay::{
    AppPay, BeijingTime, BillDate, BillQuery, Certificate, Close, ContentKey, Merchant, Method, Outcome,
    PrivateKey, Subject, WapPay, Yuan,
    gateway::{CertificateMode, GatewayRequest, Sealed},
};
use merx_kernel::Timestamp;
use serde_json::{Value, json};

use crate::world::{
    APP, GATEWAY, MERCHANT_KEY, OTHER_KEY, SELLER, alipay_public, amount, fields, merchant, now, order_no,
};

const APP_PEM: &str = include_str!("certificates/app.pem");
const ALIPAY_PEM: &str = include_str!("certificates/alipay.pem");
const ROOT_PEM: &str = include_str!("certificates/root.pem");

static FIGURES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("certificates/figures.json")).unwrap());
static APP_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("certificates/app.key")).unwrap());
static ALIPAY_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::parse(include_str!("certificates/alipay.key")).unwrap());

fn figure(name: &str) -> &'static str {
    FIGURES[name].as_str().unwrap()
}
fn content_key() -> ContentKey {
    ContentKey::parse(figure("aes_key")).unwrap()
}
fn certified() -> Merchant {
    let bare = Merchant::new(GATEWAY, APP, SELLER, APP_KEY.clone(), alipay_public());
    bare.with_certificates(APP_PEM, ALIPAY_PEM, ROOT_PEM).unwrap()
}
fn close() -> Close {
    Close { out_trade_no: order_no() }
}

pub fn serial_numbers_are_those_python_makes() {
    assert_eq!(Certificate::parse(APP_PEM).unwrap().sn(), figure("app_sn"));
    assert_eq!(Certificate::parse(ALIPAY_PEM).unwrap().sn(), figure("alipay_sn"), "the first of the file");
    assert_eq!(
        Certificate::root_sn(ROOT_PEM).unwrap(),
        figure("root_sn"),
        "the one on a curve does not count"
    );
    assert_eq!(Certificate::parse_all(ROOT_PEM).unwrap().len(), 3);
    let key = Certificate::parse(ALIPAY_PEM).unwrap().public_key().unwrap();
    assert!(key.verifies(b"x", &ALIPAY_KEY.sign(b"x").unwrap()));
    assert!(!key.verifies(b"x", &OTHER_KEY.sign(b"x").unwrap()));
    let curve = &Certificate::parse_all(ROOT_PEM).unwrap()[1];
    assert!(curve.public_key().unwrap_err().is("alipay.key_invalid"));
}

pub fn what_is_no_certificate_is_refused() {
    let key = MERCHANT_KEY.to_pem().unwrap();
    let cut = &ALIPAY_PEM[..ALIPAY_PEM.len() / 4];
    for text in
        ["", "nonsense", key.as_str(), cut, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"]
    {
        assert!(Certificate::parse(text).unwrap_err().is("alipay.certificate_invalid"), "{text}");
    }
    assert!(Certificate::root_sn("").unwrap_err().is("alipay.certificate_invalid"));
    // Whatever bytes a certificate is made of, reading it ends.
    for place in 0..600 {
        let mut bytes = ALIPAY_PEM.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'/' } else { b'A' };
        drop(Certificate::parse_all(&String::from_utf8(bytes).unwrap()));
    }
}

pub fn a_request_names_its_certificates_and_the_gateway_checks_them() {
    let (url, body) = certified().sign(&close(), now()).unwrap().post();
    assert!(url.contains("app_cert_sn=") && !body.contains("cert_sn"), "they travel in the URL");
    let request = GatewayRequest::parse(url.split_once('?').unwrap().1, body.as_bytes()).unwrap();
    request.verify(APP, &APP_KEY.public_key().unwrap()).unwrap();
    let known = CertificateMode::of(APP_PEM, ALIPAY_PEM, ROOT_PEM).unwrap();
    request.verify_certificates(&known).unwrap();
    let other = CertificateMode { app_sn: "other".to_owned(), ..known.clone() };
    assert_eq!(request.verify_certificates(&other).unwrap_err().sub_code, "isv.invalid-app-cert-sn");
    let bare = merchant().sign(&close(), now()).unwrap().url();
    let bare = GatewayRequest::parse(bare.split_once('?').unwrap().1, b"").unwrap();
    assert_eq!(bare.verify_certificates(&known).unwrap_err().code, "40001");
}

pub fn an_answer_counts_under_the_certificate_we_know_only() {
    let body = fields(json!({"code": "10000", "msg": "Success", "out_trade_no": order_no().as_str()}));
    let answer = |sn: Option<&str>, key: &PrivateKey| {
        Sealed { key, cert_sn: sn, content_key: None }.answer(Close::METHOD, &body).unwrap()
    };
    let concluded = |text: String| certified().conclude(&close(), text.as_bytes());
    assert!(matches!(concluded(answer(Some(figure("alipay_sn")), &ALIPAY_KEY)), Outcome::Done(_)));
    for wrong in [
        answer(None, &ALIPAY_KEY),
        answer(Some("another"), &ALIPAY_KEY),
        answer(Some(figure("alipay_sn")), &OTHER_KEY),
    ] {
        assert!(concluded(wrong.clone()).is_unknown(), "{wrong}");
    }
}

pub fn contents_are_encrypted_as_python_does_it() {
    let key = content_key();
    assert_eq!(key.encrypt(figure("content")).unwrap(), figure("encrypted"));
    assert_eq!(key.decrypt(figure("encrypted")).as_deref(), Some(figure("content")));
    assert_eq!(key.decrypt("AAAA"), None);
    assert_eq!(format!("{key:?}"), "ContentKey([secret])");
    for wrong in ["", "AAAA", "no base64!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        assert!(ContentKey::parse(wrong).unwrap_err().is("alipay.key_invalid"), "{wrong}");
    }
}

pub fn an_encrypted_call_is_read_and_answered_encrypted() {
    let merchant = merchant().with_content_key(content_key());
    let signed = merchant.sign(&close(), now()).unwrap();
    assert!(!signed.params().get("biz_content").unwrap().contains(order_no().as_str()));
    let request = GatewayRequest::parse("", signed.params().to_form().as_bytes()).unwrap();
    request.verify(APP, &MERCHANT_KEY.public_key().unwrap()).unwrap();
    assert!(request.is_encrypted());
    let content: Value = request.clone().decrypted(Some(&content_key())).unwrap().biz_content().unwrap();
    assert_eq!(content["out_trade_no"], order_no().as_str());
    assert_eq!(request.clone().decrypted(None).unwrap_err().sub_code, "isv.invalid-encrypt-type");
    let other = ContentKey::parse("AAAAAAAAAAAAAAAAAAAAAA==").unwrap();
    assert_eq!(request.decrypted(Some(&other)).unwrap_err().sub_code, "isv.decryption-error");

    let key = content_key();
    let alipay = &crate::world::ALIPAY_KEY;
    let sealed = Sealed { key: alipay, cert_sn: None, content_key: Some(&key) };
    let body = fields(json!({"code": "10000", "msg": "Success", "out_trade_no": order_no().as_str()}));
    let text = sealed.answer(Close::METHOD, &body).unwrap();
    assert!(!text.contains("10000"));
    assert!(matches!(merchant.conclude(&close(), text.as_bytes()), Outcome::Done(_)));
    let unready = crate::world::merchant();
    assert!(unready.conclude(&close(), text.as_bytes()).is_unknown(), "we have no key");
    let swapped = crate::world::merchant().with_content_key(other);
    assert!(swapped.conclude(&close(), text.as_bytes()).is_unknown(), "we have another key");
    // The signature covers the quotes.
    let inner = text.split('"').nth(3).unwrap();
    let unquoted = alipay.sign(inner.as_bytes()).unwrap();
    let start = text.split(",\"sign\":").next().unwrap();
    let forged = format!("{start},\"sign\":\"{unquoted}\"}}");
    assert!(merchant.conclude(&close(), forged.as_bytes()).is_unknown());
    // A refusal in the clear is believed all the same, for it is signed.
    let refused =
        fields(json!({"code": "40002", "msg": "Invalid Arguments", "sub_code": "isv.decryption-error"}));
    let clear = Sealed { content_key: None, ..sealed }.answer(Close::METHOD, &refused).unwrap();
    assert!(matches!(merchant.conclude(&close(), clear.as_bytes()), Outcome::Misused(_)));
}

pub fn phones_and_apps_are_sent_what_is_theirs() {
    let expiry = BeijingTime(Timestamp::parse_rfc3339("2026-11-20T08:59:00Z").unwrap());
    let (amount, subject) = (Yuan::payable(amount()).unwrap(), Subject::nearest("茶"));
    let wap = WapPay::new(order_no(), amount, subject.clone(), expiry, "http://shop.example/n")
        .returning_to("http://shop.example/back");
    let app = AppPay::new(order_no(), amount, subject, expiry, "http://shop.example/n");
    let wap = merchant().sign(&wap, now()).unwrap();
    let app = merchant().sign(&app, now()).unwrap();
    for (signed, method, product) in [
        (&wap, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        (&app, "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
    ] {
        assert_eq!(signed.params().get("method"), Some(method));
        let content: Value = serde_json::from_str(signed.params().get("biz_content").unwrap()).unwrap();
        assert_eq!(content["product_code"], product);
        assert_eq!(content["time_expire"], "2026-11-20 16:59:00");
        let request = GatewayRequest::parse("", signed.order_text().as_bytes()).unwrap();
        request.verify(APP, &MERCHANT_KEY.public_key().unwrap()).unwrap();
    }
    assert!(wap.url().starts_with(GATEWAY) && !app.order_text().contains("return_url"));
}

pub fn a_bill_is_of_one_day_of_beijing() {
    let moment = Timestamp::parse_rfc3339("2026-11-20T16:00:00Z").unwrap();
    let day = BillDate::of(moment);
    assert_eq!((day.to_string().as_str(), day.start()), ("2026-11-21", moment));
    assert_eq!(BillDate::of(day.end()).to_string(), "2026-11-22");
    assert_eq!(day.before(), BillDate::parse("2026-11-20").unwrap());
    assert!(BillDate::parse("2026-11").is_err() && BillDate::parse("2026-02-30").is_err());
    let call = BillQuery::new(day.before());
    let signed = merchant().sign(&call, now()).unwrap();
    assert_eq!(signed.params().get("biz_content"), Some(r#"{"bill_type":"trade","bill_date":"2026-11-20"}"#));
    let answered = |body: Value| {
        let text =
            merx_alipay::gateway::signed_answer(BillQuery::METHOD, &fields(body), &crate::world::ALIPAY_KEY);
        merchant().conclude(&call, text.unwrap().as_bytes())
    };
    let url = json!({"code": "10000", "bill_download_url": "http://bill.example/x?y=1"});
    assert!(matches!(answered(url), Outcome::Done(_)));
    assert!(answered(json!({"code": "10000", "bill_download_url": "file:///etc/passwd"})).is_unknown());
    let none = json!({"code": "40004", "sub_code": "isp.bill_not_exist"});
    assert!(matches!(answered(none), Outcome::Refused(_)), "that there is none is no doubt");
}
