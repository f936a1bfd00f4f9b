//! The record of what staff did.

use axum::extract::State as Shared;
use merx_contracts::ids::{AccountId, MessageId};
use merx_http::{Access, Answer, Json, Owner, Query, Route};
use merx_kernel::{Error, Page, PageRequest, Permission, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    State,
    audit::{self, AuditFilter, Entry, hex},
};

/// What somebody of the staff did.
#[derive(Serialize, Deserialize, JsonSchema)]
struct EntryView {
    /// Its place in the record.
    sequence: i64,
    /// When it happened.
    at: Timestamp,
    /// Who.
    actor_id: AccountId,
    /// What, `<context>.<verb in the past>`.
    action: String,
    /// On what.
    object: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it was and what it is, or what else explains it.
    detail: serde_json::Value,
    /// The message that told it.
    message_id: MessageId,
    /// The hash of the entry before, hexadecimal.
    prev_hash: String,
    /// The hash over this entry, hexadecimal.
    hash: String,
}

/// Which entries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Only what this account did.
    actor: Option<AccountId>,
    /// Only actions that begin so: `catalogue.`, `catalogue.price_changed`.
    #[schemars(regex(pattern = r"^[ -}]*$"))]
    action: Option<String>,
    /// Only what was done to this object.
    object: Option<String>,
    /// Not before.
    from: Option<Timestamp>,
    /// Before.
    to: Option<Timestamp>,
    /// How many items, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// Where the last page ended; opaque.
    cursor: Option<String>,
}

fn view(entry: Entry) -> merx_kernel::Result<EntryView> {
    let detail = serde_json::from_str(&entry.detail)
        .map_err(|e| Error::internal("the detail of an act cannot be read").with_source(e))?;
    Ok(EntryView {
        sequence: entry.sequence,
        at: entry.at,
        actor_id: entry.actor,
        action: entry.action,
        object: entry.object,
        reason: entry.reason,
        detail,
        message_id: entry.message,
        prev_hash: hex(&entry.prev_hash),
        hash: hex(&entry.hash),
    })
}

async fn list(
    Shared(state): Shared<State>,
    Query(asked): Query<AuditQuery>,
) -> Answer<Json<Page<EntryView>>> {
    let limit = PageRequest { limit: asked.limit, cursor: None }.checked_limit()?;
    let wrong = |_| Error::invalid("cursor", "must be the next_cursor of a page");
    let before = asked.cursor.map_or(Ok(i64::MAX), |text| text.parse::<i64>().map_err(wrong))?;
    let filter = AuditFilter {
        actor: asked.actor,
        action_prefix: asked.action,
        object: asked.object,
        from: asked.from,
        to: asked.to,
    };
    let entries = audit::list(&state.db, filter, before, limit).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|n| n == limit);
    let next_cursor = entries.last().map(|e| e.sequence.to_string()).filter(|_| full);
    let items = entries.into_iter().map(view).collect::<merx_kernel::Result<_>>()?;
    Ok(Json(Page { items, next_cursor }))
}

pub(super) fn routes(state: &State) -> Vec<Route> {
    let read = Access::Permission {
        permission: Permission::AuditRead,
        owner: Owner::None("the record is the shop's, and names no customer but by id"),
    };
    vec![
        Route::get("/v1/admin/audit", read, list, state)
            .id("listStaffActs")
            .summary("What staff did, the youngest first")
            .description(
                "Each entry carries the hash of the one before; `merx staff-audit verify` checks the chain.",
            )
            .query::<AuditQuery>()
            .response::<Page<EntryView>>(200),
    ]
}
