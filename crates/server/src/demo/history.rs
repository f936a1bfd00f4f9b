//! What was bought in the demo before it was first opened: orders in every state, made by the shop itself on a clock in
//! the past, through its own API. Nothing is written past the rules, so the books agree from the first moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use merx_alipay_sandbox::{Reply as SandboxReply, Sandbox};
use merx_contracts::ids::{OrderId, ShipmentKind};
use merx_kernel::{Clock, Entropy, Error, Result, Role, Timestamp, clock::BoxFuture};
use merx_payment::provider::InProcess;
use merx_platform::{
    Deps,
    time::{OsEntropy, SystemClock},
};
use merx_sql::Db;
use serde_json::json;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{Demo, DemoAccount};
use crate::{
    client::{ApiClient, text},
    config::Config,
    instance,
    shop::{Running, Shop},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How long the background work of a history may take to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether a payment has arrived, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOKS_MAX: usize = 1_000;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How far an order got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    AwaitingPayment,
    Expired,
    Cancelled,
    Paid,
    PartShipped,
    Shipped,
    Delivered,
    Completed,
    Refunded,
}

/// An order that was placed: by which buyer, how long ago in hours, what, and how far it got.
struct Story(usize, i64, &'static [(&'static str, i64)], Fate);

const STORIES: &[Story] = &[
    Story(0, 41 * 24, &[("TEA-LJ-100", 1), ("CUP-GW-150", 1)], Fate::Completed),
    Story(1, 38 * 24 + 5, &[("HOD-CT-BK-L", 1), ("SOC-CT-BK-L", 2)], Fate::Completed),
    Story(2, 33 * 24 + 9, &[("COF-ETH-227-W", 2)], Fate::Completed),
    Story(3, 30 * 24 + 3, &[("BPK-25-25-GN", 1), ("BTL-TH-04", 1)], Fate::Completed),
    Story(4, 27 * 24 + 11, &[("NTB-A5-GR-BK", 3), ("PEN-FT-F", 1)], Fate::Completed),
    Story(0, 24 * 24 + 2, &[("EAR-NC-BK", 1)], Fate::Refunded),
    Story(1, 21 * 24 + 7, &[("BED-SET-GY-18", 1)], Fate::Completed),
    Story(5, 18 * 24 + 4, &[("TNT-2P-GN", 1), ("LMP-CP", 2)], Fate::Completed),
    Story(2, 15 * 24 + 6, &[("COF-GRD-BK", 1), ("COF-FLT-100", 2)], Fate::Completed),
    Story(3, 13 * 24 + 1, &[("SHO-TR-BK-42", 1)], Fate::Cancelled),
    Story(4, 12 * 24 + 8, &[("INK-50-PS", 1), ("BRS-CL-M", 2), ("PAP-XZ", 1)], Fate::Completed),
    Story(0, 9 * 24 + 10, &[("TSH-WH-M", 2), ("LIN-SH-BU-M", 1)], Fate::Completed),
    Story(5, 7 * 24 + 2, &[("MAT-YG-NV", 1)], Fate::Delivered),
    Story(1, 6 * 24 + 5, &[("CND-SD-OS", 2), ("VAS-GL-AM", 1)], Fate::Delivered),
    Story(2, 5 * 24 + 3, &[("COF-KTL-06-BK", 1)], Fate::Shipped),
    Story(3, 4 * 24 + 6, &[("POL-CF-130", 1), ("GLV-TS-M", 1)], Fate::PartShipped),
    Story(0, 3 * 24 + 9, &[("PWB-20-BK", 1), ("CBL-C-1-BK", 2)], Fate::Shipped),
    Story(4, 2 * 24 + 4, &[("BOK-TEA-ZH", 1)], Fate::Refunded),
    Story(5, 2 * 24 + 1, &[("HDP-OE-BE", 1)], Fate::Expired),
    Story(1, 26, &[("PLT-CL-23", 4), ("BWL-QH-13", 4)], Fate::Paid),
    Story(3, 7, &[("SPK-BT-BK", 1)], Fate::Cancelled),
    Story(2, 5, &[("TEA-PUE-22", 1), ("TRY-BB-S", 1)], Fate::Paid),
    Story(0, 2, &[("SCF-CA", 1)], Fate::Paid),
    Story(4, 0, &[("CLK-WD-WN", 1)], Fate::AwaitingPayment),
];

/// One thing somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Place,
    Pay,
    /// Nothing: time passes.
    Wait,
    Cancel,
    Split,
    Dispatch,
    Track(&'static str),
    Receive,
}

impl Fate {
    /// What was done, and how long after the placing.
    fn acts(self) -> Vec<(i64, Act)> {
        let mut acts = vec![(0, Act::Place)];
        let mut upto = |more: &[(i64, Act)]| acts.extend_from_slice(more);
        match self {
            Self::AwaitingPayment => {}
            // Past the deadline, and past the end of the trade.
            Self::Expired => upto(&[(31 * MINUTE, Act::Wait), (50 * MINUTE, Act::Wait)]),
            Self::Cancelled => upto(&[(9 * MINUTE, Act::Cancel)]),
            _ => upto(&[(4 * MINUTE, Act::Pay)]),
        }
        match self {
            Self::Refunded => upto(&[(3 * HOUR, Act::Cancel)]),
            Self::PartShipped => upto(&[(19 * HOUR, Act::Split), (20 * HOUR, Act::Dispatch)]),
            Self::Shipped | Self::Delivered | Self::Completed => {
                upto(&[(20 * HOUR, Act::Dispatch), (30 * HOUR, Act::Track("in_transit"))]);
            }
            _ => {}
        }
        match self {
            Self::Delivered => upto(&[(3 * DAY, Act::Track("delivered"))]),
            Self::Completed => {
                upto(&[(3 * DAY, Act::Track("delivered")), (4 * DAY + 2 * HOUR, Act::Receive)])
            }
            _ => {}
        }
        acts
    }
}

/// A clock that is behind by what it is told. Whoever sleeps on it wakes when it is moved past the end of the sleep.
#[derive(Clone, Default)]
struct PastClock(Arc<Behind>);

#[derive(Default)]
struct Behind {
    ms: AtomicI64,
    moved: Notify,
}

impl PastClock {
    fn go_to(&self, ago_ms: i64) {
        self.0.ms.store(ago_ms, Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }
}

impl Clock for PastClock {
    fn now(&self) -> Timestamp {
        let behind = u64::try_from(self.0.ms.load(Ordering::SeqCst)).unwrap_or(0);
        SystemClock.now().minus(Duration::from_millis(behind))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let (clock, until) = (self.clone(), self.now().plus(duration));
        Box::pin(async move {
            loop {
                let moved = clock.0.moved.notified();
                let left = until.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = SystemClock.sleep(left) => {}
                    () = moved => {}
                }
            }
        })
    }
}

/// Lets `shop` live through its history, in a shop of its own on the same database. Tables are up to date and the rest
/// of the demo is loaded; nothing of the shop runs yet, and nothing of it runs when this returns.
///
/// # Errors
/// What the wiring or the database answers. An act that the shop refuses is told in the log and left out.
pub async fn live(shop: &Shop, config: &Config, sandbox_db: &Db, demo: &Demo) -> Result<()> {
    let past_clock = PastClock::default();
    past_clock.go_to(60 * DAY);
    let clock: Arc<dyn Clock> = Arc::new(past_clock.clone());
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let deps = Deps::new(shop.deps.db.clone(), clock.clone(), entropy.clone());
    let keys = instance::Keys::load(config, &*entropy)?;
    let mut settings = instance::settings(config, instance::Mode::ReadWrite, keys, clock.clone(), entropy)?;
    let door: Arc<std::sync::OnceLock<Router>> = Arc::default();
    let (pages, sandbox) = cashier(&deps, sandbox_db.clone(), demo, door.clone()).await?;
    settings.outbound = Arc::new(InProcess(pages));
    // Weeks pass between two visits of a buyer.
    settings.accounts.refresh_token_days = 365;
    let past = Shop::wire(deps, settings)?;
    let running = past.start().await?;
    let _ = door.set(running.router.clone());
    let walked = Past {
        clock: past_clock,
        running,
        sandbox,
        visitor: ApiClient::within(Router::new(), past.deps.ids.clone()),
    }
    .walk(demo, &past)
    .await;
    let ended = past.deps.tasks.shutdown(SHUTDOWN_MAX).await;
    walked.and(ended)
}

/// The sandbox in this process, with the shop's door for its notifications.
async fn cashier(
    deps: &Deps,
    db: Db,
    demo: &Demo,
    door: Arc<std::sync::OnceLock<Router>>,
) -> Result<(Router, Sandbox)> {
    let config = super::sandbox_config(demo)?;
    let outbound = move |_: String, form: String| -> BoxFuture<std::result::Result<SandboxReply, String>> {
        let door = door.get().cloned();
        Box::pin(async move {
            let door = door.ok_or("the shop is not open")?;
            let request = Request::post("/v1/payments/alipay/notifications")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(form))
                .map_err(|e| e.to_string())?;
            let Ok(response) = door.oneshot(request).await;
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
            let body = String::from_utf8_lossy(&body.map_err(|e| e.to_string())?).into_owned();
            Ok(SandboxReply { status, body })
        })
    };
    let (clock, entropy) = (deps.clock.clone(), deps.entropy.clone());
    Sandbox::start(config, db, clock, entropy, &deps.tasks, Arc::new(outbound)).await
}

/// The shop in its past.
struct Past {
    clock: PastClock,
    running: Running,
    sandbox: Sandbox,
    visitor: ApiClient,
}

/// Somebody who is logged in.
struct Person {
    client: ApiClient,
    refresh_token: String,
}

impl Person {
    /// An access token lives for minutes, and days have passed.
    async fn come_back(&mut self) -> Result<()> {
        let body = json!({ "refresh_token": self.refresh_token });
        let session = self.client.post("/v1/sessions/refresh", &body).await?.ok()?;
        self.client = self.client.with_token(text(&session, "/access_token"));
        self.refresh_token = text(&session, "/refresh_token");
        Ok(())
    }
}

/// A buyer of the history.
struct Guest {
    person: Person,
    address_id: String,
}

/// An order of the history.
#[derive(Clone)]
struct Bought {
    id: OrderId,
    lines: &'static [(&'static str, i64)],
}

impl Past {
    async fn walk(mut self, demo: &Demo, shop: &Shop) -> Result<()> {
        self.visitor = ApiClient::within(self.running.router.clone(), shop.deps.ids.clone());
        let mut plan: Vec<(i64, usize, Act)> = Vec::new();
        for (number, Story(_, hours, _, fate)) in STORIES.iter().enumerate() {
            plan.extend(
                fate.acts().into_iter().map(|(after, act)| (hours * HOUR + MINUTE - after, number, act)),
            );
        }
        plan.sort_by_key(|(ago, number, _)| (std::cmp::Reverse(*ago), *number));
        self.clock.go_to(plan.first().map_or(0, |(ago, ..)| *ago) + HOUR);
        let mut guests = Vec::new();
        for (index, account) in demo.accounts.iter().filter(|a| a.role == Role::Customer).enumerate() {
            let person = self.arrive(account).await?;
            let address = person.client.post("/v1/addresses", &super::address_of(index)).await?.ok()?;
            guests.push(Guest { person, address_id: text(&address, "/id") });
        }
        let mut warehouse = self.arrive(demo.account(Role::Warehouse)?).await?;
        let mut bought: Vec<Option<Bought>> = vec![None; STORIES.len()];
        for (ago, number, act) in plan {
            self.clock.go_to(ago);
            let Story(buyer, _, lines, _) = &STORIES[number];
            let Some(guest) = guests.get_mut(*buyer) else { continue };
            guest.person.come_back().await?;
            warehouse.come_back().await?;
            let done = match (act, bought[number].clone()) {
                (Act::Place, _) => {
                    self.place(guest, number, lines).await.map(|order| bought[number] = Some(order))
                }
                (_, None) => continue,
                (act, Some(order)) => self.act(act, guest, &warehouse.client, &order).await,
            };
            if let Err(error) = done {
                tracing::warn!(order = number, ?act, error = %error.chain(), "a part of the demo's history is left out");
            }
            self.running.background.settled().await?;
        }
        Ok(())
    }

    async fn arrive(&self, account: &DemoAccount) -> Result<Person> {
        let body = json!({ "email": account.email, "password": account.password });
        let session = self.visitor.post("/v1/sessions", &body).await?.ok()?;
        let client = self.visitor.with_token(text(&session, "/access_token"));
        Ok(Person { client, refresh_token: text(&session, "/refresh_token") })
    }

    async fn place(
        &self,
        guest: &Guest,
        number: usize,
        lines: &'static [(&'static str, i64)],
    ) -> Result<Bought> {
        let (client, address_id) = (&guest.person.client, &guest.address_id);
        for (sku, quantity) in lines {
            client.put(&format!("/v1/cart/lines/{sku}"), &json!({ "quantity": quantity })).await?.ok()?;
        }
        let checkout = format!("/v1/checkouts/{}", text(&client.get("/v1/cart").await?.ok()?, "/id"));
        let asked = json!({ "address_id": address_id });
        let quote = client.post(&format!("{checkout}/quote"), &asked).await?.ok()?;
        let accepted = json!({
            "address_id": address_id,
            "shipping_method": quote["shipping_method"],
            "quote_id": quote["quote_id"],
        });
        // The key is the story's: a load that is begun again finds the order.
        let key = format!("demo-history-{number}");
        let order = client.post_as(&key, &format!("{checkout}/orders"), &accepted).await?.ok()?;
        let id = text(&order, "/id").parse().map_err(Error::internal)?;
        Ok(Bought { id, lines })
    }

    async fn act(&self, act: Act, guest: &Guest, warehouse: &ApiClient, order: &Bought) -> Result<()> {
        let path = format!("/v1/orders/{}", order.id);
        // The first shipment of an order has its bits.
        let shipment = format!("/v1/shipments/{}", order.id.cast::<ShipmentKind>());
        let reply = match act {
            Act::Place | Act::Wait => return Ok(()),
            Act::Pay => return self.pay(guest, &path).await,
            Act::Cancel => guest.person.client.post(&format!("{path}/cancellation"), &json!({})).await?,
            Act::Split => {
                let (sku, quantity) = order.lines.last().copied().unwrap_or_default();
                let lines = json!({ "lines": [{ "sku": sku, "quantity": quantity }] });
                warehouse.post(&format!("{shipment}/split"), &lines).await?
            }
            Act::Dispatch => {
                let number = format!("SF{:013}", order.id.bits() % 10_000_000_000_000);
                let body = json!({ "carrier": "顺丰速运", "tracking_number": number });
                warehouse.post(&format!("{shipment}/dispatch"), &body).await?
            }
            Act::Track(code) => {
                let body = json!({ "code": code, "at": self.clock.now() });
                warehouse.post(&format!("{shipment}/tracking-events"), &body).await?
            }
            Act::Receive => guest.person.client.post(&format!("{path}/receipt"), &json!({})).await?,
        };
        reply.ok().map(drop)
    }

    async fn pay(&self, guest: &Guest, order: &str) -> Result<()> {
        let payment_id = text(&guest.person.client.get(order).await?.ok()?, "/payment_id");
        let method = json!({ "method": "alipay_page" });
        let attempt =
            guest.person.client.post(&format!("/v1/payments/{payment_id}/attempts"), &method).await?.ok()?;
        let refused =
            |e: merx_alipay_sandbox::PageRefused| Error::internal(format!("the cashier refuses: {e:?}"));
        let code = self.sandbox.open(&text(&attempt, "/pay_url")).await.map_err(refused)?;
        self.sandbox.pay(&code).await.map_err(refused)?;
        // The sandbox tells the shop in its own time.
        for _ in 0..LOOKS_MAX {
            if text(&guest.person.client.get(order).await?.ok()?, "/status") == "paid" {
                return Ok(());
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
        Err(Error::internal("the shop was not told of the payment"))
    }
}
