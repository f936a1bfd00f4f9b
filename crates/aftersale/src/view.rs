//! Cases as the API shows them.

use merx_contracts::ids::{AccountId, AfterSaleId, EvidenceId, OrderId, RefundId, ShipmentId, Sku};
use merx_kernel::{Money, Result, Timestamp};
use merx_platform::Store;
use merx_sql::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Case, Event, Kind, ReasonCode, RefundLine, Rejection, Status},
    store::{
        self,
        cases::{self, CaseRow},
        evidence::{self, EvidenceRow},
        words,
    },
};

/// A case in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CaseSummary {
    /// The case.
    pub id: AfterSaleId,
    /// Of which order.
    pub order_id: OrderId,
    /// The buyer.
    pub account_id: AccountId,
    /// What was asked.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Somebody is late with the next step.
    pub escalated: bool,
    /// Until when the next step is to happen; absent when nothing is to happen, or somebody is late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// What goes back in money, once that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it moved last.
    pub updated_at: Timestamp,
}

impl From<CaseRow> for CaseSummary {
    fn from(row: CaseRow) -> Self {
        Self {
            id: row.case_id,
            order_id: row.order_id,
            account_id: row.account_id,
            kind: row.kind,
            status: row.status,
            escalated: row.escalated,
            due_at: row.due_at,
            refund: row.refund,
            requested_at: row.requested_at,
            updated_at: row.updated_at,
        }
    }
}

/// One line of a case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaseLineView {
    /// What.
    pub sku: Sku,
    /// Units that were asked for.
    pub asked: i64,
    /// Units the case is about now: once goods came, those that came.
    pub units: i64,
    /// Units that went back into stock.
    pub restocked: i64,
    /// Units that cannot be sold again.
    pub written_off: i64,
    /// What goes back for them, once that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// What somebody wrote.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WordsView {
    /// `request`, `answer`, `carrier`, `tracking`, `inspection`.
    pub topic: String,
    /// The words.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// A picture of a case; its bytes are at `/v1/after-sales/{case}/pictures/{picture}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// The picture.
    pub id: EvidenceId,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
    /// When it came.
    pub added_at: Timestamp,
}

impl From<EvidenceRow> for EvidenceView {
    fn from(row: EvidenceRow) -> Self {
        let EvidenceRow { evidence_id, width, height, added_at } = row;
        Self { id: evidence_id, width, height, added_at }
    }
}

/// One thing that happened to a case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HappenedView {
    /// The event's name.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// A case with all that is known of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaseView {
    /// What lists show.
    #[serde(flatten)]
    pub summary: CaseSummary,
    /// Why, in one word.
    pub reason: ReasonCode,
    /// Its lines.
    pub lines: Vec<CaseLineView>,
    /// What was agreed to give back of the freight.
    pub freight: Money,
    /// The refunds, once they are asked for.
    pub refund_ids: Vec<RefundId>,
    /// The shipments of the replacement, once they are packed.
    pub replacement_shipment_ids: Vec<ShipmentId>,
    /// What people wrote; nothing of a person that was erased. Empty in the answer to a change, which is kept for repetitions:
    /// read the case for it.
    pub words: Vec<WordsView>,
    /// Its pictures, oldest first.
    pub pictures: Vec<EvidenceView>,
    /// What happened, oldest first.
    pub history: Vec<HappenedView>,
}

impl CaseView {
    /// Reads a case with everything around it.
    pub(crate) fn read(q: &mut impl Query, store: &Store, row: CaseRow) -> Result<Self> {
        let case_id = row.case_id;
        let mut all = store::load(store, q, row.order_id)?.state;
        let case = all.cases.remove(&case_id).ok_or(Rejection::CaseUnknown)?;
        let words = words::of_case(q, case_id)?;
        let pictures = evidence::of_case(q, case_id)?;
        let mut history = Vec::new();
        for recorded in store.events.load(q, row.order_id)? {
            let event: Event =
                merx_platform::DomainEvent::decode(&recorded.name, recorded.schema, &recorded.body)?;
            if event.case_id() == case_id {
                history.push(HappenedView { name: recorded.name, at: recorded.recorded_at });
            }
        }
        Ok(Self {
            summary: row.into(),
            reason: case.reason,
            lines: lines(&case),
            freight: case.freight,
            refund_ids: case.granted.iter().flatten().map(|refund| refund.refund_id).collect(),
            replacement_shipment_ids: case.replacement.keys().copied().collect(),
            words: words.into_iter().map(|(topic, text, at)| WordsView { topic, text, at }).collect(),
            pictures: pictures.into_iter().map(EvidenceView::from).collect(),
            history,
        })
    }

    /// As it may be kept with an idempotency key: what people wrote is nowhere but in rows that can be erased.
    pub(crate) fn without_words(mut self) -> Self {
        self.words.clear();
        self
    }

    /// Reads one by its id.
    pub(crate) fn one(q: &mut impl Query, store: &Store, case_id: AfterSaleId) -> Result<Self> {
        let row = cases::one(q, case_id)?.ok_or(Rejection::CaseUnknown)?;
        Self::read(q, store, row)
    }
}

fn lines(case: &Case) -> Vec<CaseLineView> {
    let line = |line: &crate::domain::RequestedLine| {
        let inspected = case.inspected.iter().find(|found| found.sku == line.sku);
        let owed = |refund: &&RefundLine| refund.sku == line.sku;
        CaseLineView {
            sku: line.sku.clone(),
            asked: line.quantity.get(),
            units: case.units.get(&line.sku).copied().unwrap_or(0),
            restocked: inspected.map_or(0, |found| i64::from(found.restocked)),
            written_off: inspected.map_or(0, |found| i64::from(found.written_off)),
            amount: case.refund.lines.iter().find(owed).map(|refund| refund.amount),
        }
    };
    case.lines.iter().map(line).collect()
}
