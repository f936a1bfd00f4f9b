//! What can happen in the after-sale of an order. No personal data: words, pictures and tracking numbers are rows that
//! can be erased.

use merx_contracts::ids::{AccountId, AfterSaleId, AttemptId, RefundId, ShipmentId, Sku, WarehouseId};
use merx_kernel::{Error, Money, Quantity, Result, Timestamp};
use merx_platform::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a buyer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Money back; the goods stay where they are.
    Refund,
    /// The goods go back, then the money.
    Return,
    /// The goods go back, then the same come again.
    Exchange,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Refund, Self::Return, Self::Exchange];

    /// The stored and public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Return => "return",
            Self::Exchange => "exchange",
        }
    }
    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a buyer asks, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// It came broken.
    Damaged,
    /// It is not what was described.
    NotAsDescribed,
    /// Something else came.
    WrongItem,
    /// Less came than was sent.
    Missing,
    /// It never came.
    NotReceived,
    /// It does not work as it should.
    Quality,
    /// The buyer thought better of it.
    NoLongerWanted,
    /// Something else; the words say what.
    Other,
}

/// Units of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// What is asked of one line, with the terms it was bought on: they never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// How many were bought.
    pub bought: Quantity,
    /// What was paid for all that were bought.
    pub paid: Money,
}

/// What became of the received units of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectedLine {
    /// What.
    pub sku: Sku,
    /// Units that can be sold again.
    #[schemars(range(min = 0, max = 9999))]
    pub restocked: u32,
    /// Units that cannot.
    #[schemars(range(min = 0, max = 9999))]
    pub written_off: u32,
}

/// What goes back for one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundLine {
    /// What.
    pub sku: Sku,
    /// How many units.
    pub quantity: Quantity,
    /// How much for them together.
    pub amount: Money,
}

/// A refund as ordering granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedRefund {
    /// Its identity.
    pub refund_id: RefundId,
    /// Whose money goes back.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
}

/// Something that has happened to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each has the case; what else it has is said by its type")]
pub enum Event {
    /// The buyer asked; staff answer until `due_at`.
    CaseRequested {
        case_id: AfterSaleId,
        account_id: AccountId,
        kind: Kind,
        reason: ReasonCode,
        lines: Vec<RequestedLine>,
        /// What was paid for sending the order.
        freight: Money,
        due_at: Timestamp,
    },
    /// Staff agreed; `freight` goes back with the goods. The buyer sends them until `due_at`, where there are any to send.
    CaseApproved { case_id: AfterSaleId, freight: Money, due_at: Option<Timestamp> },
    /// Staff did not agree.
    CaseRefused { case_id: AfterSaleId },
    /// The buyer thought better of it.
    CaseWithdrawn { case_id: AfterSaleId },
    /// The buyer has sent the goods; they arrive until `due_at`.
    ReturnSent { case_id: AfterSaleId, due_at: Timestamp },
    /// These goods are here; they are inspected until `due_at`. What did not come is asked no more.
    ReturnReceived {
        case_id: AfterSaleId,
        warehouse_id: Option<WarehouseId>,
        lines: Vec<UnitLine>,
        due_at: Timestamp,
    },
    /// What became of them.
    ReturnInspected { case_id: AfterSaleId, lines: Vec<InspectedLine> },
    /// So much goes back, until `due_at`.
    RefundDue {
        case_id: AfterSaleId,
        lines: Vec<RefundLine>,
        freight: Money,
        total: Money,
        due_at: Timestamp,
    },
    /// The same goods go out again, until `due_at`.
    ReplacementDue { case_id: AfterSaleId, due_at: Timestamp },
    /// There are none; money goes back instead.
    ReplacementUnavailable { case_id: AfterSaleId },
    /// Ordering set the money aside. None for an amount of nothing.
    RefundGranted { case_id: AfterSaleId, refunds: Vec<GrantedRefund> },
    /// One of the refunds went through.
    RefundPaid { case_id: AfterSaleId, refund_id: RefundId },
    /// The warehouses were asked for these shipments.
    ReplacementOpened { case_id: AfterSaleId, shipments: Vec<ShipmentId> },
    /// One of them, or one split from them, left with `units` in it; with the `complete` one all have left.
    ReplacementSent { case_id: AfterSaleId, shipment_id: ShipmentId, units: i64, complete: bool },
    /// One of them came back: the buyer has neither the goods nor their money.
    ReplacementReturned { case_id: AfterSaleId, shipment_id: ShipmentId },
    /// A time has passed that somebody should have kept.
    DeadlineMissed { case_id: AfterSaleId },
    /// The buyer did not send the goods in time.
    CaseExpired { case_id: AfterSaleId },
    /// The order was cancelled; its money goes back with that.
    CaseCancelled { case_id: AfterSaleId },
}

impl Event {
    /// The case it is about.
    pub const fn case_id(&self) -> AfterSaleId {
        match self {
            Self::CaseRequested { case_id, .. }
            | Self::CaseApproved { case_id, .. }
            | Self::CaseRefused { case_id }
            | Self::CaseWithdrawn { case_id }
            | Self::ReturnSent { case_id, .. }
            | Self::ReturnReceived { case_id, .. }
            | Self::ReturnInspected { case_id, .. }
            | Self::RefundDue { case_id, .. }
            | Self::ReplacementDue { case_id, .. }
            | Self::ReplacementUnavailable { case_id }
            | Self::RefundGranted { case_id, .. }
            | Self::RefundPaid { case_id, .. }
            | Self::ReplacementOpened { case_id, .. }
            | Self::ReplacementSent { case_id, .. }
            | Self::ReplacementReturned { case_id, .. }
            | Self::DeadlineMissed { case_id }
            | Self::CaseExpired { case_id }
            | Self::CaseCancelled { case_id } => *case_id,
        }
    }
}

impl DomainEvent for Event {
    fn name(&self) -> &'static str {
        match self {
            Self::CaseRequested { .. } => "CaseRequested",
            Self::CaseApproved { .. } => "CaseApproved",
            Self::CaseRefused { .. } => "CaseRefused",
            Self::CaseWithdrawn { .. } => "CaseWithdrawn",
            Self::ReturnSent { .. } => "ReturnSent",
            Self::ReturnReceived { .. } => "ReturnReceived",
            Self::ReturnInspected { .. } => "ReturnInspected",
            Self::RefundDue { .. } => "RefundDue",
            Self::ReplacementDue { .. } => "ReplacementDue",
            Self::ReplacementUnavailable { .. } => "ReplacementUnavailable",
            Self::RefundGranted { .. } => "RefundGranted",
            Self::RefundPaid { .. } => "RefundPaid",
            Self::ReplacementOpened { .. } => "ReplacementOpened",
            Self::ReplacementSent { .. } => "ReplacementSent",
            Self::ReplacementReturned { .. } => "ReplacementReturned",
            Self::DeadlineMissed { .. } => "DeadlineMissed",
            Self::CaseExpired { .. } => "CaseExpired",
            Self::CaseCancelled { .. } => "CaseCancelled",
        }
    }
    fn schema(&self) -> i64 {
        1
    }
    fn encode(&self) -> Result<String> {
        let unwritable = || Error::internal(format!("cannot write a {}", self.name()));
        let tagged = serde_json::to_value(self).map_err(|e| unwritable().with_source(e))?;
        tagged.get(self.name()).map(ToString::to_string).ok_or_else(unwritable)
    }
    fn decode(name: &str, schema: i64, body: &str) -> Result<Self> {
        if schema != 1 {
            return Err(Error::internal(format!("no reader for {name} of schema {schema}")));
        }
        let unreadable = |e| Error::internal(format!("the body of a {name} does not fit")).with_source(e);
        let body: serde_json::Value = serde_json::from_str(body).map_err(unreadable)?;
        let tagged = serde_json::Map::from_iter([(name.to_owned(), body)]);
        serde_json::from_value(tagged.into()).map_err(unreadable)
    }
}
