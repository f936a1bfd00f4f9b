//! What after-sale does when something has happened elsewhere, or when a time has come. The names are kept with cursors
//! and inbox rows; never change one.

pub mod case_deadline;
mod order_cancelled;
mod payment_refunded;
mod person_erased;
mod shipment_returned;
mod shipment_shipped;

use merx_contracts::{
    Fact as _,
    events::{
        accounts::PersonErased,
        ordering::OrderCancelledV2,
        payment::PaymentRefunded,
        shipping::{ShipmentDispatchedV2, ShipmentReturned},
    },
    ids::{AfterSaleId, OrderId},
};
use merx_kernel::Result;
use merx_platform::{Delivery, Subscription};

use crate::{AfterSale, domain::Command, store};

const PAYMENT: &[&str] = &[PaymentRefunded::TYPE];
const SHIPPING: &[&str] = &[ShipmentDispatchedV2::TYPE, ShipmentReturned::TYPE];
const ORDERING: &[&str] = &[OrderCancelledV2::TYPE];
const ACCOUNTS: &[&str] = &[PersonErased::TYPE];

/// Every subscription of after-sale. Most refunds, parcels and cancellations are none of its business.
pub fn subscriptions(own: &AfterSale) -> Vec<Subscription> {
    let store = || own.state.store.clone();
    let (payment, shipping, ordering, accounts) = (own.clone(), own.clone(), own.clone(), own.clone());
    let payment = move |delivery| payment_refunded::handle(payment.clone(), delivery);
    let shipping = move |delivery| handle_shipping(shipping.clone(), delivery);
    let ordering = move |delivery| order_cancelled::handle(ordering.clone(), delivery);
    let accounts = move |delivery| person_erased::handle(accounts.clone(), delivery);
    vec![
        Subscription::new("aftersale.payment", store(), PAYMENT, payment).passing_over(PAYMENT),
        Subscription::new("aftersale.shipping", store(), SHIPPING, shipping).passing_over(SHIPPING),
        Subscription::new("aftersale.ordering", store(), ORDERING, ordering).passing_over(ORDERING),
        Subscription::new("aftersale.accounts", store(), ACCOUNTS, accounts),
    ]
}

async fn handle_shipping(own: AfterSale, delivery: Delivery) -> Result<()> {
    match delivery.envelope().kind.as_str() {
        ShipmentReturned::TYPE => shipment_returned::handle(own, delivery).await,
        _ => shipment_shipped::handle(own, delivery).await,
    }
}

/// A fact whose effect is one command on some cases of its order; answers whether it came for the first time.
async fn change(
    own: &AfterSale,
    label: &'static str,
    delivery: Delivery,
    order_id: OrderId,
    cases: Vec<AfterSaleId>,
    command: Command,
) -> Result<bool> {
    let acts = cases.into_iter().map(|case_id| store::Act::now(&own.state, order_id, case_id));
    let (acts, store) = (acts.collect::<Result<Vec<_>>>()?, own.state.store.clone());
    let write = move |tx: &mut merx_sql::Tx<'_>| {
        let fresh = delivery.first_time(tx)?;
        for act in acts.iter().filter(|_| fresh) {
            store::change(tx, &store, act, &command)?;
        }
        Ok(fresh)
    };
    own.state.db.write(label, write).await
}
