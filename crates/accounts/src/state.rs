//! What the code of accounts works with, and what it keeps in memory of who may come in.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use merx_contracts::ids::{AccountId, SessionId};
use merx_http::{
    Changed, ClientAddress, RateLimiter, Revocations, Roles,
    token::{LEEWAY, Realm, TokenSigner, TokenVerifier},
};
use merx_kernel::{Clock, IdGen, Result, RoleName, Secret, Timestamp};
use merx_platform::{Deps, Store, Tasks};
use merx_sql::{Db, Tx};

use crate::{
    Settings,
    domain::throttle::Throttle,
    erasure_log::ErasureLog,
    keys::{self, Keys},
    passwords::Passwords,
    secrets::Secrets,
    store::{accounts, roles, sessions},
};

/// Networks whose log-ins are counted.
const NETWORKS_MAX: usize = 100_000;
/// Keys one network makes us look up in a minute; known ones cost no look.
const KEY_LOOKUPS_PER_MINUTE_MAX: u32 = 600;
const KEY_LOOKUP_BURST_MAX: u32 = 100;
/// Keys made for one account in a minute, and at once: each key has a rate of its own, so that fresh ones without end
/// would be no rate at all.
const KEYS_MADE_PER_MINUTE_MAX: u32 = 6;
const KEYS_MADE_BURST_MAX: u32 = 60;
/// Accounts whose making of keys is counted.
const KEY_MAKERS_MAX: usize = 10_000;
/// Where other processes change the same tables: nobody is let in on older knowledge.
const AGE_MAX: Duration = Duration::from_secs(1);

/// What the code of this context works with. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

/// The parts of [`State`].
pub struct Inner {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdGen,
    pub(crate) tasks: Tasks,
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) signer: TokenSigner,
    pub(crate) secrets: Secrets,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) logins: RateLimiter<ClientAddress>,
    pub(crate) guests: RateLimiter<ClientAddress>,
    pub(crate) key_lookups: RateLimiter<ClientAddress>,
    pub(crate) keys_made: RateLimiter<AccountId>,
    pub(crate) keys: Keys,
    pub(crate) roles: Arc<Roles>,
    pub(crate) erasure_log: OnceLock<Arc<ErasureLog>>,
    revocations: Arc<Revocations>,
}

impl std::ops::Deref for State {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl State {
    /// From what the server gives every context, the settings, and the key of
    /// [`signing_key::load_or_create`](crate::signing_key::load_or_create). Codes and the links of guests hang on the
    /// same key; where it may be changed, give them one of their own with [`Self::with_code_key`].
    ///
    /// # Errors
    /// `Internal` when the key has the wrong length.
    pub fn new(deps: &Deps, settings: Settings, signing_key: &Secret<Vec<u8>>) -> Result<Self> {
        Self::build(deps, settings, signing_key, Secrets::derived_from(signing_key))
    }

    /// The same with a key of its own for codes and the links of guests, kept like the signing key.
    ///
    /// # Errors
    /// `Internal` when the signing key has the wrong length.
    pub fn with_code_key(
        deps: &Deps,
        settings: Settings,
        signing_key: &Secret<Vec<u8>>,
        code_key: &Secret<Vec<u8>>,
    ) -> Result<Self> {
        Self::build(deps, settings, signing_key, Secrets::new(code_key))
    }

    fn build(
        deps: &Deps,
        settings: Settings,
        signing_key: &Secret<Vec<u8>>,
        secrets: Secrets,
    ) -> Result<Self> {
        let workers = settings.password_workers.max(1);
        let rate = |per_minute, burst| RateLimiter::new(per_minute, burst, NETWORKS_MAX);
        let (revocations, roles) = if settings.several_processes {
            (Revocations::pushed(AGE_MAX), Roles::pushed(AGE_MAX))
        } else {
            (Revocations::in_process(), Roles::in_process())
        };
        Ok(Self(Arc::new(Inner {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            tasks: deps.tasks.clone(),
            store: Store::new("accounts"),
            signer: TokenSigner::new(signing_key, Realm::default(), settings.access_life())?,
            secrets,
            passwords: Passwords::new(
                workers,
                settings.password_queue_max,
                deps.entropy.clone(),
                &deps.metrics,
                deps.db.is_inline(),
                settings.password_work,
            )?,
            throttle: Mutex::default(),
            logins: rate(settings.logins_per_minute_max, settings.login_burst_max),
            guests: rate(settings.guests_per_minute_max, settings.guest_burst_max),
            key_lookups: rate(KEY_LOOKUPS_PER_MINUTE_MAX, KEY_LOOKUP_BURST_MAX),
            keys_made: RateLimiter::new(KEYS_MADE_PER_MINUTE_MAX, KEYS_MADE_BURST_MAX, KEY_MAKERS_MAX),
            keys: Keys::default(),
            roles: Arc::new(roles),
            erasure_log: OnceLock::new(),
            revocations: Arc::new(revocations),
            settings,
        })))
    }

    /// Keeps the list of erased people in this file too, which outlives a restore. To be said before
    /// [`start`](crate::start).
    pub fn keep_erasures_in(&self, file: impl Into<PathBuf>) {
        self.erasure_log.get_or_init(|| Arc::new(ErasureLog::new(file)));
    }

    /// The verifier of this context's access tokens and keys, for the edge. It lets nobody in before
    /// [`start`](crate::start).
    pub fn verifier(&self) -> TokenVerifier {
        let public = [self.signer.public_key()];
        let own = self.clone();
        TokenVerifier::new(public, Realm::default(), self.clock.clone(), self.revocations.clone())
            .with_roles(self.roles.clone())
            .with_keys(Arc::new(move |secret, address| {
                let own = own.clone();
                Box::pin(async move { keys::admit(&own, &secret, address).await })
            }))
    }

    /// How long after a session's end an access token of it might still be good.
    fn token_life(&self) -> Duration {
        self.signer.life() + LEEWAY
    }

    /// No token of the session passes from now on.
    pub(crate) fn revoke(&self, session: SessionId, now: Timestamp) {
        self.revocations.add(session, now.plus(self.token_life()), now);
    }

    /// No token of these sessions of the account passes from now on, and what is known of its keys is looked up again.
    pub(crate) fn sessions_ended(&self, account: AccountId, sessions: Vec<SessionId>, now: Timestamp) {
        for session in sessions {
            self.revoke(session, now);
        }
        self.keys.forget(account);
    }

    /// The roles of the account are these from now on, whatever its tokens name.
    pub(crate) fn roles_changed(
        &self,
        account: AccountId,
        roles: Vec<RoleName>,
        version: i64,
        now: Timestamp,
    ) {
        let until = now.plus(self.token_life());
        self.roles.set_account(account, Changed { roles, version, until }, now);
        self.keys.forget(account);
    }

    /// A write that may take a right away: a session, a role, a key. When nobody knows whether it was kept, what the
    /// tables have counts from now on: who asks again may find nothing left to do, and nobody would learn of it.
    ///
    /// # Errors
    /// Those of [`Db::write`].
    pub(crate) async fn write_rights<T, F>(&self, label: &'static str, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let outcome = self.db.write(label, f).await;
        if outcome.as_ref().is_err_and(|error| error.is("sql.outcome_unknown")) {
            self.keys.forget_all();
            if let Err(error) = self.refresh().await {
                tracing::error!(label, error = %error.chain(), "which rights there still are could not be read");
            }
        }
        outcome
    }

    /// Takes in which sessions ended lately, what each role may do, and whose roles changed lately.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn refresh(&self) -> Result<()> {
        let now = self.clock.now();
        let life = self.token_life();
        let since = now.minus(life);
        let (ended, matrix, changed) = self
            .db
            .read("accounts.refresh", move |q| {
                let ended = sessions::ended_since(q, since)?;
                Ok((ended, roles::roles(q)?, accounts::roles_changed_since(q, since)?))
            })
            .await?;
        let changed = changed.into_iter().map(|(account, roles, version)| {
            // When exactly does not matter: it is no later than now.
            (account, Changed { roles, version, until: now.plus(life) })
        });
        self.roles.load(matrix.into_iter().map(|r| (r.name, r.permissions, r.version)), changed, now);
        self.revocations.add_all(ended.into_iter().map(|(session, at)| (session, at.plus(life))), now);
        self.revocations.confirm(now);
        Ok(())
    }
}
