//! A person's data was erased: so are the words and pictures of the person's cases.

use merx_contracts::events::accounts::PersonErased;
use merx_kernel::Result;
use merx_platform::Delivery;

use crate::{
    AfterSale, commands,
    store::{evidence, words},
};

pub(super) async fn handle(own: AfterSale, delivery: Delivery) -> Result<()> {
    let PersonErased { account_id } = delivery.fact()?;
    let erase = move |tx: &mut merx_sql::Tx<'_>| {
        if !delivery.first_time(tx)? {
            return Ok(());
        }
        words::erase(tx, account_id)?;
        evidence::erase(tx, account_id)
    };
    own.state.db.write("aftersale.person_erased", erase).await?;
    // Nobody is shown the pictures any more. Should the store of objects be down now, the sweep removes them later.
    if let Err(error) = commands::sweep::sweep(&own.state).await {
        tracing::warn!(error = %error.chain(), "pictures of an erased person wait for the next sweep");
    }
    Ok(())
}
