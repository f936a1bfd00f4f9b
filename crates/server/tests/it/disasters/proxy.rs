//! A line between a shop and its database that can be cut at any byte, aims at commits, stalls, drags and refuses.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use merx_kernel::Clock as _;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::process::harness::{free_port, random};

/// A commit as the protocol sends it: a packet of seven bytes, number 0, the command "query".
const COMMIT: &[u8] = b"\x07\x00\x00\x00\x03COMMIT";
/// The answer to a commit is one packet of this many bytes.
const ANSWER_LEN: u64 = 11;
/// An answer that is let through.
const WHOLE: i64 = -1;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Bytes pass, each lot after so many milliseconds.
    Open { delay_ms: u64 },
    /// Connections are taken and no byte passes.
    Stalled,
    /// Connections are broken, and new ones refused.
    Refused,
}

/// Where the line was cut.
#[derive(Debug, Default)]
pub struct Cuts {
    /// Before a commit reached the server.
    pub before: AtomicU64,
    /// Within a commit.
    pub within: AtomicU64,
    /// After it, before any byte of its answer.
    pub after: AtomicU64,
    /// Within its answer.
    pub in_answer: AtomicU64,
    /// At a byte that nobody chose.
    pub anywhere: AtomicU64,
}

impl Cuts {
    /// All of them.
    pub fn all(&self) -> u64 {
        [&self.before, &self.within, &self.after, &self.in_answer, &self.anywhere]
            .iter()
            .map(|n| n.load(Relaxed))
            .sum()
    }
}

struct Line {
    target: u16,
    way: watch::Sender<Way>,
    /// Of a thousand commits so many are cut.
    commits_cut: AtomicU64,
    /// A connection is cut after at most so many bytes; 0 is never.
    bytes_max: AtomicU64,
    cuts: Cuts,
}

/// The line. Dropped, nobody listens any more.
pub struct Proxy {
    /// Where the shop finds its database.
    pub port: u16,
    line: Arc<Line>,
    end: CancellationToken,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Proxy {
    /// A line to `target` on this machine.
    pub fn to(target: u16) -> Self {
        let line = Arc::new(Line {
            target,
            way: watch::Sender::new(Way::Open { delay_ms: 0 }),
            commits_cut: AtomicU64::new(0),
            bytes_max: AtomicU64::new(0),
            cuts: Cuts::default(),
        });
        let (port, end) = (free_port(), CancellationToken::new());
        let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        let serving = serve(port, line.clone(), tasks.clone(), end.clone());
        drop(tasks.spawn("proxy", serving));
        Self { port, line, end }
    }

    /// From now on the line is so.
    pub fn set(&self, way: Way) {
        self.line.way.send_replace(way);
    }

    /// From now on so many of a thousand commits are cut, and each new connection after at most so many bytes.
    pub fn cut(&self, commits: u64, bytes_max: u64) {
        self.line.commits_cut.store(commits, Relaxed);
        self.line.bytes_max.store(bytes_max, Relaxed);
    }

    /// Where it was cut so far.
    pub fn cuts(&self) -> &Cuts {
        &self.line.cuts
    }
}

async fn serve(port: u16, line: Arc<Line>, tasks: Tasks, end: CancellationToken) {
    let mut way = line.way.subscribe();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is ours");
        loop {
            let accepted = tokio::select! {
                biased;
                () = end.cancelled() => return,
                refused = way.wait_for(|way| *way == Way::Refused) => { refused.expect("a line"); break }
                accepted = listener.accept() => accepted,
            };
            let Ok((client, _)) = accepted else { continue };
            let (line, end) = (line.clone(), end.clone());
            drop(tasks.clone().spawn("connection", async move { connect(client, line, end).await }));
        }
        drop(listener);
        way.wait_for(|way| *way != Way::Refused).await.expect("a line");
    }
}

/// One connection, until either side or the line ends it.
async fn connect(client: TcpStream, line: Arc<Line>, end: CancellationToken) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", line.target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let bytes_max = line.bytes_max.load(Relaxed);
    let budget = if bytes_max == 0 { i64::MAX } else { random(bytes_max) as i64 };
    let one = One {
        budget: AtomicI64::new(budget),
        answer: AtomicI64::new(WHOLE),
        cut: end.child_token(),
        way: line.way.subscribe(),
        line,
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut way = one.way.clone();
    tokio::select! {
        () = one.there(from_client, to_server) => {}
        () = one.back(from_server, to_client) => {}
        () = one.cut.cancelled() => {}
        _ = way.wait_for(|way| *way == Way::Refused) => {}
    }
}

struct One {
    /// Bytes that still pass.
    budget: AtomicI64,
    /// How many bytes of the next answer pass, after which the line is cut.
    answer: AtomicI64,
    cut: CancellationToken,
    way: watch::Receiver<Way>,
    line: Arc<Line>,
}

impl One {
    /// What the shop says.
    async fn there(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer).await {
            let chunk = &buffer[..len];
            let commit = chunk.windows(COMMIT.len()).position(|bytes| bytes == COMMIT);
            let aimed = commit.filter(|_| random(1_000) < self.line.commits_cut.load(Relaxed));
            let cuts = &self.line.cuts;
            let (passes, kind) = match (aimed, random(4)) {
                (Some(at), 0) => (at, Some(&cuts.before)),
                (Some(at), 1) => (at + 1 + random(COMMIT.len() as u64 - 1) as usize, Some(&cuts.within)),
                (Some(_), 2) => {
                    self.answer.store(0, Relaxed);
                    (len, None)
                }
                (Some(_), _) => {
                    self.answer.store(1 + random(ANSWER_LEN - 1) as i64, Relaxed);
                    (len, None)
                }
                (None, _) => (len, None),
            };
            if !self.pass(&chunk[..passes], &mut to).await {
                return;
            }
            if let Some(kind) = kind {
                kind.fetch_add(1, Relaxed);
                return self.cut.cancel();
            }
        }
    }

    /// What the server answers.
    async fn back(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer).await {
            let passes = self.answer.load(Relaxed);
            if passes == WHOLE {
                if !self.pass(&buffer[..len], &mut to).await {
                    return;
                }
                continue;
            }
            let cuts = &self.line.cuts;
            let kind = if passes == 0 { &cuts.after } else { &cuts.in_answer };
            self.pass(&buffer[..len.min(passes as usize)], &mut to).await;
            kind.fetch_add(1, Relaxed);
            return self.cut.cancel();
        }
    }

    /// Lets bytes through as the line is; answers whether it still stands.
    async fn pass(&self, bytes: &[u8], to: &mut OwnedWriteHalf) -> bool {
        let mut way = self.way.clone();
        let Ok(Way::Open { delay_ms }) = way.wait_for(|way| *way != Way::Stalled).await.map(|way| *way)
        else {
            return false;
        };
        if delay_ms > 0 {
            SystemClock.sleep(std::time::Duration::from_millis(delay_ms)).await;
        }
        let left = self.budget.fetch_sub(bytes.len() as i64, Relaxed);
        let passes = usize::try_from(left).unwrap_or(0).min(bytes.len());
        if to.write_all(&bytes[..passes]).await.is_err() {
            return false;
        }
        if passes < bytes.len() {
            self.line.cuts.anywhere.fetch_add(1, Relaxed);
            self.cut.cancel();
        }
        passes == bytes.len()
    }
}
