//! Clocks that are wrong (T30): ten minutes off against client and provider, set back an hour while the shop works, across
//! the end of a year and the begin of summer time. Orders go on, deadlines and tokens hold as stated by the shop's own
//! clock, and nothing ever takes a negative time.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use merx_alipay_sandbox::{Sandbox, Web};
use merx_http::Limits;
use merx_kernel::{Clock as _, Timestamp};
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use merx_server::{
    client::{ApiClient, Reply, text},
    demo::{self, Demo},
    instance::{self, Mode},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{crowd::Crowd, missing, not_run, proof, size};
use crate::process::{
    buyers::{Buyer, restock},
    harness::{SEED, Site, say, until, within},
    placed,
};

/// How long an order may stay unpaid where clocks are off: by the provider's clock a pay link holds ten minutes less.
const WINDOW_S: u64 = 1_800;
/// And where they jump.
const SHORT_WINDOW_S: u64 = 75;
/// How far the two readings of a clock in one exchange may lie apart on a slow machine.
const EXCHANGE_MAX: Duration = Duration::from_secs(30);
/// A late refund, a trade that is closed once it has run out: what began must come to rest.
const REST_WITHIN: Duration = Duration::from_secs(240);

/// Where Debian's package `faketime` keeps its library, or where the variable says.
fn faketime() -> Option<String> {
    let told = std::env::var("MERX_TEST_FAKETIME").ok();
    let usual = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"));
    told.into_iter().chain(usual).find(|path| Path::new(path).exists())
}

/// The clock of the processes of a site. What measures durations is left alone, as on a machine whose clock is set.
struct FakeClock {
    file: PathBuf,
}

impl FakeClock {
    fn of(site: &mut Site, library: &str) -> Self {
        let file = Path::new(site.data()).parent().expect("a folder above").join("clock");
        let clock = Self { file };
        clock.set(0);
        clock.also_of(site, library);
        clock
    }
    fn also_of(&self, site: &mut Site, library: &str) {
        site.set_env("LD_PRELOAD", library);
        site.set_env("FAKETIME_TIMESTAMP_FILE", self.file.to_str().expect("a plain path"));
        site.set_env("FAKETIME_NO_CACHE", "1");
        site.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        site.set_env("DONT_FAKE_MONOTONIC", "1");
    }
    /// So many seconds from the true time.
    fn set(&self, offset_s: i64) {
        let beside = self.file.with_extension("new");
        let written = fs::write(&beside, format!("{offset_s:+}"));
        written.and_then(|()| fs::rename(&beside, &self.file)).expect("written");
    }
}

/// No figure of the shop is negative, and no duration in its log.
async fn assert_no_negative_duration(site: &Site) -> usize {
    let metrics = site.metrics().await;
    let figures: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let negative = |line: &&&str| line.rsplit(' ').next().is_some_and(|value| value.starts_with('-'));
    let wrong: Vec<_> = figures.iter().filter(negative).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let log = site.stderr();
    assert!(!log.lines().any(|line| line.contains("_ms=-") || line.contains("_s=-")), "{log}");
    figures.len()
}

/// What the shop shows of an order.
async fn shown(buyer: &Buyer, order: &str) -> Value {
    buyer
        .client
        .get(&format!("/v1/orders/{order}"))
        .await
        .and_then(Reply::ok)
        .expect("an order that is there")
}

/// Places an order; answers what the shop shows of it.
async fn order(buyer: &mut Buyer) -> Value {
    loop {
        let Some((path, body)) = buyer.checkout().await else { continue };
        let reply = buyer.client.post(&path, &body).await.expect("answered");
        // The fact of an earlier order may not yet have emptied the cart.
        if reply.status == 409 && reply.text("/code") == "ordering.quote_accepted" {
            continue;
        }
        let id = text(&reply.ok().expect("an order"), "/id");
        return until("an order that awaits its payment", || async {
            Some(shown(buyer, &id).await).filter(|order| text(order, "/status") == "awaiting_payment")
        })
        .await;
    }
}

/// Pays an order at the cashier, until the shop says so too.
async fn pay(buyer: &Buyer, order: &Value) {
    let path = format!("/v1/payments/{}/attempts", text(order, "/payment_id"));
    let attempt = buyer.client.post(&path, &json!({"method": "alipay_page"})).await.and_then(Reply::ok);
    buyer.client.pay(&text(&attempt.expect("an attempt"), "/pay_url")).await.expect("the cashier takes it");
    let id = text(order, "/id");
    until("a paid order", || async { (text(&shown(buyer, &id).await, "/status") == "paid").then_some(()) })
        .await;
}

/// Waits until an order is cancelled; answers what the shop then shows of it.
async fn cancelled(buyer: &Buyer, order: &Value) -> Value {
    let id = text(order, "/id");
    within(REST_WITHIN, "a cancelled order", || async {
        Some(shown(buyer, &id).await).filter(|order| text(order, "/status") == "cancelled")
    })
    .await
}

/// The moment at a pointer.
fn moment(value: &Value, pointer: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&text(value, pointer)).expect("a moment")
}

/// How a request with this token is answered: the status and the code.
async fn answered(client: &ApiClient) -> (u16, String) {
    let reply = client.get("/v1/orders").await.expect("answered");
    (reply.status.as_u16(), reply.text("/code"))
}

/// The provider, in this process, by the true clock.
async fn provider(site: &Site, tasks: &Tasks) -> CancellationToken {
    let demo = site.demo();
    let db = instance::open_sandbox_db(Path::new(site.data()), Mode::ReadWrite).expect("a database");
    let web = Arc::new(Web::new().expect("a client"));
    let config = demo::sandbox_config(&demo).expect("keys");
    let started = Sandbox::start(config, db, Arc::new(SystemClock), Arc::new(OsEntropy), tasks, web).await;
    let (pages, _) = started.expect("a sandbox");
    let address = demo.place.sandbox_url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind(&address).await.expect("the sandbox's port");
    let (stop, serving) = (CancellationToken::new(), tasks.clone());
    let end = stop.clone();
    drop(tasks.spawn("sandbox", async move {
        merx_http::serve(listener, pages, &Limits::default(), &[], &serving, end.cancelled()).await;
    }));
    stop
}

/// The configuration of a shop on the data folder of a demo, whose provider is the demo's.
fn served(demo: &Demo, data: &str, listen: &str) -> String {
    let (_, sandbox_key) = demo.sandbox_keys().expect("keys");
    let alipay_key = sandbox_key.public_key().and_then(|key| key.to_pem()).expect("PEM");
    format!(
        "version = 1\ndata_dir = \"{data}\"\n[http]\nlisten = \"{listen}\"\n[http.limits]\n\
         client_requests_per_minute_max = 60000000\nclient_burst_max = 12000000\n[orders]\npayment_deadline_s = {WINDOW_S}\n\
         [payment.alipay]\napp_id = \"{}\"\nseller_id = \"{}\"\ngateway_url = \"{}/gateway.do\"\n\
         notify_url = \"http://{listen}/v1/payments/alipay/notifications\"\nprivate_key = '''{}'''\n\
         alipay_public_key = '''{alipay_key}'''\n",
        demo::APP_ID,
        demo::SELLER_ID,
        demo.place.sandbox_url,
        demo.merchant_key,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_off_against_client_and_provider_changes_nothing() {
    let Some(library) = faketime() else { return missing("T30 clock skew", "no libfaketime") };
    not_run("T30 two nodes share no lease", "leases do not exist yet");
    let orders = size("MERX_T30", 1);
    let wait_out = std::env::var("MERX_T30").is_ok();
    let mut made = Site::new(&[]);
    let mut guests = made.invite(2);
    made.start().await;
    restock(&made).await;
    made.stop().await;
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let stop = provider(&made, &tasks).await;

    let (demo, data) = (made.demo(), made.data().to_owned());
    let mut site = Site::configured(|_, listen| served(&demo, &data, listen));
    let clock = FakeClock::of(&mut site, &library);
    clock.also_of(&mut made, &library);
    let (mut figures, mut others_token) = (0, None::<ApiClient>);
    for offset_s in [600, -600_i64] {
        clock.set(offset_s);
        site.start().await;
        let account = guests.remove(0);
        let mut buyer = Buyer::arrive(&site, account.clone()).await;
        if let Some(token) = others_token.take() {
            // Made by a clock twenty minutes ahead of this one.
            assert_eq!(answered(&token).await, (401, "request.token_invalid".to_owned()));
        }
        let unpaid = order(&mut buyer).await;
        let by_its_clock = moment(&unpaid, "/created_at").as_millis() - offset_s * 1_000;
        let off = by_its_clock.abs_diff(SystemClock.now().as_millis());
        assert!(off < EXCHANGE_MAX.as_millis() as u64, "{off} ms");
        let window = moment(&unpaid, "/payment_deadline").since(moment(&unpaid, "/created_at"));
        assert_eq!(window.as_secs(), WINDOW_S);
        for _ in 0..orders {
            let order = order(&mut buyer).await;
            pay(&buyer, &order).await;
        }
        if wait_out {
            let (deadline, left) = (moment(&unpaid, "/payment_deadline"), WINDOW_S as i64);
            assert_eq!(text(&shown(&buyer, &text(&unpaid, "/id")).await, "/status"), "awaiting_payment");
            clock.set(offset_s + left + 1);
            let buyer = Buyer::arrive(&site, account).await;
            let ended = cancelled(&buyer, &unpaid).await;
            assert!(
                moment(&ended, "/cancellation/cancelled_at") >= deadline,
                "cancelled before its deadline: {ended}"
            );
        }
        figures += assert_no_negative_duration(&site).await;
        made.succeed(&["audit"]);
        others_token = Some(buyer.client.clone());
        site.stop().await;
    }
    stop.cancel();
    site.assert_no_panic();
    let figure = format!(
        "{} orders paid, each unpaid order {}, windows of {WINDOW_S} s to the second by the shop's clock; a token from 20 \
         minutes ahead refused; 0 of {figures} figures negative; audit clean against the provider's ledger",
        2 * orders,
        if wait_out { "cancelled after its deadline" } else { "still open" },
    );
    proof("T30", "clock 10 minutes ahead of and behind client and provider", orders, &figure, None);
}

/// Seconds from now until a moment.
fn seconds_until(moment: &str) -> i64 {
    let at = Timestamp::parse_rfc3339(moment).expect("a moment");
    at.as_secs() - SystemClock.now().as_secs()
}

/// Tokens hold from their begin, less a leeway, to their end, by the clock as it is now.
async fn tokens_follow(clock: &FakeClock, site: &Site) {
    let account = site.demo().accounts[0].clone();
    let client = site.visitor().log_in(&account.email, &account.password).await.expect("logged in");
    let life_s = 600;
    for (offset_s, expected) in [
        (-3, (200, "")),
        (-60, (401, "request.token_invalid")),
        (life_s - 40, (200, "")),
        (life_s + 40, (401, "request.token_expired")),
        (0, (200, "")),
    ] {
        clock.set(offset_s);
        let (status, code) = answered(&client).await;
        assert_eq!((status, code.as_str()), expected, "{offset_s} s after it was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_loses_no_order() {
    let Some(library) = faketime() else { return missing("T30 clock jumps", "no libfaketime") };
    let more = size("MERX_T30", 2);
    say(&format!("SEED={}", *SEED));
    let (deadline, wait_out) = (SHORT_WINDOW_S.to_string(), std::env::var("MERX_T30").is_ok());
    let mut site = Site::new(&["--payment-deadline-s", &deadline]);
    let clock = FakeClock::of(&mut site, &library);
    site.set_env("TZ", "Europe/Berlin");
    let mut guests = site.invite(4);
    site.start().await;
    restock(&site).await;
    tokens_follow(&clock, &site).await;

    let account = guests.remove(0);
    let mut buyer = Buyer::arrive(&site, account.clone()).await;
    let crowd = Crowd::of(&site, guests).await;
    let mut said = Vec::new();
    for (name, offset_s) in [
        ("an hour back", -3_600),
        ("over the end of the year", seconds_until("2026-12-31T23:59:58Z")),
        ("into summer time in Berlin", seconds_until("2027-03-28T00:59:58Z")),
    ] {
        let before = order(&mut buyer).await;
        clock.set(offset_s);
        buyer = Buyer::arrive(&site, account.clone()).await;
        if offset_s < 0 {
            // By the shop's clock there is more time to pay than before.
            pay(&buyer, &before).await;
        } else if wait_out {
            let ended = cancelled(&buyer, &before).await;
            assert!(
                moment(&ended, "/cancellation/cancelled_at") >= moment(&before, "/payment_deadline"),
                "{ended}"
            );
        }
        let after = order(&mut buyer).await;
        pay(&buyer, &after).await;
        let there = placed(&site).len();
        until("more orders", || async { (placed(&site).len() >= there + more).then_some(()) }).await;
        site.succeed(&["demo", "purchase"]);
        assert_no_negative_duration(&site).await;
        said.push(format!("{name} ({} orders so far)", placed(&site).len()));
    }
    let orders = crowd.reckon().await;
    site.succeed(&["audit"]);
    site.stop().await;
    site.assert_no_panic();
    let figure = format!(
        "{}; {} orders of buyers at work meanwhile, each at rest in the end, 0 lost; 0 negative durations, 0 panics; tokens \
         hold 5 s before their begin at most and not beyond their end; audit clean",
        said.join(", "),
        orders.len()
    );
    proof(
        "T30",
        "clock set back an hour, over year end and DST, under load",
        orders.len(),
        &figure,
        Some(*SEED),
    );
}
