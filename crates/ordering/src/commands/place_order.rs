//! Placing an order: the buyer accepts a quote, and the saga arranges stock and payment.

use merx_contracts::ids::{AccountId, OrderId};
use merx_http::{Begun, IdempotencyKey};
use merx_kernel::{Error, Result};
use merx_platform::{
    saga::{End, NewSaga, Progress},
    store::Saved,
};

use super::{Earlier, cancel_order::within};
use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::{Command, OrderPlaced, quote::Quote},
    queries::checkout_quote::{QuoteWanted, Quoted, checkout_quote},
    sagas::place_order::PlaceOrder,
    store::{
        self,
        limits::{self, BuyerLimit},
        notes::{self, NewNote},
    },
    view::OrderView,
};

/// How often an order is placed under another id because its number was taken. Two in thirty-four thousand million of one
/// day have the same.
const NUMBERS_TRIED_MAX: usize = 5;

/// What the buyer accepts.
#[derive(Clone, Debug)]
pub struct PlaceOrderCommand {
    /// Cart, address and method, and whose they are.
    pub wanted: QuoteWanted,
    /// The quote the buyer saw.
    pub quote_id: String,
    /// What the buyer has to say to the shop.
    pub note: Option<String>,
    /// The buyer is a guest.
    pub guest: bool,
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
/// order needing no load. What is limited for each buyer is counted in it, and a note is written with it.
///
/// # Errors
/// What [`checkout_quote`] refuses, `ordering.quote_changed`, `ordering.quote_accepted`, `ordering.limit_exceeded`,
/// `request.idempotency_key_reused`.
pub async fn place_order(
    ordering: &Ordering,
    key: IdempotencyKey,
    command: &PlaceOrderCommand,
) -> Result<Placed> {
    let Quoted { quote, limits } = checkout_quote(&ordering.tools.asks, &command.wanted).await?;
    if quote.quote_id != command.quote_id {
        return Err(quote_changed(&quote));
    }
    let mut tried = 1;
    loop {
        match place(ordering, key, command, quote.clone(), limits.clone()).await {
            // Nothing was written: another id has another number.
            Err(error) if error.is("ordering.number_taken") && tried < NUMBERS_TRIED_MAX => tried += 1,
            answer => return answer,
        }
    }
}

async fn place(
    ordering: &Ordering,
    key: IdempotencyKey,
    command: &PlaceOrderCommand,
    quote: Quote,
    limits: Vec<BuyerLimit>,
) -> Result<Placed> {
    let tools = &ordering.tools;
    let order_id: OrderId = tools.ids.next();
    let buyer = command.wanted.account_id;
    let cause = tools.cause(order_id, CausedBy::request("placeOrder", buyer, false));
    let terms = agreed(ordering, command, quote, &limits, cause.facts.now);
    let saga = PlaceOrder::of(order_id, &terms, key.scope)?;
    let note = note(ordering, command, order_id, buyer, cause.facts.now);
    let store = tools.store.clone();
    tools
        .db
        .write("ordering.place", move |tx| {
            let begun = key.begin(store.idempotency, tx, order_id, cause.facts.now)?;
            if let Begun::Repeated { effect: order_id, saved } = begun {
                return Ok(Placed::Repeated(Earlier { order_id, saved }));
            }
            store::accept_quote(tx, terms.cart_id, &terms.quote_id, order_id)?;
            for limit in &limits {
                limits::count(tx, buyer, limit)?;
            }
            let nothing = store::Loaded::default();
            store::change(&store, tx, nothing, &Command::Place(Box::new(terms.clone())), &cause)?;
            if let Some(note) = &note {
                notes::write(tx, note)?;
            }
            store.sagas.start(tx, &saga)?;
            Ok(Placed::Begun { order_id, saga: saga.clone(), terms: Box::new(terms.clone()) })
        })
        .await
}

fn note(
    ordering: &Ordering,
    command: &PlaceOrderCommand,
    order_id: OrderId,
    author: AccountId,
    at: merx_kernel::Timestamp,
) -> Option<NewNote> {
    let text = command.note.clone()?;
    let note_id = ordering.tools.ids.next();
    Some(NewNote { note_id, order_id, author, by_staff: false, for_buyer: true, about: "note", text, at })
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
    limits: &[BuyerLimit],
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
        guest: command.guest,
        limited: limits.iter().map(|limit| limit.sku.clone()).collect(),
    }
}
