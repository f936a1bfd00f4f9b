//! A bad line to MariaDB (T26): cut in the middle of commits, stalled, slow, refused; and a server that is killed. The shop
//! finds back by itself, loses nothing it acknowledged, and looks up by its id what nobody told it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use merx_kernel::Clock as _;
use merx_platform::time::SystemClock;
use mysql::{Conn, Opts, prelude::Queryable as _};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    crowd::{Crowd, ask_for_a_change, until_taken},
    missing, proof,
    proxy::{Proxy, Way},
    size,
};
use crate::process::{
    buyers::{Buyer, Known, restock},
    harness::{SEED, Site, free_port, random, say, text_of, until, within},
    placed,
};

const BUYERS: usize = 6;
/// A pay link holds 75 s and is asked about 15 minutes at most; a machine that does other things is slower.
const DRAINED_WITHIN: Duration = Duration::from_secs(400);

/// A database of its own on a server; dropped with it.
struct Database {
    opts: Opts,
    name: String,
}

impl Database {
    /// On the server that the tests are given.
    fn given() -> Option<Self> {
        let url = std::env::var("MERX_TEST_MYSQL_URL").ok()?;
        Some(Self {
            opts: Opts::from_url(&url).expect("a URL"),
            name: format!("merx_t26_{:x}", random(1 << 40)),
        })
    }
    fn port(&self) -> u16 {
        self.opts.get_tcp_port()
    }
    /// Its URL by way of `port`.
    fn by(&self, port: u16) -> String {
        let (user, password) = (self.opts.get_user(), self.opts.get_pass());
        format!(
            "mysql://{}:{}@127.0.0.1:{port}/{}",
            user.unwrap_or_default(),
            password.unwrap_or_default(),
            self.name
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut conn) = Conn::new(self.opts.clone()) {
            let _ = conn.query_drop(format!("DROP DATABASE IF EXISTS `{}`", self.name));
        }
    }
}

/// A shop on a database, with buyers at work.
struct Busy {
    site: Site,
    other: Buyer,
    crowd: Crowd,
}

impl Busy {
    async fn on(url: &str) -> Self {
        let mut site = Site::new(&["--database", url, "--payment-deadline-s", "75"]);
        let mut guests = site.invite(BUYERS + 1);
        site.start().await;
        restock(&site).await;
        let other = Buyer::arrive(&site, guests.remove(0)).await;
        let crowd = Crowd::of(&site, guests).await;
        Self { site, other, crowd }
    }

    /// Each request that placed an order made one order and no other, what was promised is kept, and the books agree. In a
    /// long run everything comes to rest first, which takes as long as a pay link holds.
    async fn reckon(mut self, long: bool) -> Vec<Known> {
        let orders = if long { self.crowd.reckon().await } else { self.crowd.look_back().await };
        if long {
            let began = Instant::now();
            loop {
                let audit = self.site.run(&["audit", "--drained"]);
                if audit.status.success() {
                    break;
                }
                assert!(began.elapsed() < DRAINED_WITHIN, "not at rest: {}", text_of(&audit));
                SystemClock.sleep(Duration::from_millis(100)).await;
            }
        }
        self.site.succeed(&["audit"]);
        let known: BTreeSet<u128> = orders.iter().map(|order| order.id.bits()).collect();
        assert_eq!(known.len(), orders.len(), "each answer told of another order");
        assert_eq!(placed(&self.site), known, "what is in the books and what was answered are the same");
        self.site.stop().await;
        self.site.assert_no_panic();
        orders
    }
}

/// Cuts commits until there are `count` cuts; answers what happened.
async fn cut_commits(busy: &Busy, proxy: &Proxy, count: usize, is_long: bool) -> String {
    // In a short run more often: there the shop need not get far between two cuts.
    proxy.cut(if is_long { 60 } else { 150 }, 400_000);
    let patience = Duration::from_secs(60 + count as u64);
    within(patience, "cuts", || async { (proxy.cuts().all() >= count as u64).then_some(()) }).await;
    proxy.cut(0, 0);
    let mended = Instant::now();
    until_taken(&busy.other).await;
    let again = mended.elapsed();
    let unknown = busy.site.stderr().matches("a commit has an unknown outcome").count();
    let cuts = proxy.cuts();
    let kinds = [&cuts.before, &cuts.within, &cuts.after, &cuts.in_answer, &cuts.anywhere];
    let [before, within, after, in_answer, anywhere] = kinds.map(|n| n.load(Relaxed));
    assert!(after + in_answer > 0, "no commit was left in doubt: {cuts:?}");
    let all = [before, within, after, in_answer, anywhere];
    assert!(!is_long || all.iter().all(|kind| *kind > 0), "a kind of cut never happened: {cuts:?}");
    format!(
        "{} cuts ({before} before a commit, {within} within, {after} after it, {in_answer} within its answer, {anywhere} \
         at any byte); {unknown} commits of unknown outcome, each resolved by its id; changes again {} ms after the last \
         cut",
        cuts.all(),
        again.as_millis()
    )
}

/// Makes the line bad in each way for so long; answers what the shop said meanwhile.
async fn outages(busy: &Busy, proxy: &Proxy, is_long: bool) -> String {
    let mut figures = Vec::new();
    for (name, way, long) in [
        ("slow (20 ms a packet)", Way::Open { delay_ms: 20 }, 10),
        // Beyond half a minute the shop takes a silent server for dead and connects again.
        ("silent", Way::Stalled, 40),
        ("absent", Way::Refused, 10),
    ] {
        let seconds = if is_long { long } else { 2 };
        proxy.set(way);
        let began = Instant::now();
        let (mut answers, mut slowest) = (BTreeSet::new(), Duration::ZERO);
        while began.elapsed() < Duration::from_secs(seconds) {
            let asked = Instant::now();
            answers.insert(ask_for_a_change(&busy.other).await);
            slowest = slowest.max(asked.elapsed());
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        proxy.set(Way::Open { delay_ms: 0 });
        let mended = Instant::now();
        until_taken(&busy.other).await;
        assert!(answers.iter().all(|status| [204, 503, 504].contains(status)), "{name}: {answers:?}");
        assert_eq!(answers.contains(&204), matches!(way, Way::Open { .. }), "{name}: {answers:?}");
        figures.push(format!(
            "{name} for {seconds} s: answered {answers:?}, the slowest after {} ms, changes again after {} ms",
            slowest.as_millis(),
            mended.elapsed().as_millis()
        ));
    }
    figures.join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_costs_nothing_that_was_promised() {
    let Some(database) = Database::given() else {
        return missing("T26 connections cut; slow, silent and absent database", "no MERX_TEST_MYSQL_URL");
    };
    let (count, is_long) = (size("MERX_T26", 20), std::env::var("MERX_T26").is_ok());
    say(&format!("SEED={}", *SEED));
    let proxy = Proxy::to(database.port());
    let busy = Busy::on(&database.by(proxy.port)).await;
    let cut = cut_commits(&busy, &proxy, count, is_long).await;
    let said = outages(&busy, &proxy, is_long).await;
    let orders = busy.reckon(is_long).await.len();
    let kept = format!("0 lost, 0 doubled of {orders} acknowledged orders, audit clean");
    let figure = format!("{cut}; {kept}");
    proof("T26", "connections cut mid-commit (TCP proxy)", count, &figure, Some(*SEED));
    let figure = format!("{said}; {kept}");
    proof("T26", "slow, silent and absent database", if is_long { 60 } else { 6 }, &figure, Some(*SEED));
}

/// A server of its own, made as `scripts/services` makes one.
struct Server {
    root: TempDir,
    port: u16,
}

impl Server {
    fn new() -> Self {
        Self { root: TempDir::new().expect("a folder"), port: free_port() }
    }
    fn services(&self, verb: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services");
        let mut command = Command::new(script);
        command.args([verb, "mariadb"]).env("MERX_SERVICES_DIR", self.root.path()).stdin(Stdio::null());
        let output = command.env("MERX_MARIADB_PORT", self.port.to_string()).output().expect("a script");
        assert!(output.status.success(), "{}", text_of(&output));
        text_of(&output)
    }
    fn pid_file(&self) -> PathBuf {
        self.root.path().join("mariadb/pid")
    }
    /// SIGKILL.
    fn kill(&self) {
        let pid = std::fs::read_to_string(self.pid_file()).expect("a server runs");
        let sent = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.pid_file()) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_is_killed_is_found_again() {
    if Database::given().is_none() {
        return missing("T26 database server killed", "no MERX_TEST_MYSQL_URL");
    }
    let (kills, is_long) = (size("MERX_T26_KILLS", 1), std::env::var("MERX_T26_KILLS").is_ok());
    say(&format!("SEED={}", *SEED));
    let server = Server::new();
    server.services("up");
    let busy = Busy::on(&format!("mysql://merx:merx@127.0.0.1:{}/merx_shop", server.port)).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        SystemClock.sleep(Duration::from_millis(500 + random(1_500))).await;
        server.kill();
        until("an answer without a database", || async {
            [503, 504].contains(&ask_for_a_change(&busy.other).await).then_some(())
        })
        .await;
        server.services("up");
        let up = Instant::now();
        until_taken(&busy.other).await;
        slowest = slowest.max(up.elapsed());
    }
    let unknown = busy.site.stderr().matches("a commit has an unknown outcome").count();
    let orders = busy.reckon(is_long).await;
    let figure = format!(
        "{kills} × SIGKILL of mariadbd under load; changes again at most {} ms after it was up; {unknown} commits of \
         unknown outcome resolved by id: 0 lost, 0 doubled of {} acknowledged orders; audit clean",
        slowest.as_millis(),
        orders.len()
    );
    proof("T26", "database server killed and started again", kills, &figure, Some(*SEED));
}
