//! `merx-bench latency`: what one request after another takes on a shop of its own, started for the measurement. A
//! report, never a test: nothing fails for being slow. Scenarios under load come with the load generator.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
};

use clap::{Parser, Subcommand};
use hdrhistogram::Histogram;
use merx_kernel::{Error, IdGen, Result, Role};
use merx_platform::time::{OsEntropy, SystemClock};
use merx_server::{
    client::{ApiClient, text},
    instance,
};
use serde_json::json;
use tokio::time::Instant;

/// Measures Merx.
#[derive(Parser)]
#[command(name = "merx-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Start-up, idle memory, and the latency of place-order and three reads, one request after another.
    Latency {
        /// How often each is asked (1 to 100000).
        #[arg(long, default_value_t = 500)]
        rounds: u32,
        /// The binary to measure; the one beside this program unless told.
        #[arg(long)]
        merx: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Scenario::Latency { rounds, merx } = Cli::parse().command;
    match latency(rounds.clamp(1, 100_000), merx).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn io(what: &str) -> impl Fn(std::io::Error) -> Error + '_ {
    move |e| Error::internal(what.to_owned()).with_source(e)
}

/// A shop in a folder of its own; stopped and removed when dropped.
struct Shop {
    child: Child,
    dir: PathBuf,
    url: String,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(io("no free port"))?;
    listener.local_addr().map(|a| a.port()).map_err(io("no free port"))
}

impl Shop {
    /// Starts the binary and waits for its greeting, printed when it serves.
    fn start(merx: &Path, dir: &Path) -> Result<Self> {
        let (api, sandbox) = (free_port()?, free_port()?);
        let mut child = Command::new(merx)
            .args(["up", "--requests-per-minute", "60000000", "--data"])
            .arg(dir)
            .args([
                "--listen",
                &format!("127.0.0.1:{api}"),
                "--sandbox-listen",
                &format!("127.0.0.1:{sandbox}"),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io("the binary cannot be started"))?;
        let out = child.stdout.take().ok_or_else(|| Error::internal("no standard output"))?;
        let mut lines = BufReader::new(out).lines();
        let greeted = lines.any(|line| line.is_ok_and(|line| line.contains("Merx is open")));
        if !greeted {
            return Err(Error::internal("the shop ended before it was open; it says why above"));
        }
        Ok(Self { child, dir: dir.to_owned(), url: format!("http://127.0.0.1:{api}") })
    }

    /// Resident memory in MiB, from /proc.
    fn resident_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
    }
}

/// The longest latency told apart: a minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// Latencies in microseconds.
struct Series {
    name: &'static str,
    histogram: Histogram<u64>,
}

impl Series {
    fn new(name: &'static str) -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3)
            .map_err(|e| Error::internal(format!("histogram: {e}")))?;
        Ok(Self { name, histogram })
    }
    fn add(&mut self, began: Instant) {
        self.histogram.saturating_record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fn print(&self) {
        let ms = |quantile| {
            let micros = u32::try_from(self.histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX);
            f64::from(micros) / 1000.0
        };
        say(&format!(
            "{:<44} {:>7} {:>8.2} {:>8.2} {:>8.2} {:>8.2}\n",
            self.name,
            self.histogram.len(),
            ms(0.5),
            ms(0.95),
            ms(0.99),
            ms(1.0)
        ));
    }
}

fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

async fn latency(rounds: u32, merx: Option<PathBuf>) -> Result<()> {
    let merx = match merx {
        Some(path) => path,
        None => std::env::current_exe().map_err(io("no path of this program"))?.with_file_name("merx"),
    };
    let dir = std::env::temp_dir().join(format!("merx-bench-{}", std::process::id()));
    let began = Instant::now();
    let shop = Shop::start(&merx, &dir)?;
    let first = began.elapsed();
    drop_quietly(shop, &dir)?;
    let began = Instant::now();
    let shop = Shop::start(&merx, &dir)?;
    let again = began.elapsed();
    say(&format!("start on an empty folder   {:>7} ms (with demo data and keys)\n", first.as_millis()));
    say(&format!("start again                {:>7} ms\n", again.as_millis()));
    say(&format!("idle memory                {:>7} MiB\n", shop.resident_mib().unwrap_or(0)));
    let series = measure(&shop, rounds).await?;
    say(&format!("memory after the rounds    {:>7} MiB\n\n", shop.resident_mib().unwrap_or(0)));
    say(&format!(
        "{:<44} {:>7} {:>8} {:>8} {:>8} {:>8}\n",
        "one after another, ms", "n", "p50", "p95", "p99", "max"
    ));
    series.iter().for_each(Series::print);
    Ok(())
}

/// Stops the shop but keeps its folder.
fn drop_quietly(mut shop: Shop, dir: &Path) -> Result<()> {
    shop.child.kill().and_then(|()| shop.child.wait().map(|_| ())).map_err(io("cannot be stopped"))?;
    shop.dir = dir.join("nothing");
    Ok(())
}

async fn measure(shop: &Shop, rounds: u32) -> Result<Vec<Series>> {
    let demo = instance::demo_of(&shop.dir)?;
    let ids = IdGen::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let visitor = ApiClient::new(&shop.url, ids)?;
    let account = demo.account(Role::Customer)?;
    let buyer = visitor.log_in(&account.email, &account.password).await?;
    let address = json!({"country": "CN", "region": "浙江省", "city": "杭州市", "line1": "龙井路 1 号",
        "postcode": "310013", "recipient": "王小明", "phone": "13800138000"});
    let address = text(&buyer.post("/v1/addresses", &address).await?.ok()?, "/id");
    let product = text(&visitor.get("/v1/products").await?.ok()?, "/items/0/id");
    let mut place = Series::new("POST order, to awaiting_payment")?;
    let mut line = Series::new("PUT cart line")?;
    let mut quote = Series::new("POST quote")?;
    let mut list = Series::new("GET products")?;
    let mut one = Series::new("GET product")?;
    let mut order = Series::new("GET order")?;
    for _ in 0..rounds {
        let began = Instant::now();
        buyer.put("/v1/cart/lines/CHG-65", &json!({"quantity": 1})).await?.ok()?;
        line.add(began);
        let cart = text(&buyer.get("/v1/cart").await?.ok()?, "/id");
        let began = Instant::now();
        let path = format!("/v1/checkouts/{cart}/quote");
        let seen = buyer.post(&path, &json!({"address_id": address})).await?.ok()?;
        quote.add(began);
        let body = json!({"address_id": address, "shipping_method": text(&seen, "/shipping_method"),
            "quote_id": text(&seen, "/quote_id")});
        let began = Instant::now();
        let placed = buyer.post(&format!("/v1/checkouts/{cart}/orders"), &body).await?.ok()?;
        place.add(began);
        if text(&placed, "/status") != "awaiting_payment" {
            return Err(Error::internal(format!("the order is {}", text(&placed, "/status"))));
        }
        let path = format!("/v1/orders/{}", text(&placed, "/id"));
        let began = Instant::now();
        buyer.get(&path).await?.ok()?;
        order.add(began);
        let began = Instant::now();
        visitor.get("/v1/products").await?.ok()?;
        list.add(began);
        let began = Instant::now();
        visitor.get(&format!("/v1/products/{product}")).await?.ok()?;
        one.add(began);
        // Stock and rate stay out of the way of the measurement.
        buyer.post(&format!("{path}/cancellation"), &json!({})).await?.ok()?;
    }
    Ok(vec![line, quote, place, order, list, one])
}
