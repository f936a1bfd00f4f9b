//! Access tokens: JWT (RFC 9068 profile, `at+jwt`) in exactly one form, signed with Ed25519.
//!
//! Nothing is negotiated. The header may say `alg`, `typ` and `kid` and nothing else, `alg` must be `EdDSA`, and
//! `kid` only picks one of our own keys, so the known confusions (`none`, HS256 with a public key, `jwk`, `jku`,
//! `x5u`, `crit`) have nothing to hold on to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use merx_kernel::{
    Clock, Credential, Error, ErrorKind, Guard, Principal, Result, RoleName, Secret, Timestamp,
    clock::BoxFuture,
    principal::{AccountId, SessionId},
};
use serde::{Deserialize, Serialize};

use crate::{client::ClientAddress, revocation::Revocations, roles::Roles};

/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 2_048;
/// How far the clocks of issuer and verifier may lie apart.
pub const LEEWAY: Duration = Duration::from_secs(5);
const TYP: &str = "at+jwt";
const ALG: &str = "EdDSA";
/// How the secret of a program's key begins.
pub const KEY_PREFIX: &str = "merx_";

/// Answers whom the secret of a program's key speaks for; the address is where the program is.
pub type KeyCheck = Arc<dyn Fn(Secret<String>, ClientAddress) -> BoxFuture<Result<Principal>> + Send + Sync>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    sid: SessionId,
    roles: Vec<RoleName>,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

/// The names a token is made by and for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Who makes tokens (`iss`).
    pub issuer: String,
    /// Whom they are for (`aud`).
    pub audience: String,
}

impl Default for Realm {
    fn default() -> Self {
        Self { issuer: "merx/accounts".to_owned(), audience: "merx/api".to_owned() }
    }
}

/// Makes access tokens.
pub struct TokenSigner {
    key: Ed25519KeyPair,
    kid: String,
    realm: Realm,
    life: Duration,
}

impl TokenSigner {
    /// A signer from the 32 secret bytes of an Ed25519 key; its tokens live for `life`.
    ///
    /// # Errors
    /// `Internal` when the seed is not 32 bytes.
    pub fn new(seed: &Secret<Vec<u8>>, realm: Realm, life: Duration) -> Result<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map_err(|_| Error::internal("the signing key is not a seed of 32 bytes"))?;
        let kid = kid_of(key.public_key().as_ref());
        Ok(Self { key, kid, realm, life })
    }
    /// The public half, for [`TokenVerifier::new`].
    pub fn public_key(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }
    /// How long its tokens live.
    pub const fn life(&self) -> Duration {
        self.life
    }
    /// A token for the session of the principal, good from `now`. It names the roles, not what they may do.
    ///
    /// # Errors
    /// `Internal` when the principal came by a key, or the claims cannot be written.
    pub fn sign(&self, principal: &Principal, now: Timestamp) -> Result<String> {
        let session = principal.session().ok_or_else(|| Error::internal("a key asks for an access token"))?;
        self.sign_session(principal.account, session, &principal.roles, now)
    }
    /// A token for a session of an account with these roles, good from `now`.
    ///
    /// # Errors
    /// `Internal` when the claims cannot be written.
    pub fn sign_session(
        &self,
        account: AccountId,
        session: SessionId,
        roles: &[RoleName],
        now: Timestamp,
    ) -> Result<String> {
        let header = Header { alg: ALG.to_owned(), typ: TYP.to_owned(), kid: self.kid.clone() };
        let claims = Claims {
            iss: self.realm.issuer.clone(),
            aud: self.realm.audience.clone(),
            sub: account,
            sid: session,
            roles: roles.to_vec(),
            iat: now.as_secs(),
            exp: now.plus(self.life).as_secs(),
            nbf: None,
        };
        let unwritable = |e: serde_json::Error| Error::internal("a token cannot be written").with_source(e);
        let mut token = BASE64.encode(serde_json::to_vec(&header).map_err(unwritable)?);
        token.push('.');
        token.push_str(&BASE64.encode(serde_json::to_vec(&claims).map_err(unwritable)?));
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        token.push_str(&BASE64.encode(signature.as_ref()));
        Ok(token)
    }
}

/// Verifies access tokens without asking anybody: signature, names, time, and the revocation set and the roles in
/// memory. Keys of programs it hands on.
pub struct TokenVerifier {
    keys: BTreeMap<String, UnparsedPublicKey<Vec<u8>>>,
    realm: Realm,
    clock: Arc<dyn Clock>,
    revocations: Arc<Revocations>,
    roles: Arc<Roles>,
    keys_of_programs: Option<KeyCheck>,
}

impl TokenVerifier {
    /// A verifier that trusts these Ed25519 public keys (32 bytes each). It knows the roles of a fresh shop and no keys
    /// of programs.
    pub fn new(
        public_keys: impl IntoIterator<Item = Vec<u8>>,
        realm: Realm,
        clock: Arc<dyn Clock>,
        revocations: Arc<Revocations>,
    ) -> Self {
        let keys =
            public_keys.into_iter().map(|k| (kid_of(&k), UnparsedPublicKey::new(&ED25519, k))).collect();
        Self { keys, realm, clock, revocations, roles: Arc::new(Roles::fresh_shop()), keys_of_programs: None }
    }
    /// The same with the roles of this shop.
    #[must_use]
    pub fn with_roles(mut self, roles: Arc<Roles>) -> Self {
        self.roles = roles;
        self
    }
    /// The same with the keys of programs.
    #[must_use]
    pub fn with_keys(mut self, check: KeyCheck) -> Self {
        self.keys_of_programs = Some(check);
        self
    }

    /// Who the access token, or the secret of a program's key, speaks for.
    ///
    /// # Errors
    /// As [`Self::verify`], and what the check of keys answers.
    pub async fn authenticate(&self, token: &str, address: ClientAddress) -> Result<Principal> {
        match &self.keys_of_programs {
            Some(check) if token.starts_with(KEY_PREFIX) => {
                check(Secret::new(token.to_owned()), address).await
            }
            _ => self.verify(token),
        }
    }

    /// Who the access token speaks for.
    ///
    /// # Errors
    /// `Unauthenticated`: `request.token_expired` when it was good once, `request.token_revoked` when its session
    /// has ended, `request.token_invalid` for anything else, without saying what. `Unavailable` when the
    /// revocation set or the roles are too old to trust.
    pub fn verify(&self, token: &str) -> Result<Principal> {
        let claims = self.verified_claims(token).ok_or_else(invalid)?;
        let at = self.clock.now();
        let now = at.as_secs();
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        let begins = claims.iat.max(claims.nbf.unwrap_or(i64::MIN));
        if claims.iss != self.realm.issuer
            || claims.aud != self.realm.audience
            || begins > now.saturating_add(leeway)
            || claims.exp <= claims.iat
        {
            return Err(invalid());
        }
        if claims.exp <= now {
            return Err(unauthenticated(
                "request.token_expired",
                "The access token has expired; refresh it.",
            ));
        }
        if self.revocations.contains(claims.sid, at)? {
            return Err(unauthenticated("request.token_revoked", "The session has ended; log in again."));
        }
        let resolved = self.roles.resolve(claims.sub, claims.roles, at)?;
        let (roles, permissions) = resolved.ok_or_else(invalid)?;
        Ok(Principal { account: claims.sub, credential: Credential::Session(claims.sid), roles, permissions })
    }

    /// Form and signature; `None` says no more than "not ours".
    fn verified_claims(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if Guard::TokenAlgorithm.on() && (header.alg != ALG || header.typ != TYP) {
            return None;
        }
        let key = self.keys.get(&header.kid)?;
        key.verify(signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }
}

fn kid_of(public_key: &[u8]) -> String {
    BASE64.encode(&digest::digest(&digest::SHA256, public_key).as_ref()[..9])
}

fn unauthenticated(code: &'static str, message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code, message)
}
fn invalid() -> Error {
    unauthenticated("request.token_invalid", "The access token is not valid.")
}
