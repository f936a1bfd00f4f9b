//! The wiring, in straight lines: which context is given what, in the order of who asks whom.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use axum::Router;
use merx_auditor::{Audit, Context, ProviderEntry};
use merx_http::{ContextModule, Edge, Health, Info, Limits, Route};
use merx_kernel::{Error, Result, Secret};
use merx_payment::{PaymentConfig, provider::Outbound};
use merx_platform::{
    Deps, Module, Store,
    bus::{Bus, EmbeddedBus},
    module::{Background, sequenced_tables},
    rpc::Peer,
};
use merx_sql::SequencedTable;
use tonic::service::Routes;

use crate::{
    admin::{self, Admin},
    asks::{Asks, Counted},
    grpc::Services,
};

/// Every context, in the order of who asks whom.
pub const CONTEXTS: &[&str] = &[
    "accounts",
    "catalogue",
    "inventory",
    "payment",
    "shipping",
    "notification",
    "cart",
    "ordering",
    "aftersale",
];

/// The tables whose rows get positions.
pub fn sequenced() -> Vec<SequencedTable> {
    sequenced_tables(CONTEXTS)
}

/// How one context reaches another in the same process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// A call is a call.
    #[default]
    Local,
    /// Every call passes as bytes, as over a wire.
    Loopback,
    /// As bytes, and carried out twice, as after a lost answer.
    LoopbackTwice,
}

impl Topology {
    fn peer(self, service: Counted<Routes>) -> Peer {
        match self {
            Self::Local => Peer::local(service),
            Self::Loopback => Peer::loopback(service),
            Self::LoopbackTwice => Peer::loopback_twice(service),
        }
    }
}

/// What distinguishes one shop from another.
#[derive(Clone)]
pub struct Settings {
    /// Limits of the public API.
    pub limits: Limits,
    /// Proxies in front of it, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Orders.
    pub ordering: merx_ordering::Settings,
    /// What is asked after the sale.
    pub aftersale: merx_aftersale::Policy,
    /// Payment.
    pub payment: PaymentConfig,
    /// Log-in.
    pub accounts: merx_accounts::Settings,
    /// Carts.
    pub cart: merx_cart::Settings,
    /// Prices and pictures.
    pub catalogue: merx_catalogue::Settings,
    /// Mails and webhooks, and …
    pub notification: merx_notification::NotificationConfig,
    /// … how they leave.
    pub ways: merx_notification::Ways,
    /// The key that signs access tokens.
    pub signing_key: Secret<Vec<u8>>,
    /// The key that codes and the links of guests are made from.
    pub code_key: Secret<Vec<u8>>,
    /// Where it is kept, beside the database, who was erased.
    pub erasures: Option<PathBuf>,
    /// How the payment provider is reached.
    pub outbound: Arc<dyn Outbound>,
    /// How contexts reach each other.
    pub topology: Topology,
}

/// A shop, wired but not running.
pub struct Shop {
    /// What every context was given.
    pub deps: Deps,
    /// The contexts.
    pub modules: Vec<Module>,
    /// The public routes.
    pub routes: Vec<Route>,
    /// For accounts and demo data.
    pub accounts: merx_accounts::State,
    /// The services of the asks, for the internal port.
    pub services: Services,
    cart: merx_cart::State,
    notification: merx_notification::State,
    ordering: merx_ordering::context::Ordering,
    aftersale: merx_aftersale::AfterSale,
    /// For operators.
    pub payment: merx_payment::Payments,
    /// For demo data.
    pub catalogue: merx_catalogue::State,
    /// For demo data and the watch over orphans.
    pub inventory: merx_inventory::State,
    limits: Limits,
    trusted_proxies: Vec<IpAddr>,
}

/// A shop at work.
pub struct Running {
    /// The public API.
    pub router: Router,
    /// What operators may do.
    pub admin: Router,
    /// Bus, timers, sagas.
    pub background: Background,
    /// What `/readyz` answers.
    pub health: Health,
}

impl Shop {
    /// Wires the contexts. Touches no table.
    ///
    /// # Errors
    /// `Invalid` naming each wrong value of the settings.
    pub fn wire(mut deps: Deps, settings: Settings) -> Result<Self> {
        let (limits, topology) = (settings.limits, settings.topology);
        let (mut modules, mut routes, mut services) = (Vec::new(), Vec::new(), Services::new());
        let asks = Asks::register(&deps.metrics);
        let mut join = |deps: &mut Deps, context: ContextModule| {
            let name = context.module.name();
            if let Some(rpc) = &context.module.rpc {
                let service = asks.counted(name, rpc.clone());
                services.insert(name, service.clone());
                let peer = topology.peer(service).with_faults(&deps.faults, name);
                deps.peers.insert(name, peer);
            }
            routes.extend(context.routes.into_iter().map(|route| route.group(name)));
            modules.push(context.module);
        };

        let (signing_key, code_key) = (settings.signing_key, settings.code_key);
        let accounts =
            merx_accounts::State::with_code_key(&deps, settings.accounts, &signing_key, &code_key)?;
        if let Some(file) = settings.erasures {
            accounts.keep_erasures_in(file);
        }
        join(&mut deps, merx_accounts::module(&accounts, &limits));
        let objects = settings.catalogue.objects.clone();
        let catalogue = merx_catalogue::State::new(&deps, settings.catalogue);
        join(&mut deps, merx_catalogue::module(&catalogue, &limits));
        let inventory = merx_inventory::State::new(&deps);
        join(&mut deps, merx_inventory::module(&inventory, &limits));
        let payment = merx_payment::payments(&deps, &settings.payment, settings.outbound)?;
        let context = merx_payment::context(&deps, &limits, &payment);
        join(&mut deps, context);
        let (tariff, accounts_peer) = (merx_shipping::Tariff::default(), deps.peer("accounts")?);
        let shipping = merx_shipping::State::new(&deps, tariff, &accounts_peer);
        join(&mut deps, merx_shipping::module(&shipping, &limits));
        let (notification, ways) = (settings.notification, settings.ways);
        let notification = merx_notification::State::new(&deps, &accounts_peer, notification, ways)?;
        join(&mut deps, merx_notification::module(&notification, &limits));
        let cart = merx_cart::State::new(&deps, settings.cart)?;
        join(&mut deps, merx_cart::module(&cart));
        let ordering = merx_ordering::ordering(&deps, settings.ordering)?;
        let module = merx_ordering::inner(&ordering);
        let context = ContextModule { module, routes: merx_ordering::routes(ordering.clone(), &limits) };
        join(&mut deps, context);
        let policy = settings.aftersale;
        let aftersale = merx_aftersale::after_sale(&deps, merx_aftersale::Settings { policy, objects })?;
        join(&mut deps, merx_aftersale::module(&aftersale, &limits));

        routes.extend([crate::error_pages::route(), crate::order_link::route()]);
        Ok(Self {
            deps,
            modules,
            routes,
            accounts,
            services,
            cart,
            notification,
            ordering,
            aftersale,
            payment,
            catalogue,
            inventory,
            limits,
            trusted_proxies: settings.trusted_proxies,
        })
    }

    /// Brings every context's tables up to date.
    ///
    /// # Errors
    /// `sql.newer_schema` for a database of a later version; what the database answers.
    pub async fn migrate(&self) -> Result<()> {
        for module in &self.modules {
            module.migrate(&self.deps.db).await?;
        }
        Ok(())
    }

    /// Sets everything going but the listeners. Tables must be up to date.
    ///
    /// # Errors
    /// `Internal` when the contexts do not fit together; what the database answers.
    pub async fn start(&self) -> Result<Running> {
        merx_accounts::start(&self.accounts, &self.deps).await?;
        merx_payment::bring_up_to_date(&self.deps.db).await?;
        self.payment.reconcile_daily().await?;
        merx_ordering::bring_up_to_date(&self.ordering).await?;
        let background = merx_platform::module::start(&self.deps, &self.modules)?;
        merx_inventory::start(&self.inventory, &self.deps.tasks);
        merx_payment::start(&self.payment, &self.deps.tasks);
        merx_cart::start(&self.cart, &self.deps.tasks);
        merx_catalogue::start(&self.catalogue, &self.deps.tasks);
        merx_notification::start(&self.notification, &self.deps.tasks);
        merx_aftersale::start(&self.aftersale, &self.deps.tasks);
        let db = self.deps.db.clone();
        let database: merx_http::Check = Arc::new(move || {
            let db = db.clone();
            Box::pin(async move { db.read("server.ready", |_| Ok(())).await })
        });
        let health = Health::new([("database", database)]);
        self.deps.metrics.with_registry(|registry| self.deps.db.register_metrics(registry));
        let edge = Edge {
            limits: self.limits.clone(),
            clock: self.deps.clock.clone(),
            entropy: self.deps.entropy.clone(),
            ids: self.deps.ids.clone(),
            tasks: self.deps.tasks.clone(),
            tokens: Arc::new(self.accounts.verifier()),
            health: health.clone(),
            metrics: self.deps.metrics.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            info: Info { title: "Merx".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        };
        let router = merx_http::router(self.routes.clone(), edge);
        Ok(Running { router, admin: self.admin(background.bus.clone()), background, health })
    }

    fn admin(&self, bus: Arc<dyn Bus>) -> Router {
        let contexts = self.modules.iter().map(|m| (m.store.clone(), m.sagas.clone())).collect();
        admin::router(Admin { db: self.deps.db.clone(), bus, contexts })
    }

    /// What operators may do while the shop rests. Nothing is set going but what they ask for.
    ///
    /// # Errors
    /// `Internal` when the contexts do not fit together.
    pub fn resting_admin(&self) -> Result<Router> {
        let stores: Vec<Store> = self.modules.iter().map(|m| m.store.clone()).collect();
        let subscriptions = self.modules.iter().flat_map(|m| m.subscriptions.clone()).collect();
        Ok(self.admin(Arc::new(EmbeddedBus::new(&self.deps, &stores, subscriptions)?)))
    }

    /// What the auditor needs; `provider` is the ledger of a payment provider that has come to rest. For a running one
    /// set [`Audit::provider`] to a live ledger.
    pub fn audit(&self, provider: Option<Vec<ProviderEntry>>, drained: bool) -> Audit {
        Audit {
            db: self.deps.db.clone(),
            clock: self.deps.clock.clone(),
            contexts: self.modules.iter().map(Context::of).collect(),
            provider: provider.map(Into::into),
            acknowledged: Vec::new(),
            poison_sent: 0,
            drained,
        }
    }
}

/// The sandbox's ledger in the auditor's words.
pub fn provider_entries(ledger: Vec<merx_alipay_sandbox::Entry>) -> Vec<ProviderEntry> {
    let of = |entry: merx_alipay_sandbox::Entry| ProviderEntry {
        attempt_number: entry.out_trade_no,
        refund_number: Some(entry.out_request_no).filter(|n| !n.is_empty()),
        amount: entry.amount,
        at: entry.at,
    };
    ledger.into_iter().map(of).collect()
}

/// Refuses a build that carries fault switches: it must never serve a shop. A test that kills such a build at its points
/// says that it means to: `MERX_FAULT_SWITCHES=accepted`.
///
/// # Errors
/// `server.fault_switches`.
pub fn refuse_fault_switches() -> Result<()> {
    let accepted = || std::env::var("MERX_FAULT_SWITCHES").is_ok_and(|told| told == "accepted");
    if merx_kernel::guard::switches_compiled_in() && !accepted() {
        return Err(Error::unavailable(
            "server.fault_switches",
            "This build was made with --cfg merx_mutants and carries fault switches; it must not serve a shop.",
        ));
    }
    Ok(())
}
