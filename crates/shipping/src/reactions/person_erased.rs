//! A person's data was erased: the words about their parcels go too.

use merx_contracts::events::accounts::PersonErased;
use merx_kernel::Result;
use merx_platform::{Delivery, Handler};
use merx_sql::{Db, Tx};

use crate::store::history;

/// Blanks the free text about a person's parcels. Addresses are not kept here.
pub struct BlankWords(pub Db);

#[tonic::async_trait]
impl Handler for BlankWords {
    async fn handle(&self, delivery: Delivery) -> Result<()> {
        let fact: PersonErased = delivery.fact()?;
        let write = move |tx: &mut Tx<'_>| {
            if !delivery.first_time(tx)? {
                return Ok(());
            }
            history::erase(tx, fact.account_id, delivery.received_at())
        };
        self.0.write("shipping.blank_words", write).await
    }
}
