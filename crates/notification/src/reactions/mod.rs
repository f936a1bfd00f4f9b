//! What notification does with the facts of others.

mod forget_person;
mod take_fact;

use merx_contracts::{
    Fact as _,
    events::{
        accounts::{CodeRequested, PersonErased},
        catalogue::{PriceChanged, ProductChanged},
        inventory::StockLow,
        ordering::{
            OrderAwaitingPaymentV2, OrderCancelledV2, OrderCompletedV2, OrderPaidV2, OrderRefunded,
            OrderShipped, OrderShippedV2,
        },
        payment::{PaymentCaptured, PaymentRefunded},
        shipping::{ShipmentDelivered, ShipmentDispatchedV2},
    },
};
use merx_platform::{Delivery, Subscription};

use crate::State;

pub use take_fact::take_fact;

/// One subscription for mails and webhooks together, so that a fact costs one transaction. Facts of the versions before
/// are not taken: they are of a shop that had no mails, and would tell buyers of orders long over.
const TYPES: &[&str] = &[
    CodeRequested::TYPE,
    PersonErased::TYPE,
    PriceChanged::TYPE,
    ProductChanged::TYPE,
    StockLow::TYPE,
    OrderAwaitingPaymentV2::TYPE,
    OrderCancelledV2::TYPE,
    OrderCompletedV2::TYPE,
    OrderPaidV2::TYPE,
    OrderRefunded::TYPE,
    OrderShipped::TYPE,
    OrderShippedV2::TYPE,
    PaymentCaptured::TYPE,
    PaymentRefunded::TYPE,
    ShipmentDelivered::TYPE,
    ShipmentDispatchedV2::TYPE,
];

/// Facts no mail is about. They are for endpoints, and passed over while none wants them.
pub const FOR_ENDPOINTS: &[&str] = &[
    PersonErased::TYPE,
    PriceChanged::TYPE,
    ProductChanged::TYPE,
    StockLow::TYPE,
    PaymentCaptured::TYPE,
    PaymentRefunded::TYPE,
    ShipmentDelivered::TYPE,
    ShipmentDispatchedV2::TYPE,
];

/// The subscription.
pub fn subscription(state: &State) -> Subscription {
    let own = state.clone();
    let take = move |delivery: Delivery| {
        let state = own.clone();
        async move { take_fact(&state, delivery).await }
    };
    Subscription::new("notification.facts", state.store.clone(), TYPES, take).passing_over(FOR_ENDPOINTS)
}
