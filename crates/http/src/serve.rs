//! The server loop: connections in, limits on each, and an orderly end.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use merx_platform::tasks::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt as _;

use crate::{limits::Limits, stalls::WriteStallLimit};

/// How long to wait when the machine has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// hyper refuses a smaller buffer.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Serves the router on the listener until `shutdown` completes; then takes no new connection, lets the requests
/// in flight finish within [`Limits::drain_ms_max`], and returns. Idle connections are closed at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    tasks: &Tasks,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    let http = protocol(limits);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            // The permit comes first: with none left, clients wait in the backlog of the listener.
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = http.serve_connection(transport(stream, limits), handler(router.clone(), peer));
        let connection = graceful.watch(connection);
        // Nobody waits for the task: it ends with its connection, and `graceful` counts it.
        drop(tasks.spawn("http.connection", async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        }));
    }
    drop(listener);
    if tokio::time::timeout(limits.drain(), graceful.shutdown()).await.is_err() {
        tracing::warn!(
            drain_ms_max = limits.drain_ms_max,
            "requests were still in flight at the end of the drain"
        );
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

fn transport(stream: TcpStream, limits: &Limits) -> TokioIo<WriteStallLimit<TcpStream>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    TokioIo::new(WriteStallLimit::new(stream, limits.write_stall()))
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
