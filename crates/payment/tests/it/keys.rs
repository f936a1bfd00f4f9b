//! Keys that change while the shop runs.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_alipay::{PrivateKey, gateway::GatewayRequest};
use merx_kernel::Timestamp;
use merx_payment::{
    AlipayConfig,
    domain::Method,
    provider::{Alipay, InProcess, Offer, PayOrder, Provider as _},
};

use crate::{
    gateway::{APP_ID, Gateway},
    plain,
    world::{START, config, money},
};

pub fn trials() -> Vec<Trial> {
    plain!["keys":
        new_keys_are_used_from_the_next_call_and_the_one_before_is_taken_for_a_while,
        what_cannot_be_read_leaves_the_keys_of_before,
    ]
}

struct Rig {
    folder: tempfile::TempDir,
    alipay: Alipay,
}

impl Rig {
    fn new(gateway: &Gateway) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let usual = config(gateway).alipay.unwrap();
        let config = AlipayConfig {
            private_key: None,
            private_key_file: Some(folder.path().join("app.key")),
            alipay_public_key: None,
            alipay_public_key_file: Some(folder.path().join("alipay.pem")),
            ..usual
        };
        write(&folder, "app.key", &gateway.merchant.to_pem().unwrap());
        write(&folder, "alipay.pem", &gateway.alipay.public_key().unwrap().to_pem().unwrap());
        let alipay = Alipay::new(config, Arc::new(InProcess(gateway.router()))).unwrap();
        Self { folder, alipay }
    }
    /// Whether requests are signed with this key.
    fn signs_with(&self, key: &PrivateKey) -> bool {
        let order = PayOrder {
            attempt_id: merx_kernel::Id::from_bits(1),
            method: Method::AlipayPage,
            amount: money(1),
            subject: "x",
            started_at: START,
            expires_at: START.plus(Duration::from_secs(600)),
        };
        let Offer::Redirect(url) = self.alipay.offer(&order).unwrap() else { panic!("no address") };
        let request = GatewayRequest::parse(url.split_once('?').unwrap().1, b"").unwrap();
        request.verify(APP_ID, &key.public_key().unwrap()).is_ok()
    }
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

/// A notification as the holder of this key signs it.
fn told(key: &PrivateKey) -> Vec<u8> {
    let fields = [
        ("notify_id", "n1"),
        ("notify_time", "2026-11-20 16:30:00"),
        ("app_id", APP_ID),
        ("seller_id", crate::gateway::SELLER_ID),
        ("out_trade_no", "x1"),
        ("trade_no", "t1"),
        ("trade_status", "TRADE_SUCCESS"),
        ("total_amount", "19.99"),
    ];
    let fields = fields.iter().fold(merx_alipay::Params::new(), |f, (name, value)| f.with(*name, *value));
    merx_alipay::gateway::signed_notification(fields, key).unwrap().to_form().into_bytes()
}

fn new_keys_are_used_from_the_next_call_and_the_one_before_is_taken_for_a_while() {
    let gateway = Gateway::new();
    let rig = Rig::new(&gateway);
    let (next_app, next_alipay) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let takes = |key: &PrivateKey, at: Timestamp| rig.alipay.notification(&told(key), at).is_ok();
    assert!(!rig.alipay.reload_keys(START).unwrap().changed, "nothing is new");
    assert!(takes(&gateway.alipay, START) && !takes(&next_alipay, START));

    write(&rig.folder, "app.key", &next_app.to_pem().unwrap());
    let in_use = rig.alipay.reload_keys(START).unwrap();
    assert!(in_use.changed && in_use.key_before_accepted_until.is_none(), "Alipay's is the same");
    assert!(rig.signs_with(&next_app) && !rig.signs_with(&gateway.merchant));

    write(&rig.folder, "alipay.pem", &next_alipay.public_key().unwrap().to_pem().unwrap());
    let in_use = rig.alipay.reload_keys(START).unwrap();
    let until = START.plus(Duration::from_secs(172_800));
    assert_eq!(in_use.key_before_accepted_until, Some(until), "two days unless told");
    assert_eq!(in_use.alipay_key, next_alipay.public_key().unwrap().fingerprint().unwrap());
    assert!(takes(&next_alipay, START) && takes(&gateway.alipay, START));
    assert!(takes(&gateway.alipay, until.minus(Duration::from_millis(1))));
    assert!(!takes(&gateway.alipay, until) && takes(&next_alipay, until), "its time is over");
    assert!(!takes(&next_app, START), "a stranger's");
}

fn what_cannot_be_read_leaves_the_keys_of_before() {
    let gateway = Gateway::new();
    let rig = Rig::new(&gateway);
    let whole = gateway.merchant.to_pem().unwrap();
    for broken in ["", &whole[..whole.len() / 2], "TOP-SECRET-NONSENSE"] {
        write(&rig.folder, "app.key", broken);
        let error = rig.alipay.reload_keys(START).unwrap_err();
        assert!(error.is("payment.keys_invalid"), "{error}");
        assert_eq!(error.fields()[0].pointer, "payment.alipay.private_key_file");
        assert!(!format!("{error:?}{}", error.chain()).contains("TOP-SECRET"));
        assert!(rig.signs_with(&gateway.merchant));
    }
    write(&rig.folder, "app.key", &whole);
    assert!(!rig.alipay.reload_keys(START).unwrap().changed);
}
