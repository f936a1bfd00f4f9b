//! What staff did, told by whichever context it was done in; accounts keeps the chained record of it.

use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::{
    envelope::Envelope,
    ids::{AccountId, MessageId},
};

/// How the type of this fact ends, after the name of the context that publishes it: every context publishes it, which
/// is why it is no [`crate::Fact`].
pub const STAFF_ACTED: &str = ".staff_acted.v1";

/// Somebody of the staff changed something, in the transaction of the change. No personal data but the actor's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffActed {
    /// Who.
    pub actor: AccountId,
    /// What, `<context>.<verb in the past>`: `catalogue.price_changed`.
    pub action: String,
    /// The object, in public form; facts of one object arrive in order.
    pub object: String,
    /// Why, as the actor gave it.
    pub reason: Option<String>,
    /// What it was and what it is: `{"before": …, "after": …}`, or what else explains the change.
    pub detail: serde_json::Value,
}

impl StaffActed {
    /// Wraps it for the outbox of `context`.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn envelope(
        &self,
        context: &'static str,
        id: MessageId,
        time: Timestamp,
        traceparent: Option<String>,
    ) -> Result<Envelope> {
        let data = to_raw_value(self)
            .map_err(|e| Error::internal("a fact cannot be written as JSON").with_source(e))?;
        Ok(Envelope {
            specversion: "1.0".to_owned(),
            id,
            source: format!("merx/{context}"),
            kind: format!("{context}{STAFF_ACTED}"),
            subject: self.object.clone(),
            time,
            traceparent,
            datacontenttype: "application/json".to_owned(),
            data,
        })
    }

    /// Reads it, whoever published it.
    ///
    /// # Errors
    /// `Invalid` with code `message.malformed` when the type or the data is another: a poison message.
    pub fn of(envelope: &Envelope) -> Result<Self> {
        let poison = |text: &str| Error::new(ErrorKind::Invalid, "message.malformed", text.to_owned());
        if !envelope.kind.ends_with(STAFF_ACTED) {
            return Err(poison("not a fact of staff"));
        }
        serde_json::from_str(envelope.data.get())
            .map_err(|e| poison("the data of this fact of staff cannot be read").with_source(e))
    }
}
