//! The accounts of customers, for staff.

use axum::{extract::State as Shared, response::Response};
use http::StatusCode;
use merx_contracts::ids::{AccountId, SessionId};
use merx_http::{
    Access, Answer, Caller, Idempotency, IdempotencyKey, Json, Owner, Path, Query, Route, answer,
};
use merx_kernel::{Error, Page, PageRequest, Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Desk, Reason,
    account::ExportView,
    before, page,
    sessions::{SessionsView, views},
};
use crate::{
    State,
    commands::{
        end_session::end_customer_sessions, erase_person::erase_customer, export_person::note_export,
    },
    domain::{
        email::Email,
        person::{Kind, Locale, Status},
    },
    queries,
    store::accounts::AccountRow,
    telling::Actor,
};

/// Somebody who buys.
#[derive(Serialize, Deserialize, JsonSchema)]
struct CustomerView {
    /// The account.
    id: AccountId,
    /// `member` or `guest`.
    kind: Kind,
    /// The log-in name; of a guest, where it is written to, empty for nowhere.
    email: String,
    /// How the person is called.
    name: String,
    /// `active` or `erased`.
    status: Status,
    /// The language the person is written to in.
    locale: Locale,
    /// When it was made.
    created_at: Timestamp,
}

/// Which customers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CustomersQuery {
    /// `member` unless told.
    kind: Option<Buyer>,
    /// Only who has exactly this e-mail address.
    #[schemars(with = "Option<Email>")]
    email: Option<String>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

/// What a customer can be.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Buyer {
    /// Somebody who registered.
    Member,
    /// Somebody who did not.
    Guest,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    /// Why, for the record: who asked for it, and how one knows that it was he.
    reason: Reason,
}

/// Who was erased.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ErasedView {
    /// The account.
    id: AccountId,
}

fn view(row: AccountRow) -> CustomerView {
    CustomerView {
        id: row.id,
        kind: row.kind,
        email: row.email().to_owned(),
        name: row.name,
        status: row.status,
        locale: row.locale,
        created_at: row.created_at,
    }
}

async fn list(
    Shared(state): Shared<State>,
    Query(asked): Query<CustomersQuery>,
) -> Answer<Json<Page<CustomerView>>> {
    let limit = PageRequest { limit: asked.limit, cursor: None }.checked_limit()?;
    let before = before(asked.cursor.as_deref())?;
    let email = asked.email.as_deref().map(Email::new).transpose().map_err(|e| Error::invalid("email", e))?;
    let kind = match asked.kind {
        Some(Buyer::Guest) => Kind::Guest,
        Some(Buyer::Member) | None => Kind::Member,
    };
    let rows = queries::accounts_of(&state, kind, email, before, limit).await?;
    Ok(Json(page(rows, limit, view)))
}

async fn get(Shared(state): Shared<State>, Path(id): Path<AccountId>) -> Answer<Json<CustomerView>> {
    Ok(Json(view(queries::customer_account(&state, id).await?)))
}

async fn sessions(Shared(state): Shared<State>, Path(id): Path<AccountId>) -> Answer<Json<SessionsView>> {
    Ok(Json(SessionsView { items: views(queries::customer_sessions(&state, id).await?, None) }))
}

async fn end_all(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
) -> Answer<StatusCode> {
    end_customer_sessions(&state, Actor::from(&caller), id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_one(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path((id, session)): Path<(AccountId, SessionId)>,
) -> Answer<StatusCode> {
    end_customer_sessions(&state, Actor::from(&caller), id, Some(session)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export(
    Shared(state): Shared<State>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
    Json(body): Json<ReasonBody>,
) -> Answer<Json<ExportView>> {
    let all = queries::everything(&state, id, true).await?;
    note_export(&state, Actor::from(&caller), id, body.reason.into_string()).await?;
    Ok(Json(ExportView::of(all)))
}

async fn erase(
    Shared(desk): Shared<Desk>,
    Caller(caller): Caller,
    Path(id): Path<AccountId>,
    key: IdempotencyKey,
    Json(body): Json<ReasonBody>,
) -> Answer<Response> {
    let reason = body.reason.into_string();
    let begun = erase_customer(&desk.state, Actor::from(&caller), id, reason, key).await?;
    desk.answer(&key, begun, || answer(StatusCode::OK, &ErasedView { id })).await
}

pub(super) fn routes(desk: &Desk) -> Vec<Route> {
    let state = &desk.state;
    let owner = Owner::None("staff look after every customer; an account of staff is a 404 here");
    // Personal data of others: a person looks at it, no program.
    let read = Access::SessionPermission { permission: Permission::AccountsRead, owner };
    let write = Access::SessionPermission { permission: Permission::AccountsWrite, owner };
    let one = |route: Route| route.param::<AccountId>("account").errors(&["accounts.account_not_found"]);
    vec![
        Route::get("/v1/admin/accounts", read, list, state)
            .id("listCustomers")
            .summary("The accounts of customers, the youngest first")
            .query::<CustomersQuery>()
            .response::<Page<CustomerView>>(200),
        one(Route::get("/v1/admin/accounts/{account}", read, get, state))
            .id("getCustomer")
            .summary("The account of a customer")
            .response::<CustomerView>(200),
        one(Route::get("/v1/admin/accounts/{account}/sessions", read, sessions, state))
            .id("listCustomerSessions")
            .summary("The open sessions of a customer")
            .response::<SessionsView>(200),
        one(Route::delete("/v1/admin/accounts/{account}/sessions", write, end_all, state))
            .id("endCustomerSessions")
            .summary("End all sessions of a customer")
            .empty_response(204),
        one(Route::delete("/v1/admin/accounts/{account}/sessions/{session}", write, end_one, state))
            .id("endCustomerSession")
            .summary("End one session of a customer")
            .param::<SessionId>("session")
            .empty_response(204)
            .errors(&["accounts.session_not_found"]),
        one(Route::post("/v1/admin/accounts/{account}/export", write, export, state))
            .id("exportCustomer")
            .summary("Everything there is about a customer here, for who asked for it")
            .body::<ReasonBody>()
            .response::<ExportView>(200)
            .idempotency(Idempotency::Natural("it changes nothing; each time is recorded")),
        one(Route::post("/v1/admin/accounts/{account}/erasure", write, erase, desk))
            .id("eraseCustomer")
            .summary("Erase a customer who asked for it")
            .description("What is erased does not come back. Orders stay, without a person in them.")
            .body::<ReasonBody>()
            .response::<ErasedView>(200)
            .idempotency(Idempotency::Required),
    ]
}
