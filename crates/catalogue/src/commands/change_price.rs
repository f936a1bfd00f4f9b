//! Prices are set, now or for a time to come, and taken back.

use std::time::Duration;

use merx_contracts::ids::{ProductId, Sku};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::{DueTimer, store::TimerId};
use merx_sql::{Tx, contention};
use serde_json::{Value, json};

use super::act::{Act, Changed};
use crate::{
    State,
    domain::{
        PriceId, PriceRule, Wrong,
        content::PRICE_MINOR_MAX,
        price::{NEVER, change_at, price_at},
    },
    store::prices::{self as store, PriceRow},
};

/// The timer of a price that begins, …
pub const BEGINS: &str = "price_begins";
/// … and of one that ends.
pub const ENDS: &str = "price_ends";
/// The most prices of a SKU that are in force or to come.
pub const STANDING_MAX: usize = 50;
/// How far ahead prices are planned.
pub const AHEAD_MAX: Duration = Duration::from_secs(2 * 366 * 24 * 3600);

/// A price to be set.
#[derive(Clone, Copy, Debug)]
pub struct NewPrice {
    /// What one costs.
    pub price: Money,
    /// From then on; now unless told.
    pub from: Option<Timestamp>,
    /// Until just before then; without an end unless told.
    pub until: Option<Timestamp>,
}

impl NewPrice {
    fn check(&self, at: Timestamp, currency: merx_kernel::Currency) -> Result<()> {
        let mut wrong = Wrong::default();
        let fits = (1..=PRICE_MINOR_MAX).contains(&self.price.minor);
        wrong.unless(fits, "/price/minor", format!("1 to {PRICE_MINOR_MAX} minor units"));
        let own = self.price.currency == currency;
        wrong.unless(own, "/price/currency", format!("the shop sells in {currency}"));
        let last = at.plus(AHEAD_MAX);
        let from = self.from.is_none_or(|from| from > at && from <= last);
        wrong.unless(from, "/effective_from", "must be in the next two years; leave it out for now");
        let begins = self.from.unwrap_or(at);
        let until = self.until.is_none_or(|until| until > begins && until <= last.plus(AHEAD_MAX));
        wrong.unless(until, "/effective_until", "must be after the beginning and within four years");
        wrong.invalid()
    }
}

/// There is no such SKU.
pub fn unknown_sku() -> Error {
    Error::not_found("catalogue.sku_not_found", "No published product has this SKU.")
}

fn changed(sku: &Sku, product: ProductId, action: &'static str, was: Value, became: Value) -> Changed {
    Changed { kind: "price", object: sku.to_string(), product: Some(product), action, was, became }
}

fn shown(rule: &PriceRule, currency: merx_kernel::Currency) -> Value {
    json!({
        "price_id": rule.id, "price": Money::new(rule.minor, currency), "effective_from": rule.from,
        "effective_until": Some(rule.until).filter(|until| *until < NEVER),
    })
}

/// Sets a price.
///
/// # Errors
/// `Invalid`; `catalogue.sku_not_found`, `catalogue.too_many_prices`.
pub fn set(
    tx: &mut Tx<'_>,
    state: &State,
    act: &Act,
    id: PriceId,
    (sku, new): (&Sku, &NewPrice),
) -> Result<PriceRow> {
    new.check(act.at, state.currency)?;
    let (product, first) = store::take_sku(tx, sku)?.ok_or_else(unknown_sku)?;
    let rules = store::rules(tx, sku, act.at)?;
    if rules.iter().filter(|rule| rule.until > act.at).count() >= STANDING_MAX {
        let message = format!("A SKU has at most {STANDING_MAX} prices in force or to come; take some back.");
        return Err(Error::conflict("catalogue.too_many_prices", message));
    }
    let rule = PriceRule {
        id,
        minor: new.price.minor,
        from: new.from.unwrap_or(act.at),
        until: new.until.unwrap_or(NEVER),
    };
    let row = PriceRow {
        rule,
        sku: sku.clone(),
        planned_end: new.until,
        cancelled_at: None,
        reason: act.reason.clone().unwrap_or_default(),
        made_by: act.actor,
        made_at: act.at,
    };
    store::insert(tx, &row)?;
    for (kind, moment) in [(BEGINS, new.from), (ENDS, new.until)] {
        if let Some(moment) = moment {
            state.store.timers.schedule(tx, TimerId::of(kind, id), moment)?;
        }
    }
    let (mut after, at) = (rules.clone(), act.at);
    after.push(rule);
    let facts = told(act, sku, product, first, (&rules, &after))?;
    let action = if new.from.is_some() { "planned" } else { "set" };
    let was = json!({ "price": Money::new(price_at(first.minor, &rules, at), first.currency) });
    let became = shown(&rule, first.currency);
    act.record(tx, &state.store, changed(sku, product, action, was, became), facts)?;
    Ok(row)
}

/// The fact of a change that has its effect at once, if it has.
fn told(
    act: &Act,
    sku: &Sku,
    product: ProductId,
    first: Money,
    (before, after): (&[PriceRule], &[PriceRule]),
) -> Result<Vec<merx_contracts::Envelope>> {
    let price = |rules: &[PriceRule]| Money::new(price_at(first.minor, rules, act.at), first.currency);
    let (was, is) = (price(before), price(after));
    if was == is { Ok(Vec::new()) } else { Ok(vec![act.price_changed(sku, product, was, is)?]) }
}

/// Takes a price back: one to come never begins, one in force ends now, and what else holds counts again.
///
/// # Errors
/// `catalogue.price_not_found`; `catalogue.price_over` for one that has ended.
pub fn cancel(tx: &mut Tx<'_>, state: &State, act: &Act, sku: &Sku, id: PriceId) -> Result<PriceRow> {
    let missing = || Error::not_found("catalogue.price_not_found", "The SKU has no such price.");
    let (product, first) = store::take_sku(tx, sku)?.ok_or_else(unknown_sku)?;
    let row = store::find(tx, id)?.filter(|row| row.sku == *sku).ok_or_else(missing)?;
    if row.cancelled_at.is_some() || row.rule.until <= act.at {
        return Err(Error::conflict("catalogue.price_over", "The price has ended already."));
    }
    let rules = store::rules(tx, sku, act.at)?;
    let ended = PriceRule { until: row.rule.from.max(act.at), ..row.rule };
    if !store::cancel(tx, id, ended.until, act.at)? {
        return Err(contention("the price changed while it was read"));
    }
    for kind in [BEGINS, ENDS] {
        state.store.timers.cancel(tx, TimerId::of(kind, id))?;
    }
    let after: Vec<PriceRule> = rules.iter().map(|r| if r.id == id { ended } else { *r }).collect();
    let facts = told(act, sku, product, first, (&rules, &after))?;
    let (was, became) = (shown(&row.rule, first.currency), shown(&ended, first.currency));
    act.record(tx, &state.store, changed(sku, product, "cancelled", was, became), facts)?;
    Ok(PriceRow { rule: ended, cancelled_at: Some(act.at), ..row })
}

/// The moment of a price has come. It counts already, for prices are computed from their rules; this tells it.
///
/// # Errors
/// What the database answers.
pub async fn come_due(state: &State, timer: DueTimer) -> Result<()> {
    let id = PriceId::from_bits(timer.key());
    let act = Act::new(state, None, None);
    let store = state.store.clone();
    let write = move |tx: &mut Tx<'_>| {
        if !timer.fired(tx)? {
            return Ok(());
        }
        let Some(row) = store::find(tx, id)? else { return Ok(()) };
        let Some((product, first)) = store::take_sku(tx, &row.sku)? else { return Ok(()) };
        let rules = store::rules(tx, &row.sku, timer.due_at())?;
        let Some((before, after)) = change_at(first.minor, &rules, timer.due_at(), id) else {
            return Ok(());
        };
        let money = |minor: i64| Money::new(minor, first.currency);
        let act = act.because(Some(row.reason.clone()));
        let facts = vec![act.price_changed(&row.sku, product, money(before), money(after))?];
        let (was, became) =
            (json!({ "price": money(before) }), json!({ "price": money(after), "price_id": id }));
        act.record(tx, &store, changed(&row.sku, product, "took_effect", was, became), facts)
    };
    state.db.write("catalogue.price_due", write).await
}
