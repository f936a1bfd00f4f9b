//! Facts as other contexts publish them.

use merx_contracts::{
    Envelope, Fact,
    events::{
        LocalText,
        accounts::CodeRequested,
        ordering::{
            AgreedLine, Line, OrderAwaitingPaymentV2, OrderCancelledV2, OrderCompletedV2, OrderPaidV2,
            OrderRefunded, OrderShipped, OrderShippedV2, TitledLine,
        },
    },
    ids::{AccountId, MessageId, OrderId, Sku},
};
use merx_kernel::{Currency, Id, Money, Quantity, Timestamp};

pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const NUMBER: &str = "261120-7K3M-9QXA";

pub fn order() -> OrderId {
    Id::from_bits(0x0193_0000_0000_7000_8000_0000_0000_0001)
}
pub fn buyer() -> AccountId {
    Id::from_bits(2)
}
pub fn yuan(fen: i64) -> Money {
    Money::new(fen, Currency::CNY)
}
fn sku() -> Sku {
    Sku::new("TEA-LJ-100").unwrap()
}

/// A fact in an envelope of its own.
pub fn envelope(message: u128, fact: &impl Fact) -> Envelope {
    let at = Timestamp::from_millis(1_795_132_800_000);
    Envelope::new(MessageId::from_bits(message), at, Some(TRACE.to_owned()), fact).unwrap()
}

pub fn placed() -> OrderAwaitingPaymentV2 {
    let line = |zh: &str, en: &str, options: (&str, &str), quantity: i64, amount: i64| AgreedLine {
        sku: sku(),
        product_id: Id::from_bits(5),
        title: LocalText { zh: zh.to_owned(), en: en.to_owned() },
        options: LocalText { zh: options.0.to_owned(), en: options.1.to_owned() },
        quantity: Quantity::new(quantity).unwrap(),
        amount: yuan(amount),
    };
    OrderAwaitingPaymentV2 {
        order_id: order(),
        number: NUMBER.to_owned(),
        account_id: buyer(),
        cart_id: Id::from_bits(2),
        lines: vec![
            line("西湖龙井 <明前>", "Longjing & \"friends\"", ("100 克", "100 g"), 2, 123_450),
            line("盖碗", "Gaiwan", ("", ""), 1, 6_800),
        ],
        freight: yuan(800),
        total: yuan(130_050),
        payment_deadline: Timestamp::from_millis(1_795_134_600_000),
    }
}
pub fn paid() -> OrderPaidV2 {
    OrderPaidV2 { order_id: order(), number: NUMBER.to_owned(), account_id: buyer(), amount: yuan(130_050) }
}
pub fn shipped(shipment: u128, complete: bool) -> OrderShippedV2 {
    OrderShippedV2 {
        order_id: order(),
        number: NUMBER.to_owned(),
        account_id: buyer(),
        shipment_id: Id::from_bits(shipment),
        carrier: "SF Express".to_owned(),
        tracking_number: "SF1234567890".to_owned(),
        lines: vec![TitledLine {
            sku: sku(),
            title: LocalText {
                zh: "西湖龙井 <明前>".to_owned(), en: "Longjing & \"friends\"".to_owned()
            },
            options: LocalText { zh: "100 克".to_owned(), en: "100 g".to_owned() },
            quantity: Quantity::new(2).unwrap(),
        }],
        complete,
    }
}
/// The fact before its lines had titles.
pub fn shipped_before_titles() -> OrderShipped {
    let OrderShippedV2 {
        order_id, number, account_id, shipment_id, carrier, tracking_number, complete, ..
    } = shipped(1, true);
    let lines = vec![Line { sku: sku(), quantity: Quantity::new(2).unwrap() }];
    OrderShipped { order_id, number, account_id, shipment_id, carrier, tracking_number, lines, complete }
}
pub fn completed() -> OrderCompletedV2 {
    OrderCompletedV2 { order_id: order(), number: NUMBER.to_owned(), account_id: buyer() }
}
pub fn refunded(refund: u128) -> OrderRefunded {
    OrderRefunded {
        order_id: order(),
        number: NUMBER.to_owned(),
        account_id: buyer(),
        refund_id: Id::from_bits(refund),
        amount: yuan(6_800),
    }
}
pub fn cancelled(reason: &str, paid: bool) -> OrderCancelledV2 {
    OrderCancelledV2 {
        order_id: order(),
        number: NUMBER.to_owned(),
        account_id: buyer(),
        reason: reason.to_owned(),
        paid,
    }
}
pub fn code() -> CodeRequested {
    CodeRequested { code_id: Id::from_bits(77), account_id: buyer(), purpose: "staff_invitation".to_owned() }
}
