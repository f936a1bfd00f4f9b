//! Mails and their tries.

use merx_contracts::ids::{AccountId, MailId, OrderId};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Inserted, Query, Row, Tx, Value, params};

use super::inconsistent;
use crate::domain::{Mail, MailState, NewMail, Next, Template};

const INSERT: &str =
    "INSERT INTO notification_mails (mail, template, cause, fact, message, order_id, account, parameters,
 trace, state, round, tries, copies, created_at, queued_at, next_at, sent_at, reason)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 1, 0, 0, ?, ?, ?, NULL, '')";
const CLAIM: &str = "UPDATE notification_mails SET state = 'sending', tries = ?, next_at = ?
 WHERE mail = ? AND round = ? AND tries = ? AND next_at = ?";
const RECORD: &str =
    "UPDATE notification_mails SET state = ?, next_at = ?, reason = ?, sent_at = ?, copies = ?
 WHERE mail = ? AND state = 'sending' AND round = ? AND tries = ?";
const INSERT_TRY: &str =
    "INSERT INTO notification_mail_tries (mail, round, try, began_at, ended_at, outcome, reason)
 VALUES (?, ?, ?, ?, ?, ?, ?)";
const AGAIN: &str =
    "UPDATE notification_mails SET state = 'queued', round = ?, tries = 0, queued_at = ?, next_at = ?,
 reason = '' WHERE mail = ? AND round = ? AND state IN ('sent', 'skipped', 'dead')";
const TRIES: &str = "SELECT round, try, began_at, ended_at, outcome, reason FROM notification_mail_tries
 WHERE mail = ? ORDER BY round, try LIMIT ?";

macro_rules! mails {
    ($rest:literal) => {
        concat!(
            "SELECT mail, template, cause, fact, message, order_id, account, parameters, trace, state, round, tries,
 copies, created_at, queued_at, next_at, sent_at, reason FROM notification_mails ",
            $rest
        )
    };
}
const ONE: &str = mails!("WHERE mail = ?");
const NEXT: &str = mails!("WHERE next_at IS NOT NULL ORDER BY next_at LIMIT ?");
const OF_ORDER: &str = mails!("WHERE order_id = ? ORDER BY created_at, mail LIMIT ?");
const LISTED: &str = mails!("WHERE (created_at < ? OR (created_at = ? AND mail < ?))");

/// One try of a mail that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryRow {
    /// In which round.
    pub round: i64,
    /// Its number in the round.
    pub number: i64,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// accepted, skipped, transient or permanent.
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this state.
    pub state: Option<MailState>,
    /// Of this order.
    pub order: Option<OrderId>,
    /// To this account.
    pub account: Option<AccountId>,
    /// Of this template.
    pub template: Option<Template>,
}

fn mail_of(row: &Row<'_>) -> Result<Mail> {
    let template = Template::from_name(&row.get::<String>(1)?).ok_or_else(|| inconsistent("template"))?;
    let state = MailState::from_name(&row.get::<String>(9)?).ok_or_else(|| inconsistent("state"))?;
    let ask = NewMail {
        id: row.get(0)?,
        template,
        cause: row.get::<merx_kernel::Id<()>>(2)?.bits(),
        fact: row.get(3)?,
        message: row.get(4)?,
        order: row.get(5)?,
        account: row.get(6)?,
        parameters: row.get(7)?,
        trace: row.get(8)?,
    };
    Ok(Mail {
        ask,
        state,
        round: row.get(10)?,
        tries: row.get(11)?,
        copies: row.get(12)?,
        created_at: row.get(13)?,
        queued_at: row.get(14)?,
        next_at: row.get(15)?,
        sent_at: row.get(16)?,
        reason: row.get(17)?,
    })
}

/// Puts a mail into the queue; `Exists` when its cause made it before.
pub fn insert(tx: &mut Tx<'_>, mail: &NewMail, at: Timestamp) -> Result<Inserted> {
    let values = params![
        mail.id,
        mail.template.name(),
        merx_kernel::Id::<()>::from_bits(mail.cause),
        mail.fact.as_str(),
        mail.message,
        mail.order,
        mail.account,
        mail.parameters.as_str(),
        mail.trace.as_str(),
        at,
        at,
        at
    ];
    tx.insert_new(INSERT, values)
}

/// At most `limit` mails that wait for a moment, the next first.
pub fn next(q: &mut impl Query, limit: i64) -> Result<Vec<Mail>> {
    q.query(NEXT, params![limit], mail_of)
}

/// Takes a mail up for its next try, which is over by `until` or was cut off; `false` when somebody else did.
pub fn claim(tx: &mut Tx<'_>, mail: &Mail, until: Timestamp) -> Result<bool> {
    tx.guarded(CLAIM, params![mail.tries + 1, until, mail.ask.id, mail.round, mail.tries, mail.next_at])
}

/// Writes down how a try came out; `false` when the mail is no longer in that try.
pub fn record(tx: &mut Tx<'_>, mail: &Mail, ended: &TryRow, next: &Next) -> Result<bool> {
    let taken = next.state == MailState::Sent;
    let sent_at = if taken { Some(ended.ended_at) } else { mail.sent_at };
    let values = params![
        next.state.name(),
        next.next_at,
        next.reason.as_str(),
        sent_at,
        mail.copies + i64::from(taken),
        mail.ask.id,
        ended.round,
        ended.number
    ];
    if !tx.guarded(RECORD, values)? {
        return Ok(false);
    }
    let values = params![
        mail.ask.id,
        ended.round,
        ended.number,
        ended.began_at,
        ended.ended_at,
        ended.outcome.as_str(),
        ended.reason.as_str()
    ];
    tx.execute(INSERT_TRY, values)?;
    Ok(true)
}

/// Puts a mail that has come to rest into the queue again; `false` when it has not.
pub fn again(tx: &mut Tx<'_>, mail: &Mail, at: Timestamp) -> Result<bool> {
    tx.guarded(AGAIN, params![mail.round + 1, at, at, mail.ask.id, mail.round])
}

/// One mail.
pub fn one(q: &mut impl Query, id: MailId) -> Result<Option<Mail>> {
    q.query_opt(ONE, params![id], mail_of)
}

/// The mails of an order, oldest first.
pub fn of_order(q: &mut impl Query, order: OrderId, limit: i64) -> Result<Vec<Mail>> {
    q.query(OF_ORDER, params![order, limit], mail_of)
}

/// The tries of a mail, in order.
pub fn tries(q: &mut impl Query, id: MailId, limit: i64) -> Result<Vec<TryRow>> {
    q.query(TRIES, params![id, limit], |row| {
        Ok(TryRow {
            round: row.get(0)?,
            number: row.get(1)?,
            began_at: row.get(2)?,
            ended_at: row.get(3)?,
            outcome: row.get(4)?,
            reason: row.get(5)?,
        })
    })
}

/// At most `limit` mails before `before`, newest first.
pub fn listed(
    q: &mut impl Query,
    filter: &Filter,
    before: (Timestamp, MailId),
    limit: i64,
) -> Result<Vec<Mail>> {
    let mut sql = LISTED.to_owned();
    let mut values: Vec<Value> = params![before.0, before.0, before.1];
    let mut only = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(clause);
            values.push(value);
        }
    };
    only(" AND state = ?", filter.state.map(|s| s.name().into()));
    only(" AND order_id = ?", filter.order.map(Into::into));
    only(" AND account = ?", filter.account.map(Into::into));
    only(" AND template = ?", filter.template.map(|t| t.name().into()));
    sql.push_str(" ORDER BY created_at DESC, mail DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, mail_of)
}
