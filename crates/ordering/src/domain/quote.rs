//! What an order would cost, and why. Made again from fresh facts when the order is placed: a buyer can only
//! accept what is still true.

use merx_contracts::ids::{AddressId, CartId, ProductId, Sku};
use merx_kernel::{Currency, Error, Money, Quantity, Result};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    event::{LocalText, OrderLine},
    identity::fingerprint_hex,
};

/// One line as catalogue answers it.
#[derive(Clone, Debug)]
pub struct PricedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// The product's title.
    pub title: LocalText,
    /// The chosen options in words.
    pub options: LocalText,
    /// The price of one.
    pub unit_price: Money,
    /// What one weighs.
    pub weight_grams: i64,
}

/// One way to send the goods, as shipping answers it.
#[derive(Clone, Debug)]
pub struct FreightRule {
    /// `standard`, `express`.
    pub method: String,
    /// The method's name.
    pub label: LocalText,
    /// What it costs.
    pub fee: Money,
    /// The rule that gave the fee.
    pub explanation: LocalText,
}

/// One way to send the goods, with what the order would cost then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FreightOption {
    /// What to give as `shipping_method`.
    pub method: String,
    /// The method's name.
    pub label: LocalText,
    /// What it costs.
    pub fee: Money,
    /// The rule that gave the fee.
    pub explanation: LocalText,
    /// Subtotal plus fee.
    pub total: Money,
}

/// What a sentence explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// One line.
    Line,
    /// The sum of the lines.
    Subtotal,
    /// Sending.
    Freight,
    /// What is to be paid.
    Total,
}

/// One sentence of the explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// What it explains.
    pub about: About,
    /// The sentence.
    pub text: LocalText,
    /// The amount it explains.
    pub amount: Money,
}

/// What an order would cost, with the reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Quote {
    /// Give this when placing the order; it stands for everything here but the chosen method.
    pub quote_id: String,
    /// The cart.
    pub cart_id: CartId,
    /// Where it goes.
    pub address_id: AddressId,
    /// What, with prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub subtotal: Money,
    /// The ways to send it, cheapest first.
    pub freight_options: Vec<FreightOption>,
    /// The method the total is for.
    pub shipping_method: String,
    /// That method's fee.
    pub freight: Money,
    /// Subtotal plus freight.
    pub total: Money,
    /// How it comes to that.
    pub explanation: Vec<Explanation>,
}

/// The lines with their sum and weight, before freight is known.
#[derive(Clone, Debug)]
pub struct Basket {
    /// Where they lie.
    pub cart_id: CartId,
    /// Since which putting-in: another one when they were ordered and put in again.
    pub filling: String,
    /// What, with prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub subtotal: Money,
    /// What they weigh together.
    pub weight_grams: i64,
}

/// The most one order may cost, in minor units: what an order line of a tax invoice still prints.
pub const TOTAL_MINOR_MAX: i64 = 100_000_000_000;

/// Adds the lines up.
///
/// # Errors
/// `ordering.cart_empty`, `ordering.currencies_differ`, `ordering.total_limit`.
pub fn basket(cart_id: CartId, priced: Vec<PricedLine>) -> Result<Basket> {
    let currency: Currency = priced
        .first()
        .map(|line| line.unit_price.currency)
        .ok_or_else(|| Error::rejected("ordering.cart_empty", "The cart is empty."))?;
    if priced.iter().any(|line| line.unit_price.currency != currency) {
        let text = "The cart holds goods priced in several currencies; order them one currency at a time.";
        return Err(Error::rejected("ordering.currencies_differ", text));
    }
    let mut subtotal = Money::zero(currency);
    let mut weight_grams = 0i64;
    let mut lines = Vec::with_capacity(priced.len());
    for line in priced {
        let amount = line.unit_price.times(line.quantity.get()).map_err(|_| over_limit(currency))?;
        subtotal = subtotal.plus(amount).map_err(|_| over_limit(currency))?;
        weight_grams = weight_grams.saturating_add(line.weight_grams.saturating_mul(line.quantity.get()));
        lines.push(OrderLine {
            sku: line.sku,
            product_id: line.product_id,
            title: line.title,
            options: line.options,
            unit_price: line.unit_price,
            quantity: line.quantity,
            amount,
        });
    }
    if subtotal.minor > TOTAL_MINOR_MAX {
        return Err(over_limit(currency));
    }
    Ok(Basket { cart_id, filling: String::new(), lines, subtotal, weight_grams })
}

fn over_limit(currency: Currency) -> Error {
    let limit = Money::new(TOTAL_MINOR_MAX, currency);
    Error::rejected("ordering.total_limit", format!("One order may cost at most {limit}."))
}

/// The quote of a basket: `wanted` is the method the buyer chose, the cheapest unless told.
///
/// # Errors
/// `ordering.no_delivery` when nothing goes there, `ordering.shipping_method_unavailable` when the wanted
/// method does not.
pub fn quote(
    basket: Basket,
    address_id: AddressId,
    rules: Vec<FreightRule>,
    wanted: Option<&str>,
) -> Result<Quote> {
    let subtotal = basket.subtotal;
    let mut options = rules
        .into_iter()
        .map(|rule| {
            let total = subtotal.plus(rule.fee)?;
            let FreightRule { method, label, fee, explanation } = rule;
            Ok(FreightOption { method, label, fee, explanation, total })
        })
        .collect::<Result<Vec<_>>>()?;
    options.sort_by_key(|option| option.fee.minor);
    let cheapest = options.first().ok_or_else(|| {
        Error::rejected("ordering.no_delivery", "We do not deliver to this address. Choose another address.")
    })?;
    let chosen = match wanted {
        None => cheapest,
        Some(method) => options.iter().find(|option| option.method == method).ok_or_else(|| {
            let offered: Vec<&str> = options.iter().map(|option| option.method.as_str()).collect();
            let text = format!("`{method}` is not offered to this address; choose {}.", offered.join(" or "));
            Error::rejected("ordering.shipping_method_unavailable", text)
        })?,
    };
    let explanation = explain(&basket.lines, subtotal, chosen);
    Ok(Quote {
        quote_id: quote_id(&basket, address_id, &options),
        cart_id: basket.cart_id,
        address_id,
        subtotal,
        shipping_method: chosen.method.clone(),
        freight: chosen.fee,
        total: chosen.total,
        explanation,
        lines: basket.lines,
        freight_options: options,
    })
}

/// Stands for everything that decides what the buyer pays and gets. The chosen method is given beside it when
/// the order is placed, so one quote serves whichever option the buyer takes.
fn quote_id(basket: &Basket, address_id: AddressId, options: &[FreightOption]) -> String {
    let money = |money: Money| format!("{} {}", money.minor, money.currency.code());
    let mut parts: Vec<String> =
        vec!["merx quote 2".to_owned(), basket.filling.clone(), address_id.to_string()];
    for line in &basket.lines {
        parts.push(format!("{} {} {}", line.sku, line.quantity.get(), money(line.unit_price)));
    }
    parts.push("freight".to_owned());
    parts.extend(options.iter().map(|option| format!("{} {}", option.method, money(option.fee))));
    let bytes: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    fingerprint_hex(&bytes)
}

fn explain(lines: &[OrderLine], subtotal: Money, chosen: &FreightOption) -> Vec<Explanation> {
    let mut out: Vec<Explanation> = lines
        .iter()
        .map(|line| {
            let named = |title: &str, options: &str| match options {
                "" => title.to_owned(),
                options => format!("{title} ({options})"),
            };
            let sum = format!("{} × {}", line.unit_price, line.quantity.get());
            Explanation {
                about: About::Line,
                text: LocalText {
                    zh: format!("{}：{sum} = {}", named(&line.title.zh, &line.options.zh), line.amount),
                    en: format!("{}: {sum} = {}", named(&line.title.en, &line.options.en), line.amount),
                },
                amount: line.amount,
            }
        })
        .collect();
    out.push(Explanation {
        about: About::Subtotal,
        text: LocalText {
            zh: format!("商品合计：{} 项，{subtotal}", lines.len()),
            en: format!("Goods: {} line(s), {subtotal}", lines.len()),
        },
        amount: subtotal,
    });
    out.push(Explanation {
        about: About::Freight,
        text: LocalText {
            zh: format!("运费（{}）：{}", chosen.label.zh, chosen.explanation.zh),
            en: format!("Shipping ({}): {}", chosen.label.en, chosen.explanation.en),
        },
        amount: chosen.fee,
    });
    let fee = chosen.fee;
    let total = chosen.total;
    out.push(Explanation {
        about: About::Total,
        text: LocalText {
            zh: format!("应付总额：{subtotal} + {fee} = {total}"),
            en: format!("To pay: {subtotal} + {fee} = {total}"),
        },
        amount: total,
    });
    out
}
