//! Mails, as staff see them.

use axum::{extract::State as FromState, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AccountId, MailId, MessageId, OrderId};
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, Query, Route};
use merx_kernel::{Page, PageRequest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Desk, READ, WRITE, WhyForm, keyed};
use crate::{
    commands,
    domain::{Mail, MailState, Template},
    queries,
    store::mails::{Filter, TryRow},
};

/// A mail as staff list it: to which account, about what, and how far it has come. Neither address nor text is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailView {
    /// Its identity.
    pub id: MailId,
    /// What it says.
    pub template: Template,
    /// About which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// To whom.
    pub account_id: AccountId,
    /// How far it has come.
    pub state: MailState,
    /// Why it is skipped or dead, or why its last try failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Tries since it was last put into the queue.
    pub tries: i64,
    /// How often it was put into the queue.
    pub round: i64,
    /// The message that called for it.
    pub message_id: MessageId,
    /// When that was taken in.
    pub created_at: Timestamp,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When a mail server took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

impl From<Mail> for MailView {
    fn from(mail: Mail) -> Self {
        Self {
            id: mail.ask.id,
            template: mail.ask.template,
            order_id: mail.ask.order,
            account_id: mail.ask.account,
            state: mail.state,
            reason: mail.reason,
            tries: mail.tries,
            round: mail.round,
            message_id: mail.ask.message,
            created_at: mail.created_at,
            next_at: mail.next_at,
            sent_at: mail.sent_at,
        }
    }
}

/// One try of a mail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailTryView {
    /// In which round.
    pub round: i64,
    /// Its number in the round.
    pub number: i64,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// accepted, skipped, transient or permanent.
    pub outcome: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl From<TryRow> for MailTryView {
    fn from(row: TryRow) -> Self {
        let TryRow { round, number, began_at, ended_at, outcome, reason } = row;
        Self { round, number, began_at, ended_at, outcome, reason }
    }
}

/// A mail with its tries.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailDetailView {
    /// The mail.
    #[serde(flatten)]
    pub mail: MailView,
    /// Its tries, the first first; at most 100.
    pub attempts: Vec<MailTryView>,
}

/// Which mails.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailFilter {
    /// Only of this state.
    pub state: Option<MailState>,
    /// Only about this order.
    pub order_id: Option<OrderId>,
    /// Only to this account.
    pub account_id: Option<AccountId>,
    /// Only of this template.
    pub template: Option<Template>,
    /// How many items, 1 to 100; 20 unless told.
    pub limit: Option<u32>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    vec![
        Route::get("/v1/admin/mails", READ, list, desk)
            .id("listMails")
            .summary("Mails, newest first")
            .description("Dead mails (`state=dead`) wait for somebody: see why, mend it, and send them again.")
            .query::<MailFilter>()
            .response::<Page<MailView>>(200),
        Route::get("/v1/admin/mails/{mail}", READ, show, desk)
            .id("getMail")
            .summary("One mail with its tries")
            .param::<MailId>("mail")
            .response::<MailDetailView>(200)
            .errors(&["notification.mail_not_found"]),
        keyed(Route::post("/v1/admin/mails/{mail}/redelivery", WRITE, redeliver, desk))
            .id("redeliverMail")
            .summary("Sends a mail again that was sent, skipped or is dead")
            .description("A mail no server has taken keeps its Message-ID; a further copy of one that was taken is another letter.")
            .param::<MailId>("mail")
            .body::<WhyForm>()
            .response::<MailView>(202)
            .errors(&["notification.mail_not_found", "notification.mail_under_way"]),
    ]
}

async fn list(
    FromState(desk): FromState<Desk>,
    Query(filter): Query<MailFilter>,
) -> Answer<Json<Page<MailView>>> {
    let page = PageRequest { limit: filter.limit, cursor: filter.cursor };
    let filter = Filter {
        state: filter.state,
        order: filter.order_id,
        account: filter.account_id,
        template: filter.template,
    };
    let (mails, next_cursor) = queries::mails(&desk.state, filter, &page).await?;
    Ok(Json(Page { items: mails.into_iter().map(MailView::from).collect(), next_cursor }))
}

async fn show(FromState(desk): FromState<Desk>, Path(id): Path<MailId>) -> Answer<Json<MailDetailView>> {
    let (mail, tries) = queries::mail(&desk.state, id).await?;
    Ok(Json(MailDetailView { mail: mail.into(), attempts: tries.into_iter().map(Into::into).collect() }))
}

async fn redeliver(
    FromState(desk): FromState<Desk>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(id): Path<MailId>,
    Json(form): Json<WhyForm>,
) -> Answer<Response> {
    let staff = desk.staff(caller.account, form.reason);
    let change = move |tx: &mut merx_sql::Tx<'_>, staff: &commands::Staff| {
        commands::redeliver_mail(tx, id, staff).map(MailView::from)
    };
    desk.change("notification.redeliver_mail", key, StatusCode::ACCEPTED, staff, change).await
}
