//! What a run touched.

use std::collections::BTreeMap;

use merx_sql::{Query as _, params};

use super::{Told as _, World};

/// How often what happened. Those of several runs add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Events, by context and name.
    pub events: BTreeMap<String, u64>,
    /// Faults, by point.
    pub faults: BTreeMap<String, u64>,
    /// Orders, by the four axes of their last state.
    pub orders: BTreeMap<String, u64>,
    /// Answers, by status and code.
    pub answers: BTreeMap<String, u64>,
    /// Mails, by template and state.
    pub mails: BTreeMap<String, u64>,
}

impl Touched {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.events, &other.events),
            (&mut self.faults, &other.faults),
            (&mut self.orders, &other.orders),
            (&mut self.answers, &other.answers),
            (&mut self.mails, &other.mails),
        ];
        for (mine, others) in pairs {
            for (what, times) in others {
                *mine.entry(what.clone()).or_insert(0) += times;
            }
        }
    }
}

const ORDERS: &str = "SELECT order_axis || ' / ' || payment_axis || ' / ' || fulfilment_axis, COUNT(*)
    FROM ordering_orders GROUP BY 1 ORDER BY 1";
const MAILS: &str = "SELECT template || ' ' || state, COUNT(*) FROM notification_mails GROUP BY 1 ORDER BY 1";
/// The contexts that keep events.
const CONTEXTS: &[&str] = &["ordering", "payment", "inventory", "shipping"];

impl World {
    /// What this run touched. Whatever is still armed will not strike any more.
    pub async fn touched(&self) -> Touched {
        self.disarm();
        let mut touched = Touched {
            orders: self.counts(ORDERS.to_owned()).await,
            mails: self.counts(MAILS.to_owned()).await,
            answers: self.door.answers(),
            faults: self.faults.struck().into_iter().map(|(point, n)| (point.to_owned(), n)).collect(),
            events: BTreeMap::new(),
        };
        for context in CONTEXTS {
            let sql =
                format!("SELECT '{context}.' || name, COUNT(*) FROM {context}_events GROUP BY 1 ORDER BY 1");
            touched.events.extend(self.counts(sql).await);
        }
        touched
    }

    async fn counts(&self, sql: String) -> BTreeMap<String, u64> {
        let row = |row: &merx_sql::Row<'_>| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
        let rows = move |q: &mut merx_sql::Reader<'_>| q.query(&sql, params![], row);
        let rows: Vec<(String, i64)> = self.shop.deps.db.read("test.counts", rows).await.told();
        rows.into_iter().map(|(what, n)| (what, u64::try_from(n).unwrap_or(0))).collect()
    }
}
