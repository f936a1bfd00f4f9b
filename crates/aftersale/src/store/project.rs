//! The projection: cases, their lines and refunds, written with each event and rebuildable from them.

use merx_contracts::ids::{AfterSaleId, OrderId};
use merx_kernel::{Result, Timestamp};
use merx_platform::{DomainEvent as _, Projection};
use merx_sql::{Query, RecordedEvent, Tx, params};

use crate::domain::{Event, Kind, RequestedLine, Status};

const INSERT_CASE: &str = "INSERT INTO aftersale_cases (case_id, order_id, account_id, kind, reason, status, escalated,
 due_at, refund_minor, currency, requested_at, updated_at) VALUES (?, ?, ?, ?, ?, 'requested', 0, ?, NULL, ?, ?, ?)";
const INSERT_LINES: &str =
    "INSERT INTO aftersale_lines (case_id, sku, order_id, bought, paid_minor, claimed, restocked,
 written_off, refunded, amount_minor) VALUES";
const MOVE: &str =
    "UPDATE aftersale_cases SET status = ?, due_at = ?, escalated = 0, updated_at = ? WHERE case_id = ?";
const ESCALATE: &str =
    "UPDATE aftersale_cases SET due_at = NULL, escalated = 1, updated_at = ? WHERE case_id = ?";
const TOUCH: &str = "UPDATE aftersale_cases SET updated_at = ? WHERE case_id = ?";
const REFUND: &str = "UPDATE aftersale_cases SET refund_minor = ? WHERE case_id = ?";
const FREE: &str = "UPDATE aftersale_lines SET claimed = 0 WHERE case_id = ?";
const CLAIM: &str = "UPDATE aftersale_lines SET claimed = ? WHERE case_id = ? AND sku = ?";
const INSPECT: &str =
    "UPDATE aftersale_lines SET restocked = ?, written_off = ? WHERE case_id = ? AND sku = ?";
const OWE: &str = "UPDATE aftersale_lines SET refunded = ?, amount_minor = ? WHERE case_id = ? AND sku = ?";
const INSERT_REFUNDS: &str = "INSERT INTO aftersale_refunds (refund_id, case_id, order_id, attempt_id, amount_minor, currency, paid) VALUES";
const PAY: &str = "UPDATE aftersale_refunds SET paid = 1 WHERE refund_id = ?";
const UNPAID: &str = "SELECT COUNT(*) FROM aftersale_refunds WHERE case_id = ? AND paid = 0";

/// The projection of cases.
pub fn projection() -> Projection {
    let tables = &["aftersale_cases", "aftersale_lines", "aftersale_refunds"];
    Projection { name: "cases", tables, apply }
}

/// Writes one event into the tables.
///
/// # Errors
/// What the database answers; `Internal` for an event that cannot be read.
pub fn apply(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<()> {
    let (order_id, at): (OrderId, Timestamp) = (recorded.stream.id(), recorded.recorded_at);
    let event = Event::decode(&recorded.name, recorded.schema, &recorded.body)?;
    let case_id = event.case_id();
    match event {
        Event::CaseRequested { account_id, kind, reason, lines, freight, due_at, .. } => {
            let reason = serde_json::to_value(reason).unwrap_or_default();
            let (reason, currency) = (reason.as_str().unwrap_or_default(), freight.currency.code());
            let kind = Kind::name(kind);
            let row = params![case_id, order_id, account_id, kind, reason, due_at, currency, at, at];
            tx.execute(INSERT_CASE, row)?;
            insert_lines(tx, case_id, order_id, &lines)
        }
        Event::CaseApproved { due_at, .. } => moved(tx, case_id, Status::Approved, due_at, at),
        Event::CaseRefused { .. } => freed(tx, case_id, Status::Refused, at),
        Event::CaseWithdrawn { .. } => freed(tx, case_id, Status::Withdrawn, at),
        Event::CaseExpired { .. } => freed(tx, case_id, Status::Expired, at),
        Event::CaseCancelled { .. } => freed(tx, case_id, Status::Cancelled, at),
        Event::ReturnSent { due_at, .. } => moved(tx, case_id, Status::Sent, Some(due_at), at),
        Event::ReturnReceived { lines, due_at, .. } => {
            tx.execute(FREE, params![case_id])?;
            for line in lines {
                tx.execute(CLAIM, params![line.quantity.get(), case_id, line.sku.as_str()])?;
            }
            moved(tx, case_id, Status::Received, Some(due_at), at)
        }
        Event::ReturnInspected { lines, .. } => {
            for line in lines {
                let (restocked, written_off) = (i64::from(line.restocked), i64::from(line.written_off));
                tx.execute(INSPECT, params![restocked, written_off, case_id, line.sku.as_str()])?;
            }
            Ok(())
        }
        Event::RefundDue { lines, total, due_at, .. } => {
            for line in lines {
                let row = params![line.quantity.get(), line.amount.minor, case_id, line.sku.as_str()];
                tx.execute(OWE, row)?;
            }
            tx.execute(REFUND, params![total.minor, case_id])?;
            moved(tx, case_id, Status::Refunding, Some(due_at), at)
        }
        Event::ReplacementDue { due_at, .. } => moved(tx, case_id, Status::Replacing, Some(due_at), at),
        Event::ReplacementUnavailable { .. }
        | Event::ReplacementOpened { .. }
        | Event::ReplacementSent { complete: false, .. }
        | Event::ReplacementReturned { .. } => tx.execute(TOUCH, params![at, case_id]).map(drop),
        Event::RefundGranted { refunds, .. } => {
            let rows = refunds.iter().map(|refund| {
                let (minor, currency) = (refund.amount.minor, refund.amount.currency.code());
                params![refund.refund_id, case_id, order_id, refund.attempt_id, minor, currency, 0_i64]
            });
            if !refunds.is_empty() {
                tx.insert_rows(INSERT_REFUNDS, 7, rows.collect())?;
            }
            ended_when_paid(tx, case_id, at)
        }
        Event::RefundPaid { refund_id, .. } => {
            tx.execute(PAY, params![refund_id])?;
            ended_when_paid(tx, case_id, at)
        }
        Event::ReplacementSent { complete: true, .. } => moved(tx, case_id, Status::Exchanged, None, at),
        Event::DeadlineMissed { .. } => tx.execute(ESCALATE, params![at, case_id]).map(drop),
    }
}

fn insert_lines(
    tx: &mut Tx<'_>,
    case_id: AfterSaleId,
    order_id: OrderId,
    lines: &[RequestedLine],
) -> Result<()> {
    let row = |line: &RequestedLine| {
        let (bought, paid, units) = (line.bought.get(), line.paid.minor, line.quantity.get());
        params![case_id, line.sku.as_str(), order_id, bought, paid, units, 0_i64, 0_i64, 0_i64, 0_i64]
    };
    tx.insert_rows(INSERT_LINES, 10, lines.iter().map(row).collect())
}

fn moved(
    tx: &mut Tx<'_>,
    case_id: AfterSaleId,
    status: Status,
    due_at: Option<Timestamp>,
    at: Timestamp,
) -> Result<()> {
    tx.execute(MOVE, params![status.name(), due_at, at, case_id]).map(drop)
}

fn freed(tx: &mut Tx<'_>, case_id: AfterSaleId, status: Status, at: Timestamp) -> Result<()> {
    tx.execute(FREE, params![case_id])?;
    moved(tx, case_id, status, None, at)
}

fn ended_when_paid(tx: &mut Tx<'_>, case_id: AfterSaleId, at: Timestamp) -> Result<()> {
    match tx.query_one(UNPAID, params![case_id], |row| row.get::<i64>(0))? {
        0 => moved(tx, case_id, Status::Refunded, None, at),
        _ => tx.execute(TOUCH, params![at, case_id]).map(drop),
    }
}
