//! Listening, waiting for a signal, and stopping in order.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use merx_alipay_sandbox::{Sandbox, Web};
use merx_http::Limits;
use merx_kernel::{Error, ErrorKind, Result, Role, Secret};
use merx_notification::transport::Folder;
use merx_platform::{rpc::Token, time::OsEntropy};
use merx_sql::Db;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Operations},
    cli::Up,
    config::{Config, GrpcConfig, HttpConfig, OrdersConfig},
    demo::{self, Demo, DemoPlace},
    files::{self, DataFolder},
    grpc,
    instance::{self, Mode},
    kill_points,
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
    let (mut demo, demo_doors) = prepare_demo(&args).await?;
    let limits = Limits {
        client_requests_per_minute_max: args.requests_per_minute,
        client_burst_max: args.requests_per_minute / 5,
        // On loopback everybody comes from one network.
        connections_per_network_max: Limits::default().connections_max,
        ..Limits::default()
    };
    let http = HttpConfig { listen: args.listen, limits, ..HttpConfig::default() };
    let orders = OrdersConfig { payment_deadline_s: args.payment_deadline_s, ..OrdersConfig::default() };
    let mut config = instance::demo_config(&args.data, &demo, http, orders)?;
    config.accounts = log_ins_in_proportion(args.requests_per_minute);
    config.grpc =
        GrpcConfig { listen: Some(args.grpc_listen), token: Some(Secret::new(demo.grpc_token.clone())) };
    let DemoDoors { api, sandbox: sandbox_listener, mails, grpc } = demo_doors;
    let doors = Doors { api, grpc: config.grpc.checked()?.map(|(_, token)| (grpc, token)) };
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    let sandbox_db = instance::open_sandbox_db(&args.data, Mode::ReadWrite)?;
    let past = (!args.without_history).then_some((&config, &sandbox_db));
    demo::load(&shop, &mut demo, &args.data, past).await?;
    let letters = merx_notification::viewer::router(Folder::new(args.data.join(files::MAILS)))?;
    let pages = kill_points::in_replies("sandbox", sandbox(&shop, &demo, sandbox_db.clone()).await?);
    let running = shop.start().await?;
    let stop = CancellationToken::new();
    let limits = &config.http.limits;
    let sandbox = merx_http::serve(sandbox_listener, pages, limits, &[], &shop.deps.tasks, stop.cancelled());
    let mails = merx_http::serve(mails, letters, limits, &[], &shop.deps.tasks, stop.cancelled());
    let shop = run(&shop, running, doors, &config, &stop, || greet(&args, &demo));
    let (outcome, (), ()) = tokio::join!(shop, sandbox, mails);
    sandbox_db.close().await;
    outcome
}

/// Log-ins and new guests have limits of their own; who may ask more often may do these more often.
fn log_ins_in_proportion(requests_per_minute: u32) -> merx_accounts::Settings {
    let usual = merx_accounts::Settings::default();
    let times = (requests_per_minute / Limits::default().client_requests_per_minute_max).clamp(1, 10_000);
    merx_accounts::Settings {
        logins_per_minute_max: usual.logins_per_minute_max * times,
        login_burst_max: usual.login_burst_max * times,
        guests_per_minute_max: usual.guests_per_minute_max * times,
        guest_burst_max: usual.guest_burst_max * times,
        ..usual
    }
}

/// `merx serve`: the shop of a configuration file, with neither demo nor sandbox.
///
/// # Errors
/// What to do next, when it cannot start.
pub async fn serve_configured(config: Config) -> Result<()> {
    shop::refuse_fault_switches()?;
    let _folder = DataFolder::claim(&config.data_dir)?;
    let api = bind(config.http.listen, "[http] listen").await?;
    let url = url_of(&api)?;
    let grpc = match config.grpc.checked()? {
        None => None,
        Some((listen, token)) => Some((bind(listen, "[grpc] listen").await?, token)),
    };
    let doors = Doors { api, grpc };
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    let running = shop.start().await?;
    let stop = CancellationToken::new();
    run(&shop, running, doors, &config, &stop, || say(&format!("Merx is open at {url}\n"))).await
}

/// The pages of the sandbox, at work on its own database.
async fn sandbox(shop: &Shop, demo: &Demo, db: Db) -> Result<Router> {
    let config = demo::sandbox_config(demo)?;
    let (clock, entropy) = (shop.deps.clock.clone(), shop.deps.entropy.clone());
    let web = Arc::new(Web::new()?);
    let (pages, _) = Sandbox::start(config, db, clock, entropy, &shop.deps.tasks, web).await?;
    Ok(pages)
}

/// Where a shop is entered.
struct Doors {
    api: TcpListener,
    /// The asks, and what a caller must show.
    grpc: Option<(TcpListener, Token)>,
}

/// The doors of a demo.
struct DemoDoors {
    api: TcpListener,
    sandbox: TcpListener,
    mails: TcpListener,
    grpc: TcpListener,
}

/// Binds first, so that a port in use is told before anything is made, and the addresses are known.
async fn prepare_demo(args: &Up) -> Result<(Demo, DemoDoors)> {
    let doors = DemoDoors {
        api: bind(args.listen, "--listen").await?,
        sandbox: bind(args.sandbox_listen, "--sandbox-listen").await?,
        mails: bind(args.mail_listen, "--mail-listen").await?,
        grpc: bind(args.grpc_listen, "--grpc-listen").await?,
    };
    instance::refuse_stranger(&args.data)?;
    let mut demo = Demo::of(&args.data, &OsEntropy)?;
    demo.move_to(&DemoPlace {
        api_url: url_of(&doors.api)?,
        sandbox_url: url_of(&doors.sandbox)?,
        mail_url: url_of(&doors.mails)?,
        grpc_url: url_of(&doors.grpc)?,
        database_url: args.database.clone(),
    });
    Ok((demo, doors))
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
    doors: Doors,
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
    let admin = running.admin.merge(admin::operations(Operations::of(shop)));
    drop(tasks.spawn("server.admin", async move {
        let served = axum::serve(socket, admin).with_graceful_shutdown(admin_stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin socket ended");
        }
    }));
    if let Some((listener, token)) = doors.grpc {
        let (services, end) = (shop.services.clone(), stop.clone());
        drop(tasks.spawn("server.grpc", async move {
            if let Err(error) = grpc::serve(listener, services, token, end.cancelled_owned()).await {
                tracing::error!(error = %error.chain(), "the internal port ended");
            }
        }));
    }
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
        let router = kill_points::in_replies("shop", running.router);
        merx_http::serve(doors.api, router, limits, trusted_proxies, tasks, told).await;
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
fn greet(args: &Up, demo: &Demo) {
    let Demo { place, .. } = demo;
    let dir = &args.data;
    let mut text = format!(
        "\nMerx is open.\n\n  API             {api}  (to read: {api}/docs)\n  Alipay sandbox  {sandbox}\n  \
         Mails           {mails}\n  gRPC            {grpc}  (token in demo.json)\n\n  \
         demo accounts, made for this data folder ({dir}):\n",
        api = place.api_url,
        sandbox = place.sandbox_url,
        mails = place.mail_url,
        grpc = place.grpc_url.trim_start_matches("http://"),
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
    let _ = try_say(text);
}

/// Writes to standard output, for commands that end when nobody reads any more.
///
/// # Errors
/// It is closed.
pub fn try_say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
