//! Sends stock to another warehouse, takes it in there, calls it back.

use merx_contracts::ids::TransferId;
use merx_kernel::{Error, Result};
use merx_platform::aggregate;
use merx_sql::Tx;
use serde_json::json;

use super::{
    Act,
    enter_stock::use_warehouse,
    move_units::{Moved, add_units, move_units, tell_low},
};
use crate::{
    domain::{
        Movement, MovementKind, Transfer, TransferCommand, TransferEvent,
        transfer::{self, decide},
    },
    log::Transfers,
    store::{self, Effect, Pass},
};

/// Carries a command out on a transfer, all of it or nothing.
///
/// # Errors
/// `Invalid` naming what is wrong; `inventory.not_available`, `inventory.warehouse_closed`,
/// `inventory.transfer_not_found`, `inventory.transfer_ended`.
pub fn transfer_stock(
    tx: &mut Tx<'_>,
    act: &Act,
    id: TransferId,
    command: &TransferCommand,
) -> Result<TransferEvent> {
    // The row tells whether there is such a transfer: the bits may be another's, whose stream is not to be read as ours.
    let sends = matches!(command, TransferCommand::Send { .. });
    if !sends && store::transfer(tx, id)?.is_none() {
        return Err(transfer::not_found());
    }
    let loaded = aggregate::load::<Transfers>(&act.store.events, tx, id)?;
    let event = decide(&loaded.state, command.clone(), act.by)?;
    write_rows(tx, act, id, &event)?;
    let movements = Movement::of_transfer(&event);
    let effect = Effect::of_staff(id, act.at);
    let mut lows = Vec::new();
    for movement in &movements {
        match movement.kind {
            MovementKind::Sent => match move_units(tx, movement, None)? {
                Moved::No => return Err(too_few(tx, movement)?),
                Moved::Yes => {}
                Moved::Low(low) => lows.push(low),
            },
            MovementKind::Arrived => add_units(tx, movement)?,
            _ if store::change_stock(tx, movement, Pass::Any, None)? => {}
            _ => {
                let text = format!("the stock row of {} does not hold what {id} sent", movement.sku);
                return Err(Error::internal(text));
            }
        }
    }
    store::insert_movements(tx, effect, &movements)?;
    tell_low(tx, &act.store, effect, act.traceparent.as_deref(), &lows)?;
    let happened = std::slice::from_ref(&event);
    aggregate::append::<Transfers>(&act.store.events, tx, id, loaded.version, happened, act.at)?;
    tell(tx, act, id, &event)?;
    Ok(event)
}

/// The rows, the warehouse's guard row first.
fn write_rows(tx: &mut Tx<'_>, act: &Act, id: TransferId, event: &TransferEvent) -> Result<()> {
    let status = transfer::evolve(Transfer::default(), event).name();
    let done = match event {
        TransferEvent::TransferSent { from, to, lines, reason, .. } => {
            use_warehouse(tx, *to)?;
            store::insert_transfer(tx, id, (*from, *to), lines, reason, act.at)?.is_new()
        }
        TransferEvent::TransferReceived { lines, .. } => {
            let ended = store::end_transfer(tx, id, status, act.at)?;
            store::arrive(tx, id, lines)?;
            ended
        }
        TransferEvent::TransferRecalled { .. } => store::end_transfer(tx, id, status, act.at)?,
    };
    if done { Ok(()) } else { Err(merx_sql::contention("the transfer moved on while it was read")) }
}

fn too_few(tx: &mut Tx<'_>, movement: &Movement) -> Result<Error> {
    let level = store::level(tx, &movement.sku, movement.warehouse)?.unwrap_or_default();
    if level.available >= movement.quantity {
        return Ok(merx_sql::contention("the stock moved on while it was read"));
    }
    let (sku, available) = (&movement.sku, level.available);
    Ok(Error::rejected(
        "inventory.not_available",
        format!("{available} of {sku} are available in the warehouse; no more can be sent."),
    ))
}

fn tell(tx: &mut Tx<'_>, act: &Act, id: TransferId, event: &TransferEvent) -> Result<()> {
    let (action, detail) = match event {
        TransferEvent::TransferSent { from, to, lines, .. } => (
            "inventory.transfer_sent",
            json!({"from_warehouse_id": from, "to_warehouse_id": to, "lines": lines}),
        ),
        TransferEvent::TransferReceived { lines, .. } => {
            ("inventory.transfer_received", json!({"lines": lines}))
        }
        TransferEvent::TransferRecalled { lines, .. } => {
            ("inventory.transfer_recalled", json!({"lines": lines}))
        }
    };
    act.tell(tx, action, id.to_string(), event.why().0.map(str::to_owned), detail)
}
