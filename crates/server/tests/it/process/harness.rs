//! The built binary on a data folder of its own, started and killed at will.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use merx_kernel::{Clock as _, Entropy, IdGen, Role};
use merx_platform::time::{OsEntropy, SeededEntropy, SystemClock};
use merx_server::{
    client::ApiClient,
    demo::{Demo, DemoAccount},
    files,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long anything may take before the test gives up: far beyond what it takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` sees something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    within(PATIENCE, what, look).await
}

/// Looks until `look` sees something, for at most `patience`.
pub async fn within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < patience, "not within {patience:?}: {what}");
        SystemClock.sleep(LOOK_EVERY).await;
    }
}

/// What this run's random numbers begin with: `MERX_SEED`, or anything. It decides what buyers do and when a shop is
/// killed; how the machine schedules them it does not.
pub static SEED: LazyLock<u64> = LazyLock::new(|| {
    let told = std::env::var("MERX_SEED").ok().map(|seed| seed.parse().expect("MERX_SEED is a number"));
    told.unwrap_or_else(|| number(&OsEntropy))
});
static RANDOM: LazyLock<SeededEntropy> = LazyLock::new(|| SeededEntropy::new(*SEED));

fn number(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number below `below`, from the seed.
pub fn random(below: u64) -> u64 {
    number(&*RANDOM) % below
}

/// Tells something past the capture of libtest: a figure, or what was not run.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `merx` with arguments in a folder, to its end.
pub fn merx(folder: &Path, args: &[&str]) -> Output {
    command().current_dir(folder).args(args).output().expect("merx runs")
}

/// A command refuses: it exits with `code`, says all of `says` and where to read on, and dumps nothing.
#[track_caller]
pub fn refused(output: &Output, code: i32, says: &[&str]) {
    let text = text_of(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stderr.starts_with(b"error: "), "{text}");
    assert!(text.contains("\nhint: ") || text.contains("try '--help'"), "{text}");
    for needle in says {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
    for dump in ["panicked", "Error {", "Inner", "Some(", "kind:", "backtrace"] {
        assert!(!text.contains(dump), "{text}");
    }
}

/// A free port below those the system gives to outgoing connections. No other test is given it while this process runs:
/// a shop that is down for a moment would lose its own.
pub fn free_port() -> u16 {
    static KEPT: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("merx-test-ports");
    fs::create_dir_all(&folder).expect("a folder of locks");
    let keep = |port: &u16| {
        let lock = File::create(folder.join(port.to_string())).expect("a lock");
        let free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok();
        if free {
            KEPT.lock().expect("not poisoned").push(lock);
        }
        free
    };
    let ports = (0..1000).map(|_| 10_000 + u16::try_from(random(22_000)).expect("a port"));
    ports.into_iter().find(keep).expect("a free port")
}

/// The binary under test: the one that was built with the tests, or what `MERX_TEST_BINARY` names.
pub fn binary() -> OsString {
    std::env::var_os("MERX_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_merx").into())
}

fn command() -> Command {
    let mut command = Command::new(binary());
    command.env_remove("MERX_DATABASE_URL").env_remove("RUST_LOG").stdin(Stdio::null());
    // A build with fault switches serves these tests, and nobody else.
    command.env("MERX_FAULT_SWITCHES", "accepted");
    command
}

/// What a command wrote, both streams.
pub fn text_of(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).join("")
}

/// A data folder and its ports, and the shop that runs there, if one does. Dropped, nothing of it is left.
pub struct Site {
    root: TempDir,
    data: PathBuf,
    ports: [u16; 4],
    command_line: Vec<String>,
    /// What the processes started here find in their environment besides the usual.
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Site {
    fn empty() -> Self {
        let root = TempDir::new().expect("a temporary folder");
        let data = root.path().join("data");
        let ports = [(); 4].map(|()| free_port());
        Self { root, data, ports, command_line: Vec::new(), environment: Vec::new(), child: None }
    }

    /// A site for `merx up`, with these flags besides the usual ones.
    pub fn new(flags: &[&str]) -> Self {
        let site = Self::empty();
        let data = site.data.clone();
        site.with_demo_in(data, flags)
    }

    /// The same with its data folder elsewhere.
    pub fn at(data: PathBuf, flags: &[&str]) -> Self {
        Self::empty().with_demo_in(data, flags)
    }

    fn with_demo_in(mut self, data: PathBuf, flags: &[&str]) -> Self {
        let [api, sandbox, mail, grpc] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        self.data = data;
        let usual = ["up", "--data", self.data(), "--listen", &api, "--sandbox-listen", &sandbox];
        let inner = ["--mail-listen", &mail, "--grpc-listen", &grpc];
        let fast = ["--without-history", "--requests-per-minute", "60000000"];
        self.command_line =
            [&usual[..], &inner, &fast, flags].concat().into_iter().map(str::to_owned).collect();
        self
    }

    /// A site for `merx serve`, with the configuration that `text` makes of its data folder and the API's address.
    pub fn configured(text: impl FnOnce(&str, &str) -> String) -> Self {
        let mut site = Self::empty();
        let text = text(site.data(), &format!("127.0.0.1:{}", site.ports[0]));
        fs::write(site.config(), text).expect("written");
        site.command_line = ["serve", "--config", &site.config()].map(str::to_owned).to_vec();
        site
    }

    /// The configuration file, of a configured site.
    pub fn config(&self) -> String {
        self.root.path().join("shop.toml").display().to_string()
    }
    /// The data folder.
    pub fn data(&self) -> &str {
        self.data.to_str().expect("a plain path")
    }
    /// Where the API is.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }
    /// The API's address without a scheme.
    pub fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.ports[0])
    }
    /// Where the sandbox is.
    #[cfg(merx_mutants)]
    pub fn sandbox(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }
    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.api());
        reqwest::get(url).await.expect("answered").text().await.expect("text")
    }
    /// The process of the shop.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a shop runs").id()
    }
    /// The demo's file.
    pub fn demo(&self) -> Demo {
        files::read(&self.data.join(files::DEMO)).expect("readable").expect("there")
    }
    /// A visitor.
    pub fn visitor(&self) -> ApiClient {
        let ids = IdGen::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        ApiClient::new(&self.api(), ids).expect("a client")
    }
    /// A visitor who is logged in.
    pub async fn logged_in(&self, role: Role) -> ApiClient {
        let demo = self.demo();
        let account = demo.account(role).expect("an account");
        self.visitor().log_in(&account.email, &account.password).await.expect("logged in")
    }

    /// Before the first start: as many more buyers. They are loaded with the rest of the demo.
    pub fn invite(&self, buyers: usize) -> Vec<DemoAccount> {
        fs::create_dir_all(&self.data).expect("a folder");
        let mut demo = Demo::of(&self.data, &OsEntropy).expect("a demo");
        let password = demo.accounts[0].password.clone();
        let guest = |n| DemoAccount {
            role: Role::Customer,
            email: format!("guest{n}@demo.merx.test"),
            password: password.clone(),
        };
        let guests: Vec<DemoAccount> = (0..buyers).map(guest).collect();
        demo.accounts.extend(guests.clone());
        files::write(&self.data.join(files::DEMO), &demo).expect("written");
        guests
    }

    /// Sets a variable for the processes that are started here from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the shop, without waiting for anything.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "a shop runs already");
        let output = |name: &str| -> File {
            let path = self.root.path().join(name);
            OpenOptions::new().create(true).append(true).open(path).expect("a file for the output")
        };
        let mut command = command();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.command_line).stdout(output("stdout")).stderr(output("stderr"));
        self.child = Some(command.spawn().expect("merx starts"));
    }

    /// Starts the shop, until it serves. Answers how long that took.
    pub async fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.spawn();
        self.ready().await;
        began.elapsed()
    }

    /// Waits until the shop that was spawned says it is ready.
    pub async fn ready(&mut self) {
        let visitor = self.visitor();
        let began = Instant::now();
        while !visitor.get("/readyz").await.is_ok_and(|reply| reply.status.is_success()) {
            if let Some(status) = self.child.as_mut().expect("spawned").try_wait().expect("a child") {
                panic!("the shop ended ({status}):\n{}", self.stderr());
            }
            assert!(began.elapsed() < PATIENCE, "the shop does not get ready:\n{}", self.stderr());
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a shop runs");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// A signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// How the shop that was started has ended; `None` while it runs.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut().expect("a shop runs").try_wait().expect("a child")?;
        self.child = None;
        Some(status)
    }

    /// Waits until the shop has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a shop runs");
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status;
            }
            if began.elapsed() > PATIENCE {
                child.kill().expect("killed");
                child.wait().expect("reaped");
                panic!("the shop does not end:\n{}", self.stderr());
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// SIGTERM, and in order to the end.
    pub async fn stop(&mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.stderr());
    }

    /// A command on this data folder, to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command().envs(environment).args(args).args(["--data", self.data()]).output().expect("merx runs")
    }

    /// A command that must succeed; answers what it wrote to standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "merx {args:?}: {}", text_of(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What all shops so far wrote to standard output.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.root.path().join("stdout")).unwrap_or_default()
    }
    /// What all shops so far wrote to standard error.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.root.path().join("stderr")).unwrap_or_default()
    }
    /// No shop here ever panicked.
    pub fn assert_no_panic(&self) {
        let log = self.stderr();
        let panics: Vec<&str> = log.lines().skip_while(|line| !line.contains("panicked")).take(40).collect();
        assert!(panics.is_empty(), "{}", panics.join("\n"));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way it is reaped.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
