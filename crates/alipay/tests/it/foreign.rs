//! Verifiers that share no code with ours: Python's `cryptography` and the openssl command.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use libtest_mimic::Trial;
use merx_alipay::{
    AppPay, BillDate, BillQuery, Close, ContentKey, Merchant, Method, Precreate, PrivateKey, PublicKey,
    Query, Refund, RefundQuery, SignedRequest, WapPay, gateway,
};
use serde_json::{Value, json};

use crate::world::{
    ALIPAY_KEY, MERCHANT_KEY, OTHER_KEY, alipay_public, expected, fields, merchant, now, order_no, page_pay,
    paid_fields, signed,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/foreign.py");

fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn trial(name: &str, tool: &str, present: bool, test: fn()) -> Trial {
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    if present || required {
        return Trial::test(format!("foreign::{name}"), move || {
            test();
            Ok(())
        });
    }
    Trial::test(format!("foreign::{name} NOT RUN: {tool} is not installed"), || Ok(()))
        .with_ignored_flag(true)
}

pub fn trials() -> Vec<Trial> {
    let python = works("python3", &["-c", "import cryptography"]);
    let openssl = works("openssl", &["version"]);
    let with_python = "python3 with the package `cryptography`";
    vec![
        trial("python_verifies_our_requests", with_python, python, python_verifies_our_requests),
        trial("python_verifies_the_gateways_side", with_python, python, python_verifies_the_gateways_side),
        trial("we_verify_what_python_signed", with_python, python, we_verify_what_python_signed),
        trial(
            "openssl_reads_our_keys_and_signatures",
            "openssl",
            openssl,
            openssl_reads_our_keys_and_signatures,
        ),
    ]
}

fn ask_python(ask: &Value) -> Value {
    let mut child =
        Command::new("python3").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "foreign.py failed on {ask}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn public_pem(key: &PrivateKey) -> String {
    key.public_key().unwrap().to_pem().unwrap()
}

const AES_KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// One request of each method, as it travels.
fn each_request(merchant: &Merchant) -> Vec<(String, String)> {
    let page = page_pay();
    let (amount, subject, expiry) = (page.total_amount, page.subject.clone(), page.time_expire);
    let notify = "http://shop.example/n?a=1&b=%20";
    let wap =
        WapPay::new(order_no(), amount, subject.clone(), expiry, notify).returning_to("http://shop.example/");
    let app = AppPay::new(order_no(), amount, subject.clone(), expiry, notify);
    let code = Precreate {
        out_trade_no: order_no(),
        total_amount: amount,
        subject,
        time_expire: expiry,
        notify_url: notify.to_owned(),
    };
    let refund = Refund {
        out_trade_no: order_no(),
        refund_amount: amount,
        out_request_no: order_no(),
        refund_reason: Some("退货 & more = less".to_owned()),
    };
    let asked = RefundQuery { out_trade_no: order_no(), out_request_no: order_no() };
    let bill = BillQuery::new(BillDate::of(now()));
    let in_one = |signed: SignedRequest| (signed.url(), String::new());
    vec![
        in_one(merchant.sign(&page, now()).unwrap()),
        in_one(merchant.sign(&wap, now()).unwrap()),
        (String::new(), merchant.sign(&app, now()).unwrap().order_text()),
        merchant.sign(&code, now()).unwrap().post(),
        merchant.sign(&Query { out_trade_no: order_no() }, now()).unwrap().post(),
        merchant.sign(&Close { out_trade_no: order_no() }, now()).unwrap().post(),
        merchant.sign(&refund, now()).unwrap().post(),
        merchant.sign(&asked, now()).unwrap().post(),
        merchant.sign(&bill, now()).unwrap().post(),
    ]
}

/// With bare keys, with certificates, with encrypted contents, and with both.
fn python_verifies_our_requests() {
    let certified = |merchant: Merchant| {
        let (app, alipay) = (include_str!("certificates/app.pem"), include_str!("certificates/alipay.pem"));
        merchant.with_certificates(app, alipay, include_str!("certificates/root.pem")).unwrap()
    };
    let encrypted = |merchant: Merchant| merchant.with_content_key(ContentKey::parse(AES_KEY).unwrap());
    let modes = [merchant(), certified(merchant()), encrypted(merchant()), encrypted(certified(merchant()))];
    for (place, merchant) in modes.iter().enumerate() {
        let requests: Vec<Value> =
            each_request(merchant).iter().map(|(url, body)| json!({"url": url, "body": body})).collect();
        let ask = |key: &PrivateKey| {
            let (is_certified, aes) = (place % 2 == 1, (place > 1).then_some(AES_KEY));
            json!({"do": "requests", "requests": requests, "key": public_pem(key), "certified": is_certified,
                   "aes": aes, "certificates": concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/certificates")})
        };
        let all: Vec<bool> = vec![true; 9];
        assert_eq!(ask_python(&ask(&MERCHANT_KEY)), json!({"ok": all}), "mode {place}");
        assert_eq!(ask_python(&ask(&OTHER_KEY)), json!({"ok": vec![false; 9]}), "mode {place}");
    }
}

fn python_verifies_the_gateways_side() {
    let form = signed(paid_fields()).to_form();
    let ask = json!({"do": "notification", "form": form, "key": public_pem(&ALIPAY_KEY)});
    assert_eq!(ask_python(&ask), json!({"ok": true}));
    let body = fields(json!({"code": "10000", "qr_code": "https://qr.example.com/茶"}));
    let text = gateway::signed_answer(Close::METHOD, &body, &ALIPAY_KEY).unwrap();
    let ask = json!({"do": "answer", "text": text, "property": "alipay_trade_close_response",
                     "key": public_pem(&ALIPAY_KEY)});
    assert_eq!(ask_python(&ask), json!({"ok": true}));
}

fn we_verify_what_python_signed() {
    let sign = |key: &PrivateKey| {
        let named: serde_json::Map<_, _> =
            paid_fields().iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect();
        let told =
            ask_python(&json!({"do": "sign_notification", "fields": named, "key": key.to_pem().unwrap()}));
        told["form"].as_str().unwrap().to_owned()
    };
    let notification = merchant().notification(sign(&ALIPAY_KEY).as_bytes()).unwrap();
    assert_eq!(notification.mismatches(&expected(&order_no())), []);
    assert!(merchant().notification(sign(&OTHER_KEY).as_bytes()).unwrap_err().is("alipay.signature_invalid"));
}

fn openssl(args: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn openssl_reads_our_keys_and_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("key.pem", ALIPAY_KEY.to_pem().unwrap().as_bytes());
    write("pub.pem", alipay_public().to_pem().unwrap().as_bytes());
    write("text", b"a=1&b=2");
    write("sign.b64", format!("{}\n", ALIPAY_KEY.sign(b"a=1&b=2").unwrap()).as_bytes());
    openssl(&["base64", "-d", "-A", "-in", "sign.b64", "-out", "sign"], folder.path());
    openssl(&["dgst", "-sha256", "-verify", "pub.pem", "-signature", "sign", "text"], folder.path());
    let pkcs1 = openssl(&["rsa", "-traditional", "-in", "key.pem"], folder.path());
    let pkcs1 = String::from_utf8(pkcs1).unwrap();
    assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY"));
    let again = PrivateKey::parse(&pkcs1).unwrap();
    assert_eq!(again.sign(b"x").unwrap(), ALIPAY_KEY.sign(b"x").unwrap(), "PKCS#1 is the same key");
    let spki = String::from_utf8(openssl(&["pkey", "-in", "key.pem", "-pubout"], folder.path())).unwrap();
    assert!(PublicKey::parse(&spki).unwrap().verifies(b"x", &again.sign(b"x").unwrap()));
}
