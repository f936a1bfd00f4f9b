//! The record of what staff did, a chain.

use merx_contracts::ids::AccountId;
use merx_kernel::{Error, Result, Timestamp};
use merx_sql::{Query, Row, Tx, Value, params};

use super::hash_of;
use crate::domain::audit_chain::{Entry, Head};

const NEXT: &str = "UPDATE accounts_audit_head SET sequence = sequence + 1 WHERE id = 1";
const HEAD: &str = "SELECT sequence, hash FROM accounts_audit_head WHERE id = 1";
const SET_HEAD: &str = "UPDATE accounts_audit_head SET hash = ? WHERE id = 1";
const APPEND: &str = "INSERT INTO accounts_audit \
    (sequence, message, at, actor, action, object, reason, detail, prev_hash, hash) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const AFTER: &str = "SELECT sequence, message, at, actor, action, object, reason, detail, prev_hash, hash \
    FROM accounts_audit WHERE sequence > ? ORDER BY sequence LIMIT ?";
const FILTERED: &str = "SELECT sequence, message, at, actor, action, object, reason, detail, prev_hash, hash \
    FROM accounts_audit WHERE sequence < ?";

/// Takes the next place in the chain, alone until the transaction ends; answers the head before it.
pub fn take_place(tx: &mut Tx<'_>) -> Result<Head> {
    tx.execute(NEXT, params![])?;
    let head = head(tx)?;
    Ok(Head { sequence: head.sequence - 1, ..head })
}

/// Where the chain ends.
pub fn head(q: &mut impl Query) -> Result<Head> {
    q.query_one(HEAD, params![], |row| Ok(Head { sequence: row.get(0)?, hash: hash_of(row, 1)? }))
}

/// Appends the entry, whose place was taken before.
pub fn append(tx: &mut Tx<'_>, entry: &Entry) -> Result<()> {
    let values = params![
        entry.sequence,
        entry.message,
        entry.at,
        entry.actor,
        entry.action.as_str(),
        entry.object.as_str(),
        entry.reason.as_deref(),
        entry.detail.as_str(),
        entry.prev_hash,
        entry.hash
    ];
    tx.execute(APPEND, values)?;
    tx.execute(SET_HEAD, params![entry.hash]).map(drop)
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    Ok(Entry {
        sequence: row.get(0)?,
        message: row.get(1)?,
        at: row.get(2)?,
        actor: row.get(3)?,
        action: row.get(4)?,
        object: row.get(5)?,
        reason: row.get(6)?,
        detail: row.get(7)?,
        prev_hash: hash_of(row, 8)?,
        hash: hash_of(row, 9)?,
    })
}

/// The entries after a place, in the order of the chain.
pub fn entries_after(q: &mut impl Query, sequence: i64, limit: i64) -> Result<Vec<Entry>> {
    q.query(AFTER, params![sequence, limit], entry)
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Who acted.
    pub actor: Option<AccountId>,
    /// How the action begins: `catalogue.`, `catalogue.price_changed`.
    pub action_prefix: Option<String>,
    /// On what.
    pub object: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// The entries before a place that fit, the youngest first.
pub fn entries_before(
    q: &mut impl Query,
    filter: &AuditFilter,
    sequence: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    let mut sql = FILTERED.to_owned();
    let mut values: Vec<Value> = params![sequence];
    let mut and = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(actor) = filter.actor {
        and(" AND actor = ?", actor.into());
    }
    if let Some(prefix) = &filter.action_prefix {
        // `~` is the last of the characters an action is made of.
        if !prefix.bytes().all(|b| (b' '..b'~').contains(&b)) {
            return Err(Error::invalid("action", "must be the beginning of an action's name"));
        }
        and(" AND action >= ?", prefix.as_str().into());
        and(" AND action < ?", format!("{prefix}~").into());
    }
    if let Some(object) = &filter.object {
        and(" AND object = ?", object.as_str().into());
    }
    if let Some(from) = filter.from {
        and(" AND at >= ?", from.into());
    }
    if let Some(to) = filter.to {
        and(" AND at < ?", to.into());
    }
    sql.push_str(" ORDER BY sequence DESC LIMIT ?");
    values.push(limit.into());
    q.query(&sql, values, entry)
}
