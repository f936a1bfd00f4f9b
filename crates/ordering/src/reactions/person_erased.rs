//! A person's data was erased: so is what was written on the person's orders, by whomever, and by the person.

use merx_contracts::events::accounts::PersonErased;
use merx_kernel::Result;
use merx_platform::Delivery;

use crate::{context::Ordering, store::notes};

pub(super) async fn handle(ordering: Ordering, delivery: Delivery) -> Result<()> {
    let PersonErased { account_id } = delivery.fact()?;
    let erase = move |tx: &mut merx_sql::Tx<'_>| {
        if !delivery.first_time(tx)? {
            return Ok(());
        }
        notes::erase(tx, account_id).map(drop)
    };
    ordering.tools.db.write("ordering.person_erased", erase).await
}
