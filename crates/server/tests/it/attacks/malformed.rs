//! T38 on the socket: every shape there is, and saved requests of every route with bytes changed anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use futures_util::future::join_all;
use merx_kernel::{Entropy as _, Role};
use merx_platform::time::SeededEntropy;

use super::{
    raw::{Answer, LAST, answers, converse, judge},
    shapes::{self, Fate, HIDDEN, Shape},
    target::Target,
};
use crate::process::harness::SEED;

/// Conversations at a time.
const AT_ONCE: usize = 16;
/// Requests after which memory is judged. Before, each new thread that hashes a password keeps the 19 MiB of its first one
/// in its arena of the allocator, some sixteen at the most.
const WARM: usize = 20_000;
/// What the process may have grown by.
const GROWTH_MIB_MAX: u64 = 50;
/// Requests of every route, as the fuzzer keeps them: `who METHOD target`, headers, an empty line, the body.
const SAVED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/shop");

/// Who sends them, in the words of the saved requests.
const PEOPLE: &[(&str, Role)] = &[
    ("customer", Role::Customer),
    ("administrator", Role::Administrator),
    ("warehouse", Role::Warehouse),
    ("product-manager", Role::ProductManager),
    ("support", Role::Support),
    ("operator", Role::Operator),
];

/// Raw requests sent: `MERX_T38`.
fn size() -> usize {
    std::env::var("MERX_T38").map_or(3_000, |text| text.parse().expect("MERX_T38 is a number"))
}

/// What a shape came to is what it must come to.
fn check(shape: &Shape, told: &[Answer]) {
    let statuses: Vec<u16> = told.iter().map(|answer| answer.status).collect();
    let first = statuses.iter().copied().find(|status| *status >= 200);
    // The last request is a GET of /livez, answered with 200 if it is read.
    let was_cut = statuses.len() <= 1;
    let fits = match shape.fate {
        Fate::Served(status) => first == Some(status),
        Fate::Refused(any) => first.is_some_and(|status| any.contains(&status)),
        Fate::RefusedAndCut(any) => was_cut && first.is_none_or(|status| any.contains(&status)),
        Fate::Cut => was_cut && first.is_none_or(|status| (400..500).contains(&status)),
    };
    let codes: Vec<String> = told.iter().map(Answer::code).collect();
    assert!(fits, "{}: {:?}, and it came to {statuses:?} {codes:?}", shape.name, shape.fate);
    let hidden = codes.iter().skip(1).any(|code| code == "request.no_route");
    assert!(!hidden, "{}: the request to {HIDDEN} inside another one was answered", shape.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_refused_and_ambiguous_ones_end_the_connection() {
    let target = Target::open().await;
    let all = shapes::all();
    let mut by_status = BTreeMap::<u16, usize>::new();
    for shape in &all {
        let bytes = [&shape.bytes, LAST].concat();
        let told = answers(&converse(target.site.address(), &bytes).await);
        judge(&told, &bytes);
        check(shape, &told);
        *by_status.entry(told.first().map_or(0, |answer| answer.status)).or_default() += 1;
    }
    // A hundred requests in one write are a hundred answers in their order.
    let mut pipeline: Vec<u8> = Vec::new();
    for number in 0..100 {
        let path = if number % 2 == 0 { "/livez" } else { HIDDEN };
        pipeline.extend(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
    }
    pipeline.extend(LAST);
    let told = answers(&converse(target.site.address(), &pipeline).await);
    let statuses: Vec<u16> = told.iter().map(|answer| answer.status).collect();
    let expected: Vec<u16> = (0..100).map(|n| if n % 2 == 0 { 200 } else { 404 }).chain([200]).collect();
    assert_eq!(statuses, expected);
    target.site.assert_no_panic();
    println!(
        "PROOF | T38 | raw socket: {} malformed requests by hand, and 100 pipelined | size={} | 0 × 5xx, 0 panics, each \
         refused by its rule ({by_status:?}; 0 is closed without a word), none of the requests hidden in another \
         answered | seed=-",
        all.len(),
        all.len() + 101,
    );
}

/// The saved requests as HTTP/1.1 on a wire, with a token of who sends them.
fn wire(saved: &[u8], tokens: &BTreeMap<&'static str, String>) -> Vec<u8> {
    let text = String::from_utf8_lossy(saved);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let (who, first) = first.split_once(' ').unwrap_or_default();
    let mut wire = format!("{first} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.len());
    for line in lines {
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    if let Some(token) = tokens.get(who) {
        wire.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    wire.push_str("\r\n");
    wire.push_str(body);
    wire.into_bytes()
}

/// What is put into a request, anywhere.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b":",
    b"%00",
    b"%ff",
    b"\xff",
    b"\xc0\xaf",
    b"{",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"",
    b"null",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Type: text/plain\r\n",
    b"Expect: 100-continue\r\n",
    b"If-Match: \"1\"\r\n",
    b"Idempotency-Key: a\r\n",
    b"&limit=0&cursor=%F0%9F%98%80",
    b"?a[]=1&a=2",
];

/// Numbers of a seed, small ones.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&mut self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % below.max(1) as u64) as usize
    }

    /// The request with one to six changes.
    fn changed(&mut self, request: &[u8]) -> Vec<u8> {
        let mut out = request.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(out.len() + 1);
            let end = (at + 1 + self.below(12)).min(out.len()).max(at);
            match self.below(5) {
                0 if at < out.len() => out[at] ^= 1 << self.below(8),
                1 if at < out.len() => out[at] = self.below(256) as u8,
                2 => drop(out.drain(at..end)),
                3 => drop(out.splice(at..end, PIECES[self.below(PIECES.len())].iter().copied())),
                _ => drop(out.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            }
        }
        // The answer to a HEAD has no body, which its length does not say.
        if out.starts_with(b"HEAD") { b"GET ".to_vec() } else { out }
    }
}

/// What came of the requests of one attacker.
#[derive(Default)]
struct Score {
    sent: usize,
    cut: usize,
    refused: usize,
    served: usize,
}

impl Score {
    const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.cut += other.cut;
        self.refused += other.refused;
        self.served += other.served;
    }
}

async fn attack(address: (&'static str, u16), requests: &[Vec<u8>], count: usize, seed: u64) -> Score {
    let mut dice = Dice(SeededEntropy::new(seed));
    let mut score = Score::default();
    for _ in 0..count {
        let request = &requests[dice.below(requests.len())];
        // One in eight as it was saved: the others' neighbours are served.
        let request = if dice.below(8) == 0 { request.clone() } else { dice.changed(request) };
        let bytes = [&request, LAST].concat();
        let told = answers(&converse(address, &bytes).await);
        judge(&told, &bytes);
        score.sent += 1;
        match told.iter().find(|answer| answer.status >= 200) {
            None => score.cut += 1,
            Some(answer) if answer.status >= 400 => score.refused += 1,
            Some(_) => score.served += 1,
        }
    }
    score
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_requests_to_every_route_are_no_fault_and_leave_nothing_behind() {
    let (size, seed) = (size(), *SEED);
    let target = Target::open().await;
    let files = fs::read_dir(Path::new(SAVED)).expect("the saved requests");
    let files: BTreeSet<_> = files.map(|file| file.unwrap().path()).collect();
    let saved: Vec<Vec<u8>> = files.into_iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(saved.len() > 100, "too few saved requests: {}", saved.len());
    let (mut total, mut held) = (Score::default(), Vec::new());
    // In rounds: tokens are fresh in each, and what the process holds is looked at between them.
    let rounds = (size / 2_500).max(8);
    for round in 0..rounds {
        let mut tokens = BTreeMap::new();
        for (name, role) in PEOPLE {
            tokens.insert(*name, target.token(*role, u128::from(seed) << 32 | round as u128));
        }
        let requests: Vec<Vec<u8>> = saved.iter().map(|saved| wire(saved, &tokens)).collect();
        let each = size.div_ceil(rounds * AT_ONCE);
        let attackers = (0..AT_ONCE).map(|n| {
            let own = seed.wrapping_add((round * AT_ONCE + n) as u64);
            attack(target.site.address(), &requests, each, own)
        });
        for score in join_all(attackers).await {
            total.add(&score);
        }
        held.push(target.memory_mib());
    }
    // By the middle everything that is made once, caches and pools among it, has been made; a leak would go on.
    let begins = held[..rounds / 2].iter().copied().max().unwrap_or_default();
    let most = held[rounds / 2..].iter().copied().max().unwrap_or_default();
    let growth = most.saturating_sub(begins);
    assert!(
        size < WARM || growth <= GROWTH_MIB_MAX,
        "from {begins} to {most} MiB, {held:?}; MERX_SEED={seed}"
    );
    assert!(
        total.served > total.sent / 50 && total.refused > total.sent / 10,
        "too few of a kind to mean much"
    );
    target.site.assert_no_panic();
    println!(
        "PROOF | T38 | raw socket: requests to every route with bytes changed anywhere | size={} | 0 × 5xx, 0 panics, {} \
         refused, {} served, {} closed without a word, memory {} MiB after the first {}, {most} at the \
         most (+{growth} in the second half) | seed={seed}",
        total.sent,
        total.refused,
        total.served,
        total.cut,
        held[0],
        size / rounds,
    );
}
