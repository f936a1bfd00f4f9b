//! The public routes: one's own cart, of a guest as of a member.

use std::collections::BTreeMap;

use axum::extract::State as FromState;
use http::StatusCode;
use merx_contracts::{
    catalogue::v1::{QuoteRequest, QuotedLine},
    common::v1::SkuQuantity,
    ids::{CartId, MessageId, ProductId, Sku},
    inventory::v1::AvailabilityRequest,
};
use merx_http::{Access, Caller, Json, Owner, Path, Problem, Route};
use merx_kernel::{Error, Money, Permission, Principal, Quantity, Result, Role, Timestamp};
use merx_platform::rpc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State, commands,
    domain::{Limit, LineChange, LineHad, Outcome, Present, changes, shown_available},
    store,
};

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
    /// What became of the carts of guests that were merged into this one; shown until acknowledged
    /// (`DELETE /v1/cart/notices`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeView>,
}

/// What became of a guest's cart when the guest logged in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NoticeView {
    /// When the carts were merged.
    pub at: Timestamp,
    /// What became of each line of the guest.
    pub lines: Vec<MergedLineView>,
}

/// What became of a line of a guest's cart.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MergedLineView {
    /// What.
    pub sku: Sku,
    /// Whether all of it came over, as much as one may buy, or nothing because the cart was full.
    pub outcome: Outcome,
    /// How many the guest had.
    pub quantity: i64,
    /// How many came over.
    pub added: i64,
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
    /// Price of one when the buyer last put the line in; absent for lines older than this memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_when_added: Option<Money>,
    /// Present price of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_total: Option<Money>,
    /// How many can be had now; only when that is few, or fewer than the line has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
    /// How many one may buy; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What became of it since it was put in. The line itself is not altered.
    pub changes: Vec<LineChange>,
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
            .summary("My cart with present prices and stock, and what changed since it was filled")
            .description(
                "Nothing is altered silently: a line keeps its quantity, and `changes` says what became of its price, \
                 stock and limits. `notices` tells what became of a guest's cart at log-in.",
            )
            .response::<CartView>(200),
        Route::delete("/v1/cart", own, delete_lines, state)
            .id("emptyCart")
            .summary("Empty my cart")
            .empty_response(204),
        Route::delete("/v1/cart/notices", own, delete_notices, state)
            .id("acknowledgeCartNotices")
            .summary("I have read the notices of my cart")
            .empty_response(204),
        Route::put("/v1/cart/lines/{sku}", own, put_line, state)
            .id("setCartLine")
            .summary("Put a quantity of a SKU into my cart, in place of what was there")
            .param::<Sku>("sku")
            .body::<SetLine>()
            .empty_response(204)
            .errors(&["cart.sku_not_sellable", "cart.limit_exceeded", "cart.line_limit"]),
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

/// A cart has the bits of its account, a guest's as a member's.
fn cart_of(caller: &Principal) -> CartId {
    caller.account.cast()
}

async fn put_line(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
    Path(sku): Path<Sku>,
    Json(body): Json<SetLine>,
) -> Result<StatusCode, Problem> {
    let guest = caller.roles.iter().any(|role| *role == Role::Guest);
    commands::set_line(&state, cart_of(&caller), sku, body.quantity, guest).await?;
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

async fn delete_notices(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
) -> Result<StatusCode, Problem> {
    commands::acknowledge(&state, cart_of(&caller)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn get_cart(
    FromState(state): FromState<State>,
    Caller(caller): Caller,
) -> Result<Json<CartView>, Problem> {
    let cart = cart_of(&caller);
    let read = move |q: &mut merx_sql::Reader<'_>| Ok((store::lines(q, cart)?, store::notices(q, cart)?));
    let (lines, notices) = state.db.read("cart.get_cart", read).await?;
    let lines = lines.into_iter().map(|line| line.line).collect();
    let mut view = view(&state, cart, lines).await?;
    view.notices = notice_views(notices);
    Ok(Json(view))
}

fn notice_views(notices: Vec<store::Notice>) -> Vec<NoticeView> {
    let mut views: Vec<(MessageId, NoticeView)> = Vec::new();
    for notice in notices {
        let line = MergedLineView {
            sku: notice.sku,
            outcome: notice.outcome,
            quantity: notice.quantity,
            added: notice.added,
        };
        match views.last_mut() {
            Some((message, view)) if *message == notice.message => view.lines.push(line),
            _ => views.push((notice.message, NoticeView { at: notice.at, lines: vec![line] })),
        }
    }
    views.into_iter().map(|(_, view)| view).collect()
}

async fn view(state: &State, cart: CartId, lines: Vec<LineHad>) -> Result<CartView> {
    if lines.is_empty() {
        return Ok(CartView { id: cart, lines: Vec::new(), subtotal: None, notices: Vec::new() });
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
            line_view(line, quoted, available)
        })
        .collect::<Result<Vec<_>>>()?;
    let buyable: Vec<Money> = lines.iter().filter(|l| l.orderable).filter_map(|l| l.line_total).collect();
    let subtotal = match buyable.first() {
        Some(first) => Some(Money::sum(first.currency, buyable.iter().copied())?),
        None => None,
    };
    Ok(CartView { id: cart, lines, subtotal, notices: Vec::new() })
}

fn line_view(line: LineHad, quoted: QuotedLine, available: i64) -> Result<CartLineView> {
    let LineHad { sku, quantity, price_when_added, .. } = line;
    let limit = Limit::of(&quoted);
    let unit_price = quoted.unit_price.filter(|_| quoted.sellable).map(Money::try_from).transpose()?;
    let reason = if !quoted.sellable {
        Some(quoted.reason)
    } else if let Err(refusal) = limit.check(&sku, quantity) {
        Some(refusal.code().to_owned())
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
        changes: changes(quantity, price_when_added, &Present { unit_price, available, limit }),
        sku,
        quantity,
        product_id: quoted.product_id.parse().ok(),
        title: TitleView { zh: text(&title.zh, &options.zh), en: text(&title.en, &options.en) },
        unit_price,
        price_when_added,
        line_total: unit_price.map(|p| p.times(quantity.get())).transpose()?,
        available: shown_available(quantity, available),
        limit: limit.most(),
        orderable: reason.is_none(),
        reason,
    })
}
