//! Pictures of a case: the buyer shows them, the buyer and staff see them.

use axum::{
    extract::State as FromState,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use merx_contracts::ids::{AfterSaleId, EvidenceId};
use merx_http::{Answer, Begun, Caller, IdempotencyKey, Path, RawBody, answer, respond};
use merx_kernel::Error;
use merx_sql::Tx;

use super::Api;
use crate::{
    commands::add_picture,
    domain::Rejection,
    pictures::{Made, key_of},
    queries::{self, Whose},
    store::{cases, evidence},
    view::EvidenceView,
};

pub(super) async fn add(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Path(case_id): Path<AfterSaleId>,
    RawBody(bytes): RawBody,
) -> Answer<Response> {
    let state = &api.own.state;
    queries::found(state, case_id, Some(caller.account)).await?;
    let made = state.pool.make(bytes).await?;
    let evidence_id: EvidenceId = state.ids.next();
    let row = add_picture::put(state, (case_id, caller.account), evidence_id, &made).await?;
    let (store, now, repeated) = (state.store.clone(), state.clock.now(), key);
    let view = EvidenceView::from(row);
    let write = move |tx: &mut Tx<'_>| {
        if let Begun::Repeated { effect, saved } = key.begin(store.idempotency, tx, evidence_id, now)? {
            return Ok(Err((effect, saved)));
        }
        add_picture::keep(tx, case_id, evidence_id)?;
        let saved = answer(StatusCode::CREATED, &view)?;
        key.complete(store.idempotency, tx, evidence_id, &saved)?;
        Ok(Ok(saved))
    };
    match state.db.write("aftersale.add_picture", write).await? {
        Ok(saved) => Ok(respond(saved)),
        Err((effect, saved)) => api.idempotent.repeat(&repeated, effect, saved, |_| async { Ok(None) }).await,
    }
}

pub(super) async fn get(
    FromState(api): FromState<Api>,
    Caller(caller): Caller,
    Path((case_id, evidence_id)): Path<(AfterSaleId, EvidenceId)>,
) -> Answer<Response> {
    shown(&api, case_id, evidence_id, Some(caller.account)).await
}

pub(super) async fn get_any(
    FromState(api): FromState<Api>,
    Path((case_id, evidence_id)): Path<(AfterSaleId, EvidenceId)>,
) -> Answer<Response> {
    shown(&api, case_id, evidence_id, None).await
}

async fn shown(api: &Api, case_id: AfterSaleId, evidence_id: EvidenceId, whose: Whose) -> Answer<Response> {
    let state = &api.own.state;
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let row = cases::one(q, case_id)?.ok_or(Rejection::CaseUnknown)?;
        queries::check(&row, whose)?;
        evidence::is_kept(q, evidence_id, case_id)
    };
    let kept = state.db.read("aftersale.picture", read).await?;
    let bytes = if kept { state.objects.get(&key_of(evidence_id)?).await? } else { None };
    let bytes = bytes.ok_or_else(unknown)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(Made::MEDIA_TYPE)),
        // Of one person only, and gone when that person is erased.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, bytes).into_response())
}

fn unknown() -> Error {
    Error::not_found("aftersale.picture_not_found", "There is no such picture.")
}
