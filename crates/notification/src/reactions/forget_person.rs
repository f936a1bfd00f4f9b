//! What the mail viewer keeps of a person goes when the person is erased. Nothing else here says who anybody is.

use merx_contracts::ids::{AccountId, MailId};
use merx_kernel::{Result, Timestamp};

use crate::{
    State,
    store::mails::{self, Filter},
};

/// Mails looked at together.
const CHUNK: i64 = 500;

/// Removes the kept copies of every mail to the account. Doing it again does no harm.
///
/// # Errors
/// `notification.folder_unusable`; what the database answers.
pub(super) async fn forget_person(state: &State, account: AccountId) -> Result<()> {
    let Some(transport) = &state.ways.mail else { return Ok(()) };
    let mut before = (Timestamp::from_millis(i64::MAX), MailId::from_bits(u128::MAX));
    loop {
        let filter = Filter { account: Some(account), ..Filter::default() };
        let read = move |q: &mut merx_sql::Reader<'_>| mails::listed(q, &filter, before, CHUNK);
        let found = state.db.read("notification.mails_of_person", read).await?;
        let Some(last) = found.last() else { return Ok(()) };
        before = (last.created_at, last.ask.id);
        let ids: Vec<MailId> = found.iter().map(|mail| mail.ask.id).collect();
        transport.forget(&ids).await?;
    }
}
