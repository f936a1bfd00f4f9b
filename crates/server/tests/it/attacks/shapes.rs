//! Requests that are wrong in a way of their own, and what each must come to.

/// What a shape must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The first answer has one of these statuses.
    Refused(&'static [u16]),
    /// As `Refused`, and the connection ends with it: whatever follows is not read as a request, for nobody can say where
    /// the first one ended.
    RefusedAndCut(&'static [u16]),
    /// The server closes, perhaps with a refusal.
    Cut,
    /// It is served like any other.
    Served(u16),
}

/// A shape.
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it must come to.
    pub fate: Fate,
}

/// The path of a request that is hidden in another one: it must never be answered.
pub const HIDDEN: &str = "/v1/hidden";

use Fate::{Cut, Refused, RefusedAndCut, Served};

/// Every shape.
pub fn all() -> Vec<Shape> {
    [bodies(), framing(), chunks(), heads(), targets(), protocols()].into_iter().flatten().collect()
}

fn shape(name: &'static str, fate: Fate, bytes: impl Into<Vec<u8>>) -> Shape {
    Shape { name, bytes: bytes.into(), fate }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn bodies() -> Vec<Shape> {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let bad = Refused(&[400]);
    let huge = "9".repeat(5_000);
    vec![
        shape("JSON nested 30,000 deep", bad, post(&nested(30_000))),
        shape("JSON objects nested 10,000 deep", bad, post(&b"{\"a\":".repeat(10_000))),
        shape("JSON nested one too deep", bad, post(&nested(33))),
        shape("a number of 5,000 digits", bad, post(format!("{{\"email\":{huge}}}").as_bytes())),
        shape("a number beyond a double", bad, post(b"{\"email\":1e999999}")),
        shape("NUL in JSON", bad, post(b"{\"email\":\"a\0b\"}")),
        shape("an escaped NUL", Refused(&[400, 422]), post(br#"{"email":"a\u0000b","password":"x"}"#)),
        shape("half a surrogate", bad, post(br#"{"email":"\ud800","password":"x"}"#)),
        shape("invalid UTF-8", bad, post(b"{\"email\":\"\xff\xfe\"}")),
        shape("overlong UTF-8", bad, post(b"{\"email\":\"\xc0\xaf\"}")),
        shape("a byte order mark", bad, post(b"\xef\xbb\xbf{}")),
        shape(
            "a property twice",
            bad,
            post(br#"{"email":"a@b.example","email":"c@d.example","password":"x"}"#),
        ),
        shape("a property twice, once escaped", bad, post(br#"{"email":"a@b.c","\u0065mail":"c@d.e"}"#)),
        shape("something after the end", bad, post(b"{} {}")),
        shape("an array for an object", Refused(&[400, 422]), post(b"[1,2]")),
        shape("no body at all", bad, post(b"")),
        shape("10 MB", RefusedAndCut(&[413]), post(&vec![b' '; 10 << 20])),
        shape("10 MB said, none sent", RefusedAndCut(&[413]), said("Content-Length: 10485760", b"")),
        shape(
            "10 MB in chunks",
            RefusedAndCut(&[413]),
            chunked(
                &b"8000\r\n"
                    .iter()
                    .copied()
                    .chain([b' '; 0x8000])
                    .chain(*b"\r\n")
                    .collect::<Vec<u8>>()
                    .repeat(320),
            ),
        ),
        shape(
            "XML",
            Refused(&[400, 415]),
            post(
                b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
            ),
        ),
        shape(
            "a compressed body",
            Refused(&[400, 415]),
            said_with("Content-Encoding: gzip\r\nContent-Length: 2", b"{}"),
        ),
    ]
}

fn said(framing: &str, body: &[u8]) -> Vec<u8> {
    said_with(framing, body)
}

/// A log-in whose framing is what the given lines say.
fn said_with(lines: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn chunked(chunks: &[u8]) -> Vec<u8> {
    said_with("Transfer-Encoding: chunked", chunks)
}

/// Two readers may see two different requests in each of these (RFC 9112 §6.3, §11.2).
fn framing() -> Vec<Shape> {
    let hidden = format!("GET {HIDDEN} HTTP/1.1\r\nHost: x\r\n\r\n");
    let cut = RefusedAndCut(&[400]);
    let both = |lines: &str| {
        let body = format!("0\r\n\r\n{hidden}");
        said_with(&lines.replace('#', &body.len().to_string()), body.as_bytes())
    };
    vec![
        shape("CL.TE", cut, both("Content-Length: #\r\nTransfer-Encoding: chunked")),
        shape("TE.CL", cut, both("Transfer-Encoding: chunked\r\nContent-Length: #")),
        shape("CL.TE in capitals", cut, both("CONTENT-LENGTH: #\r\nTRANSFER-ENCODING: Chunked")),
        shape("a coding we do not know", cut, both("Transfer-Encoding: xchunked")),
        shape("chunked and then identity", cut, both("Transfer-Encoding: chunked, identity")),
        shape("a blank before the colon", cut, both("Transfer-Encoding : chunked\r\nContent-Length: #")),
        shape("a folded line", cut, both("Transfer-Encoding:\r\n chunked\r\nContent-Length: #")),
        shape("a vertical tab", cut, both("Transfer-Encoding: \x0bchunked\r\nContent-Length: #")),
        shape("two lengths", cut, both("Content-Length: 5\r\nContent-Length: #")),
        shape("two lengths in a line", cut, both("Content-Length: 5, #")),
        shape("a signed length", cut, both("Content-Length: +5")),
        shape("a negative length", cut, both("Content-Length: -1")),
        shape("a length in hexadecimal", cut, both("Content-Length: 0x5")),
        shape("a length beyond 64 bits", cut, both("Content-Length: 18446744073709551621")),
        shape("an empty length", cut, both("Content-Length: ")),
        shape(
            "chunked in HTTP/1.0",
            cut,
            String::from_utf8(both("Transfer-Encoding: chunked"))
                .unwrap_or_default()
                .replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
    ]
}

fn chunks() -> Vec<Shape> {
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a=b;".repeat(8_000));
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X-A: b\r\n".repeat(5_000));
    let cut = RefusedAndCut(&[400, 408, 413, 431]);
    vec![
        shape("a chunk size that is none", cut, chunked(b"zz\r\n{}\r\n0\r\n\r\n")),
        shape("a negative chunk size", cut, chunked(b"-2\r\n{}\r\n0\r\n\r\n")),
        shape("a chunk size beyond 64 bits", cut, chunked(b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        shape("a chunk size of 2^64-1", cut, chunked(b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        shape("a chunk longer than it says", cut, chunked(b"1\r\n{}\r\n0\r\n\r\n")),
        shape("a chunk extension of 32 kB", cut, chunked(long.as_bytes())),
        shape("5,000 trailers", cut, chunked(trailers.as_bytes())),
        shape("NUL in a chunk size", cut, chunked(b"2\0\r\n{}\r\n0\r\n\r\n")),
    ]
}

fn heads() -> Vec<Shape> {
    let get = |lines: &str| format!("GET /livez HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let large = RefusedAndCut(&[431]);
    let bad = RefusedAndCut(&[400]);
    vec![
        shape("101 headers", large, get(&"X-A: b\r\n".repeat(101))),
        shape("100,000 headers", large, get(&"X-A: b\r\n".repeat(100_000))),
        shape("a header of 1 MB", large, get(&format!("X-A: {}\r\n", "b".repeat(1 << 20)))),
        shape(
            "a header name of 64 kB",
            RefusedAndCut(&[400, 431]),
            get(&format!("{}: b\r\n", "X".repeat(1 << 16))),
        ),
        shape("NUL in a header", bad, get("X-A: a\0b\r\n")),
        shape("a bare CR in a header", bad, get("X-A: a\rb\r\n")),
        shape("a header without a colon", bad, get("X-A\r\n")),
        shape("a header without a name", bad, get(": b\r\n")),
        shape("a header name that is none", bad, get("X A: b\r\n")),
        shape("a first line that is folded", bad, "GET /livez\r\n HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape(
            "two tokens",
            Refused(&[400, 401]),
            "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        ),
        shape(
            "a token of 12 kB",
            Refused(&[401]),
            format!("GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", "a".repeat(12_000)),
        ),
        shape(
            "bytes that are no text in a token",
            Refused(&[401]),
            b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n".to_vec(),
        ),
    ]
}

fn targets() -> Vec<Shape> {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let long = Refused(&[400, 414, 431]);
    vec![
        shape("a path of 9 kB", Refused(&[400, 414]), get(&format!("/{}", "a".repeat(9_000)))),
        shape("a path of 15 kB", Refused(&[400, 414]), get(&format!("/{}", "a".repeat(15_000)))),
        shape("a path of 1 MB", long, get(&format!("/{}", "a".repeat(1 << 20)))),
        shape("a query of 10,000 parameters", long, get(&format!("/v1/products?{}", "a=b&".repeat(10_000)))),
        shape("NUL in the path", Refused(&[400, 404]), get("/v1/products/%00")),
        shape("invalid UTF-8 in the path", Refused(&[400, 404]), get("/v1/products/%ff%fe")),
        shape("a path that climbs", Refused(&[400, 404]), get("/v1/../../../../etc/passwd")),
        shape(
            "a path that climbs in escapes",
            Refused(&[400, 404]),
            get("/v1/products/..%2f..%2fetc%2fpasswd"),
        ),
        shape("a raw NUL in the target", RefusedAndCut(&[400]), "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape("a blank in the target", RefusedAndCut(&[400]), "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape("a whole URL", Served(200), get("http://x/livez")),
        shape("somebody else's URL", Refused(&[400, 404]), get("http://169.254.169.254/latest/meta-data/")),
        shape("a star", Refused(&[400, 404, 405]), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]
}

fn protocols() -> Vec<Shape> {
    vec![
        shape(
            "the preface of HTTP/2 and rubbish",
            Cut,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\xff".to_vec(),
        ),
        shape(
            "an upgrade to h2c",
            Served(200),
            "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        ),
        shape("TLS", Cut, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rubbish\r\n\r\n".to_vec()),
        shape("AMQP", Cut, b"AMQP\x00\x00\x09\x01\r\n\r\n".to_vec()),
        shape("SMTP", Cut, "EHLO example.com\r\n\r\n"),
        shape("HTTP/0.9", Cut, "GET /livez\r\n\r\n"),
        shape("a version that is none", Cut, "GET / HTTP/9.9\r\n\r\n"),
        shape("a method that is none", Cut, "G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape("a method nobody knows", Refused(&[400, 405]), "BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape("TRACE", Refused(&[400, 405]), "TRACE /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape("CONNECT", Refused(&[400, 404, 405]), "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
        shape(
            "an expectation nobody meets",
            Refused(&[400, 417]),
            "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        ),
        shape(
            "random bytes",
            Cut,
            (0..4_096_u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] | 0x80)
                .collect::<Vec<u8>>(),
        ),
    ]
}
