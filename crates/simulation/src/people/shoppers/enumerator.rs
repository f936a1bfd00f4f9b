//! Looks for what is others': by ids seen elsewhere, by ids of one's own making, by numbers. There is nothing.

use serde_json::json;

use crate::people::{
    Ask, Shopper, Town,
    town::{Bought, PLENTY},
};

const NO_ORDER: &[&str] = &["ordering.order_not_found", "ordering.number_mistyped"];
const NO_PAYMENT: &[&str] = &["payment.not_found"];
const FORBIDDEN: &[&str] = &["request.forbidden"];

/// What only staff may see.
const STAFF: &[&str] = &[
    "/v1/admin/orders",
    "/v1/admin/accounts",
    "/v1/admin/payments",
    "/v1/admin/audit",
    "/v1/admin/mails",
    "/v1/admin/webhooks",
    "/v1/admin/products",
    "/v1/inventory",
    "/v1/shipments",
    "/v1/staff",
    "/v1/roles",
    "/v1/transfers",
    "/v1/stock-counts",
    "/v1/warehouses",
];

pub async fn visit<'a>(town: &'a Town<'a>, name: &str) -> Option<()> {
    let snoop = Shopper::member(town, name).await?;
    let dice = &snoop.client.dice;
    let victim = Shopper::member(town, &format!("{name}'s victim")).await?;
    let own = victim.buy(&[(PLENTY, 1)]).await;
    let others: Vec<Bought> = town.bought().into_iter().chain(own).collect();
    for _ in 0..dice.units(6) {
        let Some(bought) = dice.pick(&others) else { break };
        theirs(&snoop, bought).await?;
    }
    foreign_cart(&snoop, &victim).await?;
    for _ in 0..dice.units(4) {
        guessed(&snoop).await?;
        let staff = dice.pick(STAFF)?;
        snoop.client.ask(Ask::get(*staff).only(FORBIDDEN)).await?;
    }
    let nobody = snoop.client.elsewhere(crate::people::Who::Nobody, "logged out");
    nobody.ask(Ask::get("/v1/orders").only(&["request.unauthenticated"])).await.map(drop)
}

/// Everything that can be asked of another's order.
async fn theirs(snoop: &Shopper<'_>, bought: &Bought) -> Option<()> {
    let order = format!("/v1/orders/{}", bought.id);
    let payment = format!("/v1/payments/{}", bought.payment_id);
    let asks = [
        Ask::get(order.clone()).only(NO_ORDER),
        Ask::get(format!("{order}/timeline")).only(NO_ORDER),
        Ask::get(format!("{order}/shipments")).only(&["shipping.order_not_found"]),
        Ask::post(format!("{order}/cancellation"), json!({})).only(NO_ORDER),
        Ask::post(format!("{order}/receipt"), json!({})).only(NO_ORDER),
        Ask::post(format!("{order}/notes"), json!({"text": "mine now"})).only(NO_ORDER),
        Ask::get(payment.clone()).only(NO_PAYMENT),
        Ask::post(format!("{payment}/attempts"), json!({"method": "alipay_page"})).only(NO_PAYMENT),
        Ask::post(format!("{order}/settlement"), json!({"decision": "refund", "reason": "mine"}))
            .only(FORBIDDEN),
    ];
    let which = usize::try_from(snoop.client.dice.below(9)).ok()?;
    if bought.payment_id.is_empty() && [6, 7].contains(&which) {
        // It came to nothing before there was a payment.
        return Some(());
    }
    snoop.client.ask(asks.into_iter().nth(which)?).await.map(drop)
}

/// Another's cart and another's address.
async fn foreign_cart(snoop: &Shopper<'_>, victim: &Shopper<'_>) -> Option<()> {
    let path = format!("{}/quote", victim.checkout());
    let body = json!({"address_id": snoop.somewhere()});
    snoop.client.ask(Ask::post(path, body).only(&["cart.not_found"])).await?;
    snoop.fill(PLENTY, 1).await?;
    let body = json!({"address_id": victim.somewhere()});
    let path = format!("{}/quote", snoop.checkout());
    let only = &["accounts.address_not_found", "ordering.cart_empty", "ordering.line_unavailable"];
    snoop.client.ask(Ask::post(path, body).only(only)).await?;
    let address = format!("/v1/addresses/{}", victim.somewhere());
    snoop.client.ask(Ask::get(address.clone()).only(&["accounts.address_not_found"])).await?;
    snoop.client.ask(Ask::delete(address).only(&["accounts.address_not_found"])).await?;
    snoop.empty().await
}

/// Ids and numbers of one's own making.
async fn guessed(snoop: &Shopper<'_>) -> Option<()> {
    const LETTERS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let dice = &snoop.client.dice;
    let some =
        |count: usize| -> String { (0..count).map(|_| *dice.pick(LETTERS).unwrap() as char).collect() };
    let id = format!("0{}", some(25));
    let number = format!("261120-{}-{}", some(4), some(4)).to_uppercase();
    let ask = match dice.below(5) {
        0 => Ask::get(format!("/v1/orders/ord_{id}")).only(NO_ORDER),
        1 => Ask::get(format!("/v1/orders/{number}")).only(NO_ORDER).also(&["request.invalid"]),
        2 => Ask::get(format!("/v1/payments/pay_{id}")).only(NO_PAYMENT),
        3 => Ask::get(format!("/v1/products/prd_{id}")).only(&["catalogue.product_not_found"]),
        _ => Ask::get(format!("/v1/orders/{}", some(12))).only(&["request.invalid"]).also(NO_ORDER),
    };
    snoop.client.ask(ask).await.map(drop)
}
