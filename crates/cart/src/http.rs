//! The public routes: a member's own cart.

use std::collections::BTreeMap;

use axum::extract::State as FromState;
use http::StatusCode;
use merx_contracts::{
    catalogue::v1::{QuoteRequest, QuotedLine},
    common::v1::SkuQuantity,
    ids::{CartId, ProductId, Sku},
    inventory::v1::AvailabilityRequest,
};
use merx_http::{Access, Caller, Json, Owner, Path, Problem, Route};
use merx_kernel::{Error, Money, Permission, Principal, Quantity, Result};
use merx_platform::rpc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{State, commands, store};

/// How many units a line shall have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLine {
    /// 1 to 9,999; to take a line out, DELETE it.
    pub quantity: Quantity,
}

/// A cart with present prices and stock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CartView {
    /// Its identity, for the checkout.
    pub id: CartId,
    /// Its lines in the order they were first added.
    pub lines: Vec<CartLineView>,
    /// The sum of the lines that can be bought; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtotal: Option<Money>,
}

/// One line of a cart.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CartLineView {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// Its product; absent when the shop no longer knows the SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The product's name and the chosen options.
    pub title: TitleView,
    /// Present price of one; absent when it is not sold any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
    /// Present price of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_total: Option<Money>,
    /// How many can be had now.
    pub available: i64,
    /// Whether the line could be ordered now.
    pub orderable: bool,
    /// Why not, as a code; absent when it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A name in the languages the product speaks.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct TitleView {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// The routes of cart.
pub fn routes(state: &State) -> Vec<Route> {
    let own = Access::Permission {
        permission: Permission::Shop,
        owner: Owner::Account("the cart's id is made of the caller's account; no other can be named"),
    };
    vec![
        Route::get("/v1/cart", own, get_cart, state)
            .id("getCart")
            .summary("My cart with present prices and stock")
            .response::<CartView>(200),
        Route::put("/v1/cart/lines/{sku}", own, put_line, state)
            .id("setCartLine")
            .summary("Put a quantity of a SKU into my cart, in place of what was there")
            .param::<Sku>("sku")
            .body::<SetLine>()
            .empty_response(204)
            .errors(&["cart.sku_not_sellable", "cart.line_limit"]),
        Route::delete("/v1/cart/lines/{sku}", own, delete_line, state)
            .id("removeCartLine")
            .summary("Take a line out of my cart")
            .param::<Sku>("sku")
            .empty_response(204),
        Route::delete("/v1/cart/lines", own, delete_lines, state)
            .id("clearCart")
            .summary("Take every line out of my cart")
            .empty_response(204),
    ]
}

/// A member's cart has the bits of the account.
fn cart_of(caller: &Principal) -> CartId {
    caller.account.cast()
}

async fn put_line(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
    Path(sku): Path<Sku>,
    Json(body): Json<SetLine>,
) -> Result<StatusCode, Problem> {
    commands::set_line(&state, cart_of(&caller), sku, body.quantity).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_line(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
    Path(sku): Path<Sku>,
) -> Result<StatusCode, Problem> {
    commands::remove_line(&state, cart_of(&caller), sku).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_lines(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
) -> Result<StatusCode, Problem> {
    commands::clear(&state, cart_of(&caller)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn get_cart(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
) -> Result<Json<CartView>, Problem> {
    let cart = cart_of(&caller);
    let lines = state.db.read("cart.get_cart", move |q| store::lines(q, cart)).await?;
    Ok(Json(view(&state, cart, lines).await?))
}

async fn view(state: &State, cart: CartId, lines: Vec<store::CartLine>) -> Result<CartView> {
    if lines.is_empty() {
        return Ok(CartView { id: cart, lines: Vec::new(), subtotal: None });
    }
    let asked = lines.iter().map(|line| SkuQuantity::new(&line.sku, line.quantity)).collect();
    let mut catalogue = state.catalogue.clone();
    let mut inventory = state.inventory.clone();
    let skus = lines.iter().map(|line| line.sku.to_string()).collect();
    let (quote, stock) = tokio::join!(
        catalogue.quote(QuoteRequest { lines: asked }),
        inventory.availability(AvailabilityRequest { skus })
    );
    let stock: BTreeMap<String, i64> =
        rpc::ask(stock)?.available.into_iter().map(|a| (a.sku, a.quantity)).collect();
    let quoted = rpc::ask(quote)?.lines;
    if quoted.len() != lines.len() {
        return Err(Error::internal("catalogue answered another number of lines than asked"));
    }
    let lines = lines
        .into_iter()
        .zip(quoted)
        .map(|(line, quoted)| {
            let available = stock.get(line.sku.as_str()).copied().unwrap_or(0);
            line_view(line.sku, line.quantity, quoted, available)
        })
        .collect::<Result<Vec<_>>>()?;
    let buyable: Vec<Money> = lines.iter().filter(|l| l.orderable).filter_map(|l| l.line_total).collect();
    let subtotal = match buyable.first() {
        Some(first) => Some(Money::sum(first.currency, buyable.iter().copied())?),
        None => None,
    };
    Ok(CartView { id: cart, lines, subtotal })
}

fn line_view(sku: Sku, quantity: Quantity, quoted: QuotedLine, available: i64) -> Result<CartLineView> {
    let unit_price = quoted.unit_price.filter(|_| quoted.sellable).map(Money::try_from).transpose()?;
    let reason = if !quoted.sellable {
        Some(quoted.reason)
    } else if available < quantity.get() {
        Some("inventory.sold_out".to_owned())
    } else {
        None
    };
    let text = |title: &str, options: &str| match (title.is_empty(), options.is_empty()) {
        (false, false) => format!("{title} ({options})"),
        _ => title.to_owned(),
    };
    let title = quoted.title.unwrap_or_default();
    let options = quoted.options.unwrap_or_default();
    Ok(CartLineView {
        sku,
        quantity,
        product_id: quoted.product_id.parse().ok(),
        title: TitleView { zh: text(&title.zh, &options.zh), en: text(&title.en, &options.en) },
        unit_price,
        line_total: unit_price.map(|p| p.times(quantity.get())).transpose()?,
        available,
        orderable: reason.is_none(),
        reason,
    })
}
