//! `merx demo purchase`: one whole purchase through the public API alone, told step by step.

use std::{process::ExitCode, sync::Arc, time::Duration};

use merx_kernel::{Clock, Error, IdGen, Result, Role};
use merx_platform::time::{OsEntropy, SystemClock};
use serde_json::{Value, json};

use crate::{
    cli::{DemoPurchase, Place},
    client::{ApiClient, text},
    demo::Demo,
    instance,
    run::say,
};

/// What the walk buys.
const SKU: &str = "TEA-LJ-100";
/// How long the walk waits for the shop to take notice of something.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Buys, pays, ships, receives, audits. Succeeds only when the order is completed and the books agree.
pub async fn run(args: DemoPurchase) -> Result<ExitCode> {
    let demo = instance::demo_of(&args.data)?;
    let url = args.url.unwrap_or_else(|| demo.place.api_url.clone());
    let ids = IdGen::new(Arc::new(SystemClock), Arc::new(OsEntropy));
    let visitor = ApiClient::new(&url, ids)?;
    say(&format!("Buying at {url}\n"));
    let order = buy(&visitor, &demo).await?;
    let buyer = pay(&visitor, &demo, &order).await?;
    ship(&visitor, &demo, &order, &buyer).await?;
    receive(&order, &buyer).await?;
    let report = super::audit::of(&Place { dir: args.data, config: None }, false).await?;
    if !report.is_clean() {
        say(&report.to_text());
        return Err(Error::unavailable("demo.audit", "The order is completed, but the books do not agree."));
    }
    say("12. The audit is clean: money, stock, messages and events agree.\n\nDone.\n");
    Ok(ExitCode::SUCCESS)
}

fn money(value: &Value, pointer: &str) -> String {
    let minor = value.pointer(&format!("{pointer}/minor")).and_then(Value::as_i64);
    let currency = text(value, &format!("{pointer}/currency")).parse();
    match (minor, currency) {
        (Some(minor), Ok(currency)) => merx_kernel::Money::new(minor, currency).to_string(),
        _ => "?".to_owned(),
    }
}

async fn log_in(visitor: &ApiClient, demo: &Demo, role: Role) -> Result<ApiClient> {
    let account = demo.account(role)?;
    visitor.log_in(&account.email, &account.password).await
}

/// Steps 1 to 6: up to an order that awaits payment.
async fn buy(visitor: &ApiClient, demo: &Demo) -> Result<Value> {
    let products = visitor.get("/v1/products").await?.ok()?;
    let count = products.pointer("/items").and_then(Value::as_array).map_or(0, Vec::len);
    say(&format!(" 1. {count} products are on sale.\n"));
    let buyer = log_in(visitor, demo, Role::Customer).await?;
    say(&format!(" 2. Logged in as {}.\n", demo.account(Role::Customer)?.email));
    buyer.put(&format!("/v1/cart/lines/{SKU}"), &json!({"quantity": 2})).await?.ok()?;
    let cart = buyer.get("/v1/cart").await?.ok()?;
    say(&format!(" 3. Two of {SKU} lie in the cart, {}.\n", money(&cart, "/subtotal")));
    let address_id = address_of(&buyer).await?;
    say(&format!(" 4. An address in Hangzhou is kept as {address_id}.\n"));
    let checkout = format!("/v1/checkouts/{}", text(&cart, "/id"));
    let quote = buyer.post(&format!("{checkout}/quote"), &json!({"address_id": address_id})).await?.ok()?;
    say(" 5. The quote explains itself:\n");
    for part in quote.pointer("/explanation").and_then(Value::as_array).into_iter().flatten() {
        say(&format!("      {:>12}  {}\n", money(part, "/amount"), text(part, "/text/en")));
    }
    let order = buyer
        .post(
            &format!("{checkout}/orders"),
            &json!({
                "address_id": address_id,
                "shipping_method": text(&quote, "/shipping_method"),
                "quote_id": text(&quote, "/quote_id"),
            }),
        )
        .await?
        .ok()?;
    let order = until(&buyer, &text(&order, "/id"), "awaiting_payment").await?;
    say(&format!(
        " 6. {} is placed and its stock set aside; {} are due.\n",
        text(&order, "/id"),
        money(&order, "/amounts/total")
    ));
    Ok(order)
}

/// The buyer's address: the one of an earlier walk, or a new one.
async fn address_of(buyer: &ApiClient) -> Result<String> {
    let kept = buyer.get("/v1/addresses").await?.ok()?;
    let first = text(&kept, "/items/0/id");
    if !first.is_empty() {
        return Ok(first);
    }
    let address = json!({
        "country": "CN", "region": "浙江省", "city": "杭州市", "line1": "西湖区龙井路 1 号",
        "postcode": "310013", "recipient": "王小明", "phone": "13800138000"
    });
    Ok(text(&buyer.post("/v1/addresses", &address).await?.ok()?, "/id"))
}

/// Steps 7 and 8: at the cashier of the sandbox.
async fn pay(visitor: &ApiClient, demo: &Demo, order: &Value) -> Result<ApiClient> {
    let buyer = log_in(visitor, demo, Role::Customer).await?;
    let path = format!("/v1/payments/{}/attempts", text(order, "/payment_id"));
    let attempt = buyer.post(&path, &json!({"method": "alipay_page"})).await?.ok()?;
    say(" 7. A signed link leads to the Alipay cashier.\n");
    buyer.pay(&text(&attempt, "/pay_url")).await?;
    until(&buyer, &text(order, "/id"), "paid").await?;
    say(" 8. Paid there; the signed notification made the order paid here.\n");
    Ok(buyer)
}

/// Steps 9 and 10: in the warehouse.
async fn ship(visitor: &ApiClient, demo: &Demo, order: &Value, buyer: &ApiClient) -> Result<()> {
    let staff = log_in(visitor, demo, Role::Warehouse).await?;
    let order_id = text(order, "/id");
    let shipment = wait(|| async {
        let seen = buyer.get(&format!("/v1/orders/{order_id}")).await?.ok()?;
        Ok(Some(text(&seen, "/shipment/shipment_id")).filter(|shipment| !shipment.is_empty()))
    })
    .await?;
    let seen = staff.get(&format!("/v1/shipments/{shipment}")).await?.ok()?;
    say(&format!(" 9. The warehouse sees {shipment}, {}.\n", text(&seen, "/status")));
    let dispatch = json!({"carrier": "SF Express", "tracking_number": "SF1234567890"});
    staff.post(&format!("/v1/shipments/{shipment}/dispatch"), &dispatch).await?.ok()?;
    until(buyer, &order_id, "shipped").await?;
    say("10. It is with the carrier, and the buyer sees the tracking number.\n");
    Ok(())
}

/// Step 11.
async fn receive(order: &Value, buyer: &ApiClient) -> Result<()> {
    let order_id = text(order, "/id");
    buyer.post(&format!("/v1/orders/{order_id}/receipt"), &json!({})).await?.ok()?;
    until(buyer, &order_id, "completed").await?;
    say("11. The buyer confirmed the receipt: the order is completed.\n");
    Ok(())
}

/// The order, once it has the status.
async fn until(buyer: &ApiClient, order: &str, status: &str) -> Result<Value> {
    let path = format!("/v1/orders/{order}");
    wait(|| async {
        let seen = buyer.get(&path).await?.ok()?;
        Ok((text(&seen, "/status") == status).then_some(seen))
    })
    .await
}

async fn wait<T, F: Future<Output = Result<Option<T>>>>(look: impl Fn() -> F) -> Result<T> {
    let clock = SystemClock;
    let began = clock.now();
    while clock.now().since(began) < PATIENCE {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        clock.sleep(LOOK_EVERY).await;
    }
    Err(Error::unavailable(
        "demo.waited",
        format!("The shop did not get on within {} s.", PATIENCE.as_secs()),
    ))
}
