//! `GET /v1/admin/ledger/trial-balance`, `GET /v1/admin/ledger/accounts/{account}/postings`,
//! `GET /v1/admin/ledger/postings.csv`.

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::header;
use merx_http::{Access, Answer, Json, Owner, Path, Query, Route};
use merx_kernel::{Page, Permission, Result, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Desk;
use crate::{
    context::Payments,
    queries::{
        PostingView, PostingsRequest, TrialBalance,
        ledger::{CSV_HEAD, known_account},
    },
    store::ledger::{PostingCursor, PostingFilter},
};

/// Why the books have no owner.
pub(super) const BOOKS: Owner = Owner::None("the books are the shop's, for its finance staff");

const READ: Access = Access::Permission { permission: Permission::LedgerRead, owner: BOOKS };
/// The form of the export; its header says UTF-8 too.
const CSV: &str = "text/csv";
/// Postings read at a time while they are sent.
const CHUNK: i64 = 500;

/// As of when.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AsOf {
    /// Of what was posted up to this moment; all of it unless told.
    as_of: Option<Timestamp>,
}

pub(super) fn trial_balance(desk: &Desk) -> Route {
    Route::get("/v1/admin/ledger/trial-balance", READ, handle_trial_balance, desk)
        .id("getTrialBalance")
        .summary("Every account of the ledger, and whether debits are credits.")
        .description(
            "`is_balanced` is false when debits and credits of a currency differ, when a booking does not sum to zero, or \
             when an account is in no chart. None of this can happen unless somebody changed the tables.",
        )
        .query::<AsOf>()
        .response::<TrialBalance>(200)
        .errors(&["payment.ledger_not_built"])
}

async fn handle_trial_balance(
    State(desk): State<Desk>,
    Query(asked): Query<AsOf>,
) -> Answer<Json<TrialBalance>> {
    Ok(Json(desk.payments.trial_balance(asked.as_of).await?))
}

pub(super) fn postings(desk: &Desk) -> Route {
    Route::get("/v1/admin/ledger/accounts/{account}/postings", READ, handle_postings, desk)
        .id("listPostings")
        .summary("The postings of an account, oldest first.")
        .param::<String>("account")
        .query::<PostingsRequest>()
        .response::<Page<PostingView>>(200)
        .errors(&["payment.account_unknown"])
}

async fn handle_postings(
    State(desk): State<Desk>,
    Path(account): Path<String>,
    Query(asked): Query<PostingsRequest>,
) -> Answer<Json<Page<PostingView>>> {
    Ok(Json(desk.payments.postings_of(&account, asked).await?))
}

/// What is taken out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    /// Only of this account.
    account: Option<String>,
    /// Posted at this moment or later.
    from: Option<Timestamp>,
    /// Posted before this moment.
    to: Option<Timestamp>,
}

pub(super) fn export(desk: &Desk) -> Route {
    Route::get("/v1/admin/ledger/postings.csv", READ, handle_export, desk)
        .id("exportPostings")
        .summary("Postings as CSV, oldest first, sent as they are read.")
        .description(
            "Amounts are decimals in a column for debits and one for credits. A text that a spreadsheet would take for a \
             formula begins with an apostrophe.",
        )
        .query::<Export>()
        .raw_response(200, &[CSV])
        .errors(&["payment.account_unknown"])
}

async fn handle_export(State(desk): State<Desk>, Query(asked): Query<Export>) -> Answer<Response> {
    if let Some(account) = &asked.account {
        known_account(account)?;
    }
    let filter = PostingFilter { account: asked.account, from: asked.from, to: asked.to };
    // The first lines are read before the answer begins, so that what is wrong can still be told.
    let first = Sending::begin(desk.payments, filter).next().await?;
    let body = Body::from_stream(stream::unfold(first, |step| async move {
        let (bytes, then) = step?;
        let next = match then {
            Some(then) => match then.next().await {
                Ok(next) => next,
                // The connection is broken off: what was sent so far must not look whole.
                Err(error) => {
                    tracing::error!(error = %error.chain(), "an export broke off");
                    return Some((Err(std::io::Error::other("the export broke off")), None));
                }
            },
            None => None,
        };
        Some((Ok(bytes), next))
    }));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

/// How far an export has come.
struct Sending {
    payments: Payments,
    filter: PostingFilter,
    after: Option<PostingCursor>,
}

/// Bytes to send, and what comes after them.
type Step = Option<(Bytes, Option<Sending>)>;

impl Sending {
    const fn begin(payments: Payments, filter: PostingFilter) -> Self {
        Self { payments, filter, after: None }
    }

    async fn next(self) -> Result<Step> {
        let Self { payments, filter, after } = self;
        let mut text = if after.is_none() { CSV_HEAD.to_owned() } else { String::new() };
        let rows = payments.some_postings(filter.clone(), after, CHUNK).await?;
        rows.iter().for_each(|row| text.push_str(&row.to_csv()));
        let is_last = i64::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
        let after = rows.last().filter(|_| !is_last).map(PostingView::cursor);
        if text.is_empty() {
            return Ok(None);
        }
        let then = after.map(|after| Self { payments, filter, after: Some(after) });
        Ok(Some((Bytes::from(text), then)))
    }
}
