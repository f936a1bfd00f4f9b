//! What after-sale needs to know of an order: what was bought and paid for each line, and how far the goods came.

use merx_contracts::{
    common::v1 as wire,
    ids::{AccountId, OrderId, Sku},
    ordering::v1::{AfterSaleTermsReply, BoughtLine},
};
use merx_kernel::{Error, Money, Result, Timestamp};

use super::orders::Reader;
use crate::{
    context::Tools,
    domain::{FulfilmentAxis, LocalText, Order, OrderAxis, OrderPlaced, Rejection},
    record::Record,
    store,
};

/// The name of the event that says when an order was received.
const RECEIVED: &str = "ReceiptConfirmed";

/// The terms of an order that is paid and goes on; where told, of an order of `account` only.
///
/// # Errors
/// `ordering.order_not_found`, `ordering.not_paid`, `ordering.order_ended`.
pub async fn of(tools: &Tools, order_id: OrderId, account: Option<AccountId>) -> Result<AfterSaleTermsReply> {
    let store = tools.store.clone();
    let (loaded, received_at) = tools
        .db
        .read("ordering.after_sale_terms", move |q| {
            let loaded = store::load(&store, q, order_id)?;
            let received = store.events.load(q, order_id)?.into_iter().find(|event| event.name == RECEIVED);
            Ok((loaded, received.map(|event| event.recorded_at)))
        })
        .await?;
    let order = loaded.state.clone();
    let (Some(record), Some(terms)) = (loaded.into_record(), order.terms.as_deref()) else {
        return Err(Rejection::OrderUnknown.into());
    };
    if let Some(account) = account {
        Reader::Buyer(account).check(record.account_id)?;
    }
    match record.axes.order {
        OrderAxis::Confirmed | OrderAxis::Completed => {}
        OrderAxis::Placed | OrderAxis::AwaitingPayment => return Err(Rejection::NotPaid.into()),
        OrderAxis::Rejected | OrderAxis::Cancelled => return Err(Rejection::OrderEnded.into()),
    }
    let delivered_at = record.shipments.iter().filter_map(|shipment| shipment.delivered_at).max();
    let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    Ok(AfterSaleTermsReply {
        number: record.number().to_string(),
        account_id: terms.account_id.to_string(),
        address_id: terms.address_id.to_string(),
        shipping_method: terms.shipping_method.clone(),
        lines: lines(&order, terms, &record)?,
        freight: Some(terms.freight.into()),
        delivered_at: millis(delivered_at),
        received_at: millis(received_at),
    })
}

/// What was paid for goods is shared over the lines by their amounts, so that a discount on the whole is shared too.
fn lines(order: &Order, terms: &OrderPlaced, record: &Record) -> Result<Vec<BoughtLine>> {
    let weights = terms.lines.iter().map(|line| u64::try_from(line.amount.minor));
    let weights = weights.collect::<Result<Vec<u64>, _>>();
    let weights = weights.map_err(|e| Error::internal("a line costs less than nothing").with_source(e))?;
    let shares = terms.total.minus(terms.freight)?.split(&weights)?;
    let received = record.axes.fulfilment == FulfilmentAxis::Received;
    let shipped = order.units(|parcel| parcel.dispatched);
    let arrived = if received {
        order.units(|parcel| parcel.dispatched && !parcel.returned)
    } else {
        order.units(|parcel| parcel.delivered && !parcel.returned)
    };
    let text = |text: &LocalText| Some(wire::LocalText { zh: text.zh.clone(), en: text.en.clone() });
    let units = |of: &std::collections::BTreeMap<&Sku, i64>, sku: &Sku| of.get(sku).copied().unwrap_or(0);
    let line = |(line, paid): (&crate::domain::OrderLine, Money)| BoughtLine {
        sku: line.sku.to_string(),
        title: text(&line.title),
        options: text(&line.options),
        bought: line.quantity.get(),
        paid: Some(paid.into()),
        shipped: units(&shipped, &line.sku),
        arrived: units(&arrived, &line.sku),
    };
    Ok(terms.lines.iter().zip(shares).map(line).collect())
}
