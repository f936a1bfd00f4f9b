//! What operators may do to a running shop: a small HTTP API on a Unix socket in the data folder, readable by its
//! owner only. The command line speaks to it; with no shop running it serves the same router to itself.

use std::{path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::{Error, ErrorKind, Result, Timestamp};
use merx_platform::{
    bus::Bus,
    saga::{SagaEngine, SagaRow, SagaStatus},
    store::{DeliveryState, Store},
};
use merx_sql::Db;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// The most dead letters of one context, or sagas of one context and status, that a list shows.
pub const LIST_MAX: usize = 1_000;

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

/// A saga that is not finished.
#[derive(Debug, Serialize, Deserialize)]
pub struct SagaLine {
    /// Its identity.
    pub id: SagaId,
    /// The context it runs in.
    pub context: String,
    /// Its name.
    pub name: String,
    /// `running`, `compensating`, `waiting`, `stuck`.
    pub status: String,
    /// Failures in a row.
    pub failures: i64,
    /// When it goes on by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// What holds it up.
    pub problem: Option<String>,
    /// When it started.
    pub created_at: Timestamp,
}

/// A message that could not be handled.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetterLine {
    /// Who could not handle it.
    pub subscription: String,
    /// Its identity.
    pub message: MessageId,
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// What went wrong.
    pub problem: String,
}

/// An error as the socket tells it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
}

struct Refused(Error);
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
        let refusal = Refusal { code: self.0.code().to_owned(), message: self.0.to_string() };
        (status, Json(refusal)).into_response()
    }
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/sagas", get(list_sagas))
        .route("/sagas/{id}/retry", post(retry_saga))
        .route("/sagas/{id}/abandon", post(abandon_saga))
        .route("/dead-letters", get(list_dead_letters))
        .route("/dead-letters/{subscription}/{message}/redrive", post(redrive))
        .with_state(admin)
}

async fn list_sagas(State(admin): State<Admin>) -> Result<Json<Vec<SagaLine>>, Refused> {
    let mut lines = Vec::new();
    for (store, engine) in &admin.contexts {
        let Some(engine) = engine else { continue };
        for status in SagaStatus::ALL.iter().copied().filter(|s| s.is_open()) {
            let rows = sagas_in(engine, status).await?;
            lines.extend(rows.into_iter().map(|row| SagaLine {
                id: row.id,
                context: store.context().to_owned(),
                name: row.name,
                status: status.name().to_owned(),
                failures: row.failures,
                next_attempt_at: row.next_attempt_at,
                problem: row.problem,
                created_at: row.created_at,
            }));
        }
    }
    Ok(Json(lines))
}

/// The newest sagas in a status; the engine answers a page at a time.
async fn sagas_in(engine: &SagaEngine, status: SagaStatus) -> Result<Vec<SagaRow>> {
    let mut rows: Vec<SagaRow> = Vec::new();
    loop {
        let before = rows.last().map(|row| row.id);
        let page = engine.list(Some(status), before, i64::MAX).await?;
        if page.is_empty() || rows.len() >= LIST_MAX {
            rows.truncate(LIST_MAX);
            return Ok(rows);
        }
        rows.extend(page);
    }
}

async fn engine_of(admin: &Admin, id: SagaId) -> Result<SagaEngine> {
    for engine in admin.contexts.iter().filter_map(|(_, e)| e.as_ref()) {
        match engine.find(id).await {
            Ok(_) => return Ok(engine.clone()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::not_found("saga.not_found", format!("There is no saga {id}.")))
}

async fn retry_saga(State(admin): State<Admin>, UrlPath(id): UrlPath<SagaId>) -> Result<StatusCode, Refused> {
    drop(engine_of(&admin, id).await?.retry(id).await?);
    Ok(StatusCode::NO_CONTENT)
}

async fn abandon_saga(
    State(admin): State<Admin>,
    UrlPath(id): UrlPath<SagaId>,
) -> Result<StatusCode, Refused> {
    engine_of(&admin, id).await?.abandon(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_dead_letters(State(admin): State<Admin>) -> Result<Json<Vec<DeadLetterLine>>, Refused> {
    let mut lines = Vec::new();
    for (store, _) in &admin.contexts {
        let store = store.clone();
        let limit = i64::try_from(LIST_MAX).unwrap_or(i64::MAX);
        let read = admin
            .db
            .read("admin.dead_letters", move |q| store.deliveries.list(q, DeliveryState::Dead, limit));
        lines.extend(read.await?.into_iter().map(|row| DeadLetterLine {
            subscription: row.subscription,
            message: row.message,
            kind: row.kind,
            subject: row.subject,
            problem: row.problem,
        }));
    }
    Ok(Json(lines))
}

async fn redrive(
    State(admin): State<Admin>,
    UrlPath((subscription, message)): UrlPath<(String, MessageId)>,
) -> Result<StatusCode, Refused> {
    if admin.bus.redrive(&subscription, message).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::not_found("message.no_dead_letter", "There is no such dead letter.").into())
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
