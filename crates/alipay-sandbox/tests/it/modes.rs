//! Certificate mode, encrypted contents, the pages of phones and apps, the bill.

use axum::http::StatusCode;
use merx_alipay::{
    AppPay, BillDate, BillQuery, ContentKey, Merchant, Outcome, Pay, PrivateKey, Query, SubCode, TradeStatus,
    WapPay, Yuan, gateway::CertificateMode,
};
use merx_alipay_sandbox::{Fault, Spoiled};

use crate::world::{APP, SELLER, World, no, secs};

macro_rules! certificate {
    ($name:literal) => {
        include_str!(concat!("../../../alipay/tests/it/certificates/", $name))
    };
}

fn content_key() -> ContentKey {
    ContentKey::parse("AAECAwQFBgcICQoLDA0ODw==").unwrap()
}

async fn certified() -> World {
    let (app, alipay, root) = (certificate!("app.pem"), certificate!("alipay.pem"), certificate!("root.pem"));
    let (app_key, alipay_key) = (certificate!("app.key"), certificate!("alipay.key"));
    let key = || PrivateKey::parse(app_key).unwrap();
    let set_up = |config: &mut merx_alipay_sandbox::Config| {
        config.merchant_key = key().public_key().unwrap();
        config.alipay_key = PrivateKey::parse(alipay_key).unwrap();
        config.certificates = Some(CertificateMode::of(app, alipay, root).unwrap());
    };
    let other = PrivateKey::generate().unwrap().public_key().unwrap();
    let merchant = Merchant::new("http://alipay.example/gateway.do", APP, SELLER, key(), other);
    World::set_up(set_up, |_| merchant.with_certificates(app, alipay, root).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn in_certificate_mode_both_sides_name_their_certificates() {
    let world = certified().await;
    world.paid("a1", 100).await;
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
    assert_eq!(world.notified_statuses(), [TradeStatus::TradeSuccess]);
    let signed = world.merchant.sign(&Query { out_trade_no: no("a1") }, world.clock.now()).unwrap();
    let (url, body) = signed.post();
    assert!(world.post(&url, &body).await.body.contains("\"alipay_cert_sn\":\""));
    // The same application without the numbers: signed well, and refused.
    let key = PrivateKey::parse(certificate!("app.key")).unwrap();
    let alipay = PrivateKey::parse(certificate!("alipay.key")).unwrap().public_key().unwrap();
    let bare = Merchant::new("http://alipay.example/gateway.do", APP, SELLER, key, alipay);
    let (url, body) = bare.sign(&Query { out_trade_no: no("a1") }, world.clock.now()).unwrap().post();
    assert!(world.post(&url, &body).await.body.contains("isv.missing-app-cert-sn"));
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_call_is_answered_encrypted_and_one_in_the_clear_in_the_clear() {
    let set_up = |config: &mut merx_alipay_sandbox::Config| config.content_key = Some(content_key());
    let world = World::set_up(set_up, |merchant| merchant.with_content_key(content_key())).await;
    world.paid("a1", 8_888).await;
    let Outcome::Done(trade) = world.query("a1").await else { panic!() };
    assert_eq!(trade.total_amount.money().minor, 8_888);
    assert_eq!(world.query("a2").await.refused_by(), Some(&SubCode::TradeNotExist));
    let (url, body) =
        world.merchant.sign(&Query { out_trade_no: no("a1") }, world.clock.now()).unwrap().post();
    let text = world.post(&url, &body).await.body;
    assert!(!text.contains("88.88") && text.starts_with("{\"alipay_trade_query_response\":\""), "{text}");
    for fault in [Fault::HalfAnswer(Spoiled::any()), Fault::WrongSignature(Spoiled::any())] {
        world.arm(fault, 1);
        assert!(world.query("a1").await.is_unknown());
    }
    let clear = World::new().await;
    let (url, body) =
        world.merchant.sign(&Query { out_trade_no: no("a1") }, world.clock.now()).unwrap().post();
    assert!(clear.post(&url, &body).await.body.contains("isv.invalid-encrypt-type"), "it has no key");
}

#[tokio::test(start_paused = true)]
async fn a_phone_and_an_app_pay_as_a_page_does() {
    let world = World::new().await;
    let page = world.page_pay("unused", 100);
    let wap: WapPay =
        Pay::new(no("w1"), Yuan::of_fen(100), page.subject.clone(), page.time_expire, crate::world::NOTIFY)
            .returning_to("http://shop.example/back");
    let app: AppPay =
        Pay::new(no("p1"), Yuan::of_fen(200), page.subject, page.time_expire, crate::world::NOTIFY);
    let (wap, app) =
        (world.merchant.sign(&wap, world.clock.now()), world.merchant.sign(&app, world.clock.now()));
    let (wap, app) = (wap.unwrap().url(), app.unwrap().order_text());
    let shown = world.get(&wap).await;
    assert!(shown.body.contains("Alipay in the browser of a phone"), "{}", shown.body);
    let paid = world.post(&shown.actions()[0], "").await;
    assert!(paid.location().contains("method=alipay.trade.wap.pay.return"), "{}", paid.location());
    let code = world.sandbox.open(&app).await.unwrap();
    let shown = world.get(&format!("/cashier/{code}")).await;
    assert!(shown.body.contains("Alipay inside the shop"), "{}", shown.body);
    assert!(world.sandbox.pay(&code).await.unwrap().return_to.is_none());
    assert_eq!(world.status("w1").await, TradeStatus::TradeSuccess);
    assert_eq!(world.status("p1").await, TradeStatus::TradeSuccess);
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_and_not_through_is_not_done() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    world.arm(Fault::GatewayInProgress(Spoiled::any()), 1);
    assert_eq!(world.query("a1").await, Outcome::InProgress);
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
}

#[tokio::test(start_paused = true)]
async fn a_bill_is_fetched_once_its_day_is_over_and_soon_after_it_was_asked_for() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    let today = BillDate::of(world.clock.now());
    let refused = world.call(&BillQuery::new(today)).await;
    assert_eq!(refused.refused_by(), Some(&SubCode::BillNotExist), "the day is not over");
    world.pass(secs(24 * 3_600)).await;
    let Outcome::Done(placed) = world.call(&BillQuery::new(today)).await else { panic!("no bill") };
    let fetched = world.fetch_bytes(&placed.bill_download_url).await;
    assert_eq!(fetched.0, StatusCode::OK);
    assert!(fetched.1.starts_with(b"PK"), "a ZIP");
    let other_day = placed.bill_download_url.replace(&today.to_string(), &today.before().to_string());
    assert_eq!(world.fetch_bytes(&other_day).await.0, StatusCode::FORBIDDEN);
    world.pass(secs(31)).await;
    assert_eq!(world.fetch_bytes(&placed.bill_download_url).await.0, StatusCode::FORBIDDEN);
}
