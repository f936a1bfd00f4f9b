//! Sends signed webhooks to a receiver on this machine, for `scripts/check-webhooks`: prints, one JSON object a line,
//! which path was signed with which secrets, and ends when everything was taken.
//!
//! `deliver http://127.0.0.1:PORT`: /hmac, /ed25519 and /rotated are told of two facts each, and one of them again.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use merx_contracts::{Envelope, events::ordering::OrderCompletedV2, ids::WebhookId};
use merx_http::outbound::{SystemNames, Web};
use merx_kernel::{Clock, Id, Secret, Timestamp, clock::BoxFuture};
use merx_notification::{
    NotificationConfig, State, Ways,
    commands::{self, NewWebhook, Replay, Staff},
    domain::signature::{Scheme, SigningKey},
    migrations, reactions, sending,
};
use merx_platform::{
    Delivery, Deps, Module, Peer, Store,
    time::{OsEntropy, SystemClock},
};
use merx_sql::{Db, DbOptions};

/// The machine's clock, some seconds on: retries need not be waited for, and receivers still find the time right.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(0)))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        SystemClock.sleep(duration)
    }
}

#[tokio::main]
async fn main() {
    let base = std::env::args().nth(1).expect("the receiver's URL");
    let (clock, store) = (Arc::new(Ahead(AtomicI64::new(0))), Store::new("notification"));
    let db = Db::open("sqlite::memory:", DbOptions::new(clock.clone()), &store.sequenced_tables()).unwrap();
    Module::new(store.clone(), migrations()).migrate(&db).await.unwrap();
    let deps = Deps::new(db, clock.clone(), Arc::new(OsEntropy));
    let mut config = NotificationConfig::default();
    config.webhooks.allow_loopback = true;
    let web = Web::new(config.webhooks.reach(), Arc::new(SystemNames)).unwrap();
    let nobody = Peer::local(tonic::service::Routes::default());
    let state = State::new(&deps, &nobody, config, Ways { mail: None, web: Arc::new(web) }).unwrap();

    let staff = || Staff {
        actor: Id::from_bits(1),
        at: deps.now(),
        message: deps.ids.next(),
        reason: None,
        store: store.clone(),
    };
    let mut hmac = Id::from_bits(0);
    for (path, signature) in [("hmac", Scheme::Hmac), ("ed25519", Scheme::Ed25519), ("rotated", Scheme::Hmac)]
    {
        let random = || Secret::new(deps.ids.random_bytes::<32>().to_vec());
        let new = NewWebhook {
            id: deps.ids.next::<merx_contracts::ids::WebhookKind>(),
            url: format!("{base}/{path}"),
            types: vec!["ordering".to_owned()],
            description: String::new(),
            signature,
            secret: deps.ids.next(),
            bytes: random(),
        };
        let shown =
            |bytes: &Secret<Vec<u8>>| SigningKey::new(signature, bytes.clone()).for_receiver().unwrap();
        let (id, mut secrets): (WebhookId, _) = (new.id, vec![shown(&new.bytes)]);
        let by = staff();
        let create = move |tx: &mut merx_sql::Tx<'_>| commands::create_webhook(tx, &new, 10, &by).map(drop);
        deps.db.write("example", create).await.unwrap();
        if path == "hmac" {
            hmac = id;
        }
        if path == "rotated" {
            let (by, secret, bytes) = (staff(), deps.ids.next(), random());
            secrets.push(shown(&bytes));
            let rotate = move |tx: &mut merx_sql::Tx<'_>| {
                commands::rotate_secret(tx, id, secret, &bytes, &by).map(drop)
            };
            deps.db.write("example", rotate).await.unwrap();
        }
        println!("{}", serde_json::json!({ "path": format!("/{path}"), "secrets": secrets }));
    }
    let mut first = None;
    for order in 1..=2 {
        let number = "261120-7K3M-9QXA 订单".to_owned();
        let fact = OrderCompletedV2 { order_id: Id::from_bits(order), number, account_id: Id::from_bits(2) };
        let envelope = Envelope::new(deps.ids.next(), deps.now(), None, &fact).unwrap();
        first = first.or(Some(envelope.id));
        let delivery = Delivery::new(envelope, "notification.facts", store.clone(), 0, deps.now());
        reactions::take_fact(&state, delivery).await.unwrap();
    }
    sending::send_due(&state).await.unwrap();
    // The receiver fails each message once.
    clock.0.store(10, Ordering::SeqCst);
    sending::send_due(&state).await.unwrap();
    let (by, again) = (staff(), Replay::One(first.unwrap()));
    let replay = move |tx: &mut merx_sql::Tx<'_>| commands::replay(tx, hmac, again, &by);
    assert_eq!(deps.db.write("example", replay).await.unwrap(), 1);
    sending::send_due(&state).await.unwrap();
}
