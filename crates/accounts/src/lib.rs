//! Who may use the shop: accounts, log-in, sessions, and the addresses goods are sent to. See README.md of this
//! crate.

pub mod commands;
pub mod domain;
mod http;
mod passwords;
mod queries;
mod rpc;
mod settings;
pub mod signing_key;
mod store;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use merx_contracts::{
    accounts::v1::accounts_server::{Accounts, AccountsServer},
    ids::SessionId,
};
use merx_http::{
    ClientAddress, ContextModule, Limits, RateLimiter, Revocations,
    token::{LEEWAY, Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, IdGen, Result, Secret, Timestamp};
use merx_platform::{Deps, Module, Store};
use merx_sql::{Db, Migration};
use tonic::service::Routes;

pub use http::{AddressView, AddressesView, MeView, SessionView, SessionsView, TokensView};
pub use passwords::Password;
pub use settings::Settings;

use domain::throttle::Throttle;
use passwords::Passwords;

/// Networks whose log-ins are counted.
const NETWORKS_MAX: usize = 100_000;
/// How often expired sessions are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// What the code of this context works with. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

/// The parts of [`State`].
pub struct Inner {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) signer: TokenSigner,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) logins: RateLimiter<ClientAddress>,
    revocations: Arc<Revocations>,
}

impl std::ops::Deref for State {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl State {
    /// From what the server gives every context, the settings, and the key of [`signing_key::load_or_create`].
    ///
    /// # Errors
    /// `Internal` when the key has the wrong length.
    pub fn new(deps: &Deps, settings: Settings, signing_key: &Secret<Vec<u8>>) -> Result<Self> {
        let workers = settings.password_workers.max(1);
        Ok(Self(Arc::new(Inner {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            store: Store::new("accounts"),
            signer: TokenSigner::new(signing_key, Realm::default(), settings.access_life())?,
            passwords: Passwords::new(
                workers,
                settings.password_queue_max,
                deps.entropy.clone(),
                &deps.metrics,
            )?,
            throttle: Mutex::default(),
            logins: RateLimiter::new(settings.logins_per_minute_max, settings.login_burst_max, NETWORKS_MAX),
            revocations: Arc::new(Revocations::in_process()),
            settings,
        })))
    }

    /// The verifier of this context's access tokens, for the edge. It lets nobody in before [`start`].
    pub fn verifier(&self) -> TokenVerifier {
        let keys = [self.signer.public_key()];
        TokenVerifier::new(keys, Realm::default(), self.clock.clone(), self.revocations.clone())
    }

    /// How long after a session's end an access token of it might still be good.
    fn token_life(&self) -> Duration {
        self.signer.life() + LEEWAY
    }

    /// No token of the session passes from now on.
    pub(crate) fn revoke(&self, session: SessionId, now: Timestamp) {
        self.revocations.add(session, now.plus(self.token_life()), now);
    }
}

/// The tables of this context.
pub fn migrations() -> Vec<Migration> {
    store::migrations()
}

/// The service of the asks.
pub fn service(state: &State) -> AccountsServer<impl Accounts> {
    AccountsServer::new(rpc::AccountsRpc(state.clone()))
}

/// The context.
pub fn module(state: &State, limits: &Limits) -> ContextModule {
    let mut module = Module::new(state.store.clone(), migrations());
    module.rpc = Some(Routes::new(service(state)));
    ContextModule { module, routes: http::routes(state, limits) }
}

/// Once the tables are up to date: loads the sessions that ended lately, without which no token is accepted, and
/// begins to remove old ones.
///
/// # Errors
/// What the database answers.
pub async fn start(state: &State, deps: &Deps) -> Result<()> {
    let now = state.clock.now();
    let life = state.token_life();
    let since = now.minus(life);
    let ended = state.db.read("accounts.revocations", move |q| store::ended_since(q, since)).await?;
    state.revocations.load(ended.into_iter().map(|(session, at)| (session, at.plus(life))), now);
    let state = state.clone();
    drop(deps.tasks.spawn_every("accounts.prune", PRUNE_EVERY, move || {
        let state = state.clone();
        async move { commands::prune::prune(&state).await.map(drop) }
    }));
    Ok(())
}
