//! The server loop over real sockets: slow, flooding and broken clients, and an orderly end. Nothing here waits
//! for a time to pass; each test waits for what the server does.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use merx_http::{Limits, serve};
use merx_platform::tasks::Task;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
};

use crate::kit::{Kit, ORDER};

struct Server {
    address: SocketAddr,
    stop: Arc<Notify>,
    done: Task<()>,
    kit: Kit,
}

async fn start(limits: Limits) -> Server {
    start_behind(&[], limits).await
}

async fn start_behind(proxies: &[IpAddr], limits: Limits) -> Server {
    let proxies = proxies.to_vec();
    let kit = Kit::with(limits.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let (router, tasks, stopped) = (kit.router.clone(), kit.tasks.clone(), stop.clone());
    let work = async move {
        let connections = tasks.clone();
        serve(listener, router, &limits, &proxies, &connections, stopped.notified()).await;
    };
    let done = kit.tasks.spawn("test.server", work);
    Server { address, stop, done, kit }
}

/// Sends the bytes and reads until the server closes the connection.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const CLOSE: &str = "Host: x\r\nConnection: close\r\n";

#[tokio::test]
async fn a_request_goes_all_the_way() {
    let server = start(Limits::default()).await;
    let answer = exchange(server.address, format!("GET /v1/where HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"text":"127.0.0.1"}"#), "{answer}");
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut() {
    let limits = Limits { header_read_ms_max: 50, body_read_ms_max: 50, ..Limits::default() };
    let server = start(limits).await;
    let silent = exchange(server.address, b"").await;
    assert_eq!(silent, "");
    let half_a_head = exchange(server.address, b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(!half_a_head.contains("200"), "{half_a_head}");
    let head = "POST /v1/public HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let half_a_body = exchange(server.address, head.as_bytes()).await;
    assert!(half_a_body.starts_with("HTTP/1.1 408"), "{half_a_body}");
    assert!(half_a_body.contains("request.body_timeout"), "{half_a_body}");
    // A kept connection that rests too long is closed too: reading to its end returns.
    let kept = exchange(server.address, b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let server = start(Limits { write_stall_ms_max: 50, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("GET /v1/large HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    while server.kit.tasks.running().contains(&"http.connection") {
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < 32 << 20, "cut before the end: {} bytes", answer.len());
    let whole = exchange(server.address, format!("GET /v1/large HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await;
    assert!(whole.len() > 32 << 20, "a client that reads gets all");
}

/// What is refused before it is a request is a problem like any other.
fn is_explained(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some(code), Some(status.into())), "{body}");
}

#[tokio::test]
async fn header_floods_and_rubbish_are_refused() {
    let server = start(Limits::default()).await;
    let many = format!("GET / HTTP/1.1\r\n{CLOSE}{}\r\n", "X-A: b\r\n".repeat(200));
    is_explained(&exchange(server.address, many.as_bytes()).await, 431, "request.headers_too_large");
    let large = format!("GET / HTTP/1.1\r\n{CLOSE}X-A: {}\r\n\r\n", "b".repeat(1 << 20));
    let refused = exchange(server.address, large.as_bytes()).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    for rubbish in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"AMQP\x00\x00\x09\x01\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[0u8; 100],
    ] {
        let refused = exchange(server.address, rubbish).await;
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 4"), "{refused}");
    }
    let smuggle = format!(
        "POST /v1/public HTTP/1.1\r\n{CLOSE}Content-Type: application/json\r\nContent-Length: {}\r\nContent-Length: 3\r\n\r\n{ORDER}",
        ORDER.len()
    );
    is_explained(&exchange(server.address, smuggle.as_bytes()).await, 400, "request.malformed_http");
    let alive = exchange(server.address, format!("GET /v1/hello HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cut_a_command() {
    let server = start(Limits { handler_ms_max: 60_000, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /v1/slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    while !server.kit.tasks.running().contains(&"http.command") {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while server.kit.tasks.running().contains(&"http.connection") {
        tokio::task::yield_now().await;
    }
    assert!(server.kit.tasks.running().contains(&"http.command"), "the command goes on");
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_closes_idle_connections() {
    let server = start(Limits { drain_ms_max: 60_000, ..Limits::default() }).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0u8; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // One request is half way in when the end begins.
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/public HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{{",
        ORDER.len()
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    while !server.kit.metrics.render().unwrap().contains("http_requests_in_flight 1") {
        tokio::task::yield_now().await;
    }
    server.stop.notify_one();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    busy.write_all(&ORDER.as_bytes()[1..]).await.unwrap();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    tokio::time::timeout(Duration::from_secs(60), server.done).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let server = start(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut seen = [0u8; 12];
    first.read_exact(&mut seen).await.unwrap();
    let request = format!("GET /v1/hello HTTP/1.1\r\n{CLOSE}\r\n");
    let second = exchange(server.address, request.as_bytes());
    let mut second = std::pin::pin!(second);
    tokio::select! {
        biased;
        answer = &mut second => panic!("served beyond the limit: {answer}"),
        () = async { for _ in 0..1_000 { tokio::task::yield_now().await } } => {}
    }
    drop(first);
    assert!(second.await.starts_with("HTTP/1.1 200"));
}

/// A connection that is being served, or `None` when the server has closed it.
async fn connect(from: &str, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let _ = stream.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = [0u8; 12];
    stream.read_exact(&mut answer).await.ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test]
async fn one_network_has_so_many_connections_only() {
    let limits = Limits { connections_per_network_max: 2, ..Limits::default() };
    let server = start(limits.clone()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(connect("127.0.0.2", server.address).await.expect("served"));
    }
    for _ in 0..10 {
        assert!(connect("127.0.0.2", server.address).await.is_none(), "one too many is closed");
    }
    assert!(connect("127.0.0.3", server.address).await.is_some(), "another network is not touched");
    drop(held.pop());
    while connect("127.0.0.2", server.address).await.is_none() {
        tokio::task::yield_now().await;
    }
    let server = start_behind(&["127.0.0.2".parse().unwrap()], limits).await;
    for _ in 0..10 {
        held.push(connect("127.0.0.2", server.address).await.expect("a proxy brings many clients"));
    }
}

#[tokio::test]
async fn who_has_connected_before_the_end_is_served() {
    let kit = Kit::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for number in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Every second one has connected and not spoken yet.
        if number % 2 == 0 {
            stream.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        }
        waiting.push(stream);
    }
    let (limits, over) = (Limits::default(), std::future::ready(()));
    let served = serve(listener, kit.router.clone(), &limits, &[], &kit.tasks, over);
    let clients = async {
        for (number, stream) in waiting.iter_mut().enumerate() {
            if number % 2 == 1 {
                stream.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
        }
    };
    tokio::join!(served, clients);
    assert!(TcpStream::connect(address).await.is_err());
}
