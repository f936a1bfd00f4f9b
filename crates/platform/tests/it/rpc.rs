//! One suite for every kind of peer: whoever holds one cannot tell them apart.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use merx_contracts::common::v1::{TimelineReply, TimelineRequest};
use merx_contracts::inventory::v1::{
    AvailabilityReply, AvailabilityRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest,
    SellReply, SellRequest, TakeBackReply, TakeBackRequest,
    inventory_client::InventoryClient,
    inventory_server::{Inventory, InventoryServer},
};
use merx_kernel::{Error, ErrorKind, Result, Secret};
use merx_platform::{
    Peer,
    rpc::{self, Served, Token},
    trace::{self, TraceContext},
};
use tokio::time::Instant;
use tonic::{
    Request, Response, Status,
    service::Routes,
    transport::{Channel, Server, server::TcpIncoming},
};

use crate::paused::{paused, plain, real};

/// A kind of peer.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    make: fn(InventoryServer<Stock>) -> Peer,
    /// How often a call is carried out.
    deliveries: usize,
    /// How much later than on the virtual clock things may be seen.
    slack: Duration,
}

impl Kind {
    const fn new(name: &'static str, make: fn(InventoryServer<Stock>) -> Peer, deliveries: usize) -> Self {
        Self { name, make, deliveries, slack: Duration::from_millis(5) }
    }
}

/// Every kind of peer within a process.
const KINDS: [Kind; 4] = [
    Kind::new("local routes", |service| Peer::local(Routes::new(service).prepare()), 1),
    Kind::new("local service", Peer::local, 1),
    Kind::new("loopback", |service| Peer::loopback(Routes::new(service)), 1),
    Kind::new("loopback twice", |service| Peer::loopback_twice(Routes::new(service)), 2),
];
/// A socket between them: in real time, so that what the machine adds is allowed for.
const WIRE: Kind =
    Kind { slack: Duration::from_secs(4), ..Kind::new("wire", |service| over_the_wire(service, TOKEN), 1) };

const TOKEN: &str = "a-token-of-twenty-six-chars";

fn token(text: &str) -> Token {
    Token::new(&Secret::new(text.to_owned())).expect("a token")
}

/// The service behind a socket, and a peer that shows `shown` there.
#[allow(
    clippy::disallowed_methods,
    reason = "the listener ends with the test's runtime; there is nothing to supervise"
)]
fn over_the_wire(service: InventoryServer<Stock>, shown: &str) -> Peer {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let address = listener.local_addr().expect("an address");
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
    let served = Server::builder()
        .layer(tower::layer::layer_fn(|routes: Routes| Served::new(routes, token(TOKEN))))
        .add_service(service)
        .serve_with_incoming(incoming);
    drop(tokio::spawn(served));
    let channel = Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
    Peer::remote(channel, token(shown))
}

pub fn trials() -> Vec<Trial> {
    vec![
        paused("rpc: a call is answered, by every kind of peer", || each(answered)),
        paused("rpc: kind, code, text, places and time of an error arrive", || each(errors)),
        paused("rpc: the text of an internal error and of a panic stays behind", || each(internals)),
        paused("rpc: a call ends at its deadline", || each(deadlines)),
        paused("rpc: a call inside a call has what is left of the time", || each(nested)),
        paused("rpc: trace and caller arrive, and nothing else", || each(scopes)),
        paused("rpc: a caller that goes away stops the call", || each(cancelled)),
        real("rpc over the wire: a call is answered", || answered(WIRE)),
        real("rpc over the wire: an error arrives", || errors(WIRE)),
        real("rpc over the wire: internals stay behind", || internals(WIRE)),
        real("rpc over the wire: a call ends at its deadline", || deadlines(WIRE)),
        real("rpc over the wire: a call inside a call has what is left of the time", || nested(WIRE)),
        real("rpc over the wire: trace and caller arrive", || scopes(WIRE)),
        real("rpc over the wire: a caller that goes away stops the call", || cancelled(WIRE)),
        real("rpc over the wire: without the token nothing is carried out", strangers),
        real("rpc over the wire: nobody at the other end is unavailable", nobody),
        plain("rpc: a token is long enough and never printed", tokens),
        plain("rpc: a status from elsewhere is mapped by its code", foreign),
    ]
}

async fn each<R: Future<Output = ()>>(case: fn(Kind) -> R) {
    for kind in KINDS {
        tracing::info!(name = kind.name, "kind of peer");
        case(kind).await;
    }
}

async fn strangers() {
    let stock = Stock::default();
    let peer = over_the_wire(InventoryServer::new(stock.clone()), "another-token-of-the-same-l");
    let skus = vec!["TEA-1".to_owned()];
    let error = rpc::ask(InventoryClient::new(peer).availability(AvailabilityRequest { skus }).await);
    let error = error.expect_err("refused");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, "rpc.token_wrong"));
    assert_eq!(stock.0.calls.load(Ordering::SeqCst), 0);
}

async fn nobody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let channel = Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
    let mut client = InventoryClient::new(Peer::remote(channel, token(TOKEN)));
    let error = rpc::ask(client.availability(AvailabilityRequest::default()).await).expect_err("nobody");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "rpc.unavailable"));
}

fn tokens() {
    for wrong in ["", "short", "with a space in the middle of it", "with\na line break in the middle"] {
        assert!(Token::new(&Secret::new(wrong.to_owned())).is_err(), "{wrong:?}");
    }
    assert!(!format!("{:?}", token(TOKEN)).contains("twenty"));
}

/// What the service does, by the text it is asked for.
#[derive(Clone, Default)]
struct Stock(Arc<Seen>);

/// Trace, caller and time left, as the service saw them.
type Scope = (Option<TraceContext>, Option<Arc<str>>, Option<Duration>);

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    finished: AtomicUsize,
    dropped: AtomicUsize,
    scopes: Mutex<Vec<Scope>>,
    next: Mutex<Option<Peer>>,
}

/// Counts itself when it is dropped.
struct Dropped(Arc<Seen>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

const KINDS_OF_ERROR: [ErrorKind; 9] = [
    ErrorKind::Invalid,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Rejected,
    ErrorKind::RateLimited,
    ErrorKind::Timeout,
    ErrorKind::Unavailable,
];

#[tonic::async_trait]
impl Inventory for Stock {
    /// Fails with the kind of the number in the id.
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        let index: usize = request.into_inner().reservation_id.parse().expect("a number");
        rpc::answer(match KINDS_OF_ERROR.get(index) {
            Some(kind) => Err(Error::new(*kind, "inventory.sold_out", "Nothing left: 茶叶.")
                .with_field("/lines/0", "has “none”")
                .with_retry_after(Duration::from_millis(1500))),
            None if index == 100 => Err(Error::internal("the secret plan").with_source("it rains")),
            None => panic!("the secret panic"),
        })
    }

    /// Asks on, once.
    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        self.0.scopes.lock().expect("no panic").push((trace::current(), rpc::caller(), rpc::time_left()));
        let next = self.0.next.lock().expect("no panic").take();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(next) = next {
            let mut request = Request::new(ReleaseRequest::default());
            request.set_timeout(Duration::from_secs(60));
            rpc::ask(InventoryClient::new(next).release(request).await).map_err(|e| rpc::status_of(&e))?;
        }
        Ok(Response::new(ReleaseReply {}))
    }

    async fn take_back(&self, _: Request<TakeBackRequest>) -> Result<Response<TakeBackReply>, Status> {
        Err(Status::unimplemented("not part of this suite"))
    }

    async fn timeline(&self, _: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        Err(Status::unimplemented("not part of this suite"))
    }

    /// Never answers.
    async fn sell(&self, _: Request<SellRequest>) -> Result<Response<SellReply>, Status> {
        let _dropped = Dropped(self.0.clone());
        std::future::pending().await
    }

    async fn availability(
        &self,
        request: Request<AvailabilityRequest>,
    ) -> Result<Response<AvailabilityReply>, Status> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let skus = request.into_inner().skus.into_iter();
        let available =
            skus.map(|sku| merx_contracts::common::v1::SkuQuantity { sku, quantity: 7 }).collect();
        self.0.finished.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(AvailabilityReply { available }))
    }
}

/// Waits for what travels over a wire; within a process it is so at once.
async fn eventually(seen: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if seen() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answered(kind: Kind) {
    let stock = Stock::default();
    let mut client = InventoryClient::new((kind.make)(InventoryServer::new(stock.clone())));
    let skus = vec!["TEA-1".to_owned(), "茶".to_owned()];
    let reply = rpc::ask(client.availability(AvailabilityRequest { skus }).await).expect("answered");
    let found: Vec<_> = reply.available.iter().map(|a| (a.sku.as_str(), a.quantity)).collect();
    assert_eq!(found, [("TEA-1", 7), ("茶", 7)]);
    assert_eq!(stock.0.calls.load(Ordering::SeqCst), kind.deliveries);
}

async fn errors(kind: Kind) {
    let mut client = InventoryClient::new((kind.make)(InventoryServer::new(Stock::default())));
    for (index, kind) in KINDS_OF_ERROR.iter().enumerate() {
        let request = ReserveRequest { reservation_id: index.to_string(), lines: Vec::new() };
        let error = rpc::ask(client.reserve(request).await).expect_err("refused");
        assert_eq!((error.kind(), error.code()), (*kind, "inventory.sold_out"));
        assert_eq!(error.message(), "Nothing left: 茶叶.");
        assert_eq!(error.fields().len(), 1);
        assert_eq!((&*error.fields()[0].pointer, &*error.fields()[0].detail), ("/lines/0", "has “none”"));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    }
}

async fn internals(kind: Kind) {
    let mut client = InventoryClient::new((kind.make)(InventoryServer::new(Stock::default())));
    for index in [100, 101] {
        let request = ReserveRequest { reservation_id: index.to_string(), lines: Vec::new() };
        let status = client.reserve(request).await.expect_err("fails");
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
        let error = rpc::error_of(&status);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "internal"));
    }
}

async fn deadlines(kind: Kind) {
    let stock = Stock::default();
    let mut client = InventoryClient::new((kind.make)(InventoryServer::new(stock.clone())));
    for (asked, expected) in [(None, rpc::DEADLINE_DEFAULT), (Some(250), Duration::from_millis(250))] {
        let mut request = Request::new(SellRequest::default());
        if let Some(millis) = asked {
            request.set_timeout(Duration::from_millis(millis));
        }
        let (before, started) = (stock.0.dropped.load(Ordering::SeqCst), Instant::now());
        let error = rpc::ask(client.sell(request).await).expect_err("no answer");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, "rpc.deadline_exceeded"));
        let waited = started.elapsed();
        assert!(waited >= expected && waited < expected + kind.slack, "{waited:?}, {expected:?}");
        let dropped = || stock.0.dropped.load(Ordering::SeqCst) > before;
        eventually(dropped).await;
        let stopped = stock.0.dropped.load(Ordering::SeqCst) - before;
        assert!((1..=kind.deliveries).contains(&stopped), "the handler was stopped");
    }
}

async fn nested(kind: Kind) {
    if kind.deliveries > 1 {
        // A second delivery begins when the first has used the time up.
        return;
    }
    let stock = Stock::default();
    let peer = (kind.make)(InventoryServer::new(stock.clone()));
    *stock.0.next.lock().expect("no panic") = Some(peer.clone());
    rpc::ask(InventoryClient::new(peer).release(ReleaseRequest::default()).await).expect("answered");
    let scopes = stock.0.scopes.lock().expect("no panic");
    let left: Vec<_> = scopes.iter().filter_map(|(_, _, left)| *left).collect();
    let [outer, inner] = left[..] else { panic!("two calls: {left:?}") };
    assert!(outer > Duration::from_millis(4995) - kind.slack && outer <= Duration::from_secs(5), "{outer:?}");
    // The inner call asked for a minute and got what was left of the outer one's five seconds.
    assert!(
        inner > Duration::from_millis(4885) - kind.slack && inner <= Duration::from_millis(4900),
        "{inner:?}"
    );
}

async fn scopes(kind: Kind) {
    let stock = Stock::default();
    let peer = (kind.make)(InventoryServer::new(stock.clone())).called_by("ordering");
    let context: TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("is good");
    let call = async {
        rpc::ask(InventoryClient::new(peer.clone()).release(ReleaseRequest::default()).await)
            .expect("answered");
    };
    trace::scope(Some(context), call).await;
    rpc::ask(InventoryClient::new(peer.clone()).release(ReleaseRequest::default()).await).expect("answered");
    let scopes = stock.0.scopes.lock().expect("no panic");
    assert_eq!(scopes.len(), 2 * kind.deliveries);
    for (index, (trace, caller, _)) in scopes.iter().enumerate() {
        assert_eq!(*trace, (index < kind.deliveries).then_some(context));
        assert_eq!(caller.as_deref(), Some("ordering"));
    }
    assert_eq!((rpc::caller(), rpc::time_left()), (None, None), "outside a call there is none");
}

async fn cancelled(kind: Kind) {
    let stock = Stock::default();
    let mut client = InventoryClient::new((kind.make)(InventoryServer::new(stock.clone())));
    let call = client.sell(SellRequest::default());
    // Long enough for the call to have reached the other end of a wire.
    assert!(tokio::time::timeout(Duration::from_millis(10) + kind.slack / 4, call).await.is_err());
    eventually(|| stock.0.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(stock.0.dropped.load(Ordering::SeqCst), 1, "the handler was stopped");
}

fn foreign() {
    for (status, kind, code) in [
        (Status::deadline_exceeded("x"), ErrorKind::Timeout, "rpc.deadline_exceeded"),
        (Status::unavailable("x"), ErrorKind::Unavailable, "rpc.unavailable"),
        (Status::cancelled("x"), ErrorKind::Unavailable, "rpc.unavailable"),
        (Status::unknown("x"), ErrorKind::Unavailable, "rpc.unavailable"),
        (Status::unimplemented("x"), ErrorKind::Internal, "internal"),
        (Status::invalid_argument("x"), ErrorKind::Internal, "internal"),
    ] {
        let error = rpc::error_of(&status);
        assert_eq!((error.kind(), error.code()), (kind, code), "{status:?}");
    }
}
