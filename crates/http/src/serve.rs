//! The server loop: connections in, limits on each, and an orderly end.

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use merx_platform::tasks::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    client::{ClientAddress, is_trusted},
    limits::Limits,
    networks::Networks,
    refusals::ExplainRefusals,
    stalls::WriteStallLimit,
};

/// How long to wait when the machine has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that said nothing yet may still begin to, once the end has begun.
const LAST_WORD_MAX: Duration = Duration::from_millis(500);
/// Connections taken out of the listener's backlog at the end: the length that listeners ask the system for.
const BACKLOG_MAX: usize = 1024;
/// hyper refuses a smaller buffer.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Serves the router on the listener until `shutdown` completes; then takes in who has connected by then, takes no
/// new connection, lets the requests in flight finish within [`Limits::drain_ms_max`], and returns. Idle
/// connections are closed at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    trusted_proxies: &[IpAddr],
    tasks: &Tasks,
    shutdown: impl Future<Output = ()>,
) {
    let door = Door {
        places: Arc::new(Semaphore::new(limits.connections_max)),
        networks: Arc::new(Networks::new(limits.connections_per_network_max)),
        trusted_proxies,
        room: Room { router, limits: limits.clone(), closing: CancellationToken::new() },
        tasks,
    };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            // The place comes first: with none left, clients wait in the backlog of the listener.
            let place = door.places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => door.let_in(stream, peer, place),
            (_, accepted) => {
                if let Err(error) = accepted {
                    tracing::warn!(%error, "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if let Err(error) = door.empty_backlog(listener) {
        tracing::warn!(%error, "connections that waited could not be accepted");
    }
    door.room.closing.cancel();
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    // All places free: everybody has left.
    if tokio::time::timeout(limits.drain(), door.places.acquire_many(all)).await.is_err() {
        tracing::warn!(
            drain_ms_max = limits.drain_ms_max,
            "requests were still in flight at the end of the drain"
        );
    }
}

/// Who may come in.
struct Door<'a> {
    places: Arc<Semaphore>,
    networks: Arc<Networks>,
    trusted_proxies: &'a [IpAddr],
    room: Room,
    tasks: &'a Tasks,
}

impl Door<'_> {
    fn let_in(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let address = ClientAddress(peer.ip().to_canonical());
        let visit = if is_trusted(self.trusted_proxies, address.0) {
            None
        } else {
            match self.networks.enter(address.network()) {
                Some(visit) => Some(visit),
                None => {
                    tracing::debug!("a network has too many connections");
                    return;
                }
            }
        };
        let talk = self.room.clone().talk(stream, peer);
        // Nobody waits for the task: it ends with its connection, and gives its place back then.
        drop(self.tasks.spawn("http.connection", async move {
            let _here = (place, visit);
            if let Err(error) = talk.await {
                tracing::debug!(%error, "connection ended");
            }
        }));
    }

    /// Lets in whom the system has connected already: they were not told that the end has begun. The standard
    /// listener is asked because it says for certain when nobody is left.
    fn empty_backlog(&self, listener: TcpListener) -> std::io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..BACKLOG_MAX {
            let Ok(place) = self.places.clone().try_acquire_owned() else { break };
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.let_in(TcpStream::from_std(stream)?, peer, place);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => tracing::debug!(%error, "a connection that waited is gone"),
            }
        }
        Ok(())
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Room {
    router: Router,
    limits: Limits,
    closing: CancellationToken,
}

impl Room {
    async fn talk(self, stream: TcpStream, peer: SocketAddr) -> hyper::Result<()> {
        if !self.begins(&stream).await {
            return Ok(());
        }
        let transport = transport(stream, &self.limits);
        let talk = protocol(&self.limits).serve_connection(transport, handler(self.router, peer));
        let mut talk = std::pin::pin!(talk);
        tokio::select! {
            biased;
            ended = talk.as_mut() => ended,
            () = self.closing.cancelled() => {
                talk.as_mut().graceful_shutdown();
                talk.await
            }
        }
    }

    /// Waits for the first bytes. The protocol is not begun before: told to end, it would leave unread a request
    /// that has come already.
    async fn begins(&self, stream: &TcpStream) -> bool {
        let too_late = async {
            self.closing.cancelled().await;
            tokio::time::sleep(LAST_WORD_MAX).await;
        };
        tokio::select! {
            biased;
            readable = stream.readable() => readable.is_ok(),
            () = tokio::time::sleep(self.limits.header_read()) => false,
            () = too_late => false,
        }
    }
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read())
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES_MIN));
    http
}

fn transport(stream: TcpStream, limits: &Limits) -> TokioIo<ExplainRefusals<WriteStallLimit<TcpStream>>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    TokioIo::new(ExplainRefusals::new(WriteStallLimit::new(stream, limits.write_stall())))
}

fn handler(
    router: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send + 'static,
> + Send
+ 'static {
    service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    })
}
