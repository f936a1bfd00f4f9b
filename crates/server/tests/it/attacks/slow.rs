//! T38: clients that dawdle, hold half a connection, or do not read. Each is cut within the patience that is configured; the
//! test ends when the shop has ended the last of them, and everybody else is served meanwhile.

use std::time::Duration;

use futures_util::future::join_all;
use merx_http::Limits;
use merx_kernel::Clock as _;
use merx_platform::time::SystemClock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::{
    raw::{LAST, answers, converse},
    target::{PATIENCE_MS, Target},
};
use crate::process::harness::{PATIENCE, until};

/// What the list of fault tests allows a slow client.
const CUT_WITHIN_MS: u64 = 30_000;
/// A byte in this time is slow, and not silent.
const BETWEEN_BYTES: Duration = Duration::from_millis(100);
const OF_EACH_KIND: usize = 20;

/// Sends the head at once and the rest a byte at a time, for as long as anybody reads it; answers what was said until
/// the connection was closed.
async fn drip(address: (&'static str, u16), head: &[u8], rest: &[u8]) -> (Vec<u8>, Duration) {
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    let began = Instant::now();
    let write = async {
        let _ = to.write_all(head).await;
        for byte in rest.iter().cycle() {
            SystemClock.sleep(BETWEEN_BYTES).await;
            if to.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        // With nothing more to say it is silent for as long as it is let.
        std::future::pending().await
    };
    let read = async {
        let mut told = Vec::new();
        let _ = from.read_to_end(&mut told).await;
        told
    };
    let told = tokio::select! {
        told = timeout(PATIENCE, read) => told.expect("a slow client is never cut"),
        () = write => Vec::new(),
    };
    (told, began.elapsed())
}

/// Asks for something large through a small window and never reads.
async fn deaf(address: (&'static str, u16)) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let to = format!("{}:{}", address.0, address.1).parse().unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    stream.write_all(&ask).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_and_keep_nobody_out() {
    let target = Target::open().await;
    let address = target.site.address();
    let head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{";
    let chunked = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let kinds: [(&str, &[u8], &[u8]); 5] = [
        ("a silent connection", b"", b""),
        ("a head a byte at a time", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"),
        ("a body a byte at a time", head, b" "),
        ("chunks a byte at a time", chunked, b"1\r\n \r\n"),
        ("half a chunk", &[&chunked[..], b"ffff\r\n{"].concat(), b""),
    ];
    let before = target.sockets();
    let deaf = join_all((0..OF_EACH_KIND).map(|_| deaf(address))).await;
    let slow =
        kinds.iter().flat_map(|(_, head, rest)| (0..OF_EACH_KIND).map(move |_| drip(address, head, rest)));
    let slow = join_all(slow);
    // Beside them others are served, and at once.
    let others = async {
        let mut served = 0;
        for _ in 0..200 {
            let told = answers(&converse(address, LAST).await);
            served += usize::from(told.iter().any(|answer| answer.status == 200));
        }
        served
    };
    let (slow, served) = tokio::join!(slow, others);
    assert_eq!(served, 200);
    let mut longest = [Duration::ZERO; 5];
    for (index, (told, lasted)) in slow.iter().enumerate() {
        let kind = index / OF_EACH_KIND;
        longest[kind] = longest[kind].max(*lasted);
        for answer in answers(told) {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (408, "request.body_timeout"),
                "{}",
                kinds[kind].0
            );
        }
    }
    // Those that do not read are cut too: nothing of theirs is left.
    until("nobody is connected", || async { (target.sockets() <= before).then_some(()) }).await;
    drop(deaf);
    target.site.assert_no_panic();
    let usual = Limits::default();
    let most = usual.header_read_ms_max.max(usual.body_read_ms_max).max(usual.write_stall_ms_max);
    assert!(most <= CUT_WITHIN_MS, "by default slow clients have {most} ms");
    let figures: Vec<String> =
        kinds.iter().zip(longest).map(|((name, ..), lasted)| format!("{name} {lasted:.1?}")).collect();
    println!(
        "PROOF | T38 | slow clients | size={} | all cut, longest with a patience of {:.1} s: {}; by default after {} s (head), {} s \
         (body), {} s (unread answer); 200 of 200 others served meanwhile | seed=-",
        OF_EACH_KIND * (kinds.len() + 1),
        PATIENCE_MS as f64 / 1_000.0,
        figures.join(", "),
        usual.header_read_ms_max / 1_000,
        usual.body_read_ms_max / 1_000,
        usual.write_stall_ms_max / 1_000,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_leave_nothing() {
    let target = Target::open().await;
    let address = target.site.address();
    let partial: [&[u8]; 5] = [
        b"",
        b"GET /li",
        b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\"",
        b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let size: usize = std::env::var("MERX_T38").map_or(3_000, |text| text.parse().expect("a number")) / 10;
    let (begins, before) = (target.memory_mib(), target.sockets());
    for number in 0..size {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(partial[number % partial.len()]).await.unwrap();
        if number % 2 == 0 {
            // A reset in place of an orderly end.
            stream.set_zero_linger().unwrap();
        }
    }
    until("nobody is connected", || async { (target.sockets() <= before).then_some(()) }).await;
    let growth = target.memory_mib().saturating_sub(begins);
    assert!(growth <= 50, "{growth} MiB more");
    target.site.assert_no_panic();
    println!(
        "PROOF | T38 | connections that end in the middle, half of them by a reset | size={size} | 0 panics, none left, memory \
         +{growth} MiB | seed=-"
    );
}
