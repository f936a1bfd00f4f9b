//! The database server killed under load (T26): the shop stays up, finds it again by itself, loses nothing it has
//! acknowledged, and whatever commit has no known outcome is looked up, not guessed.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use merx_kernel::Clock as _;
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use mysql::prelude::Queryable as _;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    buyers::{Buyer, Known, Said, restock},
    harness::{SEED, Site, free_port, random, say, text_of, until, within},
    placed,
};

const BUYERS: usize = 12;
const DRAINED_WITHIN: Duration = Duration::from_secs(180);
/// A server loads its tables and undoes what was in flight before it answers.
const SERVER_WITHIN: Duration = Duration::from_secs(120);

/// A MariaDB of the test's own, in its own folder and on its own port. Dropped, nothing of it is left.
struct Server {
    root: TempDir,
    port: u16,
    child: Option<Child>,
}

fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin")).stdin(Stdio::null());
    command
}

impl Server {
    /// `None` when there is no MariaDB on this machine.
    fn make() -> Option<Self> {
        tool("mariadbd").args(["--no-defaults", "--version"]).output().ok()?;
        let server = Self { root: TempDir::new().expect("a folder"), port: free_port(), child: None };
        let mut install = tool("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(format!("--datadir={}", server.path("data").display())).args(server.user());
        let installed = install.output().expect("mariadb-install-db runs");
        assert!(installed.status.success(), "{}", text_of(&installed));
        Some(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A server refuses to run as root unless told to.
    fn user(&self) -> Option<&'static str> {
        use std::os::unix::fs::MetadataExt as _;
        (self.root.path().metadata().expect("a folder").uid() == 0).then_some("--user=root")
    }

    fn connection(&self) -> mysql::Result<mysql::Conn> {
        let options = mysql::OptsBuilder::new().user(Some("root"));
        mysql::Conn::new(options.socket(Some(self.path("socket").display().to_string())).prefer_socket(true))
    }

    /// Starts it, until it answers.
    async fn start(&mut self) {
        let file = |name: &str| File::create(self.path(name)).expect("a file");
        let at = |flag: &str, name: &str| format!("--{flag}={}", self.path(name).display());
        let mut command = tool("mariadbd");
        command.arg("--no-defaults").args(self.user());
        command.args([at("datadir", "data"), at("socket", "socket"), at("pid-file", "pid")]);
        command.args([format!("--port={}", self.port), "--bind-address=127.0.0.1".to_owned()]);
        command.args(["--skip-name-resolve", "--performance-schema=OFF", "--innodb-buffer-pool-size=64M"]);
        let child = command.stdout(file("out.log")).stderr(file("error.log")).spawn();
        self.child = Some(child.expect("mariadbd starts"));
        within(SERVER_WITHIN, "a MariaDB that answers", || async { self.connection().ok() }).await;
    }

    /// SIGKILL.
    fn kill(&mut self) {
        let mut child = self.child.take().expect("a server runs");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    fn url(&self) -> String {
        let mut conn = self.connection().expect("it runs");
        for sql in
            ["CREATE USER merx@'127.0.0.1' IDENTIFIED BY 'merx'", "GRANT ALL ON *.* TO merx@'127.0.0.1'"]
        {
            conn.query_drop(sql).expect("done");
        }
        format!("mysql://merx:merx@127.0.0.1:{}/merx_killed", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way it is reaped.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often it is killed: `MERX_T26=20` is the full size.
fn size() -> usize {
    std::env::var("MERX_T26").map_or(2, |told| told.parse().expect("MERX_T26 is a number"))
}

/// Kills the server and starts it again; answers how long the shop took to be ready, and to take an order, once the server
/// answered.
async fn outage(server: &mut Server, site: &mut Site, acknowledged: impl Fn() -> usize) -> [Duration; 2] {
    server.kill();
    SystemClock.sleep(Duration::from_millis(random(3_000))).await;
    server.start().await;
    let (began, before) = (Instant::now(), acknowledged());
    site.ready().await;
    let ready = began.elapsed();
    until("another order", || async { (acknowledged() > before).then_some(()) }).await;
    [ready, began.elapsed()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_killed_under_load_loses_nothing_acknowledged() {
    let Some(mut server) = Server::make() else {
        let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|told| told == "1");
        assert!(!required, "mariadbd is missing, and MERX_REQUIRE_SERVICES=1");
        return say("NOT RUN: mariadbd is missing (scripts/services up mariadb installs it)");
    };
    server.start().await;
    let mut site = Site::new(&["--payment-deadline-s", "75", "--database", &server.url()]);
    let guests = site.invite(BUYERS);
    site.start().await;
    restock(&site).await;
    let tasks = Tasks::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let (stop, acknowledged) = (CancellationToken::new(), Arc::default());
    let mut working = Vec::new();
    for guest in guests {
        let mut buyer = Buyer::arrive(&site, guest).await;
        buyer.acknowledged = Arc::clone(&acknowledged);
        working.push(tasks.spawn("buyer", buyer.shop_until(stop.clone())));
    }
    let count = || acknowledged.load(std::sync::atomic::Ordering::Relaxed);
    let mut reconnects = Vec::new();
    for _ in 0..size() {
        SystemClock.sleep(Duration::from_millis(500 + random(2_500))).await;
        reconnects.push(outage(&mut server, &mut site, count).await);
    }
    stop.cancel();
    let mut orders = Vec::new();
    for buyer in working {
        orders.extend(buyer.await.expect("a buyer to the end").reckon().await);
    }
    within(DRAINED_WITHIN, "a drained audit", || async {
        site.run(&["audit", "--drained"]).status.success().then_some(())
    })
    .await;
    // Each buyer sent a request under one key until it was answered: what had no known outcome was looked up.
    assert_eq!(placed(&site), orders.iter().map(|order| order.id.bits()).collect());
    assert!(site.has_ended().is_none(), "the shop ended with its database");
    site.stop().await;
    site.succeed(&["audit"]);
    site.assert_no_panic();
    report(&orders, &reconnects, site.stderr().matches("a commit has an unknown outcome").count());
}

fn report(orders: &[Known], reconnects: &[[Duration; 2]], unknown: usize) {
    let longest =
        |which: usize| reconnects.iter().map(|took| took[which].as_millis()).max().unwrap_or_default();
    let count = |said: Said| orders.iter().filter(|order| order.said == said).count();
    println!(
        "PROOF | T26 | MariaDB SIGKILLed and restarted under load | size={} | {} acknowledged orders ({} paid, {} cancelled), \
         0 lost, 0 doubled; {unknown} commits of unknown outcome, each resolved by its id; ready at most {} ms and the next \
         order at most {} ms after the server answered again | seed={}",
        reconnects.len(),
        orders.len(),
        count(Said::Paid),
        count(Said::Cancelled),
        longest(0),
        longest(1),
        *SEED
    );
}
