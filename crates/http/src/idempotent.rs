//! One effect for a key, and the same answer to every repetition of a request.
//!
//! The key row commits with the first effect ([`IdempotencyKey::begin`] inside its transaction) and the answer
//! with the last ([`IdempotencyKey::complete`], or the store's own where a saga ends). A repetition is answered
//! with what was saved; while there is nothing yet it waits; and after a crash between the two the answer is
//! rebuilt from the effect.

use std::{future::Future, sync::Arc};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use merx_kernel::{Clock, Error, ErrorKind, Id, Result, Timestamp};
use merx_platform::store::{Begin, IdempotencyKeys, Saved};
use merx_sql::{Db, Tx};
use serde::Serialize;

use crate::{
    extract::IdempotencyKey,
    limits::Limits,
    problem::{Answer, Problem},
    version::{set_etag, told_version},
};

/// How a request with a key begins.
pub enum Begun<K> {
    /// For the first time: have the effect, in this transaction.
    Fresh,
    /// Again: have no effect; answer through [`Idempotent::repeat`].
    Repeated {
        /// The identity of the first one's effect.
        effect: Id<K>,
        /// The answer, when it was given already.
        saved: Option<Saved>,
    },
}

impl IdempotencyKey {
    /// Claims the key for `effect`, inside the transaction that has the effect.
    ///
    /// # Errors
    /// `request.idempotency_key_reused` when the key came with another request before.
    pub fn begin<K>(
        &self,
        keys: IdempotencyKeys,
        tx: &mut Tx<'_>,
        effect: Id<K>,
        now: Timestamp,
    ) -> Result<Begun<K>> {
        match keys.begin(tx, self.scope, self.body_hash, effect.to_bytes(), now)? {
            Begin::Fresh => Ok(Begun::Fresh),
            Begin::Same { effect, response } => {
                Ok(Begun::Repeated { effect: Id::from_bits(u128::from_be_bytes(effect)), saved: response })
            }
            Begin::Mismatch => {
                let message = "This Idempotency-Key was used before for another request; take a new one.";
                Err(Error::new(ErrorKind::Conflict, "request.idempotency_key_reused", message))
            }
        }
    }

    /// Saves the answer for `effect`, inside the transaction that makes it true.
    ///
    /// # Errors
    /// What the database answers.
    pub fn complete<K>(
        &self,
        keys: IdempotencyKeys,
        tx: &mut Tx<'_>,
        effect: Id<K>,
        answer: &Saved,
    ) -> Result<()> {
        keys.complete(tx, self.scope, effect.to_bytes(), answer.status, &answer.body)
    }
}

/// Answers repetitions for one context.
#[derive(Clone)]
pub struct Idempotent {
    db: Db,
    keys: IdempotencyKeys,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl Idempotent {
    /// Over the keys of one context.
    pub fn new(db: Db, keys: IdempotencyKeys, clock: Arc<dyn Clock>, limits: &Limits) -> Self {
        Self { db, keys, clock, limits: limits.clone() }
    }

    /// The answer to a repetition: what was saved; or what is saved while we wait; or what `rebuild` makes of the
    /// effect, when the process died in between.
    ///
    /// # Errors
    /// `request.in_flight` when there is no answer yet, and what `rebuild` answers.
    pub async fn repeat<K, F>(
        &self,
        key: &IdempotencyKey,
        effect: Id<K>,
        saved: Option<Saved>,
        rebuild: impl FnOnce(Id<K>) -> F,
    ) -> Answer<Response>
    where
        F: Future<Output = Result<Option<Saved>>>,
    {
        let saved = match saved {
            Some(saved) => Some(saved),
            None => self.keys.wait(&self.db, &*self.clock, key.scope, self.limits.idempotency_wait()).await?,
        };
        let saved = match saved {
            Some(saved) => saved,
            None => rebuild(effect).await?.ok_or_else(|| {
                Error::conflict(
                    "request.in_flight",
                    "The same request is still being worked on; ask again shortly.",
                )
            })?,
        };
        Ok(replayed(respond(saved)))
    }
}

/// An answer to save and to give: the status and the JSON of `body`.
///
/// # Errors
/// `Internal` when the body cannot be written as JSON.
pub fn answer(status: StatusCode, body: &impl Serialize) -> Result<Saved> {
    let body = serde_json::to_string(body)
        .map_err(|e| Error::internal("an answer cannot be written as JSON").with_source(e))?;
    Ok(Saved { status: status.as_u16(), body })
}

/// A refusal to save and to give. It carries no request id: the same refusal answers every repetition.
///
/// # Errors
/// `Internal` when the error is internal, which is no answer to keep.
pub fn refusal(error: Error) -> Result<Saved> {
    if error.kind() == ErrorKind::Internal {
        return Err(error);
    }
    let problem = Problem::from(error);
    let mut body = problem.body();
    body.instance.clear();
    answer(problem.status(), &body)
}

/// The response, marked as the answer to a repetition.
pub fn replayed(mut response: Response) -> Response {
    let name = HeaderName::from_static("idempotency-replayed");
    response.headers_mut().insert(name, HeaderValue::from_static("true"));
    response
}

/// The response a saved answer stands for, byte for byte the same each time; the `version` it tells is its `ETag`.
pub fn respond(saved: Saved) -> Response {
    let status = StatusCode::from_u16(saved.status).unwrap_or(StatusCode::OK);
    let refused = status.is_client_error() || status.is_server_error();
    let media = if refused { "application/problem+json" } else { "application/json" };
    let version = if refused { None } else { told_version(&saved.body) };
    let head = [(header::CONTENT_TYPE, HeaderValue::from_static(media))];
    let mut response = (status, head, saved.body).into_response();
    if let Some(version) = version {
        set_etag(&mut response, version);
    }
    response
}
