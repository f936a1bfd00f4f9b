//! The public routes of ordering.

mod cancellation;
mod place;
mod quote;
mod read;
mod receipt;
mod repeat;

use merx_contracts::ids::{CartId, OrderId};
use merx_http::{Access, Idempotency, Idempotent, Limits, Owner, Route};
use merx_kernel::{Page, PageRequest, Permission};

use crate::{context::Ordering, domain::quote::Quote, queries::timeline::Timeline, view::OrderView};

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
const SHOP: Permission = Permission::Shop;

/// The routes.
pub fn routes(ordering: Ordering, limits: &Limits) -> Vec<Route> {
    let tools = &ordering.tools;
    let keys = tools.store.idempotency;
    let idempotent = Idempotent::new(tools.db.clone(), keys, tools.clock.clone(), limits);
    let api = Api { ordering, idempotent };
    let mut all = checkout(&api);
    all.extend(orders(&api));
    all
}

const QUOTE_ERRORS: &[&str] = &[
    "accounts.address_not_found",
    "cart.not_found",
    "ordering.address_retired",
    "ordering.cart_empty",
    "ordering.currencies_differ",
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
            .idempotency(Idempotency::Required),
    ]
}

fn orders(api: &Api) -> Vec<Route> {
    let own = Access::Permission { permission: SHOP, owner: OWN_ORDER };
    let own_or_staff = Access::LoggedIn { owner: OWN_OR_STAFF };
    vec![
        Route::get("/v1/orders", own, read::list, api)
            .id("listOrders")
            .summary("The caller's orders, newest first; those that could not be arranged are not shown")
            .query::<PageRequest>()
            .response::<Page<OrderView>>(200),
        Route::get("/v1/orders/{order}", own_or_staff, read::one, api)
            .id("getOrder")
            .summary("One order")
            .param::<OrderId>("order")
            .response::<OrderView>(200)
            .errors(&["ordering.order_not_found"]),
        Route::get("/v1/orders/{order}/timeline", own_or_staff, read::timeline, api)
            .id("getOrderTimeline")
            .summary("What happened to an order, oldest first")
            .param::<OrderId>("order")
            .response::<Timeline>(200)
            .errors(&["ordering.order_not_found"]),
        Route::post("/v1/orders/{order}/cancellation", own, cancellation::cancel, api)
            .id("cancelOrder")
            .summary("End an unpaid order")
            .description(
                "Answers 200 once the order is cancelled. While the payment provider cannot close the trade yet it \
                 answers 202; `cancellation.decided_by` says until when that is known.",
            )
            .param::<OrderId>("order")
            .response::<OrderView>(200)
            .response::<OrderView>(202)
            .errors(&[
                "ordering.order_not_found",
                "ordering.already_paid",
                "ordering.still_placing",
                "ordering.order_ended",
                "ordering.payment_in_review",
            ])
            .idempotency(Idempotency::Required),
        Route::post("/v1/orders/{order}/receipt", own, receipt::confirm, api)
            .id("confirmReceipt")
            .summary("Say that the goods arrived; completes the order")
            .param::<OrderId>("order")
            .response::<OrderView>(200)
            .errors(&["ordering.order_not_found", "ordering.not_shipped", "ordering.order_ended"])
            .idempotency(Idempotency::Required),
    ]
}
