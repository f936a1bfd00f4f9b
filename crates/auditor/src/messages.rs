//! A6: no fact is lost.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::MessageId;
use merx_kernel::{Result, Timestamp};
use merx_platform::bus::publisher_of;
use merx_sql::{Query, Reader, params};

use crate::{Audit, Check, Context, IN_FLIGHT_MAX};

struct Fact {
    id: MessageId,
    position: Option<i64>,
    kind: String,
    published_at: Timestamp,
}

/// A6: every fact reached every subscription that wants it, waits for its next try, or is younger than its limit;
/// dead letters are the poison that was sent.
pub(crate) fn check(q: &mut Reader<'_>, audit: &Audit, now: Timestamp) -> Result<Check> {
    let mut check =
        Check::new("A6", "every fact reached its subscribers; dead letters are the poison that was sent");
    let mut facts: BTreeMap<&str, Vec<Fact>> = BTreeMap::new();
    for context in &audit.contexts {
        let name = context.store.context();
        let sql = format!("SELECT id, position, type, published_at FROM {name}_outbox");
        let rows = q.query(&sql, params![], |row| {
            Ok(Fact { id: row.get(0)?, position: row.get(1)?, kind: row.get(2)?, published_at: row.get(3)? })
        })?;
        check.examined += rows.len() as u64;
        for fact in rows.iter().filter(|f| f.position.is_none()) {
            let what = format!("{} {} has no position yet", fact.kind, fact.id);
            check.unfinished(what, fact.published_at, IN_FLIGHT_MAX, now);
        }
        facts.insert(name, rows);
    }
    let mut dead = 0u64;
    for context in audit.contexts.iter().filter(|c| !c.subscriptions.is_empty()) {
        dead += subscriber(q, &mut check, context, &facts, now)?;
    }
    if dead != audit.poison_sent {
        check.violation(format!("{dead} dead letters, {} poison messages were sent", audit.poison_sent));
    }
    Ok(check)
}

/// Looks at one subscriber; answers how many dead letters it has.
fn subscriber(
    q: &mut Reader<'_>,
    check: &mut Check,
    context: &Context,
    facts: &BTreeMap<&str, Vec<Fact>>,
    now: Timestamp,
) -> Result<u64> {
    let name = context.store.context();
    let pair = |row: &merx_sql::Row| Ok((row.get::<String>(0)?, row.get::<MessageId>(1)?));
    let taken: BTreeSet<(String, MessageId)> = q
        .query(&format!("SELECT subscription, message FROM {name}_inbox"), params![], pair)?
        .into_iter()
        .collect();
    let parked = q.query(
        &format!("SELECT subscription, message, state, next_at FROM {name}_deliveries"),
        params![],
        |row| Ok((pair(row)?, row.get::<String>(2)?, row.get::<Timestamp>(3)?)),
    )?;
    let mut dead = 0;
    for ((subscription, message), state, next) in &parked {
        if state == "dead" {
            dead += 1;
        } else {
            check.unfinished(
                format!("{message} waits to be tried again by {subscription}"),
                *next,
                IN_FLIGHT_MAX,
                now,
            );
        }
    }
    let parked: BTreeSet<&(String, MessageId)> = parked.iter().map(|(key, ..)| key).collect();
    for (subscription, types) in &context.subscriptions {
        for kind in *types {
            let published = facts.get(publisher_of(kind)).map(Vec::as_slice).unwrap_or_default();
            for fact in published.iter().filter(|f| f.kind == *kind) {
                let key = ((*subscription).to_owned(), fact.id);
                if !taken.contains(&key) && !parked.contains(&key) {
                    let what = format!("{} {} has not reached {subscription}", fact.kind, fact.id);
                    check.unfinished(what, fact.published_at, IN_FLIGHT_MAX, now);
                }
            }
        }
    }
    Ok(dead)
}
