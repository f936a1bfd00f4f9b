//! The context at work on a platform: bus, loop and routes on virtual time.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use merx_contracts::{Envelope, accounts::v1::accounts_server::AccountsServer};
use merx_http::{ContextModule, Limits, outbound::OutboundFailure};
use merx_kernel::{Id, Role};
use merx_notification::{State, Ways, domain::Outcome};
use merx_platform::{Module, Peer, Store};
use merx_testkit::TestPlatform;
use serde_json::json;

use crate::{
    bench::{Endpoints, People, Post, config, on_virtual_time},
    facts, trials,
};

/// The contexts whose facts are taken in.
const CONTEXTS: &[&str] =
    &["accounts", "catalogue", "inventory", "ordering", "payment", "shipping", "notification"];

pub fn trials() -> Vec<Trial> {
    trials!("whole":
        facts_on_the_bus_become_mails_and_webhooks,
        a_restart_sends_what_the_last_process_left,
        without_a_mail_server_mails_are_skipped,
    )
}

struct World {
    platform: TestPlatform,
    state: State,
    post: Post,
    endpoints: Endpoints,
}

async fn world(mail: bool) -> World {
    let post = Post::default();
    let mut made = None;
    let own = post.clone();
    let slot = &mut made;
    let platform = TestPlatform::start(CONTEXTS, 7, move |deps| {
        let accounts = Peer::local(AccountsServer::new(People::default()));
        let endpoints = Endpoints::new(deps.clock.clone());
        let ways = Ways { mail: mail.then(|| Arc::new(own) as _), web: Arc::new(endpoints.clone()) };
        let state = State::new(deps, &accounts, config(), ways).unwrap();
        let context = merx_notification::module(&state, &Limits::default());
        *slot = Some((state, endpoints));
        let others = CONTEXTS.iter().filter(|name| **name != "notification");
        let publisher = |name: &&'static str| ContextModule {
            module: Module::new(Store::new(name), Vec::new()),
            routes: Vec::new(),
        };
        others.map(publisher).chain([context]).collect()
    })
    .await;
    let (state, endpoints) = made.unwrap();
    World { platform, state, post, endpoints }
}

impl World {
    async fn publish(&self, envelope: Envelope) {
        let store = Store::new("ordering");
        self.platform
            .deps
            .db
            .write("ordering.test", move |tx| store.outbox.publish(tx, std::slice::from_ref(&envelope)))
            .await
            .unwrap();
    }
    fn start(&self) {
        merx_notification::start(&self.state, &self.platform.deps.tasks);
    }
}

fn facts_on_the_bus_become_mails_and_webhooks() {
    on_virtual_time(async {
        let world = world(true).await;
        world.start();
        let operator = world.platform.api.as_account(Id::from_bits(9), Role::Operator);
        let body = json!({ "url": "https://partner.example/hook", "types": ["ordering"] });
        operator.post("/v1/admin/webhooks", body).await.expect(201);
        world.publish(facts::envelope(1, &facts::placed())).await;
        world.publish(facts::envelope(2, &facts::paid())).await;
        // Settled means sent: nothing that is due now is left behind.
        world.platform.settle().await;
        assert_eq!((world.post.taken.letters().len(), world.endpoints.all().len()), (2, 2));
        // An hour in which nothing works, by the loop's own waiting.
        world.post.tell(std::iter::repeat_n(Outcome::Transient("smtp 451".to_owned()), 3));
        let began = world.platform.deps.now();
        let back = began.plus(Duration::from_secs(3600));
        world
            .endpoints
            .answer(move |r| if r.at < back { Err(OutboundFailure::Timeout) } else { Ok((200, "")) });
        world.publish(facts::envelope(3, &facts::completed())).await;
        tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
        world.platform.settle().await;
        assert_eq!(world.post.taken.letters().len(), 3);
        let times: Vec<_> = world
            .endpoints
            .all()
            .iter()
            .filter(|r| r.body.contains("completed"))
            .map(|r| r.at.since(began).as_secs())
            .collect();
        assert_eq!(times.len(), 5, "at once, 5 s, 5 min, 30 min, 2 h: {times:?}");
        assert!(
            times[0] == 0 && (5..=6).contains(&times[1]) && (9_300..=10_300).contains(&times[4]),
            "{times:?}"
        );
        world.platform.finish().await;
    });
}

fn a_restart_sends_what_the_last_process_left() {
    on_virtual_time(async {
        let world = world(true).await;
        world.publish(facts::envelope(1, &facts::placed())).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(world.post.taken.letters().is_empty(), "nothing is sent before the start");
        world.start();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.post.taken.letters().len(), 1);
        world.platform.finish().await;
    });
}

fn without_a_mail_server_mails_are_skipped() {
    on_virtual_time(async {
        let world = world(false).await;
        world.start();
        world.publish(facts::envelope(1, &facts::placed())).await;
        world.platform.settle().await;
        let support = world.platform.api.as_account(Id::from_bits(9), Role::Support);
        let mails = support.get("/v1/admin/mails").await.expect(200);
        assert_eq!(
            (mails.text_at("/items/0/state"), mails.text_at("/items/0/reason")),
            ("skipped".into(), "mail_off".into())
        );
        world.platform.finish().await;
    });
}
