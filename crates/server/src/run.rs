//! Listening, waiting for a signal, and stopping in order.

use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use merx_alipay_sandbox::{Sandbox, Web};
use merx_http::Limits;
use merx_kernel::{Error, ErrorKind, Result, Role};
use merx_platform::time::OsEntropy;
use merx_sql::Db;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    cli::Up,
    config::{Config, HttpConfig, OrdersConfig},
    demo::{self, Demo},
    files::DataFolder,
    instance::{self, Mode},
    shop::{self, Running, Shop},
};

/// How long tasks get to end after the last request.
const SHUTDOWN_MAX: Duration = Duration::from_secs(30);

/// `merx up`: the whole shop with demo and sandbox, on loopback.
///
/// # Errors
/// What to do next, when it cannot start.
pub async fn up(args: Up) -> Result<()> {
    shop::refuse_fault_switches()?;
    let _folder = DataFolder::claim(&args.data)?;
    let (mut demo, listener, sandbox_listener) = prepare_demo(&args).await?;
    let limits = Limits {
        client_requests_per_minute_max: args.requests_per_minute,
        client_burst_max: args.requests_per_minute / 5,
        // On loopback everybody comes from one network.
        connections_per_network_max: Limits::default().connections_max,
        ..Limits::default()
    };
    let http = HttpConfig { listen: args.listen, limits, ..HttpConfig::default() };
    let orders = OrdersConfig { payment_deadline_s: args.payment_deadline_s, ..OrdersConfig::default() };
    let config = instance::demo_config(&args.data, &demo, http, orders)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    demo::load(&shop, &mut demo, &args.data).await?;
    let sandbox_db = instance::open_sandbox_db(&args.data, Mode::ReadWrite)?;
    let pages = sandbox(&shop, &demo, sandbox_db.clone()).await?;
    let running = shop.start().await?;
    let stop = CancellationToken::new();
    let limits = &config.http.limits;
    let sandbox = merx_http::serve(sandbox_listener, pages, limits, &[], &shop.deps.tasks, stop.cancelled());
    let shop = run(&shop, running, listener, &config, &stop, || greet(&args.data, &demo));
    let (outcome, ()) = tokio::join!(shop, sandbox);
    sandbox_db.close().await;
    outcome
}

/// `merx serve`: the shop of a configuration file, with neither demo nor sandbox.
///
/// # Errors
/// What to do next, when it cannot start.
pub async fn serve_configured(config: Config) -> Result<()> {
    shop::refuse_fault_switches()?;
    let _folder = DataFolder::claim(&config.data_dir)?;
    let listener = bind(config.http.listen, "[http] listen").await?;
    let url = url_of(&listener)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    let running = shop.start().await?;
    let stop = CancellationToken::new();
    run(&shop, running, listener, &config, &stop, || say(&format!("Merx is open at {url}\n"))).await
}

/// The pages of the sandbox, at work on its own database.
async fn sandbox(shop: &Shop, demo: &Demo, db: Db) -> Result<Router> {
    let (merchant_key, alipay_key) = demo.sandbox_keys()?;
    let config = merx_alipay_sandbox::Config {
        app_id: demo::APP_ID.to_owned(),
        seller_id: demo::SELLER_ID.to_owned(),
        merchant_key,
        alipay_key,
        public_url: demo.sandbox_url.clone(),
    };
    let (clock, entropy) = (shop.deps.clock.clone(), shop.deps.entropy.clone());
    let web = Arc::new(Web::new()?);
    let (pages, _) = Sandbox::start(config, db, clock, entropy, &shop.deps.tasks, web).await?;
    Ok(pages)
}

/// Binds first, so that a port in use is told before anything is made, and the addresses are known.
async fn prepare_demo(args: &Up) -> Result<(Demo, TcpListener, TcpListener)> {
    let listener = bind(args.listen, "--listen").await?;
    let sandbox_listener = bind(args.sandbox_listen, "--sandbox-listen").await?;
    instance::refuse_stranger(&args.data)?;
    let mut demo = Demo::of(&args.data, &OsEntropy)?;
    demo.move_to(url_of(&listener)?, url_of(&sandbox_listener)?, args.database.clone());
    Ok((demo, listener, sandbox_listener))
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let text = if e.kind() == std::io::ErrorKind::AddrInUse {
            format!(
                "{address} is in use, perhaps by another shop. Stop that one, or choose another with {flag}."
            )
        } else {
            format!("Cannot listen on {address}. Choose another with {flag}.")
        };
        Error::unavailable("server.listen", text).with_source(e)
    })
}

fn url_of(listener: &TcpListener) -> Result<String> {
    let address = listener
        .local_addr()
        .map_err(|e| Error::unavailable("server.listen", "The listener has no address.").with_source(e))?;
    Ok(format!("http://{address}"))
}

/// Serves until a signal, then stops in order: no new requests, those in flight finished, tasks ended, database
/// closed. Whoever cannot wait for that sends a second signal; the next start takes up what was begun.
async fn run(
    shop: &Shop,
    running: Running,
    listener: TcpListener,
    config: &Config,
    stop: &CancellationToken,
    ready: impl FnOnce(),
) -> Result<()> {
    // What runs beside this ends with it, also when it fails.
    let _end = stop.clone().drop_guard();
    let socket = admin::listen(&config.data_dir)?;
    let (mut signals, mut impatience) = (Signals::new()?, Signals::new()?);
    let tasks = &shop.deps.tasks;
    let admin_stop = stop.clone();
    drop(tasks.spawn("server.admin", async move {
        let served = axum::serve(socket, running.admin).with_graceful_shutdown(admin_stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin socket ended");
        }
    }));
    ready();
    let health = running.health;
    let serving = async {
        let told = async {
            signals.next().await;
            tracing::info!("stopping: finishing what is in flight");
            health.drain();
            shop.deps.clock.sleep(config.http.limits.drain_notice()).await;
            stop.cancel();
        };
        let HttpConfig { limits, trusted_proxies, .. } = &config.http;
        merx_http::serve(listener, running.router, limits, trusted_proxies, tasks, told).await;
        let ended = tasks.shutdown(SHUTDOWN_MAX).await;
        shop.deps.db.close().await;
        // The next start would replace it: one that stays does no harm.
        let _ = std::fs::remove_file(config.data_dir.join(admin::SOCKET));
        tracing::info!("stopped");
        ended
    };
    let hurried = async {
        impatience.next().await;
        impatience.next().await;
    };
    tokio::select! {
        biased;
        ended = serving => ended,
        () = hurried => Err(Error::new(
            ErrorKind::Timeout,
            "server.shutdown_incomplete",
            "Stopped at once by a second signal. What was begun is taken up by the next start.",
        )),
    }
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let refused = |e| Error::internal("signals cannot be handled").with_source(e);
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
        })
    }
    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells where to click. To standard output: it is what the command is asked for, not a log.
fn greet(dir: &Path, demo: &Demo) {
    let mut text = format!(
        "\nMerx is open.\n\n  API             {api}  (described at {api}/openapi.json)\n  Alipay sandbox  {sandbox}\n\n  \
         demo accounts, made for this data folder ({dir}):\n",
        api = demo.api_url,
        sandbox = demo.sandbox_url,
        dir = dir.display(),
    );
    for account in &demo.accounts {
        text.push_str(&format!(
            "    {:<14} {:<26} {}\n",
            account.role.name(),
            account.email,
            account.password
        ));
    }
    let buyer = demo.account(Role::Customer).map(|a| a.email.as_str()).unwrap_or_default();
    text.push_str(&format!(
        "\n  Watch {buyer} buy something:  merx demo purchase --data {}\n  Stop with Ctrl-C; the data stays.\n\n",
        dir.display()
    ));
    say(&text);
}

/// Writes to standard output; a closed pipe is no reason to stop a shop.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
