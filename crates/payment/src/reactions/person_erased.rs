//! A person's data was erased: so is what staff wrote about the person's transfers and cash. The money stays booked.

use merx_contracts::events::accounts::PersonErased;
use merx_kernel::Result;
use merx_platform::Delivery;

use crate::{context::Payments, store::offline};

pub(super) async fn handle(payments: Payments, delivery: Delivery) -> Result<()> {
    let PersonErased { account_id } = delivery.fact()?;
    let erase = move |tx: &mut merx_sql::Tx<'_>| {
        if !delivery.first_time(tx)? {
            return Ok(());
        }
        offline::erase(tx, account_id, delivery.received_at())
    };
    payments.db().write("payment.person_erased", erase).await
}
