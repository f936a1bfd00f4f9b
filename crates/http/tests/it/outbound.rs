//! Requests to URLs that people gave us reach the public internet and nothing else.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use merx_http::outbound::{
    Names, Outbound as _, OutboundAnswer, OutboundFailure, OutboundRequest, Reach, SystemNames, Web,
    not_public,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A listener on every loopback address that counts who connects and answers `answer`.
struct Listener {
    port: u16,
    connections: Arc<AtomicU32>,
}

async fn listener(answer: &'static str) -> Listener {
    let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = v4.local_addr().unwrap().port();
    let connections = Arc::new(AtomicU32::new(0));
    let mut all = vec![v4];
    // Without IPv6 on the machine there is nobody to be reached by it either.
    all.extend(TcpListener::bind(("::1", port)).await.ok());
    for listener in all {
        let count = connections.clone();
        #[allow(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = vec![0; 4096];
                drop(stream.read(&mut head).await);
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
    }
    Listener { port, connections }
}

impl Listener {
    fn count(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Answers each question with the next of its answers, the last one for ever.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicU32,
}

impl Told {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers.iter().map(|all| all.iter().map(|a| a.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers: Mutex::new(parsed), asked: AtomicU32::new(0) })
    }
}

impl Names for Told {
    fn look_up(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

async fn send(web: &Web, url: &str) -> Result<OutboundAnswer, OutboundFailure> {
    let request = OutboundRequest {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        time_max: Duration::from_secs(5),
        answer_bytes_max: 64,
    };
    web.send(request).await
}

/// URLs that lead, or might lead a careless reader, to this machine or another of ours. `{}` is the listener's port.
const TRICKS: &[&str] = &[
    "https://127.0.0.1:{}/",
    "https://127.0.0.2:{}/",
    "https://127.1:{}/",
    "https://127.0.1:{}/",
    "https://2130706433:{}/",
    "https://0x7f000001:{}/",
    "https://0x7f.0.0.1:{}/",
    "https://0177.0.0.1:{}/",
    "https://017700000001:{}/",
    "https://0x7f.1:{}/",
    "https://00000177.0.0.1:{}/",
    "https://0:{}/",
    "https://0.0.0.0:{}/",
    "https://127.0.0.1.:{}/",
    "https://%31%32%37.0.0.1:{}/",
    "https://127%2e0%2e0%2e1:{}/",
    "https://①②⑦.⓪.⓪.①:{}/",
    "https://127。0。0。1:{}/",
    "https://127.0.0.1:{}",
    "https://localhost:{}/",
    "https://LOCALHOST:{}/",
    "https://localhost.:{}/",
    "https://ˡocalhost:{}/",
    "https://[::1]:{}/",
    "https://[::]:{}/",
    "https://[0:0:0:0:0:0:0:1]:{}/",
    "https://[0000::0001]:{}/",
    "https://[::ffff:127.0.0.1]:{}/",
    "https://[::ffff:7f00:1]:{}/",
    "https://[::127.0.0.1]:{}/",
    "https://[::ffff:0:127.0.0.1]:{}/",
    "https://[64:ff9b::127.0.0.1]:{}/",
    "https://[64:ff9b:1::7f00:1]:{}/",
    "https://[2002:7f00:1::]:{}/",
    "https://[2001:0:7f00:1::]:{}/",
    "https://[::1%25lo]:{}/",
    "https://[fe80::1%25eth0]:{}/",
    "https://[fe80::1]:{}/",
    "https://[fec0::1]:{}/",
    "https://[fc00::1]:{}/",
    "https://[fd12:3456:789a::1]:{}/",
    "https://[ff02::1]:{}/",
    "https://[2001:db8::1]:{}/",
    "https://10.0.0.1:{}/",
    "https://172.16.0.1:{}/",
    "https://172.31.255.255:{}/",
    "https://192.168.1.1:{}/",
    "https://169.254.169.254:{}/latest/meta-data/",
    "https://100.64.0.1:{}/",
    "https://192.0.0.192:{}/",
    "https://198.18.0.1:{}/",
    "https://203.0.113.1:{}/",
    "https://224.0.0.1:{}/",
    "https://255.255.255.255:{}/",
    "https://shop.example@127.0.0.1:{}/",
    "https://shop.example:secret@127.0.0.1:{}/",
    "https://@127.0.0.1:{}/",
    "https://127.0.0.1:{}#@shop.example/",
    "https://127.0.0.1:{}?@shop.example/",
    "https://127.0.0.1:{}\\@shop.example/",
    "https://shop.example\\@127.0.0.1:{}/",
    "https:127.0.0.1:{}/",
    "https:///127.0.0.1:{}/",
    "https://127.0.0.1:{}/\r\nHost: shop.example",
    "https://127.0.0\t.1:{}/",
    " https://127.0.0.1:{}/",
    "http://127.0.0.1:{}/",
    "http://localhost:{}/",
    "HTTP://127.0.0.1:{}/",
    "ftp://127.0.0.1:{}/",
    "gopher://127.0.0.1:{}/_POST",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
    "data:text/plain,hello",
    "//127.0.0.1:{}/",
    "127.0.0.1:{}",
    "",
];

#[tokio::test]
async fn no_trick_reaches_this_machine() {
    let listener = listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let web = Web::new(Reach::Public, Arc::new(SystemNames)).unwrap();
    let mut wrong = Vec::new();
    for trick in TRICKS {
        let url = trick.replace("{}", &listener.port.to_string());
        match send(&web, &url).await {
            Err(OutboundFailure::Refused(_) | OutboundFailure::Unresolved) => {}
            other => wrong.push(format!("{url:?}: {other:?}")),
        }
    }
    assert!(TRICKS.len() >= 30);
    assert_eq!((listener.count(), wrong), (0, Vec::new()), "of {} tricks", TRICKS.len());
    println!(
        "PROOF | T37 | addresses that lead to this machine: forms of it, names, redirects, other schemes | size={0} | 0 connections of \
         {0} tricks | seed=-",
        TRICKS.len()
    );
}

#[tokio::test]
async fn a_name_with_one_bad_address_is_refused_whatever_the_others() {
    let listener = listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("https://shop.example:{}/", listener.port);
    let cases: [&[&str]; 6] = [
        &["127.0.0.1"],
        &["::1"],
        &["93.184.216.34", "127.0.0.1"],
        &["127.0.0.1", "93.184.216.34"],
        &["::ffff:127.0.0.1"],
        &["2606:4700::1111", "64:ff9b::7f00:1"],
    ];
    for addresses in cases {
        let web = Web::new(Reach::Public, Told::of(&[addresses])).unwrap();
        let refused = send(&web, &url).await.expect_err("refused");
        assert!(matches!(refused, OutboundFailure::Refused(_)), "{addresses:?}: {refused:?}");
    }
    assert_eq!(listener.count(), 0);
}

#[tokio::test]
async fn a_name_that_changes_between_two_looks_leads_nowhere() {
    let listener = listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("https://shop.example:{}/", listener.port);
    // Whoever looked a name up to check it, and again to connect, would connect to the second answer.
    let names = Told::of(&[&["127.0.0.1"], &["93.184.216.34"]]);
    let web = Web::new(Reach::Public, names.clone()).unwrap();
    assert!(matches!(send(&web, &url).await, Err(OutboundFailure::Refused(_))));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "one request looks a name up once");
    let names = Told::of(&[&["192.0.2.1"], &["127.0.0.1"]]);
    let web = Web::new(Reach::Public, names.clone()).unwrap();
    for _ in 0..3 {
        assert!(matches!(send(&web, &url).await, Err(OutboundFailure::Refused(_))));
    }
    assert_eq!(listener.count(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inner = listener("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location: &'static str = Box::leak(
        format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
            inner.port
        )
        .into_boxed_str(),
    );
    let outer = listener(location).await;
    let web = Web::new(Reach::PublicAndLoopback, Arc::new(SystemNames)).unwrap();
    let answer = send(&web, &format!("http://127.0.0.1:{}/", outer.port)).await.unwrap();
    assert_eq!((answer.status, outer.count(), inner.count()), (307, 1, 0));
}

#[tokio::test]
async fn the_switch_for_trying_out_opens_the_loopback_and_nothing_else() {
    let listener =
        listener("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789").await;
    let web = Web::new(Reach::PublicAndLoopback, Arc::new(SystemNames)).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let answer = send(&web, &format!("http://{host}:{}/hook", listener.port)).await.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.whole), (200, 64, false), "{host}");
    }
    let before = listener.count();
    let still_refused = [
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "https://192.168.0.1/",
        "http://93.184.216.34/",
        "https://93.184.216.34:25/",
        "https://[fd00::1]/",
    ];
    for url in still_refused {
        assert!(matches!(send(&web, url).await, Err(OutboundFailure::Refused(_))), "{url}");
    }
    let names = Told::of(&[&["127.0.0.1", "10.0.0.1"]]);
    let web = Web::new(Reach::PublicAndLoopback, names).unwrap();
    let url = format!("http://shop.example:{}/", listener.port);
    assert!(matches!(send(&web, &url).await, Err(OutboundFailure::Refused(_))));
    assert_eq!(listener.count(), before);
}

#[tokio::test]
async fn the_ends_without_an_answer_are_told_apart() {
    let silent = listener("").await;
    let web = Web::new(Reach::PublicAndLoopback, Arc::new(SystemNames)).unwrap();
    let url = format!("http://127.0.0.1:{}/", silent.port);
    assert_eq!(send(&web, &url).await.expect_err("closed"), OutboundFailure::Broken);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", gone.local_addr().unwrap().port());
    drop(gone);
    assert_eq!(send(&web, &url).await.expect_err("refused"), OutboundFailure::Unreachable);
    let web = Web::new(Reach::Public, Told::of(&[&[]])).unwrap();
    assert_eq!(
        send(&web, "https://shop.example/").await.expect_err("no address"),
        OutboundFailure::Unresolved
    );
}

#[test]
fn public_addresses_are_public() {
    let public = [
        "93.184.216.34",
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "2400:3200::1",
    ];
    for address in public {
        assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
    }
    let check = |url: &str| Reach::Public.check(url);
    for fine in [
        "https://shop.example/hook",
        "https://shop.example:8443/a?b=c",
        "https://8.8.8.8/",
        "https://例え.jp/",
    ] {
        assert_eq!(check(fine), Ok(()), "{fine}");
    }
    for wrong in
        ["https://shop.example:22/", "https://shop.example:80/", "https://shop.example/#x", "https://"]
    {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    assert!(check(&format!("https://shop.example/{}", "x".repeat(2_000))).is_err());
}
