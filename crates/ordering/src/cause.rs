//! What makes an order change: the facts of the decision, and who or what asked. Kept with each event, so that the
//! timeline can tell causes from effects.

use merx_contracts::{
    Envelope,
    ids::{AccountId, MessageId, OrderId, SagaId},
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{
    Delivery, DomainEvent,
    trace::{self, TraceContext},
};
use serde::{Deserialize, Serialize};

use crate::domain::{Event, Facts, codec};

/// What kind of thing caused an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A request to the API.
    Request,
    /// A fact of another context.
    Message,
    /// A time that came.
    Timer,
    /// A step of a saga.
    Saga,
    /// An ask of another context.
    Ask,
}

/// What caused an event, as it is kept with it. Events from before it was kept have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CausedBy {
    /// What kind of thing.
    pub kind: CauseKind,
    /// Which: the operation, the type of the fact, the timer, the saga.
    pub name: String,
    /// Its identity: the request's, the message's, the saga's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The account that acted, of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// The actor is of the shop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staff: bool,
}

impl CausedBy {
    /// The request being served, under the id of its operation.
    pub fn request(operation: &'static str, actor: AccountId, staff: bool) -> Self {
        let id = merx_http::request_id().filter(|id| !id.is_empty());
        Self { kind: CauseKind::Request, name: operation.to_owned(), id, actor: Some(actor), staff }
    }
    /// The fact being handled.
    pub fn message(delivery: &Delivery) -> Self {
        let envelope = delivery.envelope();
        Self::shop(CauseKind::Message, &envelope.kind, Some(envelope.id.to_string()))
    }
    /// A timer.
    pub fn timer(kind: &str) -> Self {
        Self::shop(CauseKind::Timer, kind, None)
    }
    /// An ask of another context, by its name.
    pub fn ask(caller: &str) -> Self {
        Self::shop(CauseKind::Ask, caller, merx_http::request_id().filter(|id| !id.is_empty()))
    }
    /// A saga.
    pub fn saga(name: &str, id: SagaId) -> Self {
        Self::shop(CauseKind::Saga, name, Some(id.to_string()))
    }

    fn shop(kind: CauseKind, name: &str, id: Option<String>) -> Self {
        Self { kind, name: name.to_owned(), id, actor: None, staff: false }
    }

    /// The identity of the cause's own entry in a timeline.
    pub fn entry_id(&self) -> String {
        match (self.kind, &self.id) {
            // A client may give all its requests one id.
            (CauseKind::Request, Some(id)) => format!("{}/{id}", self.name),
            (CauseKind::Message | CauseKind::Saga, Some(id)) => id.clone(),
            (CauseKind::Ask, _) => format!("ask/{}", self.name),
            (CauseKind::Timer, _) => format!("timer/{}", self.name),
            (_, None) => self.name.clone(),
        }
    }
}

/// An event with what caused it. That is kept in the stored body, beside the event's own content.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What happened.
    pub event: Event,
    /// The W3C trace id of the request or message that made it happen.
    pub trace_id: Option<String>,
    /// What made it happen.
    pub caused_by: Option<CausedBy>,
    /// The fact that told the others of it.
    pub published: Option<MessageId>,
}

impl DomainEvent for Traced {
    fn name(&self) -> &'static str {
        self.event.name()
    }
    fn schema(&self) -> i64 {
        codec::schema_of(&self.event)
    }
    fn encode(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            event: &'a Event,
            #[serde(skip_serializing_if = "Option::is_none")]
            trace_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            caused_by: Option<&'a CausedBy>,
            #[serde(skip_serializing_if = "Option::is_none")]
            published: Option<MessageId>,
        }
        let body = Body {
            event: &self.event,
            trace_id: self.trace_id.as_deref(),
            caused_by: self.caused_by.as_ref(),
            published: self.published,
        };
        serde_json::to_string(&body)
            .map_err(|e| Error::internal(format!("cannot write a {}", self.event.name())).with_source(e))
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Trace {
            trace_id: Option<String>,
            caused_by: Option<CausedBy>,
            published: Option<MessageId>,
        }
        let Trace { trace_id, caused_by, published } = serde_json::from_str(body)
            .map_err(|e| Error::internal(format!("the body of a {name} is not JSON")).with_source(e))?;
        Ok(Self { event: codec::decode(name, schema, body)?, trace_id, caused_by, published })
    }
}

/// What is known from outside when an order is changed: the facts of the decision, what caused it, and the identity of
/// the message that tells the others. Made before the transaction, for its closure may run again.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The facts.
    pub facts: Facts,
    by: CausedBy,
    trace: Option<TraceContext>,
    message_id: MessageId,
}

impl Cause {
    /// At `now`, in the running task's trace.
    pub fn here(order_id: OrderId, now: Timestamp, message_id: MessageId, by: CausedBy) -> Self {
        Self { facts: Facts { order_id, now }, by, trace: trace::current(), message_id }
    }

    /// The trace, for a message or a saga.
    pub fn traceparent(&self) -> Option<String> {
        self.trace.map(|trace| trace.to_string())
    }

    /// The event with this cause, and with the message that will tell of it where `told`.
    pub(crate) fn traced(&self, event: &Event, told: bool) -> Traced {
        Traced {
            event: event.clone(),
            trace_id: self.trace.map(|trace| trace.trace_id()),
            caused_by: Some(self.by.clone()),
            published: told.then_some(self.message_id),
        }
    }

    /// A fact in its envelope. A change tells of one event at most: the cause has one message id.
    pub(crate) fn envelope<F: merx_contracts::Fact>(&self, fact: &F) -> Result<Envelope> {
        Envelope::new(self.message_id, self.facts.now, self.traceparent(), fact)
    }
}
