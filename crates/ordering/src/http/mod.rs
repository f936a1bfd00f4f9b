//! The public routes of ordering.

mod cancellation;
mod list;
mod notes;
mod order_ref;
mod place;
mod quote;
mod read;
mod receipt;
mod repeat;
mod settlement;

use merx_contracts::ids::CartId;
use merx_http::{Access, Idempotency, Idempotent, Limits, Owner, Route};
use merx_kernel::{Page, Permission};

use self::order_ref::OrderRef;
use crate::{
    context::Ordering,
    domain::quote::Quote,
    queries::timeline::Timeline,
    view::{NoteView, OrderView},
};

/// What handlers work with.
#[derive(Clone)]
struct Api {
    ordering: Ordering,
    idempotent: Idempotent,
}

const OWN_CART: Owner =
    Owner::Account("cart and address are asked for in the caller's name; a foreign one is not found");
const OWN_ORDER: Owner = Owner::Account("the order's buyer is the caller");
const OWN_OR_STAFF: Owner =
    Owner::Account("the order's buyer is the caller, or the caller may read all orders");
const OWN_OR_STAFF_WRITES: Owner =
    Owner::Account("the order's buyer is the caller, or the caller may change orders for their buyers");
const ANY_ORDER: Owner = Owner::None("who has the permission works on the orders of all buyers");
const SHOP: Permission = Permission::Shop;

/// The routes.
pub fn routes(ordering: Ordering, limits: &Limits) -> Vec<Route> {
    let tools = &ordering.tools;
    let keys = tools.store.idempotency;
    let idempotent = Idempotent::new(tools.db.clone(), keys, tools.clock.clone(), limits);
    let api = Api { ordering, idempotent };
    let mut all = checkout(&api);
    all.extend(reads(&api));
    all.extend(changes(&api));
    all
}

const QUOTE_ERRORS: &[&str] = &[
    "accounts.address_not_found",
    "cart.not_found",
    "ordering.address_retired",
    "ordering.cart_empty",
    "ordering.currencies_differ",
    "ordering.limit_exceeded",
    "ordering.line_unavailable",
    "ordering.no_delivery",
    "ordering.shipping_method_unavailable",
    "ordering.total_limit",
    "shipping.destination_unserved",
    "shipping.too_heavy",
];

fn checkout(api: &Api) -> Vec<Route> {
    let own_cart = Access::Permission { permission: SHOP, owner: OWN_CART };
    vec![
        Route::post("/v1/checkouts/{cart}/quote", own_cart, quote::quote, api)
            .id("quoteCheckout")
            .summary("What the cart would cost, with every amount explained")
            .param::<CartId>("cart")
            .body::<quote::QuoteBody>()
            .response::<Quote>(200)
            .errors(QUOTE_ERRORS)
            .idempotency(Idempotency::Natural("it changes nothing")),
        Route::post("/v1/checkouts/{cart}/orders", own_cart, place::place, api)
            .id("placeOrder")
            .summary("Place an order on an accepted quote")
            .description(
                "Answers 201 once the order awaits payment, 409 when it cannot be arranged, and 202 with a Location \
                 when that is not known within a few seconds.",
            )
            .param::<CartId>("cart")
            .body::<place::PlaceBody>()
            .response::<OrderView>(201)
            .response::<OrderView>(202)
            .errors(QUOTE_ERRORS)
            .errors(&["ordering.quote_changed", "ordering.quote_accepted", "inventory.sold_out", "payment.closed"])
            .errors(&["ordering.number_taken"])
            .idempotency(Idempotency::Required),
    ]
}

const NAMED: &[&str] = &["ordering.order_not_found", "ordering.number_mistyped"];

fn reads(api: &Api) -> Vec<Route> {
    let own = Access::Permission { permission: SHOP, owner: OWN_ORDER };
    let any = Access::Permission { permission: Permission::OrdersRead, owner: ANY_ORDER };
    let own_or_staff = Access::LoggedIn { owner: OWN_OR_STAFF };
    vec![
        Route::get("/v1/orders", own, list::own, api)
            .id("listOrders")
            .summary("The caller's orders, searched and filtered")
            .description("Orders that could not be arranged are shown only when the status `rejected` is asked for.")
            .query::<list::OwnOrders>()
            .response::<Page<OrderView>>(200),
        Route::get("/v1/admin/orders", any, list::all, api)
            .id("searchOrders")
            .summary("The orders of all buyers, searched and filtered")
            .query::<list::AllOrders>()
            .response::<Page<OrderView>>(200),
        Route::get("/v1/orders/{order}", own_or_staff, read::one, api)
            .id("getOrder")
            .summary("One order, as it is or as it was at a moment")
            .param::<OrderRef>("order")
            .query::<read::AsOf>()
            .response::<OrderView>(200)
            .errors(NAMED),
        Route::get("/v1/orders/{order}/timeline", own_or_staff, read::timeline, api)
            .id("getOrderTimeline")
            .summary("What happened to an order, in every part of the shop, causes before effects")
            .description(
                "A part of the shop that does not answer within a second is named in an entry of the kind \
                 `unanswered`. Buyers are shown the order's events, what they did themselves, tracking and mails; staff \
                 everything.",
            )
            .param::<OrderRef>("order")
            .query::<read::AsOf>()
            .response::<Timeline>(200)
            .errors(NAMED),
    ]
}

fn changes(api: &Api) -> Vec<Route> {
    let own = Access::Permission { permission: SHOP, owner: OWN_ORDER };
    let own_or_staff = Access::LoggedIn { owner: OWN_OR_STAFF_WRITES };
    let settle = Access::Permission { permission: Permission::PaymentsWrite, owner: ANY_ORDER };
    vec![
        Route::post("/v1/orders/{order}/cancellation", own_or_staff, cancellation::cancel, api)
            .id("cancelOrder")
            .summary("End an order before anything of it is shipped; what was paid goes back")
            .description(
                "Answers 200 once the order is cancelled. While the payment provider cannot close the trade yet, or the \
                 warehouse has not answered, it answers 202; `cancellation` in the order says how it came out. Staff \
                 must give a reason.",
            )
            .param::<OrderRef>("order")
            .body::<cancellation::CancellationBody>()
            .response::<OrderView>(200)
            .response::<OrderView>(202)
            .errors(NAMED)
            .errors(&[
                "ordering.already_paid",
                "ordering.already_shipped",
                "ordering.still_placing",
                "ordering.order_ended",
                "ordering.payment_in_review",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/orders/{order}/receipt", own, receipt::confirm, api)
            .id("confirmReceipt")
            .summary("Say that the goods arrived; completes the order")
            .param::<OrderRef>("order")
            .response::<OrderView>(200)
            .errors(NAMED)
            .errors(&["ordering.not_shipped", "ordering.order_ended"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/orders/{order}/notes", own_or_staff, notes::write, api)
            .id("writeOrderNote")
            .summary("Write a note on an order: the buyer to the shop, the shop for itself or for the buyer")
            .param::<OrderRef>("order")
            .body::<notes::NoteBody>()
            .response::<NoteView>(201)
            .errors(NAMED)
            .errors(&["ordering.note_limit", "ordering.notes_closed"])
            .idempotency(Idempotency::Required),
        Route::post("/v1/orders/{order}/settlement", settle, settlement::settle, api)
            .id("settleOrder")
            .summary("Decide what becomes of money that does not match an order, or of an order that came back")
            .description(
                "`accept`: what was captured pays the order and what is above its total goes back. `refund`: all of it \
                 goes back and the order is cancelled. An order that was shipped as a whole and of which every parcel \
                 came back takes `refund` too; its goods are taken back into stock.",
            )
            .param::<OrderRef>("order")
            .body::<settlement::SettlementBody>()
            .response::<OrderView>(200)
            .errors(NAMED)
            .errors(&["ordering.not_quarantined", "ordering.goods_replaced", "ordering.captured_too_little"])
            .idempotency(Idempotency::Required),
    ]
}
