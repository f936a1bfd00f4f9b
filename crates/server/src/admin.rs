//! What operators may do to a shop: a small HTTP API on a Unix socket in the data folder of a running one, readable by its
//! owner only. The command line speaks to it; with no shop running it serves the same routes to itself.

mod books;
mod lines;
mod operations;

use std::{path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::{Error, ErrorKind, Result};
use merx_platform::{
    bus::Bus,
    saga::{SagaEngine, SagaFilter, SagaRow, SagaStatus},
    store::{DeliveryState, Store},
};
use merx_sql::Db;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

pub use self::{
    books::CaseLine,
    lines::{DeadLetterDetail, DeadLetterLine, Listed, SagaDetail, SagaLine, StepLine, TimerLine},
    operations::{KeysLine, Operations, RebuildLine, RebuildReport, TableLine, operations},
};

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// The most lines of one list.
pub const LIST_MAX: i64 = 10_000;
/// The longest reason for dropping a dead letter.
pub const REASON_CHARS_MAX: usize = 500;

/// What the routes work on.
#[derive(Clone)]
pub struct Admin {
    /// The database.
    pub db: Db,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// Every context with its store and, where it has sagas, its engine.
    pub contexts: Vec<(Store, Option<SagaEngine>)>,
}

/// Which lines of a list are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListQuery {
    /// Of this context only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// At most so many; [`LIST_MAX`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Sagas: statuses, separated by commas. Absent: all that are not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Sagas: of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Dead letters: of this subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Dead letters: those that were dropped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// Timers: of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Timers: only those due at this moment, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_by: Option<i64>,
}

impl ListQuery {
    /// One more than is wanted, to know whether there are more.
    fn rows(&self) -> i64 {
        self.limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX) + 1
    }

    fn wants(&self, store: &Store) -> bool {
        self.context.as_ref().is_none_or(|context| context == store.context())
    }
}

/// Why a dead letter is dropped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropReason {
    /// 1 to [`REASON_CHARS_MAX`] characters.
    pub reason: String,
}

/// An error as the socket tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

pub(crate) struct Refused(Error);
impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Conflict | ErrorKind::Rejected => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(Refusal::from(&self.0))).into_response()
    }
}

/// The routes to sagas, dead letters and timers.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/sagas", get(list_sagas))
        .route("/sagas/{id}", get(show_saga))
        .route("/sagas/{id}/retry", post(retry_saga))
        .route("/sagas/{id}/abandon", post(abandon_saga))
        .route("/dead-letters", get(list_dead_letters))
        .route("/dead-letters/{subscription}/{message}", get(show_dead_letter))
        .route("/dead-letters/{subscription}/{message}/redrive", post(redrive))
        .route("/dead-letters/{subscription}/{message}/drop", post(drop_letter))
        .route("/timers", get(list_timers))
        .with_state(admin)
}

async fn list_sagas(
    State(admin): State<Admin>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Listed<SagaLine>>, Refused> {
    let statuses = match &query.status {
        None => SagaStatus::ALL.iter().copied().filter(|s| s.is_open()).collect(),
        Some(names) => names.split(',').map(status).collect::<Result<Vec<_>>>()?,
    };
    let filter = SagaFilter { statuses, name: query.name.clone() };
    let mut lines = Vec::new();
    for (store, engine) in admin.contexts.iter().filter(|(store, _)| query.wants(store)) {
        let Some(engine) = engine else { continue };
        let context_lines = sagas_of(engine, &filter, query.rows()).await?;
        lines.extend(context_lines.into_iter().map(|row| SagaLine::of(store.context(), row)));
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.id));
    Ok(Json(Listed::of(lines, query.rows())))
}

fn status(name: &str) -> Result<SagaStatus> {
    SagaStatus::from_name(name).ok_or_else(|| Error::invalid("status", "is no status of a saga"))
}

/// The newest sagas; the engine answers a page at a time.
async fn sagas_of(engine: &SagaEngine, filter: &SagaFilter, limit: i64) -> Result<Vec<SagaRow>> {
    let mut rows: Vec<SagaRow> = Vec::new();
    loop {
        let left = limit - i64::try_from(rows.len()).unwrap_or(limit);
        let page = match left {
            1.. => engine.search(filter.clone(), rows.last().map(|row| row.id), left).await?,
            _ => Vec::new(),
        };
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

async fn engine_of(admin: &Admin, id: SagaId) -> Result<(&'static str, SagaEngine)> {
    for (store, engine) in &admin.contexts {
        let Some(engine) = engine else { continue };
        match engine.find(id).await {
            Ok(_) => return Ok((store.context(), engine.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::not_found("saga.not_found", format!("There is no saga {id}.")))
}

async fn show_saga(
    State(admin): State<Admin>,
    UrlPath(id): UrlPath<SagaId>,
) -> Result<Json<SagaDetail>, Refused> {
    let (context, engine) = engine_of(&admin, id).await?;
    let row = engine.find(id).await?;
    let steps = engine.steps(&row);
    Ok(Json(SagaDetail::of(context, row, steps)?))
}

async fn retry_saga(State(admin): State<Admin>, UrlPath(id): UrlPath<SagaId>) -> Result<StatusCode, Refused> {
    drop(engine_of(&admin, id).await?.1.retry(id).await?);
    Ok(StatusCode::NO_CONTENT)
}

async fn abandon_saga(
    State(admin): State<Admin>,
    UrlPath(id): UrlPath<SagaId>,
) -> Result<StatusCode, Refused> {
    engine_of(&admin, id).await?.1.abandon(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_dead_letters(
    State(admin): State<Admin>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Listed<DeadLetterLine>>, Refused> {
    let stores: Vec<Store> = admin.contexts.iter().map(|(store, _)| store.clone()).collect();
    let (rows, wanted) = (query.rows(), query.clone());
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let mut lines = Vec::new();
        for store in stores.iter().filter(|store| wanted.wants(store)) {
            let subscription = wanted.subscription.as_deref();
            if wanted.dropped {
                let dropped = store.deliveries.dropped(q, subscription, rows)?;
                lines.extend(dropped.into_iter().map(DeadLetterLine::of_dropped));
            } else {
                let dead = store.deliveries.dead(q, subscription, rows)?;
                lines.extend(dead.into_iter().map(DeadLetterLine::of));
            }
        }
        Ok(lines)
    };
    let mut lines = admin.db.read("admin.dead_letters", read).await?;
    if query.dropped {
        lines.sort_by_key(|line| std::cmp::Reverse(line.dropped_at));
    }
    Ok(Json(Listed::of(lines, rows)))
}

fn no_dead_letter() -> Error {
    Error::not_found("message.no_dead_letter", "There is no such dead letter.")
}

async fn show_dead_letter(
    State(admin): State<Admin>,
    UrlPath((subscription, message)): UrlPath<(String, MessageId)>,
) -> Result<Json<DeadLetterDetail>, Refused> {
    let stores: Vec<Store> = admin.contexts.iter().map(|(store, _)| store.clone()).collect();
    let read = move |q: &mut merx_sql::Reader<'_>| {
        for store in &stores {
            if let Some(row) = store.deliveries.find(q, &subscription, message)? {
                let mut dropped = Vec::new();
                if row.state == DeliveryState::Dropped {
                    dropped = store.deliveries.dropped(q, Some(&subscription), i64::MAX)?;
                }
                let dropped = dropped.into_iter().find(|d| d.letter.message == message);
                return Ok(Some(DeadLetterDetail::of(row, dropped)));
            }
        }
        Ok(None)
    };
    let found = admin.db.read("admin.dead_letter", read).await?;
    Ok(Json(found.ok_or_else(no_dead_letter)?))
}

async fn redrive(
    State(admin): State<Admin>,
    UrlPath((subscription, message)): UrlPath<(String, MessageId)>,
) -> Result<StatusCode, Refused> {
    if admin.bus.redrive(&subscription, message).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(no_dead_letter().into())
}

async fn drop_letter(
    State(admin): State<Admin>,
    UrlPath((subscription, message)): UrlPath<(String, MessageId)>,
    Json(DropReason { reason }): Json<DropReason>,
) -> Result<StatusCode, Refused> {
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        let rule = format!("must have 1 to {REASON_CHARS_MAX} characters");
        return Err(Error::invalid("/reason", rule).into());
    }
    if !admin.bus.give_up(&subscription, message, reason.clone()).await? {
        return Err(no_dead_letter().into());
    }
    tracing::warn!(subscription, %message, reason, "an operator dropped a dead letter");
    Ok(StatusCode::NO_CONTENT)
}

async fn list_timers(
    State(admin): State<Admin>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Listed<TimerLine>>, Refused> {
    let stores: Vec<Store> = admin.contexts.iter().map(|(store, _)| store.clone()).collect();
    let (rows, wanted) = (query.rows(), query.clone());
    let read = move |q: &mut merx_sql::Reader<'_>| {
        let mut lines = Vec::new();
        for store in stores.iter().filter(|store| wanted.wants(store)) {
            let timers = store.timers.list(q, wanted.kind.as_deref(), rows)?;
            lines.extend(timers.into_iter().map(|row| TimerLine::of(store.context(), row)));
        }
        Ok(lines)
    };
    let mut lines = admin.db.read("admin.timers", read).await?;
    lines.retain(|line| query.due_by.is_none_or(|by| line.next_at.as_millis() <= by));
    lines.sort_by(|a, b| {
        (a.next_at, &a.context, &a.kind, &a.key).cmp(&(b.next_at, &b.context, &b.kind, &b.key))
    });
    Ok(Json(Listed::of(lines, rows)))
}

/// Listens on the socket in `data_dir`, in place of one a dead process left behind. The caller holds the data lock.
///
/// # Errors
/// `server.admin_socket` when the socket cannot be made.
pub fn listen(data_dir: &Path) -> Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = data_dir.join(SOCKET);
    let refused = |e: std::io::Error| {
        Error::unavailable("server.admin_socket", format!("Cannot listen on {}.", path.display()))
            .with_source(e)
    };
    if path.exists() {
        std::fs::remove_file(&path).map_err(refused)?;
    }
    let listener = UnixListener::bind(&path).map_err(refused)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(listener)
}
