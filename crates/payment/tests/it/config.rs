//! A configuration that would not work says which value, and never shows a secret.

use crate::plain;
use libtest_mimic::Trial;
use merx_kernel::Secret;

use crate::{gateway::Gateway, world::config};

pub fn trials() -> Vec<Trial> {
    plain!["config":
        every_wrong_value_is_named_at_once,
        the_application_s_own_public_key_is_recognised,
    ]
}

fn every_wrong_value_is_named_at_once() {
    let gateway = Gateway::new();
    config(&gateway).check().expect("the configuration of the tests is valid");
    let mut wrong = config(&gateway);
    wrong.alipay.app_id = "my app".to_owned();
    wrong.alipay.seller_id = String::new();
    wrong.alipay.gateway_url = "openapi.alipay.com".to_owned();
    wrong.alipay.notify_url = "ftp://shop.test/x".to_owned();
    wrong.alipay.return_url = Some("http://".to_owned());
    wrong.alipay.private_key = Secret::new("TOP-SECRET-NONSENSE".to_owned());
    wrong.alipay.alipay_public_key = "nonsense".to_owned();
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
    swapped.alipay.alipay_public_key = gateway.merchant.public_key().unwrap().to_pem().unwrap();
    let error = swapped.check().unwrap_err();
    assert_eq!(error.fields()[0].pointer, "payment.alipay.alipay_public_key");
    assert!(error.fields()[0].detail.contains("own public key"), "{error:?}");
}
