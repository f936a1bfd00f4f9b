//! Who does something, when and why; and what is written down and told of it, in the transaction of the change.

use merx_contracts::{
    Envelope,
    events::{
        catalogue::{PriceChanged, ProductChanged},
        staff::StaffActed,
    },
    ids::{AccountId, MessageId, ProductId, Sku},
};
use merx_kernel::{Money, Result, Timestamp};
use merx_platform::{Store, trace};
use merx_sql::Tx;
use serde_json::{Map, Value, json};

use crate::{
    State,
    store::history::{self, ChangeId, ChangeRow},
};

/// The most bytes of a change that travel with the fact of staff; the history has all of it.
const DETAIL_BYTES_MAX: usize = 4096;

/// One act of a person, or of a plan come due. Its identities are chosen before the transaction, which may run again.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who; nobody for a plan.
    pub actor: Option<AccountId>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    change: ChangeId,
    messages: [MessageId; 3],
    trace: Option<String>,
}

/// What was changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// What kind of thing.
    pub kind: &'static str,
    /// The thing, in public form.
    pub object: String,
    /// The product it belongs to, if to one.
    pub product: Option<ProductId>,
    /// What was done, `published`: with the kind, the action of [`StaffActed`].
    pub action: &'static str,
    /// The thing as it was; null when it was not.
    pub was: Value,
    /// As it is since; null when it is no more.
    pub became: Value,
}

impl Act {
    /// An act of now.
    pub fn new(state: &State, actor: Option<AccountId>, reason: Option<String>) -> Self {
        Self {
            actor,
            reason,
            at: state.clock.now(),
            change: state.ids.next(),
            messages: [state.ids.next(), state.ids.next(), state.ids.next()],
            trace: trace::current_traceparent(),
        }
    }

    /// The same act for another reason: that of a plan, which is read in the transaction.
    #[must_use]
    pub fn because(&self, reason: Option<String>) -> Self {
        Self { reason, ..self.clone() }
    }

    /// The row of the history for what was changed.
    pub fn row(&self, changed: Changed) -> ChangeRow {
        let (was, became) = difference(changed.was, changed.became);
        ChangeRow {
            id: self.change,
            kind: changed.kind.to_owned(),
            object: changed.object,
            product: changed.product,
            action: changed.action.to_owned(),
            was,
            became,
            actor: self.actor,
            reason: self.reason.clone(),
            at: self.at,
        }
    }

    /// Writes the history and publishes the facts; what staff did is one of them.
    ///
    /// # Errors
    /// What the database answers.
    pub fn record(
        &self,
        tx: &mut Tx<'_>,
        store: &Store,
        changed: Changed,
        facts: Vec<Envelope>,
    ) -> Result<()> {
        let action = format!("catalogue.{}_{}", changed.kind, changed.action);
        let row = self.row(changed);
        history::insert(tx, std::slice::from_ref(&row))?;
        let mut all = facts;
        if let Some(actor) = self.actor {
            let acted = StaffActed {
                actor,
                action,
                object: row.object.clone(),
                reason: self.reason.clone(),
                detail: detail(&row),
            };
            all.push(acted.envelope("catalogue", self.messages[0], self.at, self.trace.clone())?);
        }
        store.outbox.publish(tx, &all)
    }

    /// The fact that buyers see another product.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    pub fn product_changed(&self, product_id: ProductId, listed: bool) -> Result<Envelope> {
        let fact = ProductChanged { product_id, listed };
        Envelope::new(self.messages[1], self.at, self.trace.clone(), &fact)
    }

    /// The fact that a SKU has another price.
    ///
    /// # Errors
    /// `Internal` when it cannot be written.
    pub fn price_changed(
        &self,
        sku: &Sku,
        product_id: ProductId,
        before: Money,
        after: Money,
    ) -> Result<Envelope> {
        let fact = PriceChanged { sku: sku.clone(), product_id, before, after };
        Envelope::new(self.messages[2], self.at, self.trace.clone(), &fact)
    }
}

fn detail(row: &ChangeRow) -> Value {
    let size = row.was.to_string().len() + row.became.to_string().len();
    if size <= DETAIL_BYTES_MAX {
        return json!({ "change_id": row.id, "before": row.was, "after": row.became });
    }
    let names = |value: &Value| value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
    let mut fields: Vec<String> = names(&row.was);
    fields.extend(names(&row.became));
    fields.sort();
    fields.dedup();
    json!({ "change_id": row.id, "fields": fields })
}

/// What differs between two objects, in depth; lists are compared whole.
fn difference(was: Value, became: Value) -> (Value, Value) {
    let (Value::Object(was), Value::Object(mut became)) = (&was, became.clone()) else {
        let object = |value: Value| if value.is_object() { value } else { json!({}) };
        return (object(was), object(became));
    };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, old) in was {
        match became.remove(name) {
            None => drop(before.insert(name.clone(), old.clone())),
            Some(new) if new == *old => {}
            Some(new) if new.is_object() && old.is_object() => {
                let (old, new) = difference(old.clone(), new);
                before.insert(name.clone(), old);
                after.insert(name.clone(), new);
            }
            Some(new) => {
                before.insert(name.clone(), old.clone());
                after.insert(name.clone(), new);
            }
        }
    }
    after.extend(became);
    (Value::Object(before), Value::Object(after))
}
