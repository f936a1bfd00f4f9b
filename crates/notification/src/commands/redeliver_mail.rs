//! Sends a mail again that has come to rest.

use merx_contracts::ids::MailId;
use merx_kernel::{Error, Result};
use merx_sql::Tx;

use super::Staff;
use crate::{
    domain::{Mail, MailState},
    queries, store,
};

/// Puts a mail into the queue again; answers it as it is then. One that was never taken by a mail server keeps its
/// Message-ID; a further copy of one that was is another letter.
///
/// # Errors
/// `notification.mail_not_found`, `notification.mail_under_way`.
pub fn redeliver_mail(tx: &mut Tx<'_>, id: MailId, staff: &Staff) -> Result<Mail> {
    let mail = queries::found_mail(store::mails::one(tx, id)?)?;
    if matches!(mail.state, MailState::Queued | MailState::Sending) {
        return Err(Error::rejected(
            "notification.mail_under_way",
            "The mail is on its way already; wait for its next try.",
        ));
    }
    if !store::mails::again(tx, &mail, staff.at)? {
        return Err(merx_sql::contention("the mail moved on while it was read"));
    }
    let before = serde_json::json!({ "before": mail.state, "because": mail.reason, "round": mail.round + 1 });
    staff.tell(tx, "mail_redelivered", id.to_string(), before)?;
    Ok(Mail {
        state: MailState::Queued,
        round: mail.round + 1,
        tries: 0,
        queued_at: staff.at,
        next_at: Some(staff.at),
        reason: String::new(),
        ..mail
    })
}
