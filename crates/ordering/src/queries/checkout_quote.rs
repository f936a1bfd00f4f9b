//! What the cart would cost now: asks cart, accounts, catalogue and shipping, and writes nothing.

use merx_contracts::{
    accounts::v1 as accounts,
    cart::v1 as cart,
    catalogue::v1 as catalogue,
    common::v1 as wire,
    ids::{AccountId, AddressId, CartId, Sku},
    shipping::v1 as shipping,
};
use merx_kernel::{Error, Quantity, Result};
use merx_platform::rpc::ask;

use crate::{
    asks::Asks,
    domain::{
        LocalText,
        quote::{self, FreightRule, PricedLine, Quote},
    },
    store::limits::{BuyerLimit, exceeded},
};

/// A quote, and what an order on it would have to be counted against.
#[derive(Clone, Debug)]
pub struct Quoted {
    /// The quote.
    pub quote: Quote,
    /// What one buyer may have of its SKUs, where that is limited; by SKU, so that two orders count in the same order.
    pub limits: Vec<BuyerLimit>,
}

/// What is to be quoted.
#[derive(Clone, Debug)]
pub struct QuoteWanted {
    /// Who asks.
    pub account_id: AccountId,
    /// Whose lines.
    pub cart_id: CartId,
    /// Where it would go.
    pub address_id: AddressId,
    /// How; the cheapest way unless told.
    pub shipping_method: Option<String>,
}

/// Quotes.
///
/// # Errors
/// What the other contexts refuse (`NotFound` for a foreign cart or address), `ordering.cart_empty`,
/// `ordering.line_unavailable`, `ordering.limit_exceeded`, `ordering.address_retired`, and what [`quote::quote`] refuses.
pub async fn checkout_quote(asks: &Asks, wanted: &QuoteWanted) -> Result<Quoted> {
    let (address, contents) =
        futures_util::future::try_join(address(asks, wanted), contents(asks, wanted)).await?;
    if contents.lines.is_empty() {
        return Err(Error::rejected("ordering.cart_empty", "The cart is empty."));
    }
    let (lines, limits) = price(asks, contents.lines).await?;
    let basket = quote::Basket { filling: contents.filling, ..quote::basket(wanted.cart_id, lines)? };
    let rules = freight(asks, &address, &basket).await?;
    let quote = quote::quote(basket, wanted.address_id, rules, wanted.shipping_method.as_deref())?;
    Ok(Quoted { quote, limits })
}

/// Where it goes, as far as freight depends on it. The rest of the address is not even kept in memory.
struct Destination {
    country: String,
    region: String,
}

async fn address(asks: &Asks, wanted: &QuoteWanted) -> Result<Destination> {
    let request = accounts::AddressRequest {
        address_id: wanted.address_id.to_string(),
        account_id: wanted.account_id.to_string(),
    };
    let reply = ask(asks.accounts().address(request).await)?;
    if reply.retired || reply.erased {
        let text = "This address was replaced or deleted; choose another.";
        return Err(Error::rejected("ordering.address_retired", text));
    }
    Ok(Destination { country: reply.country, region: reply.region })
}

async fn contents(asks: &Asks, wanted: &QuoteWanted) -> Result<cart::ContentsReply> {
    let request = cart::ContentsRequest {
        cart_id: wanted.cart_id.to_string(),
        account_id: wanted.account_id.to_string(),
    };
    ask(asks.carts().contents(request).await)
}

async fn price(asks: &Asks, lines: Vec<wire::SkuQuantity>) -> Result<(Vec<PricedLine>, Vec<BuyerLimit>)> {
    let wanted = lines.len();
    let reply = ask(asks.catalogue().quote(catalogue::QuoteRequest { lines }).await)?;
    if reply.lines.len() != wanted {
        let got = reply.lines.len();
        return Err(Error::internal(format!("catalogue was asked for {wanted} lines and answered {got}")));
    }
    let unavailable: Vec<&catalogue::QuotedLine> = reply.lines.iter().filter(|line| !line.sellable).collect();
    if !unavailable.is_empty() {
        let text = "The cart holds lines that cannot be bought any more; take them out and try again.";
        let refusal = Error::rejected("ordering.line_unavailable", text);
        return Err(unavailable.into_iter().fold(refusal, |error, line| {
            error.with_field(format!("/lines/{}", line.sku), line.reason.as_str())
        }));
    }
    let mut limits = Vec::new();
    let lines = reply.lines.into_iter().map(|line| {
        let (per_order, per_buyer) = (line.limit_per_order, line.limit_per_buyer);
        let line = priced(line)?;
        // Whoever may have so many ever may not have more at once either.
        for limit in [per_order, per_buyer].into_iter().filter(|limit| *limit > 0) {
            if line.quantity.get() > limit {
                return Err(exceeded(&line.sku, limit));
            }
        }
        if per_buyer > 0 {
            limits.push(BuyerLimit { sku: line.sku.clone(), quantity: line.quantity, limit: per_buyer });
        }
        Ok(line)
    });
    let lines = lines.collect::<Result<Vec<_>>>()?;
    limits.sort_by(|a, b| a.sku.cmp(&b.sku));
    Ok((lines, limits))
}

fn priced(line: catalogue::QuotedLine) -> Result<PricedLine> {
    let inconsistent =
        |what: &str| Error::internal(format!("catalogue quoted `{}` without {what}", line.sku));
    Ok(PricedLine {
        sku: Sku::new(&line.sku).map_err(|_| inconsistent("a SKU"))?,
        quantity: Quantity::new(line.quantity).map_err(|_| inconsistent("a quantity"))?,
        product_id: line.product_id.parse().map_err(|_| inconsistent("a product"))?,
        title: text(line.title.clone()),
        options: text(line.options.clone()),
        unit_price: line.unit_price.clone().ok_or_else(|| inconsistent("a price"))?.try_into()?,
        weight_grams: line.weight_grams,
    })
}

async fn freight(asks: &Asks, to: &Destination, basket: &quote::Basket) -> Result<Vec<FreightRule>> {
    let request = shipping::QuoteRequest {
        country: to.country.clone(),
        region: to.region.clone(),
        weight_grams: basket.weight_grams,
        subtotal: Some(basket.subtotal.into()),
    };
    let reply = ask(asks.shipping().quote(request).await)?;
    reply
        .options
        .into_iter()
        .map(|option| {
            let fee = option.fee.ok_or_else(|| Error::internal("shipping quoted a method without a fee"))?;
            Ok(FreightRule {
                method: option.method,
                label: text(option.label),
                fee: fee.try_into()?,
                explanation: text(option.explanation),
            })
        })
        .collect()
}

fn text(text: Option<wire::LocalText>) -> LocalText {
    text.map_or_else(
        || LocalText { zh: String::new(), en: String::new() },
        |t| LocalText { zh: t.zh, en: t.en },
    )
}
