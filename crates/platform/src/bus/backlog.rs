//! What is on its way, as the tables have it: also for a shop that rests, and for another process than the one that
//! carries the facts.

use merx_kernel::{Result, Timestamp};
use merx_sql::{Db, Reader};
use serde::{Deserialize, Serialize};

use super::Subscription;
use crate::store::{DeliveryState, HeldCount, Store};

/// The outbox of one context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxBacklog {
    /// The context that publishes.
    pub context: String,
    /// Facts that lie in it; they are kept for a week after everybody has read them.
    pub facts: i64,
    /// Those of them that some subscription has yet to read.
    pub unsent: i64,
    /// Those that have no position yet, on MariaDB and MySQL.
    pub unplaced: i64,
    /// The position of the last.
    pub last_position: i64,
}

/// One subscription on one publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionBacklog {
    /// Its name.
    pub subscription: String,
    /// The context that publishes.
    pub publisher: String,
    /// Everything up to this position is handled or held up. The table is up to a second behind.
    pub cursor: i64,
    /// Facts of its types after the cursor.
    pub behind: i64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// Facts that wait for another try, or behind one that does.
    pub held: i64,
    /// Dead letters.
    pub dead: i64,
    /// Dead letters that were given up.
    pub dropped: i64,
}

/// What is on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// By publishing context.
    pub outboxes: Vec<OutboxBacklog>,
    /// By subscription and publisher.
    pub subscriptions: Vec<SubscriptionBacklog>,
}

/// Reads what is on its way between the contexts of `stores`, in one snapshot.
///
/// # Errors
/// What the database answers.
pub async fn backlog(db: &Db, stores: &[Store], subscriptions: &[Subscription]) -> Result<Backlog> {
    let (stores, subscriptions) = (stores.to_vec(), subscriptions.to_vec());
    db.read("bus.backlog", move |q| {
        let mut all = Backlog::default();
        for subscription in &subscriptions {
            all.subscriptions.extend(of_subscription(q, &stores, subscription)?);
        }
        for store in &stores {
            let slowest = all.subscriptions.iter().filter(|s| s.publisher == store.context());
            let slowest = slowest.map(|s| s.cursor).min().unwrap_or(i64::MAX);
            let (facts, unsent) = store.outbox.count(q, slowest)?;
            all.outboxes.push(OutboxBacklog {
                context: store.context().to_owned(),
                facts,
                unsent,
                unplaced: store.outbox.unnumbered(q)?,
                last_position: store.outbox.last_position(q)?,
            });
        }
        Ok(all)
    })
    .await
}

fn of_subscription(
    q: &mut Reader<'_>,
    stores: &[Store],
    subscription: &Subscription,
) -> Result<Vec<SubscriptionBacklog>> {
    let (cursors, held) = (subscription.store.cursors.all(q)?, subscription.store.deliveries.counts(q)?);
    let mut all = Vec::new();
    for publisher in stores {
        let types = subscription.types_of(publisher.context());
        if types.is_empty() {
            continue;
        }
        let key = (subscription.name.to_owned(), publisher.context().to_owned());
        let cursor = cursors.get(&key).copied().unwrap_or(0);
        let (behind, oldest) = publisher.outbox.waiting_after(q, cursor, &types)?;
        let count = |state: DeliveryState| {
            let of = |h: &&HeldCount| {
                h.state == state && h.subscription == subscription.name && h.publisher == publisher.context()
            };
            held.iter().filter(of).map(|h| h.messages).sum()
        };
        all.push(SubscriptionBacklog {
            subscription: subscription.name.to_owned(),
            publisher: publisher.context().to_owned(),
            cursor,
            behind,
            oldest,
            held: count(DeliveryState::Waiting),
            dead: count(DeliveryState::Dead),
            dropped: count(DeliveryState::Dropped),
        });
    }
    Ok(all)
}
