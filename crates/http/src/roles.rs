//! What each role may do at this moment, in memory.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use merx_kernel::{Error, Permissions, Result, Role, RoleName, Timestamp, principal::AccountId};

/// The permission matrix, and the accounts whose roles changed while access tokens that name the old ones may still be
/// about. Whoever changes either pushes it here, so that it counts from the next request on.
///
/// It fails closed: until it is loaded, and, when it is a copy, once it is older than its limit, no token passes.
pub struct Roles {
    inner: RwLock<Inner>,
    /// `None`: this process makes the changes itself, so the matrix is never old.
    age_max: Option<Duration>,
}

#[derive(Default)]
struct Inner {
    matrix: BTreeMap<RoleName, (Permissions, i64)>,
    changed: BTreeMap<AccountId, Changed>,
    confirmed_at: Option<Timestamp>,
}

/// An account whose roles changed lately.
pub struct Changed {
    /// Its present roles.
    pub roles: Vec<RoleName>,
    /// Its version: of two changes the later counts, in whatever order they are told.
    pub version: i64,
    /// When the last token that names other roles has expired.
    pub until: Timestamp,
}

impl Roles {
    /// The matrix beside its tables, in one process. Empty and closed until [`Self::load`].
    pub fn in_process() -> Self {
        Self { inner: RwLock::default(), age_max: None }
    }
    /// A copy that is refreshed from elsewhere; no token passes when it was not confirmed for `age_max`.
    pub fn pushed(age_max: Duration) -> Self {
        Self { inner: RwLock::default(), age_max: Some(age_max) }
    }
    /// The roles every shop has, with what they may do in a fresh shop; never changes.
    pub fn fresh_shop() -> Self {
        let roles = Self::in_process();
        let matrix = Role::ALL.iter().map(|role| (RoleName::from(*role), role.defaults(), 0));
        roles.load(matrix, [], Timestamp::from_millis(0));
        roles
    }

    /// Takes in what stood in the tables at `now`: every role with its version, and the accounts whose roles changed
    /// lately. What is known in a later version stays.
    pub fn load(
        &self,
        matrix: impl IntoIterator<Item = (RoleName, Permissions, i64)>,
        changed: impl IntoIterator<Item = (AccountId, Changed)>,
        now: Timestamp,
    ) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.changed.retain(|_, changed| changed.until > now);
        for (role, permissions, version) in matrix {
            inner.set(role, permissions, version);
        }
        for (account, changed) in changed {
            inner.set_account(account, changed);
        }
        inner.confirmed_at = Some(now);
    }
    /// Sets what a role may do, as of its version.
    pub fn set(&self, role: RoleName, permissions: Permissions, version: i64) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).set(role, permissions, version);
    }
    /// Sets the roles of an account.
    pub fn set_account(&self, account: AccountId, changed: Changed, now: Timestamp) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.changed.retain(|_, changed| changed.until > now);
        inner.set_account(account, changed);
    }

    /// The roles of an account whose token names `roles`, and what they may do. `None` when one of them does not exist.
    ///
    /// # Errors
    /// `Unavailable` when the matrix is not loaded or too old.
    pub fn resolve(
        &self,
        account: AccountId,
        roles: Vec<RoleName>,
        now: Timestamp,
    ) -> Result<Option<(Vec<RoleName>, Permissions)>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = inner.confirmed_at.is_some_and(|at| self.age_max.is_none_or(|max| now.since(at) <= max));
        if !fresh {
            return Err(Error::unavailable(
                "request.revocations_unknown",
                "We cannot tell at the moment what each role may do.",
            ));
        }
        let roles = inner.changed.get(&account).map_or(roles, |changed| changed.roles.clone());
        let mut permissions = Permissions::NONE;
        for role in &roles {
            let Some((more, _)) = inner.matrix.get(role) else { return Ok(None) };
            permissions = permissions.or(*more);
        }
        Ok(Some((roles, permissions)))
    }
}

impl Inner {
    fn set(&mut self, role: RoleName, permissions: Permissions, version: i64) {
        if self.matrix.get(&role).is_none_or(|(_, known)| *known <= version) {
            self.matrix.insert(role, (permissions, version));
        }
    }
    fn set_account(&mut self, account: AccountId, changed: Changed) {
        if self.changed.get(&account).is_none_or(|known| known.version <= changed.version) {
            self.changed.insert(account, changed);
        }
    }
}
