//! What payment does when something has happened elsewhere. The names are kept with cursors and inbox rows; never change
//! one.

mod person_erased;

use merx_contracts::{Fact as _, events::accounts::PersonErased};
use merx_platform::Subscription;

use crate::context::Payments;

const ACCOUNTS: &[&str] = &[PersonErased::TYPE];

/// Every subscription of payment.
pub fn subscriptions(payments: &Payments) -> Vec<Subscription> {
    let own = payments.clone();
    let accounts = move |delivery| person_erased::handle(own.clone(), delivery);
    vec![Subscription::new("payment.accounts", payments.store(), ACCOUNTS, accounts)]
}
