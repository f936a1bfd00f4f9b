//! One use case a file.

pub mod correct;
pub mod dispatch;
pub mod hold;
pub mod open;
pub mod split;
pub mod track;

pub use correct::correct;
pub use dispatch::dispatch;
pub use hold::{cancel, hold, lift_hold};
pub use open::open;
pub use split::split;
pub use track::track;

use merx_contracts::{
    Envelope, Fact,
    events::staff::StaffActed,
    ids::{AccountId, MessageId, ShipmentId},
};
use merx_kernel::{Clock, Error, IdGen, Result, Timestamp};
use merx_platform::trace::{self, TraceContext};
use merx_sql::Tx;
use serde_json::Value;

use crate::{
    domain::{Change, Entry, Gate, Shipment},
    queries,
    store::{gates, shipments},
};

/// One act of somebody of the staff: who, when, in which trace, and the identities of the messages that tell of it. All
/// chosen before the transaction, whose closure may run again.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// Who.
    pub actor: AccountId,
    /// When.
    pub at: Timestamp,
    /// The fact, when it makes one.
    pub fact: MessageId,
    /// The message about the act itself.
    pub told: MessageId,
    /// The trace of the request.
    pub trace: Option<TraceContext>,
}

impl Act {
    /// An act of `actor`, now, in the present trace.
    pub fn now(actor: AccountId, clock: &dyn Clock, ids: &IdGen) -> Self {
        Self { actor, at: clock.now(), fact: ids.next(), told: ids.next(), trace: trace::current() }
    }

    fn wrap<F: Fact>(&self, fact: &F) -> Result<Envelope> {
        Envelope::new(self.fact, self.at, self.trace.map(|t| t.to_string()), fact)
    }

    fn tell(
        &self,
        action: &str,
        object: ShipmentId,
        reason: Option<&str>,
        detail: Value,
    ) -> Result<Envelope> {
        let acted = StaffActed {
            actor: self.actor,
            action: format!("shipping.{action}"),
            object: object.to_string(),
            reason: reason.map(str::to_owned),
            detail,
        };
        acted.envelope("shipping", self.told, self.at, self.trace.map(|t| t.to_string()))
    }

    fn entry(&self, read: &Shipment, message: Option<MessageId>, change: Change) -> (ShipmentId, Entry) {
        let entry = Entry {
            version: read.version + 1,
            recorded_at: self.at,
            actor: Some(self.actor),
            trace_id: self.trace.map(|t| t.trace_id()),
            message,
            change,
        };
        (read.id, entry)
    }
}

/// The shipment, with the guard row of its order taken: neither changes until the end of the transaction. The act is
/// answered with its moment in the life of the order.
///
/// # Errors
/// `shipping.shipment_not_found`.
fn taken(tx: &mut Tx<'_>, id: ShipmentId, act: &Act) -> Result<(Gate, Shipment, Act)> {
    let order = queries::found(shipments::order_of(tx, id)?)?;
    let (gate, at) = gates::enter(tx, order, act.at)?;
    Ok((gate, queries::found(shipments::one(tx, id)?)?, Act { at, ..*act }))
}

fn moved_on() -> Error {
    merx_sql::contention("the shipment moved on while it was read")
}
