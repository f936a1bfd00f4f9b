//! Notification: mails to buyers and staff, and webhooks to partners. See README.md of this crate.

pub mod commands;
mod config;
pub mod domain;
mod http;
pub mod queries;
pub mod reactions;
mod rpc;
pub mod sending;
pub mod store;
pub mod templates;
pub mod transport;
pub mod viewer;
pub mod words;

use std::sync::Arc;

use merx_contracts::{
    accounts::v1::accounts_client::AccountsClient,
    notification::v1::notification_server::{Notification, NotificationServer},
};
use merx_http::{
    ContextModule, Limits,
    outbound::{Outbound, SystemNames, Web},
};
use merx_kernel::{Clock, Entropy, Error, IdGen, Result};
use merx_platform::{Deps, Metrics, Module, Peer, Store, Tasks};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use config::{MailConfig, MailTarget, NotificationConfig, SmtpTls, WebhooksConfig};
pub use http::{DeliveryDetailView, DeliveryView, MailDetailView, MailView, WebhookView};

use sending::Nudge;
use templates::Templates;
use transport::MailTransport;

/// The name of the context and the prefix of its tables.
pub const NAME: &str = "notification";

/// How mails and webhooks leave.
#[derive(Clone)]
pub struct Ways {
    /// Mails; `None` when they go nowhere.
    pub mail: Option<Arc<dyn MailTransport>>,
    /// Webhooks.
    pub web: Arc<dyn Outbound>,
}

impl Ways {
    /// As the configuration says, over the network.
    ///
    /// # Errors
    /// `Invalid` for a wrong value; `Internal` when TLS cannot be set up.
    pub fn of_config(config: &NotificationConfig) -> Result<Self> {
        let web = Web::new(config.webhooks.reach(), Arc::new(SystemNames))?;
        Ok(Self { mail: transport::of_config(&config.mail)?, web: Arc::new(web) })
    }
}

/// What the code of this context works with. Clones share everything.
#[derive(Clone)]
pub struct State {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: IdGen,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    pub(crate) accounts: AccountsClient<Peer>,
    pub(crate) config: Arc<NotificationConfig>,
    pub(crate) templates: Arc<Templates>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) ways: Ways,
    pub(crate) nudge: Arc<Nudge>,
}

/// Who mails are from.
pub(crate) struct Sender {
    /// Name and address.
    pub from: String,
    /// The domain of the address.
    pub domain: String,
}

impl State {
    /// From what the server gives every context, the way to accounts, the configuration, and the ways out.
    ///
    /// # Errors
    /// `config.invalid` naming each wrong value.
    pub fn new(deps: &Deps, accounts: &Peer, config: NotificationConfig, ways: Ways) -> Result<Self> {
        config.check()?;
        let mailbox = config.mail.sender().map_err(|e| Error::invalid("mail.from", e))?;
        let domain = mailbox.email.domain().to_owned();
        let shop = mailbox.name.clone().unwrap_or_else(|| domain.clone());
        let templates = Templates::new(&shop, &config.mail.public_url, config.mail.utc_offset_minutes)?;
        Ok(Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            entropy: deps.entropy.clone(),
            ids: deps.ids.clone(),
            metrics: deps.metrics.clone(),
            store: Store::new(NAME),
            accounts: AccountsClient::new(accounts.called_by(NAME)),
            templates: Arc::new(templates),
            sender: Arc::new(Sender { from: mailbox.to_string(), domain }),
            config: Arc::new(config),
            ways,
            nudge: Arc::new(Nudge::new(deps.activity.clone())),
        })
    }

    pub(crate) fn random(&self) -> u64 {
        let mut bytes = [0u8; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The service of the asks.
pub fn service(state: &State) -> NotificationServer<impl Notification> {
    NotificationServer::new(rpc::NotificationRpc(state.clone()))
}

/// The context. It sends nothing until [`start`].
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(service(state)));
    module.subscriptions = vec![reactions::subscription(state)];
    ContextModule { module, routes: http::routes(state, limits) }
}

/// Begins to send mails and webhooks, and what a process that died left. Tables must be up to date. It ends with
/// [`Tasks::shutdown`].
pub fn start(state: &State, tasks: &Tasks) {
    sending::start(state, tasks);
}
