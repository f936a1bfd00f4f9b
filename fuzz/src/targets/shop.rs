//! A request to the whole shop: every route with its paths, queries, cursors, filters, headers and bodies.

use std::{cell::RefCell, mem::ManuallyDrop, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Uri},
};
use http_body_util::BodyExt as _;
use merx_http::outbound::{Outbound, OutboundAnswer, OutboundFailure, OutboundRequest};
use merx_kernel::Role;
use merx_server::shop::Topology;
use merx_simulation::world::{Ground, World};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// Who may send a request: the first word of an input.
pub const TABLE_OF_PEOPLE: &[(&str, Option<Role>)] = &[
    ("nobody", None),
    ("customer", Some(Role::Customer)),
    ("guest", Some(Role::Guest)),
    ("support", Some(Role::Support)),
    ("product-manager", Some(Role::ProductManager)),
    ("operator", Some(Role::Operator)),
    ("warehouse", Some(Role::Warehouse)),
    ("administrator", Some(Role::Administrator)),
];

/// Requests after which a fresh shop is opened, so that what they leave behind does not pile up.
const REQUESTS_MAX: usize = 2_000;

thread_local! {
    static SHOP: RefCell<Option<Open>> = const { RefCell::new(None) };
}

struct Open {
    runtime: Runtime,
    /// At the end of a process nobody closes it, and it insists on being closed.
    world: ManuallyDrop<World>,
    router: Router,
    /// The access token of each of [`TABLE_OF_PEOPLE`].
    tokens: Vec<Option<String>>,
    requests: usize,
}

/// Nobody is there: what is sent to a partner of the shop is not answered.
struct Nobody;

#[async_trait::async_trait]
impl Outbound for Nobody {
    async fn send(&self, _: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        Err(OutboundFailure::Unresolved)
    }
}

impl Open {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (world, tokens) = runtime.block_on(async {
            let away = |settings: &mut merx_server::shop::Settings| settings.ways.web = Arc::new(Nobody);
            let world = World::on(Ground::virtual_time(1), Topology::Local, away).await;
            let mut tokens = Vec::new();
            for (_, role) in TABLE_OF_PEOPLE {
                tokens.push(match role {
                    Some(role) => world.account(*role).await.1.token(),
                    None => None,
                });
            }
            (world, tokens)
        });
        let router = world.running.router.clone();
        Self { runtime, world: ManuallyDrop::new(world), router, tokens, requests: 0 }
    }

    fn close(self) {
        self.runtime.block_on(ManuallyDrop::into_inner(self.world).abandon());
    }
}

/// `who METHOD target`, lines of `name: value`, an empty line, the body. The answer is no fault of ours, and a refusal is a
/// problem.
pub fn request(input: &[u8]) {
    let Some((who, request)) = parsed(input) else { return };
    SHOP.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|open| open.requests >= REQUESTS_MAX)
            && let Some(open) = slot.take()
        {
            open.close();
        }
        let open = slot.get_or_insert_with(Open::new);
        open.requests += 1;
        let mut request = request;
        if let Some(token) = &open.tokens[who]
            && !request.headers().contains_key("authorization")
        {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let told = format!("{} {}", request.method(), request.uri());
        let (parts, body) = open.runtime.block_on(async {
            let (parts, body) = open.router.clone().oneshot(request).await.unwrap().into_parts();
            (parts, body.collect().await.unwrap().to_bytes())
        });
        judge(&told, &parts, &body);
    });
}

fn judge(told: &str, parts: &http::response::Parts, body: &[u8]) {
    let status = parts.status.as_u16();
    let text = String::from_utf8_lossy(body);
    // That the provider, which is not there, cannot be reached is told as such.
    let provider = text.contains("payment.provider_");
    assert!(status < 500 || provider, "{told} -> {status} {text}");
    if status >= 400 && told.split(' ').next() != Some("HEAD") {
        let kind = parts.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let plain_by_protocol = told.contains("/v1/payments/alipay/notifications");
        assert!(
            kind.starts_with("application/problem+json") || plain_by_protocol,
            "{told} -> {status} {kind} {text}"
        );
        if !plain_by_protocol {
            let problem: Value =
                serde_json::from_slice(body).unwrap_or_else(|e| panic!("{told}: {e}: {text}"));
            assert_eq!(problem["status"], status, "{told}: {text}");
            assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{told}: {text}");
        }
    }
}

fn parsed(input: &[u8]) -> Option<(usize, Request<Body>)> {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &input[..0]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(3, |byte| *byte == b' ');
    let who = words.next()?;
    let who = TABLE_OF_PEOPLE.iter().position(|(name, _)| name.as_bytes() == who)?;
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri = Uri::try_from(words.next()?).ok().filter(|uri| uri.path().starts_with('/'))?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some((who, request.body(Body::from(body.to_vec())).ok()?))
}
