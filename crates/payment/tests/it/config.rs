//! A configuration that would not work says which value, and never shows a secret.

use crate::plain;
use libtest_mimic::Trial;
use merx_kernel::Secret;
use merx_payment::{AlipayConfig, PaymentConfig, domain::Method};

use crate::{gateway::Gateway, world::config};

pub fn trials() -> Vec<Trial> {
    plain!["config":
        every_wrong_value_is_named_at_once,
        the_application_s_own_public_key_is_recognised,
        what_is_offered_must_be_set_up,
        keys_are_given_in_place_or_by_file_and_fit_together,
    ]
}

fn every_wrong_value_is_named_at_once() {
    let gateway = Gateway::new();
    config(&gateway).check().expect("the configuration of the tests is valid");
    let mut wrong = config(&gateway);
    let alipay = wrong.alipay.as_mut().unwrap();
    alipay.app_id = "my app".to_owned();
    alipay.seller_id = String::new();
    alipay.gateway_url = "openapi.alipay.com".to_owned();
    alipay.notify_url = "ftp://shop.test/x".to_owned();
    alipay.return_url = Some("http://".to_owned());
    alipay.private_key = Some(Secret::new("TOP-SECRET-NONSENSE".to_owned()));
    alipay.alipay_public_key = Some("nonsense".to_owned());
    let error = wrong.check().unwrap_err();
    let named: Vec<&str> = error.fields().iter().map(|f| f.pointer.as_str()).collect();
    let all = [
        "app_id",
        "seller_id",
        "gateway_url",
        "notify_url",
        "return_url",
        "private_key",
        "alipay_public_key",
    ];
    assert_eq!(named, all.map(|name| format!("payment.alipay.{name}")));
    assert!(!format!("{error:?}").contains("TOP-SECRET"), "{error:?}");
    assert!(!format!("{wrong:?}").contains("TOP-SECRET"));
}

fn the_application_s_own_public_key_is_recognised() {
    let gateway = Gateway::new();
    let mut swapped = config(&gateway);
    let own = gateway.merchant.public_key().unwrap().to_pem().unwrap();
    swapped.alipay.as_mut().unwrap().alipay_public_key = Some(own);
    let error = swapped.check().unwrap_err();
    assert_eq!(error.fields()[0].pointer, "payment.alipay.alipay_public_key");
    assert!(error.fields()[0].detail.contains("own public key"), "{error:?}");
}

fn pointers(config: &PaymentConfig) -> Vec<String> {
    match config.check() {
        Ok(()) => Vec::new(),
        Err(error) => error.fields().iter().map(|f| f.pointer.to_string()).collect(),
    }
}

fn what_is_offered_must_be_set_up() {
    let all = config(&Gateway::new());
    let alipay = PaymentConfig::of_alipay(all.alipay.clone().unwrap());
    assert_eq!(alipay.offered(), [Method::AlipayPage, Method::AlipayQr]);
    let both = PaymentConfig { methods: None, ..all.clone() };
    let usual = [Method::AlipayPage, Method::AlipayQr, Method::BankTransfer, Method::CashOnDelivery];
    assert_eq!(both.offered(), usual);
    let offline = PaymentConfig { alipay: None, ..both };
    assert_eq!(pointers(&offline), Vec::<String>::new(), "a shop may have no Alipay");
    assert_eq!(pointers(&PaymentConfig::default()), ["payment.alipay"]);
    let nothing = PaymentConfig { methods: Some(Vec::new()), ..all.clone() };
    assert_eq!(pointers(&nothing), ["payment.methods"]);
    let methods = vec![Method::BankTransfer, Method::AlipayApp, Method::BankTransfer];
    let wrong = PaymentConfig { methods: Some(methods), alipay: None, ..all };
    assert_eq!(pointers(&wrong), ["payment.methods.1", "payment.methods.2"]);
}

fn keys_are_given_in_place_or_by_file_and_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        Some(folder.path().join(name))
    };
    macro_rules! certificate {
        ($name:literal) => {
            file($name, include_str!(concat!("../../../alipay/tests/it/certificates/", $name)))
        };
    }
    let of = |change: &dyn Fn(&mut AlipayConfig)| {
        let mut config = config(&Gateway::new());
        change(config.alipay.as_mut().unwrap());
        let wrong = pointers(&config);
        wrong.iter().map(|p| p.strip_prefix("payment.alipay.").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let certified = |alipay: &mut AlipayConfig| {
        (alipay.private_key, alipay.private_key_file) = (None, certificate!("app.key"));
        alipay.alipay_public_key = None;
        alipay.app_cert_file = certificate!("app.pem");
        alipay.alipay_cert_file = certificate!("alipay.pem");
        alipay.alipay_root_cert_file = certificate!("root.pem");
    };
    assert_eq!(of(&certified), Vec::<String>::new());
    assert_eq!(
        of(&|alipay| {
            certified(alipay);
            alipay.private_key_file = certificate!("alipay.key");
        }),
        ["private_key_file"],
        "the key of another certificate"
    );
    assert_eq!(
        of(&|alipay| {
            certified(alipay);
            alipay.alipay_public_key = Some("x".to_owned());
            alipay.alipay_root_cert_file = None;
        }),
        ["alipay_public_key", "alipay_root_cert_file"]
    );
    assert_eq!(of(&|alipay| alipay.private_key = None), ["private_key"]);
    assert_eq!(of(&|alipay| alipay.private_key_file = file("x", "x")), ["private_key_file"], "both");
    assert_eq!(of(&|alipay| alipay.aes_key = Some(Secret::new("short".to_owned()))), ["aes_key"]);
    assert_eq!(of(&|alipay| alipay.aes_key_file = Some("/no/such".into())), ["aes_key_file"]);
    assert_eq!(of(&|alipay| alipay.old_key_accepted_s = 604_801), ["old_key_accepted_s"]);
}
