use axum::http::StatusCode;
use merx_alipay::{Outcome, Params, SubCode, TradeStatus};
use merx_alipay_sandbox::EntryKind;

use crate::world::{APP, World, secs};

#[tokio::test(start_paused = true)]
async fn opening_the_page_makes_no_trade() {
    let world = World::new().await;
    let url = world.pay_url("a1", 8_888);
    let page = world.get(&url).await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "88.88",
        "a1",
        "两只茶杯 &lt;two&gt; &quot;cups&quot;",
        "确认付款",
        "Confirm payment",
        "<svg",
        "lang=\"en\"",
    ] {
        assert!(page.body.contains(text), "{text} is missing in {}", page.body);
    }
    assert!(!page.body.contains("<script"), "it works without JavaScript");
    assert!(page.headers.get("set-cookie").is_none());
    let refused = world.query("a1").await;
    assert_eq!(refused.refused_by(), Some(&SubCode::TradeNotExist));
    assert!(world.sandbox.ledger().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plain_post_to_the_forms_address_pays_once() {
    let world = World::new().await;
    let page = world.get(&world.pay_url("a1", 8_888)).await;
    let [pay, login] = page.actions().try_into().unwrap();
    assert!(pay.starts_with("http://alipay.example/cashier/") && pay.ends_with("/payment"), "{pay}");
    assert!(login.ends_with("/login"));
    let paid = world.post(&pay, "").await;
    assert_eq!(paid.status, StatusCode::SEE_OTHER);
    let (to, hash) = paid.location().split_once('#').unwrap();
    assert_eq!(hash, "paid");
    let (to, added) = to.split_once("from=alipay&").unwrap();
    assert_eq!(to, "http://shop.example/orders/1?");
    let added = Params::from_form(added.as_bytes()).unwrap();
    assert_eq!((added.get("app_id"), added.get("total_amount")), (Some(APP), Some("88.88")));
    assert_eq!(added.get("trade_status"), None, "the way back says nothing about the money");
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);

    assert_eq!(world.post(&pay, "").await.status, StatusCode::SEE_OTHER, "a second click goes back as well");
    let ledger = world.sandbox.ledger().await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].kind, ledger[0].amount.minor), (EntryKind::Capture, 8_888));
    let again = world.get(pay.strip_suffix("/payment").unwrap()).await;
    assert!(again.body.contains("已付款") && again.actions().is_empty());
    assert!(again.body.contains("Back to the shop"));
}

#[tokio::test(start_paused = true)]
async fn logging_in_begins_the_trade() {
    let world = World::new().await;
    let page = world.get(&world.pay_url("a1", 100)).await;
    let login = &page.actions()[1];
    let done = world.post(login, "").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let Outcome::Done(trade) = world.query("a1").await else { panic!() };
    assert_eq!(trade.trade_status, TradeStatus::WaitBuyerPay);
    let page = world.get(done.location()).await;
    assert_eq!(page.actions().len(), 1, "only the payment is left to do");
    assert!(page.body.contains(&trade.trade_no));
    world.post(&page.actions()[0], "").await;
    assert_eq!(world.status("a1").await, TradeStatus::TradeSuccess);
}

#[tokio::test(start_paused = true)]
async fn after_the_expiry_the_page_refuses() {
    let world = World::new().await;
    let url = world.pay_url("a1", 100);
    let pay = world.get(&url).await.actions()[0].clone();
    let waiting = world.opened("a2", 100).await;
    world.sandbox.log_in(&waiting).await.unwrap();
    world.pass(secs(29 * 60)).await;
    for page in [world.get(&url).await, world.post(&pay, "").await] {
        assert_eq!(page.status, StatusCode::GONE);
        assert!(page.actions().is_empty(), "nothing to pay with");
    }
    let refused = world.sandbox.pay(&waiting).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (410, "ACQ.TRADE_HAS_CLOSE"));
    assert_eq!(world.status("a2").await, TradeStatus::TradeClosed, "an unpaid trade closes by itself");
    assert_eq!(world.query("a1").await.refused_by(), Some(&SubCode::TradeNotExist));
    world.pass(secs(1)).await;
    assert_eq!(world.notified_statuses(), [TradeStatus::TradeClosed]);
}

#[tokio::test(start_paused = true)]
async fn only_what_the_merchant_signed_can_be_paid() {
    let world = World::new().await;
    let url = world.pay_url("a1", 8_888);
    let cheaper = world.get(&url.replace("88.88", "00.01")).await;
    assert_eq!(cheaper.status, StatusCode::BAD_REQUEST);
    assert!(cheaper.body.contains("isv.invalid-signature") && cheaper.actions().is_empty());
    assert_eq!(world.get("/gateway.do?method=alipay.trade.page.pay").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/cashier/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post("/cashier/nothing/payment", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn one_number_has_one_amount() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    let other = world.opened("a1", 200).await;
    let refused = world.sandbox.pay(&other).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (409, "ACQ.CONTEXT_INCONSISTENT"));
    assert_eq!(world.sandbox.ledger().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_post_with_the_parameters_in_the_body_opens_the_same_page() {
    let world = World::new().await;
    let signed = world.merchant.sign(&world.page_pay("a1", 100), world.clock.now()).unwrap();
    let (url, body) = signed.post();
    let split = world.post(&url, &body).await;
    let whole = world.get(&signed.url()).await;
    assert_eq!(split.actions(), whole.actions());
}
