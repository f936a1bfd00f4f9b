//! Filling a cart, and what an order takes out of it.

use libtest_mimic::Trial;
use merx_cart::Settings;
use merx_contracts::{
    Envelope, Fact,
    cart::v1::{ContentsRequest, carts_client::CartsClient},
    events::{
        LocalText,
        ordering::{AgreedLine, Line, OrderAwaitingPayment, OrderAwaitingPaymentV2},
    },
    ids::{AccountId, CartId, Sku},
};
use merx_http::ContextModule;
use merx_kernel::{Currency, Id, Money, Quantity, Role, Timestamp};
use merx_platform::{
    Deps, Module, Store,
    rpc::{self, Peer},
};
use merx_testkit::{TestApi, TestPlatform};
use serde_json::json;

use crate::{bench::on_platform, neighbours::Neighbours};

pub fn trials() -> Vec<Trial> {
    vec![
        on_platform(
            "filling::a_cart_shows_present_prices_and_what_can_be_ordered",
            a_cart_shows_present_prices_and_what_can_be_ordered,
        ),
        on_platform("filling::bad_input_is_refused_with_its_name", bad_input_is_refused_with_its_name),
        on_platform("filling::a_cart_has_at_most_a_hundred_lines", a_cart_has_at_most_a_hundred_lines),
        on_platform(
            "filling::an_order_takes_its_lines_out_once_and_leaves_what_came_later",
            an_order_takes_its_lines_out_once_and_leaves_what_came_later,
        ),
        on_platform(
            "filling::only_the_owner_is_told_what_lies_in_a_cart",
            only_the_owner_is_told_what_lies_in_a_cart,
        ),
    ]
}

const BUYER: AccountId = Id::from_bits(11);
const STRANGER: AccountId = Id::from_bits(12);

async fn platform() -> (TestPlatform, CartsClient<Peer>, TestApi) {
    let mut peer = None;
    let platform = TestPlatform::start(&["cart", "ordering", "accounts"], 1, |deps: &mut Deps| {
        Neighbours::default().wire(deps);
        let state = merx_cart::State::new(deps, Settings::default()).expect("wires");
        let context = merx_cart::module(&state);
        peer = context.module.rpc.clone().map(Peer::local);
        // Only to publish what they would.
        let other =
            |name| ContextModule { module: Module::new(Store::new(name), Vec::new()), routes: Vec::new() };
        vec![context, other("ordering"), other("accounts")]
    })
    .await;
    let buyer = platform.api.as_account(BUYER, Role::Customer);
    (platform, CartsClient::new(peer.expect("wired")), buyer)
}

async fn a_cart_shows_present_prices_and_what_can_be_ordered() {
    let (platform, _, buyer) = platform().await;
    let empty = buyer.get("/v1/cart").await.expect(200).body;
    assert_eq!(empty, json!({"id": CartId::from_bits(11), "lines": []}));
    drop(buyer.put("/v1/cart/lines/TEA", json!({"quantity": 2})).await.expect(204));
    // Lines stand in the order of time; the virtual clock moves only when somebody waits.
    platform.deps.clock.sleep(std::time::Duration::from_millis(1)).await;
    drop(buyer.put("/v1/cart/lines/POT", json!({"quantity": 50})).await.expect(204));
    drop(buyer.put("/v1/cart/lines/TEA", json!({"quantity": 3})).await.expect(204));
    let cart = buyer.get("/v1/cart").await.expect(200).body;
    assert_eq!(cart["lines"][0]["sku"], "TEA");
    assert_eq!(cart["lines"][0]["line_total"], json!({"minor": 3 * 1990, "currency": "CNY"}));
    assert_eq!(cart["lines"][1]["orderable"], false, "there are ten pots: {cart}");
    assert_eq!(cart["lines"][1]["reason"], "inventory.sold_out");
    assert_eq!(cart["subtotal"]["minor"], 3 * 1990, "what cannot be ordered is not summed");
    drop(buyer.delete("/v1/cart/lines/POT").await.expect(204));
    drop(buyer.delete("/v1/cart/lines/POT").await.expect(204));
    drop(buyer.delete("/v1/cart/lines").await.expect(204));
    assert_eq!(buyer.get("/v1/cart").await.expect(200).body["lines"], json!([]));
    drop(buyer.put("/v1/cart/lines/TEA", json!({"quantity": 2})).await.expect(204));
    drop(buyer.delete("/v1/cart").await.expect(204));
    assert_eq!(buyer.get("/v1/cart").await.expect(200).body["lines"], json!([]));
    platform.finish().await;
}

async fn bad_input_is_refused_with_its_name() {
    let (platform, _, buyer) = platform().await;
    for (body, pointer) in [
        (json!({"quantity": 0}), "/quantity"),
        (json!({"quantity": 10_000}), "/quantity"),
        (json!({"quantity": 1.5}), "/quantity"),
        (json!({"quantity": "2"}), "/quantity"),
    ] {
        let answer = buyer.put("/v1/cart/lines/TEA", body).await;
        answer.expect_problem(400, "request.invalid");
        assert_eq!(answer.text_at("/errors/0/pointer"), pointer, "{}", answer.text);
    }
    buyer
        .put("/v1/cart/lines/TEA", json!({"quantity": 1, "price": 1}))
        .await
        .expect_problem(400, "request.invalid");
    buyer.put("/v1/cart/lines/t%20e", json!({"quantity": 1})).await.expect_problem(400, "request.invalid");
    buyer
        .put("/v1/cart/lines/NONE", json!({"quantity": 1}))
        .await
        .expect_problem(409, "cart.sku_not_sellable");
    platform.api.get("/v1/cart").await.expect_problem(401, "request.unauthenticated");
    let staff = platform.api.as_account(BUYER, Role::Warehouse);
    staff.get("/v1/cart").await.expect_problem(403, "request.forbidden");
    platform.finish().await;
}

async fn a_cart_has_at_most_a_hundred_lines() {
    let (platform, _, buyer) = platform().await;
    for n in 0..merx_cart::commands::LINES_MAX {
        drop(buyer.put(&format!("/v1/cart/lines/ANY-{n}"), json!({"quantity": 1})).await.expect(204));
    }
    buyer.put("/v1/cart/lines/TEA", json!({"quantity": 1})).await.expect_problem(409, "cart.line_limit");
    drop(buyer.put("/v1/cart/lines/ANY-7", json!({"quantity": 2})).await.expect(204));
    platform.finish().await;
}

async fn an_order_takes_its_lines_out_once_and_leaves_what_came_later() {
    let (platform, _, buyer) = platform().await;
    drop(buyer.put("/v1/cart/lines/TEA", json!({"quantity": 5})).await.expect(204));
    drop(buyer.put("/v1/cart/lines/POT", json!({"quantity": 1})).await.expect(204));
    publish(&platform, &old_order("TEA", 2)).await;
    publish(&platform, &new_order("POT", 1)).await;
    platform.settle().await;
    let cart = buyer.get("/v1/cart").await.expect(200).body;
    assert_eq!(cart["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!((&cart["lines"][0]["sku"], &cart["lines"][0]["quantity"]), (&json!("TEA"), &json!(3)));
    platform.finish().await;
}

/// The fact as it was before orders had numbers: some may still lie in an outbox.
fn old_order(sku: &str, units: i64) -> OrderAwaitingPayment {
    let (sku, quantity) = (Sku::new(sku).expect("sku"), Quantity::new(units).expect("units"));
    OrderAwaitingPayment {
        order_id: Id::from_bits(99),
        account_id: BUYER,
        cart_id: BUYER.cast(),
        lines: vec![Line { sku, quantity }],
    }
}

fn new_order(sku: &str, units: i64) -> OrderAwaitingPaymentV2 {
    let text = || LocalText { zh: "某物".to_owned(), en: "Thing".to_owned() };
    let amount = Money::new(1990 * units, Currency::CNY);
    let line = AgreedLine {
        sku: Sku::new(sku).expect("sku"),
        product_id: Id::from_bits(1),
        title: text(),
        options: text(),
        quantity: Quantity::new(units).expect("units"),
        amount,
    };
    OrderAwaitingPaymentV2 {
        order_id: Id::from_bits(98),
        number: "261120-0000-0000".to_owned(),
        account_id: BUYER,
        cart_id: BUYER.cast(),
        lines: vec![line],
        freight: Money::zero(Currency::CNY),
        total: amount,
        payment_deadline: Timestamp::from_millis(0),
    }
}

async fn publish(platform: &TestPlatform, fact: &impl Fact) {
    let id = platform.deps.ids.next();
    let envelope = Envelope::new(id, platform.deps.now(), None, fact).expect("wraps");
    let outbox = Store::new("ordering").outbox;
    let write = move |tx: &mut merx_sql::Tx<'_>| outbox.publish(tx, std::slice::from_ref(&envelope));
    platform.deps.db.write("test.publish", write).await.expect("publishes");
}

async fn only_the_owner_is_told_what_lies_in_a_cart() {
    let (platform, mut client, buyer) = platform().await;
    drop(buyer.put("/v1/cart/lines/TEA", json!({"quantity": 5})).await.expect(204));
    let ask = |account: AccountId| ContentsRequest {
        cart_id: CartId::from_bits(11).to_string(),
        account_id: account.to_string(),
    };
    let own = rpc::ask(client.contents(ask(BUYER)).await).expect("is told");
    assert_eq!(own.lines.len(), 1);
    let foreign = rpc::ask(client.contents(ask(STRANGER)).await).expect_err("is not told");
    assert!(foreign.is("cart.not_found"));
    platform.finish().await;
}
