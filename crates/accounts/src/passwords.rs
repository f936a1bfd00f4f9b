//! Passwords: hashed with Argon2id behind a bounded queue, so that a flood of log-ins cannot take the machine.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use merx_kernel::{Entropy, Error, Result, Secret};
use merx_platform::{telemetry::Metrics, work::WorkPool};
use prometheus_client::metrics::counter::Counter;
use schemars::JsonSchema;
use serde::Deserialize;

/// How much work a password is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Work {
    /// As little as there is: for simulations, which make thousands of shops. Nobody's password may rest on it.
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

impl Default for Work {
    /// From the OWASP Password Storage Cheat Sheet.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

/// A password as it is typed: at most [`Password::LENGTH_MAX`] characters.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

impl Password {
    /// The longest password that is looked at.
    pub const LENGTH_MAX: usize = 128;
    /// The shortest a new one may be (NIST SP 800-63B §5.1.1.2).
    pub const LENGTH_MIN: usize = 8;

    /// Checks the longest length only: whether it is long enough for a new one, [`Self::checked_as_new`] says.
    ///
    /// # Errors
    /// A sentence naming the limit.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        if text.chars().count() > Self::LENGTH_MAX {
            return Err(format!("must have at most {} characters", Self::LENGTH_MAX));
        }
        Ok(Self(Secret::new(text)))
    }
    /// Refuses what is too short for a new password; `pointer` names the property it came in.
    ///
    /// # Errors
    /// `Invalid` naming the limit.
    pub fn checked_as_new(&self, pointer: &str) -> Result<()> {
        if self.0.expose().chars().count() < Self::LENGTH_MIN {
            let rule = format!("must have at least {} characters", Self::LENGTH_MIN);
            return Err(Error::invalid(pointer, rule));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
/// How a password to be is described; [`Password::checked_as_new`] checks it.
pub struct NewPassword;

impl JsonSchema for NewPassword {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NewPassword".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (min, max) = (Password::LENGTH_MIN, Password::LENGTH_MAX);
        schemars::json_schema!({"type": "string", "format": "password", "minLength": min, "maxLength": max})
    }
}

impl JsonSchema for Password {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Password".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "password", "maxLength": Self::LENGTH_MAX})
    }
}

/// Hashes and verifies.
pub struct Passwords {
    /// What nobody's password verifies against, for accounts that do not exist.
    dummy: String,
    entropy: Arc<dyn Entropy>,
    pool: WorkPool,
    evaluated: Counter,
    /// Whether the work is done on the task that asks: where no thread but the caller's may decide what comes first.
    in_place: bool,
    cost: Work,
}

impl Passwords {
    /// With so many workers and so many waiting; on threads of its own, unless `in_place`. Makes one hash, some 20 ms.
    ///
    /// # Errors
    /// `Internal` when the parameters are refused.
    pub fn new(
        workers: usize,
        waiting_max: usize,
        entropy: Arc<dyn Entropy>,
        metrics: &Metrics,
        in_place: bool,
        cost: Work,
    ) -> Result<Self> {
        let mut nobodys = [0u8; 32];
        entropy.fill(&mut nobodys);
        Ok(Self {
            dummy: hash(&nobodys, salt(&*entropy), cost)?,
            entropy,
            pool: WorkPool::new(workers, waiting_max),
            evaluated: metrics.register(
                "accounts_passwords_evaluated",
                "Passwords hashed or verified",
                Counter::default(),
            ),
            in_place,
            cost,
        })
    }

    /// The hash of a new password, a PHC string.
    ///
    /// # Errors
    /// `accounts.login_busy` when the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String> {
        let (salt, cost) = (salt(&*self.entropy), self.cost);
        self.work(move || hash(password.0.expose().as_bytes(), salt, cost)).await
    }

    /// Whether the password is the one of `stored`. Without one it takes as long, and the answer is no.
    ///
    /// # Errors
    /// `accounts.login_busy` when the queue is full; `Internal` when the stored hash cannot be read.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<bool> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy.clone());
        let cost = self.cost;
        let right = self.work(move || verify(password.0.expose().as_bytes(), &stored, cost)).await?;
        Ok(right && exists)
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = self.pool.try_enter().ok_or_else(|| {
            Error::unavailable(
                "accounts.login_busy",
                "Too many are logging in at the moment; try again shortly.",
            )
        })?;
        let turn = place.turn().await;
        self.evaluated.inc();
        if self.in_place {
            // Others come in, as they would while a thread works.
            tokio::task::yield_now().await;
            return job();
        }
        turn.run(job).await.map_err(|e| Error::internal("a password worker died").with_source(e))?
    }
}

fn argon2(cost: Work) -> Result<Argon2<'static>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
        .map_err(|e| Error::internal("the parameters of Argon2 are refused").with_source(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0u8; 16];
    entropy.fill(&mut salt);
    salt
}

fn hash(password: &[u8], salt: [u8; 16], cost: Work) -> Result<String> {
    let hash = argon2(cost)?.hash_password_with_salt(password, &salt);
    hash.map(|h| h.to_string())
        .map_err(|e| Error::internal("a password cannot be hashed").with_source(e.to_string()))
}

fn verify(password: &[u8], stored: &str, cost: Work) -> Result<bool> {
    match argon2(cost)?.verify_password(password, stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(e) => Err(Error::internal("a stored password hash cannot be read").with_source(e.to_string())),
    }
}
