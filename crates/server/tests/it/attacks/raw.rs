//! HTTP/1.1 by hand: bytes out, whole answers in.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What ends a conversation: the server answers it and closes, or has closed before it comes to it.
pub const LAST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// How long a conversation may take before the test gives up: the shop cuts it long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read of a conversation at most.
const BYTES_MAX: usize = 64 << 20;

/// One answer of the shop.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, its names in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The code of the problem, or the empty text.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// Sends the bytes and reads until the server closes. The server may refuse, and close, before it has read all.
pub async fn converse(address: (&str, u16), bytes: &[u8]) -> Vec<u8> {
    let talk = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let write = async {
            let _ = to.write_all(bytes).await;
            // The half stays open: whoever closes it is taken to have left.
            to
        };
        let read = async {
            let mut told = Vec::new();
            let mut piece = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut piece).await {
                told.extend_from_slice(&piece[..count]);
                assert!(told.len() < BYTES_MAX, "an answer without an end");
            }
            told
        };
        let (_open, told) = tokio::join!(write, read);
        told
    };
    let began = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    timeout(PATIENCE, talk).await.unwrap_or_else(|_| panic!("neither answered nor closed: {began}"))
}

/// The answers in what the server said; a cut in the middle of the last one is no answer.
///
/// # Panics
/// Something stands between two answers.
pub fn answers(mut told: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while !told.is_empty() {
        let shown = || String::from_utf8_lossy(&told[..told.len().min(300)]).into_owned();
        // A request of HTTP/1.0 is answered in HTTP/1.0.
        assert!(
            told.starts_with(b"HTTP/1.1 ") || told.starts_with(b"HTTP/1.0 "),
            "no answer begins so: {}",
            shown()
        );
        let Some(end) = told.windows(4).position(|four| four == b"\r\n\r\n") else { break };
        let head = String::from_utf8_lossy(&told[..end]).to_ascii_lowercase();
        let status: u16 = head[9..12].parse().unwrap_or_else(|_| panic!("no status: {head}"));
        let mut answer = Answer { status, head, body: Vec::new() };
        told = &told[end + 4..];
        if (100..200).contains(&status) || status == 204 || status == 304 {
            all.push(answer);
            continue;
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().expect("a length");
            if told.len() < length {
                break;
            }
            answer.body = told[..length].to_vec();
            told = &told[length..];
        } else if answer.header("transfer-encoding").is_none() {
            // It ends with the connection.
            answer.body = std::mem::take(&mut told).to_vec();
        } else {
            let Some((body, rest)) = unchunked(told) else { break };
            answer.body = body;
            told = rest;
        }
        all.push(answer);
    }
    all
}

fn unchunked(mut told: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = told.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&told[..end]).ok()?, 16).ok()?;
        let chunk = told.get(end + 2..end + 2 + size)?;
        body.extend_from_slice(chunk);
        told = told.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some((body, told));
        }
    }
}

/// No answer is a fault of the shop's, and every refusal is a problem.
#[track_caller]
pub fn judge(answers: &[Answer], sent: &[u8]) {
    for answer in answers {
        let told = || {
            let (sent, body) = (String::from_utf8_lossy(&sent[..sent.len().min(600)]), &answer.body);
            format!("{sent:?} -> {}\n{}", answer.head, String::from_utf8_lossy(body))
        };
        assert!(answer.status < 500, "{}", told());
        // What machines of the provider are told is in the words of their protocol.
        if answer.status >= 400 && answer.body != b"fail" {
            assert!(answer.head.contains("content-type: application/problem+json"), "{}", told());
            assert!(!answer.code().is_empty(), "{}", told());
        }
    }
}
