//! What ordering does when something has happened elsewhere, or when a time has come. Each effect once per message.
//!
//! There is one subscription to each publisher: within one the facts of a subject keep their order, between two they
//! would not, and a delivery could overtake its shipment. The names are kept with cursors and inbox rows; never change
//! one.

mod after_sale_moved;
pub mod order_deadline;
mod payment_captured;
mod payment_refunded;
mod person_erased;
pub mod receipt_due;
mod shipment_corrected;
mod shipment_delivered;
mod shipment_returned;
mod shipment_shipped;

use merx_contracts::{
    Fact as _,
    events::{
        accounts::PersonErased,
        aftersale::CaseMoved,
        payment::{PaymentCaptured, PaymentRefunded},
        shipping::{
            ShipmentCorrected, ShipmentDelivered, ShipmentDispatched, ShipmentDispatchedV2, ShipmentReturned,
        },
    },
    ids::OrderId,
};
use merx_kernel::{Error, Result, Timestamp};
use merx_platform::{Delivery, Subscription};
use merx_sql::Tx;

use crate::{
    cause::CausedBy,
    context::Ordering,
    domain::Command,
    store::{self, Changed},
};

/// Every subscription of ordering.
pub fn subscriptions(ordering: &Ordering) -> Vec<Subscription> {
    let store = &ordering.tools.store;
    let (of_payment, of_shipping, of_accounts) = (ordering.clone(), ordering.clone(), ordering.clone());
    let of_after_sale = ordering.clone();
    let after_sale = move |delivery| after_sale_moved::handle(of_after_sale.clone(), delivery);
    let payment = move |delivery| handle_payment(of_payment.clone(), delivery);
    let shipping = move |delivery| handle_shipping(of_shipping.clone(), delivery);
    let accounts = move |delivery| person_erased::handle(of_accounts.clone(), delivery);
    vec![
        Subscription::new("ordering.payment", store.clone(), PAYMENT, payment),
        Subscription::new("ordering.shipping", store.clone(), SHIPPING, shipping),
        Subscription::new("ordering.accounts", store.clone(), ACCOUNTS, accounts),
        Subscription::new("ordering.aftersale", store.clone(), AFTER_SALE, after_sale),
    ]
}

const PAYMENT: &[&str] = &[PaymentCaptured::TYPE, PaymentRefunded::TYPE];
const SHIPPING: &[&str] = &[
    ShipmentDispatched::TYPE,
    ShipmentDispatchedV2::TYPE,
    ShipmentDelivered::TYPE,
    ShipmentReturned::TYPE,
    ShipmentCorrected::TYPE,
];
const ACCOUNTS: &[&str] = &[PersonErased::TYPE];
const AFTER_SALE: &[&str] = &[CaseMoved::TYPE];

async fn handle_payment(ordering: Ordering, delivery: Delivery) -> Result<()> {
    match delivery.envelope().kind.as_str() {
        PaymentCaptured::TYPE => payment_captured::handle(&ordering, delivery).await,
        PaymentRefunded::TYPE => payment_refunded::handle(&ordering, delivery).await,
        other => Err(unwanted(other)),
    }
}

async fn handle_shipping(ordering: Ordering, delivery: Delivery) -> Result<()> {
    match delivery.envelope().kind.as_str() {
        ShipmentDispatched::TYPE | ShipmentDispatchedV2::TYPE => {
            shipment_shipped::handle(&ordering, delivery).await
        }
        ShipmentDelivered::TYPE => shipment_delivered::handle(&ordering, delivery).await,
        ShipmentReturned::TYPE => shipment_returned::handle(&ordering, delivery).await,
        ShipmentCorrected::TYPE => shipment_corrected::handle(&ordering, delivery).await,
        other => Err(unwanted(other)),
    }
}

fn unwanted(kind: &str) -> Error {
    Error::internal(format!("{kind} was delivered to a subscription that did not ask for it"))
}

/// What is told of goods that are sent again after the sale is no news of the order's own: after-sale follows those.
async fn pass(ordering: &Ordering, delivery: Delivery) -> Result<()> {
    ordering.tools.db.write("ordering.replacement_told", move |tx| delivery.first_time(tx).map(drop)).await
}

/// A fact whose effect is one command on its order, and what follows in the same transaction where the command made
/// something happen; answers whether it did.
async fn change(
    ordering: &Ordering,
    label: &'static str,
    delivery: Delivery,
    order_id: OrderId,
    command: Command,
    follow: impl Fn(&mut Tx<'_>, &Changed, Timestamp) -> Result<()> + Send + 'static,
) -> Result<bool> {
    let store = ordering.tools.store.clone();
    let cause = ordering.tools.cause(order_id, CausedBy::message(&delivery));
    ordering
        .tools
        .db
        .write(label, move |tx| {
            if !delivery.first_time(tx)? {
                return Ok(false);
            }
            let loaded = store::load(&store, tx, order_id)?;
            let changed = store::change(&store, tx, loaded, &command, &cause)?;
            if changed.events.is_empty() {
                return Ok(false);
            }
            follow(tx, &changed, cause.facts.now).map(|()| true)
        })
        .await
}
