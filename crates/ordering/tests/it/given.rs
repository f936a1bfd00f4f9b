//! Orders and events to begin a test with.

use merx_contracts::ids::{AccountId, AttemptId, OrderId, RefundId, ShipmentId, Sku};
use merx_kernel::{Currency, Id, Money, Quantity, Timestamp};
use merx_ordering::domain::{
    CancelReason, Command, Event, Facts, LocalText, OpenedShipment, Order, OrderLine, OrderPlaced,
    OrderRejected, PackedLine, Shipment, decide, identity,
};

pub const ORDER: OrderId = Id::from_bits(0x11);
pub const BUYER: AccountId = Id::from_bits(0x22);
pub const GUEST: AccountId = Id::from_bits(0x23);
pub const PLACED_AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub const DEADLINE: Timestamp = Timestamp::from_millis(1_700_001_800_000);
pub const ATTEMPT: AttemptId = Id::from_bits(0x33);
pub const OTHER_ATTEMPT: AttemptId = Id::from_bits(0x44);
pub const SHIPMENT: ShipmentId = Id::from_bits(0x11);

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn text(en: &str) -> LocalText {
    LocalText { zh: format!("中文 {en}"), en: en.to_owned() }
}

pub fn line(sku: &str, unit_minor: i64, quantity: i64) -> OrderLine {
    OrderLine {
        sku: Sku::new(sku).unwrap(),
        product_id: Id::from_bits(0x77),
        title: text("Tea"),
        options: text("100 g"),
        unit_price: cny(unit_minor),
        quantity: Quantity::new(quantity).unwrap(),
        amount: cny(unit_minor * quantity),
    }
}

/// Two lines, 2 × 58.00 and 1 × 19.90, freight 8.00: 143.90 in all.
pub fn terms() -> OrderPlaced {
    OrderPlaced {
        account_id: BUYER,
        cart_id: BUYER.cast(),
        address_id: Id::from_bits(0x55),
        shipping_method: "standard".to_owned(),
        lines: vec![line("TEA-LJ-100", 5_800, 2), line("CUP-01", 1_990, 1)],
        subtotal: cny(13_590),
        freight: cny(800),
        total: cny(14_390),
        quote_id: "q".repeat(64),
        placed_at: PLACED_AT,
        payment_deadline: DEADLINE,
        guest: false,
        limited: Vec::new(),
    }
}

pub fn total() -> Money {
    terms().total
}

pub fn place() -> Command {
    Command::Place(Box::new(terms()))
}
pub fn sold_out() -> OrderRejected {
    OrderRejected { code: "inventory.sold_out".to_owned(), message: "Sold out.".to_owned() }
}
pub fn reject() -> Command {
    Command::Reject(sold_out())
}
pub fn await_payment() -> Command {
    Command::AwaitPayment(ORDER.cast())
}
pub fn cancel_by(reason: CancelReason) -> Command {
    Command::RequestCancellation(reason)
}
pub fn capture(attempt_id: AttemptId, amount: Money, late: bool) -> Command {
    Command::RecordCapture { attempt_id, amount, late }
}
pub fn paid() -> Command {
    capture(ATTEMPT, total(), false)
}
pub fn refund_id(attempt: AttemptId) -> RefundId {
    identity::refund_of(ORDER, attempt)
}
pub fn refunded(attempt: AttemptId, amount: Money) -> Command {
    Command::RecordRefund { refund_id: refund_id(attempt), amount }
}
pub const TEA: &str = "TEA-LJ-100";
pub const CUP: &str = "CUP-01";
pub const OTHER_SHIPMENT: ShipmentId = Id::from_bits(0x12);

pub fn packed(lines: &[(&str, i64)]) -> Vec<PackedLine> {
    let line = |(sku, quantity): &(&str, i64)| PackedLine {
        sku: Sku::new(sku).unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
    };
    lines.iter().map(line).collect()
}
/// A shipment of these lines, of whatever is left where there are none.
pub fn ship_some(shipment_id: ShipmentId, lines: &[(&str, i64)]) -> Command {
    Command::RecordShipment(Shipment {
        shipment_id,
        carrier: "SF Express".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
        lines: packed(lines),
    })
}
pub fn ship() -> Command {
    ship_some(SHIPMENT, &[])
}
/// One shipment of everything.
pub fn open() -> Command {
    open_some(&[(SHIPMENT, &[(TEA, 2), (CUP, 1)])])
}
pub fn open_some(shipments: &[(ShipmentId, &[(&str, i64)])]) -> Command {
    let opened = |(shipment_id, lines): &(ShipmentId, &[(&str, i64)])| OpenedShipment {
        shipment_id: *shipment_id,
        lines: packed(lines),
    };
    Command::OpenFulfilment(shipments.iter().map(opened).collect())
}

pub fn facts_at(now: Timestamp) -> Facts {
    Facts { order_id: ORDER, now }
}

/// The order after these commands, each of which must be allowed.
pub fn after(commands: &[Command]) -> Order {
    commands.iter().fold(Order::default(), |order, command| {
        let events = decide(&order, command, &facts_at(DEADLINE))
            .unwrap_or_else(|no| panic!("{command:?} is refused: {}", no.code()));
        events.iter().fold(order, Order::evolve)
    })
}

pub fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}
