//! A mail: what it is about, and what becomes of it.

use std::time::Duration;

use aws_lc_rs::digest;
use merx_contracts::{
    Envelope, Fact,
    events::{
        accounts::CodeRequested,
        ordering::{
            OrderAwaitingPaymentV2, OrderCancelledV2, OrderCompletedV2, OrderPaidV2, OrderRefunded,
            OrderShipped, OrderShippedV2,
        },
    },
    ids::{AccountId, MailId, MessageId, OrderId},
};
use merx_kernel::{Id, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a mail is tried before it is dead.
pub const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a mail says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// The order is placed and waits for its payment.
    OrderPlaced,
    /// It is paid.
    OrderPaid,
    /// A parcel of it left.
    OrderShipped,
    /// The buyer has it.
    OrderCompleted,
    /// Money went back.
    OrderRefunded,
    /// It ended before it was fulfilled.
    OrderCancelled,
    /// A code.
    Code,
}

impl Template {
    /// Every template.
    pub const ALL: &'static [Self] = &[
        Self::OrderPlaced,
        Self::OrderPaid,
        Self::OrderShipped,
        Self::OrderCompleted,
        Self::OrderRefunded,
        Self::OrderCancelled,
        Self::Code,
    ];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "order_placed",
            Self::OrderPaid => "order_paid",
            Self::OrderShipped => "order_shipped",
            Self::OrderCompleted => "order_completed",
            Self::OrderRefunded => "order_refunded",
            Self::OrderCancelled => "order_cancelled",
            Self::Code => "code",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.name() == name)
    }
}

/// How far a mail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// Waits for its first or next try.
    Queued,
    /// A try is under way, or was when the process died: then it is tried again under the same Message-ID.
    Sending,
    /// The mail server took it.
    Sent,
    /// There is nobody to send it to; the reason says why.
    Skipped,
    /// It was refused for good, or for a whole day; somebody may send it again.
    Dead,
}

impl MailState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Queued, Self::Sending, Self::Sent, Self::Skipped, Self::Dead];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.name() == name)
    }
}

/// A mail to be written, as a fact asks for it. No personal data: who and where is asked when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMail {
    /// Its identity, made from template and cause.
    pub id: MailId,
    /// What it says.
    pub template: Template,
    /// The bits of what it is about: the order, the shipment, the refund, the code.
    pub cause: u128,
    /// The type of the fact that asks for it.
    pub fact: String,
    /// The message that fact came in.
    pub message: MessageId,
    /// Of which order.
    pub order: Option<OrderId>,
    /// To whom.
    pub account: AccountId,
    /// The fact itself, as JSON.
    pub parameters: String,
    /// The trace it belongs to; empty outside one.
    pub trace: String,
}

/// A mail as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What was asked for.
    pub ask: NewMail,
    /// How far it has come.
    pub state: MailState,
    /// How often it was put into the queue: once, and once more for every redelivery.
    pub round: i64,
    /// Tries of this round.
    pub tries: i64,
    /// How often a mail server took it.
    pub copies: i64,
    /// When the fact was taken in.
    pub created_at: Timestamp,
    /// When this round began.
    pub queued_at: Timestamp,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// When a mail server took it last.
    pub sent_at: Option<Timestamp>,
    /// Why it is skipped or dead, or why the last try failed.
    pub reason: String,
}

/// The one identity of the mail that `cause` calls for.
pub fn identity(template: Template, cause: u128) -> MailId {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"merx.mail.v1|");
    hash.update(template.name().as_bytes());
    hash.update(b"|");
    hash.update(&cause.to_be_bytes());
    let mut bits = [0u8; 16];
    bits.copy_from_slice(&hash.finish().as_ref()[..16]);
    Id::from_bits(u128::from_be_bytes(bits))
}

impl NewMail {
    /// The mail a fact calls for; `None` when it calls for none.
    ///
    /// # Errors
    /// `message.malformed` for a fact that cannot be read.
    pub fn of(envelope: &Envelope) -> Result<Option<Self>> {
        let (template, cause, order, account) = match envelope.kind.as_str() {
            OrderAwaitingPaymentV2::TYPE => {
                let fact: OrderAwaitingPaymentV2 = envelope.fact()?;
                (Template::OrderPlaced, fact.order_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderPaidV2::TYPE => {
                let fact: OrderPaidV2 = envelope.fact()?;
                (Template::OrderPaid, fact.order_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderShipped::TYPE => {
                let fact: OrderShipped = envelope.fact()?;
                (Template::OrderShipped, fact.shipment_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderShippedV2::TYPE => {
                let fact: OrderShippedV2 = envelope.fact()?;
                (Template::OrderShipped, fact.shipment_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderCompletedV2::TYPE => {
                let fact: OrderCompletedV2 = envelope.fact()?;
                (Template::OrderCompleted, fact.order_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderRefunded::TYPE => {
                let fact: OrderRefunded = envelope.fact()?;
                (Template::OrderRefunded, fact.refund_id.bits(), Some(fact.order_id), fact.account_id)
            }
            OrderCancelledV2::TYPE => {
                let fact: OrderCancelledV2 = envelope.fact()?;
                // Who was told of the end of an unpaid order hears of another, once late money revived it.
                let cause = if fact.paid { !fact.order_id.bits() } else { fact.order_id.bits() };
                (Template::OrderCancelled, cause, Some(fact.order_id), fact.account_id)
            }
            CodeRequested::TYPE => {
                let fact: CodeRequested = envelope.fact()?;
                (Template::Code, fact.code_id.bits(), None, fact.account_id)
            }
            _ => return Ok(None),
        };
        let trace = envelope.traceparent.as_deref().and_then(|t| t.split('-').nth(1)).unwrap_or_default();
        Ok(Some(Self {
            id: identity(template, cause),
            template,
            cause,
            fact: envelope.kind.clone(),
            message: envelope.id,
            order,
            account,
            parameters: envelope.data.get().to_owned(),
            trace: trace.chars().take(32).collect(),
        }))
    }
}

impl Mail {
    /// The Message-ID of the next copy: the same for every try of it, so that a receiver drops a double that a lost
    /// answer caused. A copy sent after one was taken is another letter.
    pub fn message_id(&self, domain: &str) -> String {
        match self.copies {
            0 => format!("<{}@{domain}>", self.ask.id.bare()),
            copies => format!("<{}.{copies}@{domain}>", self.ask.id.bare()),
        }
    }
}

/// How a try came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mail server took it.
    Accepted,
    /// There is nobody to send it to.
    Skipped(&'static str),
    /// Not now; what failed, without personal data.
    Transient(String),
    /// Never.
    Permanent(String),
}

impl Outcome {
    /// The stored and public name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Skipped(_) => "skipped",
            Self::Transient(_) => "transient",
            Self::Permanent(_) => "permanent",
        }
    }
    /// Why; empty when it was accepted.
    pub fn reason(&self) -> &str {
        match self {
            Self::Accepted => "",
            Self::Skipped(why) => why,
            Self::Transient(why) | Self::Permanent(why) => why,
        }
    }
}

/// What follows a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The state it is in now.
    pub state: MailState,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// Decides what follows a try. `wait` is the back-off, with its jitter.
pub fn after(outcome: &Outcome, queued_at: Timestamp, now: Timestamp, wait: Duration) -> Next {
    let end = |state, reason: &str| Next { state, next_at: None, reason: reason.to_owned() };
    match outcome {
        Outcome::Accepted => end(MailState::Sent, ""),
        Outcome::Skipped(why) => end(MailState::Skipped, why),
        Outcome::Permanent(why) => end(MailState::Dead, why),
        // The last try is made when the day is over, not given up before.
        Outcome::Transient(why) if now.since(queued_at) >= TRIED_FOR => end(MailState::Dead, why),
        Outcome::Transient(why) => Next {
            state: MailState::Queued,
            next_at: Some(now.plus(wait).min(queued_at.plus(TRIED_FOR)).max(now)),
            reason: why.clone(),
        },
    }
}
