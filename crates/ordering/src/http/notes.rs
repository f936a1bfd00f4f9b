//! `POST /v1/orders/{order}/notes`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use merx_http::{Answer, Caller, IdempotencyKey, Json, Path, replayed, respond};
use merx_kernel::{Error, Permission};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, order_ref::OrderRef};
use crate::{
    commands::{
        Who,
        write_note::{NoteText, Written, write_note},
    },
    store::notes,
    view::NoteVisibility,
};

/// What is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteBody {
    /// The note.
    text: NoteText,
    /// Who may read it besides the shop; staff only, `internal` unless told. A buyer's note is for the shop.
    visibility: Option<NoteVisibility>,
}

pub(super) async fn write(
    State(api): State<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(order): Path<OrderRef>,
    Json(body): Json<NoteBody>,
) -> Answer<Response> {
    let order_id = api.resolve(order).await?;
    let who = Who::of(&caller, Permission::OrdersWrite);
    match write_note(&api.ordering, key, order_id, who, body.text, body.visibility).await? {
        Written::Note(note) => Ok((StatusCode::CREATED, Json(note)).into_response()),
        Written::Repeated(_, Some(saved)) => Ok(respond(saved)),
        Written::Repeated(note_id, None) => {
            // The answer is not kept beside the key: it is what somebody wrote.
            let read = move |q: &mut merx_sql::Reader<'_>| notes::one(q, note_id);
            let note = api.ordering.tools.db.read("ordering.note", read).await?;
            let note = note.ok_or_else(|| Error::internal("a note that was written is not there"))?;
            Ok(replayed((StatusCode::CREATED, Json(note)).into_response()))
        }
    }
}
