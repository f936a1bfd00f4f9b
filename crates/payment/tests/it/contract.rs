//! What every provider must do, on each there is: Alipay through the double in process, and money that staff confirms.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use libtest_mimic::Trial;
use merx_alipay::PrivateKey;
use merx_alipay_sandbox::{Config, Reply, Sandbox};
use merx_contracts::ids::{AccountId, AttemptId, RefundId};
use merx_kernel::{Clock, Id, IdGen, Money, Secret, Timestamp, clock::BoxFuture};
use merx_payment::{
    AlipayConfig, Instructions, OfflineConfig,
    domain::{Method, ProviderName},
    provider::{
        Alipay, BillDate, CallBook, InProcess, Offer, Offline, PayOrder, Prepared, Provider, RefundAnswer,
        RefundOrder, Trade,
    },
    store::{self, offline},
};
use merx_platform::{
    Tasks,
    time::{SeededEntropy, VirtualClock},
};
use merx_sql::{Db, DbOptions};

use crate::world::money;

const APP: &str = "2021000000000001";
const SELLER: &str = "2088000000000001";
const PAID: i64 = 8_888;

pub fn trials() -> Vec<Trial> {
    macro_rules! suite {
        ($($test:ident),+ $(,)?) => {
            vec![$(
                trial(concat!("contract::", stringify!($test), " [alipay]"), || async { $test(at_alipay().await).await }),
                trial(concat!("contract::", stringify!($test), " [offline]"), || async { $test(by_hand().await).await }),
            )+]
        };
    }
    suite![
        each_method_gives_the_buyer_what_it_says,
        an_attempt_waits_until_it_is_paid_or_closed,
        what_is_paid_is_not_closed,
        money_goes_back_once_under_one_number,
        a_refund_that_nobody_asked_for_is_not_through,
        what_anybody_sends_is_not_believed,
        a_bill_is_what_the_provider_says_or_nothing,
    ]
}

fn trial<R: Future<Output = ()>>(name: &str, test: impl Fn() -> R + Send + 'static) -> Trial {
    Trial::test(name.to_owned(), move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build()?.block_on(test());
        Ok(())
    })
}

/// What the world outside does, by provider.
enum Outside {
    Alipay { sandbox: Sandbox, _tasks: Tasks },
    Staff(Db),
}

struct Rig {
    provider: Arc<dyn Provider>,
    outside: Outside,
    clock: Arc<dyn Clock>,
    book: CallBook,
}

static SHOP_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());
static ALIPAY_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().unwrap());

fn ground() -> (Arc<dyn Clock>, Arc<SeededEntropy>, CallBook) {
    let start = Timestamp::parse_rfc3339("2026-11-20T08:30:00Z").unwrap();
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(start));
    let entropy = Arc::new(SeededEntropy::new(7));
    let book = CallBook::new(clock.clone(), IdGen::new(clock.clone(), entropy.clone()));
    (clock, entropy, book)
}

async fn at_alipay() -> Rig {
    let (clock, entropy, book) = ground();
    let tasks = Tasks::new(clock.clone(), entropy.clone());
    let db = Db::inline(DbOptions::new(clock.clone()), &[]).unwrap();
    let public = SHOP_KEY.public_key().unwrap();
    let config = Config::new(APP, SELLER, public, ALIPAY_KEY.clone(), "http://alipay.test");
    let taken = |_: String, _: String| -> BoxFuture<Result<Reply, String>> {
        Box::pin(async { Ok(Reply { status: 200, body: "success".to_owned() }) })
    };
    let started = Sandbox::start(config, db, clock.clone(), entropy, &tasks, Arc::new(taken)).await;
    let (router, sandbox) = started.unwrap();
    let config = AlipayConfig::new(
        APP,
        SELLER,
        "http://alipay.test/gateway.do",
        Secret::new(SHOP_KEY.to_pem().unwrap()),
        ALIPAY_KEY.public_key().unwrap().to_pem().unwrap(),
        "http://shop.test/n",
    );
    let provider = Arc::new(Alipay::new(config, Arc::new(InProcess(router))).unwrap());
    Rig { provider, outside: Outside::Alipay { sandbox, _tasks: tasks }, clock, book }
}

async fn by_hand() -> Rig {
    let (clock, _, book) = ground();
    let db = Db::inline(DbOptions::new(clock.clone()), &[]).unwrap();
    db.migrate("payment", &store::migrations()).await.unwrap();
    let text = |text: &str| Some(Instructions::new(text).unwrap());
    let config = OfflineConfig { bank_transfer: text("account 1"), cash_on_delivery: text("cash") };
    let provider = Arc::new(Offline::new(db.clone(), config));
    Rig { provider, outside: Outside::Staff(db), clock, book }
}

const fn attempt(n: u128) -> AttemptId {
    Id::from_bits(n)
}
const fn refund(n: u128) -> RefundId {
    Id::from_bits(n)
}

impl Rig {
    fn order(&self, attempt_id: AttemptId, method: Method) -> PayOrder<'static> {
        let started_at = self.clock.now();
        let expires_at = started_at.plus(Duration::from_secs(1_740));
        PayOrder { attempt_id, method, amount: money(PAID), subject: "tea", started_at, expires_at }
    }
    fn methods(&self) -> impl Iterator<Item = Method> {
        let name = self.provider.name();
        Method::ALL.iter().copied().filter(move |method| method.provider() == name)
    }
    /// The first method by which the buyer is sent somewhere.
    fn usual(&self) -> Method {
        self.methods().next().unwrap()
    }
    fn back(&self, refund_id: RefundId, amount: Money) -> RefundOrder {
        RefundOrder { attempt_id: attempt(1), refund_id, amount, reason: "test".to_owned() }
    }
    async fn query(&self, n: u128) -> Trade {
        self.provider.query(attempt(n), &self.book).await.unwrap()
    }

    /// The buyer begins and does not pay yet.
    async fn begin(&self, n: u128) {
        let offer = self.provider.offer(&self.order(attempt(n), self.usual())).unwrap();
        match (&self.outside, offer) {
            (Outside::Alipay { sandbox, .. }, Offer::Redirect(url)) => {
                let code = sandbox.open(&url).await.unwrap();
                sandbox.log_in(&code).await.unwrap();
            }
            (Outside::Staff(_), Offer::Instructions(_)) => {}
            (_, other) => panic!("{other:?}"),
        }
    }
    /// The buyer's money is there.
    async fn pay(&self, n: u128) {
        match &self.outside {
            Outside::Alipay { sandbox, .. } => {
                let Offer::Redirect(url) =
                    self.provider.offer(&self.order(attempt(n), self.usual())).unwrap()
                else {
                    panic!("no address")
                };
                let code = sandbox.open(&url).await.unwrap();
                assert!(sandbox.pay(&code).await.unwrap().now);
            }
            Outside::Staff(db) => {
                let said = self.said();
                let receipt = Id::from_bits(n << 8);
                let confirm = move |tx: &mut merx_sql::Tx<'_>| {
                    offline::confirm(tx, attempt(n), receipt, money(PAID), &said)
                };
                assert!(db.write("test.confirm", confirm).await.unwrap());
            }
        }
    }
    /// What is left to people of a refund is done.
    async fn carry_out(&self, refund_id: RefundId) {
        if let Outside::Staff(db) = &self.outside {
            let said = self.said();
            let confirm = move |tx: &mut merx_sql::Tx<'_>| offline::confirm_refund(tx, refund_id, &said);
            db.write("test.confirm_refund", confirm).await.unwrap();
        }
    }
    fn said(&self) -> offline::KeptWord {
        let (reference, reason) = (Some("slip 1".to_owned()), Some("seen".to_owned()));
        offline::KeptWord { reference, reason, by: AccountId::from_bits(1), at: self.clock.now() }
    }
}

async fn each_method_gives_the_buyer_what_it_says(rig: Rig) {
    for (n, method) in rig.methods().enumerate() {
        let order = rig.order(attempt(n as u128 + 1), method);
        let offer = rig.provider.offer(&order).unwrap();
        assert_eq!(offer, rig.provider.offer(&order).unwrap(), "the same order gives the same");
        let fits = match method {
            Method::AlipayPage | Method::AlipayWap => {
                matches!(&offer, Offer::Redirect(url) if url.starts_with("http"))
            }
            Method::AlipayQr => offer == Offer::QrCode,
            Method::AlipayApp => {
                matches!(&offer, Offer::AppOrder(text) if text.contains("alipay.trade.app.pay"))
            }
            Method::BankTransfer | Method::CashOnDelivery => matches!(&offer, Offer::Instructions(_)),
        };
        assert!(fits, "{method:?}: {offer:?}");
        let Outside::Alipay { sandbox, .. } = &rig.outside else { continue };
        let place = match offer {
            Offer::QrCode => match rig.provider.precreate(&order, &rig.book).await.unwrap() {
                Prepared::Code(url) => url.rsplit('/').next().unwrap().to_owned(),
                other => panic!("{other:?}"),
            },
            Offer::Redirect(text) | Offer::AppOrder(text) => sandbox.open(&text).await.unwrap(),
            Offer::Instructions(text) => panic!("{text}"),
        };
        assert!(sandbox.pay(&place).await.unwrap().now, "{method:?} can be paid");
        assert!(matches!(rig.query(n as u128 + 1).await, Trade::Paid { .. }));
    }
    for method in Method::ALL.iter().filter(|method| method.provider() != rig.provider.name()) {
        assert!(rig.provider.offer(&rig.order(attempt(99), *method)).is_err(), "{method:?} is another's");
    }
}

async fn an_attempt_waits_until_it_is_paid_or_closed(rig: Rig) {
    assert!(matches!(rig.query(1).await, Trade::Absent | Trade::Waiting));
    rig.begin(1).await;
    assert_eq!(rig.query(1).await, Trade::Waiting);
    assert!(rig.provider.close(attempt(1), &rig.book).await.unwrap());
    assert_eq!(rig.query(1).await, Trade::Closed);
    // Again it may say either; it is closed.
    rig.provider.close(attempt(1), &rig.book).await.unwrap();
    assert_eq!(rig.query(1).await, Trade::Closed);
    assert!(matches!(rig.query(2).await, Trade::Absent | Trade::Waiting), "another is another");
}

async fn what_is_paid_is_not_closed(rig: Rig) {
    rig.begin(1).await;
    rig.pay(1).await;
    let Trade::Paid { amount, provider_trade_no } = rig.query(1).await else { panic!("not paid") };
    assert_eq!(amount, money(PAID));
    assert!(!provider_trade_no.is_empty() && provider_trade_no.len() <= 64);
    assert!(!rig.provider.close(attempt(1), &rig.book).await.unwrap(), "paid is paid");
    assert_eq!(rig.query(1).await, Trade::Paid { amount, provider_trade_no });
}

async fn money_goes_back_once_under_one_number(rig: Rig) {
    rig.begin(1).await;
    rig.pay(1).await;
    let part = rig.back(refund(1), money(3_000));
    for _ in 0..3 {
        let answer = rig.provider.refund(&part, &rig.book).await.unwrap();
        assert!(matches!(answer, RefundAnswer::Succeeded | RefundAnswer::Pending(_)), "{answer:?}");
        rig.carry_out(refund(1)).await;
        rig.clock.sleep(Duration::from_secs(4)).await;
    }
    assert_eq!(rig.provider.refund(&part, &rig.book).await.unwrap(), RefundAnswer::Succeeded);
    assert_eq!(rig.provider.refund_query(&part, &rig.book).await.unwrap(), RefundAnswer::Succeeded);
    let other = rig.back(refund(1), money(3_001));
    let refused = rig.provider.refund(&other, &rig.book).await.unwrap();
    assert!(matches!(refused, RefundAnswer::Failed { .. }), "the number with another amount: {refused:?}");
    let rest = rig.back(refund(2), money(PAID - 3_000));
    rig.provider.refund(&rest, &rig.book).await.unwrap();
    rig.carry_out(refund(2)).await;
    assert_eq!(rig.provider.refund_query(&rest, &rig.book).await.unwrap(), RefundAnswer::Succeeded);
    if let Outside::Alipay { sandbox, .. } = &rig.outside {
        assert_eq!(sandbox.ledger().await.unwrap().len(), 3, "one payment, two refunds");
    }
}

async fn a_refund_that_nobody_asked_for_is_not_through(rig: Rig) {
    rig.begin(1).await;
    rig.pay(1).await;
    let answer = rig.provider.refund_query(&rig.back(refund(1), money(1)), &rig.book).await.unwrap();
    assert!(matches!(answer, RefundAnswer::Pending(_)), "{answer:?}");
}

async fn what_anybody_sends_is_not_believed(rig: Rig) {
    let now = rig.clock.now();
    for form in ["", "a=b", "out_trade_no=1&trade_status=TRADE_SUCCESS&sign_type=RSA2&sign=AAAA", "%"] {
        let error = rig.provider.notification(form.as_bytes(), now).unwrap_err();
        assert!(!error.is("payment.notification_unreadable"), "{form}: {error}");
    }
    let Outside::Alipay { sandbox, .. } = &rig.outside else { return };
    rig.begin(1).await;
    rig.pay(1).await;
    let (_, form) = sandbox.forge(&attempt(1).bare(), &[]).await.unwrap();
    let notice = rig.provider.notification(form.as_bytes(), now).unwrap();
    assert_eq!((notice.order_number, notice.amount), (attempt(1).bare(), money(PAID)));
    assert!(notice.foreign.is_empty());
    let wrong = [("app_id".to_owned(), "1".to_owned())];
    let (_, form) = sandbox.forge(&attempt(1).bare(), &wrong).await.unwrap();
    let notice = rig.provider.notification(form.as_bytes(), now).unwrap();
    assert_eq!(
        notice.misfits(money(1)).iter().map(|m| m.field).collect::<Vec<_>>(),
        ["app_id", "total_amount"]
    );
}

async fn a_bill_is_what_the_provider_says_or_nothing(rig: Rig) {
    rig.begin(1).await;
    rig.pay(1).await;
    let today = BillDate::of(rig.clock.now());
    assert_eq!(rig.provider.daily_bill(today, &rig.book).await.unwrap(), None, "the day is not over");
    rig.clock.sleep(Duration::from_secs(24 * 3_600)).await;
    let bill = rig.provider.daily_bill(today, &rig.book).await.unwrap();
    match rig.provider.name() {
        ProviderName::Alipay => assert!(bill.unwrap().starts_with(b"PK"), "a ZIP"),
        ProviderName::Offline => assert_eq!(bill, None),
    }
}
