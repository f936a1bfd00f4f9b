//! Placing an order: the buyer accepts a quote, and the saga arranges stock and payment.

use merx_contracts::ids::OrderId;
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Error, Result};
use merx_platform::{
    Loaded,
    saga::{End, NewSaga, Progress},
    store::Saved,
};

use super::{Earlier, cancel_order::within};
use crate::{
    context::Ordering,
    domain::{Command, Order, OrderPlaced, quote::Quote},
    queries::checkout_quote::{QuoteWanted, checkout_quote},
    sagas::place_order::PlaceOrder,
    store,
    view::OrderView,
};

/// What the buyer accepts.
#[derive(Clone, Debug)]
pub struct PlaceOrderCommand {
    /// Cart, address and method, and whose they are.
    pub wanted: QuoteWanted,
    /// The quote the buyer saw.
    pub quote_id: String,
}

/// What became of the request.
#[derive(Debug)]
pub enum Placed {
    /// This request placed the order, which the saga now arranges.
    Begun {
        /// The order.
        order_id: OrderId,
        /// Its saga.
        saga: NewSaga,
        /// What was agreed.
        terms: Box<OrderPlaced>,
    },
    /// An earlier request under the same key did.
    Repeated(Earlier),
}

/// Quotes anew and, if the buyer's quote still holds, places the order: one transaction of six statements, a new
/// order needing no load.
///
/// # Errors
/// What [`checkout_quote`] refuses, `ordering.quote_changed`, `ordering.quote_accepted`, `request.idempotency_key_reused`.
pub async fn place_order(
    ordering: &Ordering,
    key: IdempotencyKey,
    command: &PlaceOrderCommand,
) -> Result<Placed> {
    let tools = &ordering.tools;
    let quote = checkout_quote(&tools.asks, &command.wanted).await?;
    if quote.quote_id != command.quote_id {
        return Err(quote_changed(&quote));
    }
    let order_id: OrderId = tools.ids.next();
    let cause = tools.cause(order_id);
    let terms = agreed(ordering, command, quote, cause.facts.now);
    let saga = PlaceOrder::of(order_id, &terms, key.scope)?;
    let store = tools.store.clone();
    tools
        .db
        .write("ordering.place", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, cause.facts.now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok(Placed::Repeated(Earlier { order_id, saved }));
            }
            store::accept_quote(tx, terms.cart_id, &terms.quote_id, order_id)?;
            let nothing = Loaded { state: Order::default(), version: 0 };
            store::change(&store, tx, nothing, &Command::Place(Box::new(terms.clone())), &cause)?;
            store.sagas.start(tx, &saga)?;
            Ok(Placed::Begun { order_id, saga: saga.clone(), terms: Box::new(terms.clone()) })
        })
        .await
}

/// Carries the order's saga on, and waits for its end as long as a request may.
pub async fn arranged(ordering: &Ordering, saga: &NewSaga) -> Option<Progress> {
    within(ordering, ordering.engine.run(saga)).await
}

/// What the request is answered when the saga ended: the very answer the saga kept for repetitions, made of the same
/// facts without reading it again.
///
/// # Errors
/// `Internal` when the answer cannot be written.
pub fn ended(order_id: OrderId, terms: &OrderPlaced, end: End) -> Result<Saved> {
    match end {
        End::Refused { code, message, .. } => merx_http::refusal(Error::rejected(code, message)),
        End::Done => {
            let view = OrderView::just_arranged(order_id, terms);
            merx_http::answer(http::StatusCode::CREATED, &view)
        }
    }
}

fn quote_changed(quote: &Quote) -> Error {
    let text = format!(
        "Prices, freight or the cart changed since the quote; the total is now {}. Ask for a new quote.",
        quote.total
    );
    Error::conflict("ordering.quote_changed", text)
}

fn agreed(
    ordering: &Ordering,
    command: &PlaceOrderCommand,
    quote: Quote,
    placed_at: merx_kernel::Timestamp,
) -> OrderPlaced {
    OrderPlaced {
        account_id: command.wanted.account_id,
        cart_id: quote.cart_id,
        address_id: quote.address_id,
        shipping_method: quote.shipping_method,
        lines: quote.lines,
        subtotal: quote.subtotal,
        freight: quote.freight,
        total: quote.total,
        quote_id: quote.quote_id,
        placed_at,
        payment_deadline: placed_at.plus(ordering.tools.settings.payment_window()),
    }
}
