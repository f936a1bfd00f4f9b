//! A person's data was erased: what they meant to buy goes too.

use merx_contracts::events::accounts::PersonErased;
use merx_kernel::Result;
use merx_platform::{Delivery, Handler};
use merx_sql::{Db, Tx};

use crate::store;

/// Removes the cart of a person.
pub struct RemoveCart(pub Db);

#[tonic::async_trait]
impl Handler for RemoveCart {
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        let fact: PersonErased = delivery.fact()?;
        let write = move |tx: &mut Tx<'_>| {
            if !delivery.first_time(tx)? {
                return Ok(());
            }
            store::erase(tx, fact.account_id.cast(), delivery.received_at())
        };
        self.0.write("cart.remove_cart", write).await
    }
}
