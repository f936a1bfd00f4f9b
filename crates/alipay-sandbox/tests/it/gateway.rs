use axum::http::StatusCode;
use merx_alipay::{
    BeijingTime, Close, Method, OutTradeNo, Outcome, Precreate, Query, SubCode, Subject, TradeStatus, Yuan,
};

use crate::world::{NOTIFY, World, no, secs};

fn precreate(world: &World, number: &str, fen: i64, expires_in_secs: u64) -> Precreate {
    Precreate {
        out_trade_no: no(number),
        total_amount: Yuan::of_fen(fen),
        subject: Subject::nearest("茶"),
        time_expire: BeijingTime(world.clock.now().plus(secs(expires_in_secs))),
        notify_url: NOTIFY.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_is_no_trade_until_it_is_scanned() {
    let world = World::new().await;
    let asked = precreate(&world, "q1", 1_234, 600);
    let Outcome::Done(made) = world.call(&asked).await else { panic!() };
    let Outcome::Done(again) = world.call(&asked).await else { panic!() };
    assert_eq!(made, again, "the same order has the same code");
    assert_eq!(world.query("q1").await.refused_by(), Some(&SubCode::TradeNotExist));
    let page = world.get(&made.qr_code).await;
    assert!(page.body.contains("12.34"), "{}", page.body);
    let paid = world.post(&page.actions()[0], "").await;
    assert_eq!(paid.status, StatusCode::SEE_OTHER);
    assert_eq!(paid.location(), made.qr_code, "without a return URL the cashier itself says it is paid");
    assert_eq!(world.status("q1").await, TradeStatus::TradeSuccess);
    assert_eq!(world.call(&asked).await.refused_by(), Some(&SubCode::TradeHasSuccess));
    let dearer = precreate(&world, "q2", 1, 600);
    assert!(matches!(world.call(&dearer).await, Outcome::Done(_)));
    let dearer = precreate(&world, "q2", 2, 600);
    assert_eq!(world.call(&dearer).await.refused_by(), Some(&SubCode::ContextInconsistent));
}

#[tokio::test(start_paused = true)]
async fn close_ends_what_waits_and_nothing_else() {
    let world = World::new().await;
    let close = |number: &str| Close { out_trade_no: no(number) };
    assert_eq!(world.call(&close("a1")).await.refused_by(), Some(&SubCode::TradeNotExist));
    let code = world.opened("a1", 100).await;
    assert_eq!(
        world.call(&close("a1")).await.refused_by(),
        Some(&SubCode::TradeNotExist),
        "opening is not acting"
    );
    world.sandbox.log_in(&code).await.unwrap();
    assert!(matches!(world.call(&close("a1")).await, Outcome::Done(_)));
    assert_eq!(world.status("a1").await, TradeStatus::TradeClosed);
    assert_eq!(world.sandbox.pay(&code).await.unwrap_err().status, 410);
    assert_eq!(world.call(&close("a1")).await.refused_by(), Some(&SubCode::TradeStatusError));
    world.paid("a2", 100).await;
    assert_eq!(world.call(&close("a2")).await.refused_by(), Some(&SubCode::TradeStatusError), "already paid");
    assert_eq!(world.status("a2").await, TradeStatus::TradeSuccess);
}

#[tokio::test(start_paused = true)]
async fn a_query_tells_amount_and_time_of_payment() {
    let world = World::new().await;
    world.paid("a1", 8_888).await;
    let Outcome::Done(trade) = world.query("a1").await else { panic!() };
    assert_eq!(trade.total_amount.money().minor, 8_888);
    assert_eq!(trade.send_pay_date.unwrap().0.to_string(), "2026-11-20T08:30:00.000Z");
    assert_eq!(trade.trade_no.len(), 28);
}

#[tokio::test(start_paused = true)]
async fn parameters_may_come_in_the_query_in_the_body_or_both() {
    let world = World::new().await;
    world.paid("a1", 100).await;
    let query = Query { out_trade_no: no("a1") };
    let signed = world.merchant.sign(&query, world.clock.now()).unwrap();
    let (url, body) = signed.post();
    let form = signed.params().to_form();
    let answers = [
        world.post(&url, &body).await.body,
        world.get(&signed.url()).await.body,
        world.post("/gateway.do", &form).await.body,
    ];
    for answer in answers {
        assert!(matches!(world.merchant.conclude(&query, answer.as_bytes()), Outcome::Done(_)), "{answer}");
    }
    let twice = world.post(&url, &form).await.body;
    assert!(twice.contains("comes more than once"), "{twice}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_call_is_told_what_is_wrong() {
    let world = World::new().await;
    let signed = world.merchant.sign(&Query { out_trade_no: no("a1") }, world.clock.now()).unwrap();
    let with = |name: &str, value: &str| signed.params().clone().with(name, value).to_form();
    for (form, told) in [
        (with("app_id", "1"), "isv.invalid-app-id"),
        (with("biz_content", "{}"), "isv.invalid-signature"),
        (with("method", ""), "isv.missing-method"),
        (String::new(), "isv.missing-method"),
    ] {
        let page = world.post("/gateway.do", &form).await;
        assert_eq!(page.status, StatusCode::OK, "the gateway refuses inside its answer");
        assert!(page.body.starts_with("{\"error_response\":") && page.body.contains(told), "{}", page.body);
        let query = Query { out_trade_no: OutTradeNo::new("a1").unwrap() };
        let seen = world.merchant.conclude(&query, page.body.as_bytes());
        assert!(matches!(seen, Outcome::Misused(_)), "{seen:?}");
    }
}

#[derive(serde::Serialize)]
struct Unheard {}
impl Method for Unheard {
    const METHOD: &'static str = "alipay.trade.unheard";
}

#[derive(serde::Serialize)]
struct BareQuery {
    out_trade_no: i64,
}
impl Method for BareQuery {
    const METHOD: &'static str = "alipay.trade.query";
}

#[tokio::test(start_paused = true)]
async fn unknown_methods_and_wrong_content_are_named() {
    let world = World::new().await;
    let url = world.merchant.sign(&Unheard {}, world.clock.now()).unwrap().url();
    assert!(world.get(&url).await.body.contains("alipay.trade.unheard"));
    let url = world.merchant.sign(&BareQuery { out_trade_no: 1 }, world.clock.now()).unwrap().url();
    let body = world.get(&url).await.body;
    assert!(body.contains("ACQ.INVALID_PARAMETER") && body.contains("expected a string"), "{body}");
}
