//! Stock counts: begin, enter figures, post the differences, give up.

use std::collections::BTreeMap;

use merx_contracts::ids::{Sku, StockCountId, WarehouseId};
use merx_kernel::{Error, Result};
use merx_platform::aggregate;
use merx_sql::Tx;
use serde_json::json;

use super::{
    Act,
    enter_stock::use_warehouse,
    move_units::{Moved, move_units, tell_low},
};
use crate::{
    domain::{
        Count, CountCommand, CountEvent, Movement,
        count::{self, Figure, decide},
        stock,
    },
    log::Counts,
    store::{self, Effect},
};

/// What staff want of a count.
#[derive(Clone, Debug)]
pub enum CountStep {
    /// Begin.
    Open {
        /// Where.
        warehouse: WarehouseId,
        /// What is to be counted; anything when empty.
        skus: Vec<Sku>,
        /// Why.
        reason: String,
    },
    /// Enter what was found just now.
    Enter {
        /// The SKU.
        sku: Sku,
        /// Units on the shelf.
        counted: i64,
    },
    /// Post the differences.
    Close {
        /// What the ledger says of it.
        reason: String,
    },
    /// Give it up.
    Abandon {
        /// Why.
        reason: String,
    },
}

/// Carries a step out on a count.
///
/// # Errors
/// `Invalid` naming what is wrong; `inventory.count_not_found`, `inventory.count_ended`,
/// `inventory.count_incomplete`, `inventory.adjustment_too_large`, `inventory.warehouse_closed`.
pub fn count_stock(tx: &mut Tx<'_>, act: &Act, id: StockCountId, step: &CountStep) -> Result<CountEvent> {
    // The row tells whether there is such a count: the bits may be another's, whose stream is not to be read as ours.
    if !matches!(step, CountStep::Open { .. }) && store::count(tx, id)?.is_none() {
        return Err(count::not_found());
    }
    let loaded = aggregate::load::<Counts>(&act.store.events, tx, id)?;
    let mut adjusted = BTreeMap::new();
    let command = match step.clone() {
        CountStep::Open { warehouse, skus, reason } => CountCommand::Open { warehouse, skus, reason },
        CountStep::Enter { sku, counted } => {
            let figure = figure(tx, &loaded.state, &sku, counted)?;
            CountCommand::Enter { sku, figure }
        }
        CountStep::Close { reason } => {
            if let Count::Open { warehouse, figures, .. } = &loaded.state {
                let skus: Vec<Sku> = figures.keys().cloned().collect();
                adjusted = store::adjusted_sums(tx, *warehouse, &skus)?;
            }
            CountCommand::Close { adjusted: adjusted.clone(), reason }
        }
        CountStep::Abandon { reason } => CountCommand::Abandon { reason },
    };
    let event = decide(&loaded.state, command, act.by)?;
    write_rows(tx, act, id, &event)?;
    post(tx, act, id, &event, &adjusted)?;
    let happened = std::slice::from_ref(&event);
    aggregate::append::<Counts>(&act.store.events, tx, id, loaded.version, happened, act.at)?;
    tell(tx, act, id, &event)?;
    Ok(event)
}

fn figure(tx: &mut Tx<'_>, state: &Count, sku: &Sku, counted: i64) -> Result<Figure> {
    let Count::Open { warehouse, .. } = state else {
        return Ok(Figure { counted, expected: 0, adjusted: 0 });
    };
    let level = store::level(tx, sku, *warehouse)?.unwrap_or_default();
    Ok(Figure { counted, expected: level.on_hand(), adjusted: level.adjusted })
}

fn write_rows(tx: &mut Tx<'_>, act: &Act, id: StockCountId, event: &CountEvent) -> Result<()> {
    let status = count::evolve(Count::default(), event).name();
    let done = match event {
        CountEvent::CountOpened { warehouse, skus, reason, .. } => {
            use_warehouse(tx, *warehouse)?;
            store::insert_count(tx, id, *warehouse, skus, reason, act.at)?.is_new()
        }
        CountEvent::CountEntered { sku, counted, expected, .. } => {
            store::enter_figure(tx, id, sku, (*counted, *expected), act.at)?
        }
        CountEvent::CountClosed { lines, .. } => {
            let ended = store::end_count(tx, id, status, act.at)?;
            store::post_difference(tx, id, lines)?;
            ended
        }
        CountEvent::CountAbandoned { .. } => store::end_count(tx, id, status, act.at)?,
    };
    if done { Ok(()) } else { Err(merx_sql::contention("the count moved on while it was read")) }
}

/// Posts the differences, if the event is the close, each only while the sum of corrections is still what the
/// difference was made with.
fn post(
    tx: &mut Tx<'_>,
    act: &Act,
    id: StockCountId,
    event: &CountEvent,
    adjusted: &BTreeMap<Sku, i64>,
) -> Result<()> {
    let movements = Movement::of_count(event);
    if movements.is_empty() {
        return Ok(());
    }
    let effect = Effect::of_staff(id, act.at);
    let mut lows = Vec::new();
    for movement in &movements {
        let (sku, warehouse) = (&movement.sku, movement.warehouse);
        let seen = adjusted.get(sku).copied();
        if seen.is_none() && !store::insert_stock(tx, sku, warehouse)?.is_new() {
            return Err(merx_sql::contention("the stock row was made meanwhile"));
        }
        match move_units(tx, movement, Some(seen.unwrap_or(0)))? {
            Moved::No => return Err(refused(tx, movement)?),
            Moved::Yes => {}
            Moved::Low(low) => lows.push(low),
        }
    }
    store::insert_movements(tx, effect, &movements)?;
    tell_low(tx, &act.store, effect, act.traceparent.as_deref(), &lows)
}

fn refused(tx: &mut Tx<'_>, movement: &Movement) -> Result<Error> {
    let level = store::level(tx, &movement.sku, movement.warehouse)?.unwrap_or_default();
    if level.available + movement.quantity < 0 {
        return Ok(stock::too_large(&movement.sku, level.available));
    }
    Ok(merx_sql::contention("the stock moved on while it was read"))
}

fn tell(tx: &mut Tx<'_>, act: &Act, id: StockCountId, event: &CountEvent) -> Result<()> {
    let (action, reason, detail) = match event {
        CountEvent::CountOpened { warehouse, skus, reason, .. } => {
            let detail = json!({"warehouse_id": warehouse, "skus": skus.len()});
            ("inventory.count_opened", Some(reason), detail)
        }
        CountEvent::CountEntered { sku, counted, expected, .. } => {
            let detail = json!({"sku": sku, "counted": counted, "expected": expected});
            ("inventory.count_entered", None, detail)
        }
        CountEvent::CountClosed { lines, reason, .. } => {
            let found: Vec<_> = lines.iter().filter(|line| line.difference != 0).collect();
            ("inventory.count_closed", Some(reason), json!({"differences": found}))
        }
        CountEvent::CountAbandoned { reason, .. } => ("inventory.count_abandoned", Some(reason), json!({})),
    };
    act.tell(tx, action, id.to_string(), reason.cloned(), detail)
}
