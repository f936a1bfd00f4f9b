//! A6: no fact is lost.

use merx_contracts::ids::MessageId;
use merx_kernel::{Result, Timestamp};
use merx_platform::bus::publisher_of;
use merx_sql::{Query, Reader, Row, params};

use crate::{Audit, Check, Context, IN_FLIGHT_MAX, Subscribed};

/// A6: every fact reached every subscription that wants it, waits for its next try, or is younger than its limit;
/// dead letters are the poison that was sent.
pub(crate) fn check(q: &mut Reader<'_>, audit: &Audit, now: Timestamp) -> Result<Check> {
    let mut check =
        Check::new("A6", "every fact reached its subscribers; dead letters are the poison that was sent");
    for context in &audit.contexts {
        let name = context.store.context();
        let count = format!("SELECT COUNT(*) FROM {name}_outbox");
        check.examined +=
            u64::try_from(q.query_one(&count, params![], |row| row.get::<i64>(0))?).unwrap_or(0);
        let unplaced = format!("SELECT id, type, published_at FROM {name}_outbox WHERE position IS NULL");
        for (id, kind, at) in q.query(&unplaced, params![], fact)? {
            check.unfinished(format!("{kind} {id} has no position yet"), at, IN_FLIGHT_MAX, now);
        }
    }
    let mut dead = 0u64;
    for context in audit.contexts.iter().filter(|c| !c.subscriptions.is_empty()) {
        dead += parked(q, &mut check, context, now)?;
        for subscription in &context.subscriptions {
            for kind in subscription.types {
                not_reached(q, &mut check, context, (subscription, kind), now)?;
            }
        }
    }
    if dead != audit.poison_sent {
        check.violation(format!("{dead} dead letters, {} poison messages were sent", audit.poison_sent));
    }
    Ok(check)
}

fn fact(row: &Row) -> Result<(MessageId, String, Timestamp)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Looks at what waits for a next try; answers how many dead letters there are.
fn parked(q: &mut Reader<'_>, check: &mut Check, context: &Context, now: Timestamp) -> Result<u64> {
    let sql =
        format!("SELECT subscription, message, state, next_at FROM {}_deliveries", context.store.context());
    let mut dead = 0;
    for (subscription, message, state, next) in q.query(&sql, params![], |row| {
        Ok((row.get::<String>(0)?, row.get::<MessageId>(1)?, row.get::<String>(2)?, row.get::<Timestamp>(3)?))
    })? {
        if state == "dead" {
            dead += 1;
        } else if state != "dropped" {
            let what = format!("{message} waits to be tried again by {subscription}");
            check.unfinished(what, next, IN_FLIGHT_MAX, now);
        }
    }
    Ok(dead)
}

/// Facts of one type that neither lie in the inbox of a subscription that wants them nor wait for it. One that the
/// subscription may pass over is reached when the cursor is past it: nothing else tells of it.
fn not_reached(
    q: &mut Reader<'_>,
    check: &mut Check,
    context: &Context,
    (subscription, kind): (&Subscribed, &str),
    now: Timestamp,
) -> Result<()> {
    let (name, publisher) = (context.store.context(), publisher_of(kind));
    let cursor =
        format!("SELECT position FROM {name}_subscriptions WHERE subscription = ? AND publisher = ?");
    let cursor: Option<i64> = match subscription.passes_over.contains(&kind) {
        true => q.query_opt(&cursor, params![subscription.name, publisher], |row| row.get(0))?,
        false => None,
    };
    let sql = format!(
        "SELECT o.id, o.type, o.published_at FROM {publisher}_outbox o
 LEFT JOIN {name}_inbox i ON i.subscription = ? AND i.message = o.id
 LEFT JOIN {name}_deliveries d ON d.subscription = ? AND d.message = o.id
 WHERE o.type = ? AND i.message IS NULL AND d.message IS NULL AND (o.position IS NULL OR o.position > ?)"
    );
    let wanted = params![subscription.name, subscription.name, kind, cursor.unwrap_or(0)];
    for (id, kind, at) in q.query(&sql, wanted, fact)? {
        let name = subscription.name;
        check.unfinished(format!("{kind} {id} has not reached {name}"), at, IN_FLIGHT_MAX, now);
    }
    Ok(())
}
