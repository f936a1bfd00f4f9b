//! Lists of orders by what their rows say.

use merx_contracts::ids::{AccountId, OrderId, Sku};
use merx_kernel::{Result, Timestamp};
use merx_sql::{Query, Value};

use super::rows;
use crate::{
    domain::{Axis, BuyerStatus, FulfilmentAxis, OrderLine, PaymentAxis},
    record::Record,
};

/// In which order a list goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// Which orders are wanted; what is `None` or empty does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this buyer.
    pub account_id: Option<AccountId>,
    /// In one of these.
    pub statuses: Vec<BuyerStatus>,
    /// In none of these.
    pub hidden: Vec<BuyerStatus>,
    /// With the money here.
    pub payment: Option<PaymentAxis>,
    /// With the goods here.
    pub fulfilment: Option<FulfilmentAxis>,
    /// Placed then or later.
    pub placed_from: Option<Timestamp>,
    /// Placed before.
    pub placed_to: Option<Timestamp>,
    /// With a line of it.
    pub sku: Option<Sku>,
    /// Whose number begins so, in the written form.
    pub number: Option<String>,
    /// Each in the number, or in SKU or title of a line.
    pub words: Vec<String>,
}

/// What a line is found by: SKU and title, in lower case.
pub(super) fn text_of(line: &OrderLine) -> String {
    let text = format!("{} {} {}", line.sku, line.title.zh, line.title.en).to_lowercase();
    // Lower case can be longer than what it was made of.
    text.chars().take(700).collect()
}

/// The word as a pattern of `LIKE … ESCAPE '!'`: what it holds stands for itself.
fn pattern(word: &str) -> String {
    let mut out = String::from("%");
    for c in word.chars() {
        if matches!(c, '!' | '%' | '_') {
            out.push('!');
        }
        out.push(c);
    }
    out.push('%');
    out
}

struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.texts.push(text.into());
        self.values.extend(values);
    }

    fn of(filter: &Filter) -> Self {
        let mut all = Self { texts: Vec::new(), values: Vec::new() };
        if let Some(account_id) = filter.account_id {
            all.add("o.account_id = ?", [Value::from(account_id)]);
        }
        for (statuses, word) in [(&filter.statuses, "IN"), (&filter.hidden, "NOT IN")] {
            if !statuses.is_empty() {
                let marks = vec!["?"; statuses.len()].join(", ");
                let names = statuses.iter().map(|status| Value::from(status.name()));
                all.add(format!("o.status {word} ({marks})"), names);
            }
        }
        if let Some(payment) = filter.payment {
            all.add("o.payment_axis = ?", [Value::from(payment.name())]);
        }
        if let Some(fulfilment) = filter.fulfilment {
            all.add("o.fulfilment_axis = ?", [Value::from(fulfilment.name())]);
        }
        if let Some(from) = filter.placed_from {
            all.add("o.created_at >= ?", [Value::from(from)]);
        }
        if let Some(to) = filter.placed_to {
            all.add("o.created_at < ?", [Value::from(to)]);
        }
        if let Some(sku) = &filter.sku {
            let text = "EXISTS (SELECT 1 FROM ordering_lines l WHERE l.order_id = o.order_id AND l.sku = ?)";
            all.add(text, [Value::from(sku.as_str())]);
        }
        if let Some(number) = &filter.number {
            // A range can use the index where LIKE cannot; `~` is after every symbol of a number.
            let (first, last) = (number.clone(), format!("{number}~"));
            all.add("o.order_number >= ? AND o.order_number < ?", [Value::from(first), Value::from(last)]);
        }
        all
    }

    fn add_words(&mut self, words: &[String]) {
        for word in words {
            let text = "(o.order_number LIKE ? ESCAPE '!' OR EXISTS (SELECT 1 FROM ordering_lines l \
                        WHERE l.order_id = o.order_id AND l.search_text LIKE ? ESCAPE '!'))";
            let (upper, lower) = (pattern(&word.to_ascii_uppercase()), pattern(&word.to_lowercase()));
            self.add(text, [Value::from(upper), Value::from(lower)]);
        }
    }
}

/// How many orders a search for words looks at, at the most: for no index helps it.
const LOOKED_AT_MAX: i64 = 5_000;

/// What a search came to.
pub(crate) struct Found {
    /// The orders.
    pub records: Vec<Record>,
    /// The last order that was looked at, when there may be more beyond it.
    pub looked_until: Option<OrderId>,
}

/// At most `limit` orders that fit, beyond the order `after` in the order of the list. For words, not all orders may have
/// been looked at.
pub(crate) fn find(
    q: &mut impl Query,
    filter: &Filter,
    sort: Sort,
    after: Option<OrderId>,
    limit: i64,
) -> Result<Found> {
    let mut all = Conditions::of(filter);
    let (beyond, until, direction) = match sort {
        Sort::Newest => ("o.order_id < ?", "o.order_id >= ?", "DESC"),
        Sort::Oldest => ("o.order_id > ?", "o.order_id <= ?", "ASC"),
    };
    if let Some(after) = after {
        all.add(beyond, [after.into()]);
    }
    all.add("1 = 1", []);
    let looked_until = if filter.words.is_empty() { None } else { last_of(q, &all, direction)? };
    if let Some(last) = looked_until {
        all.add(until, [last.into()]);
    }
    all.add_words(&filter.words);
    let Conditions { texts, mut values } = all;
    values.push(limit.into());
    let (columns, conditions) = (rows::COLUMNS, texts.join(" AND "));
    let sql = format!(
        "SELECT {columns} FROM ordering_orders o WHERE {conditions} ORDER BY o.order_id {direction} LIMIT ?"
    );
    let heads = q.query(&sql, values, rows::head)?;
    Ok(Found { records: rows::whole(q, heads)?, looked_until })
}

/// The last of the first [`LOOKED_AT_MAX`] orders that fit, if there are so many.
fn last_of(q: &mut impl Query, all: &Conditions, direction: &str) -> Result<Option<OrderId>> {
    let conditions = all.texts.join(" AND ");
    let sql = format!(
        "SELECT o.order_id FROM ordering_orders o WHERE {conditions} ORDER BY o.order_id {direction} LIMIT 1 OFFSET ?"
    );
    let mut values = all.values.clone();
    values.push((LOOKED_AT_MAX - 1).into());
    q.query_opt(&sql, values, |row| row.get(0))
}
