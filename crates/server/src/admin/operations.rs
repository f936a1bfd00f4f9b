//! What is on its way, and rebuilding read models while the shop is at work.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use merx_kernel::{Clock, Error, Result};
use merx_payment::provider::KeysInUse;
use merx_platform::{
    Projection, Store, Subscription, Tasks,
    bus::{self, Backlog},
    projection::{self, Checksum, Rebuilding, Rebuilt},
};
use merx_sql::{Db, Migration};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use super::{Refusal, Refused};
use crate::shop::Shop;

/// One context as these routes need to know it.
struct Operated {
    store: Store,
    migrations: Vec<Migration>,
    projections: Vec<Projection>,
}

/// What the routes work on.
#[derive(Clone)]
pub struct Operations {
    db: Db,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    contexts: Arc<Vec<Operated>>,
    subscriptions: Arc<Vec<Subscription>>,
    payments: merx_payment::Payments,
    /// One rebuild at a time: each keeps a copy of the read models in memory.
    rebuilding: Arc<Mutex<()>>,
}

impl Operations {
    /// On this shop.
    pub fn of(shop: &Shop) -> Self {
        let operated = |module: &merx_platform::Module| Operated {
            store: module.store.clone(),
            migrations: module.migrations.clone(),
            projections: module.projections.clone(),
        };
        Self {
            db: shop.deps.db.clone(),
            clock: shop.deps.clock.clone(),
            tasks: shop.deps.tasks.clone(),
            contexts: Arc::new(shop.modules.iter().map(operated).collect()),
            subscriptions: Arc::new(shop.modules.iter().flat_map(|m| m.subscriptions.clone()).collect()),
            payments: shop.payment.clone(),
            rebuilding: Arc::default(),
        }
    }
}

/// The routes.
pub fn operations(operations: Operations) -> Router {
    let books = super::books::books(operations.payments.clone());
    Router::new()
        .route("/outbox", get(backlog))
        .route("/payment/keys/reload", post(reload_keys))
        .route("/projections/{context}/rebuild", post(rebuild))
        .with_state(operations)
        .merge(books)
}

/// The keys of providers that are in use now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysLine {
    /// Those of Alipay; none where the shop has no Alipay.
    pub alipay: Option<KeysInUse>,
}

async fn reload_keys(State(shop): State<Operations>) -> Result<Json<KeysLine>, Refused> {
    let alipay = shop.payments.reload_keys().map_err(|error| {
        // The socket tells one sentence.
        let wrong = error.fields().iter().map(|f| format!(" {}: {}.", f.pointer, f.detail));
        let text = wrong.fold(error.message().to_owned(), |text, more| text + &more);
        Error::new(error.kind(), error.code().to_owned(), text)
    })?;
    Ok(Json(KeysLine { alipay }))
}

async fn backlog(State(shop): State<Operations>) -> Result<Json<Backlog>, Refused> {
    let stores: Vec<Store> = shop.contexts.iter().map(|context| context.store.clone()).collect();
    Ok(Json(bus::backlog(&shop.db, &stores, &shop.subscriptions).await?))
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLine {
    /// The table.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// Over all rows, in whatever order.
    pub sha256: String,
}

impl From<Checksum> for TableLine {
    fn from(sum: Checksum) -> Self {
        Self { table: sum.table.to_owned(), rows: sum.rows, sha256: sum.sha256 }
    }
}

/// What came of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildReport {
    /// Whose read models.
    pub context: String,
    /// The events they were built from.
    pub events: u64,
    /// Rows that were not what the events make of them, and are now; absent where every row was written anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mended: Option<u64>,
    /// The tables before.
    pub before: Vec<TableLine>,
    /// The tables after.
    pub after: Vec<TableLine>,
}

impl RebuildReport {
    fn of(context: &str, rebuilt: Rebuilt) -> Self {
        let lines = |sums: Vec<Checksum>| sums.into_iter().map(Into::into).collect();
        Self {
            context: context.to_owned(),
            events: rebuilt.events,
            mended: Some(rebuilt.mended),
            before: lines(rebuilt.before),
            after: lines(rebuilt.after),
        }
    }
}

/// One line of the answer to a rebuild: how far it is, again and again, and at last what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildLine {
    /// It goes on.
    Progress(Rebuilding),
    /// It is done.
    Done(RebuildReport),
    /// It ended without being done.
    Failed(Refusal),
}

/// Goes on when the client hangs up: what is begun is harmless, and nobody could tell how far it came.
async fn rebuild(
    State(shop): State<Operations>,
    Path(context): Path<String>,
) -> Result<impl IntoResponse, Refused> {
    let known = shop.contexts.iter().position(|c| c.store.context() == context);
    let Some(index) = known.filter(|index| !shop.contexts[*index].projections.is_empty()) else {
        let text = format!("`{context}` has no read models that events make.");
        return Err(Error::not_found("projection.unknown", text).into());
    };
    let turn = shop.rebuilding.clone().try_lock_owned().map_err(|_| {
        Error::conflict("projection.rebuild_running", "A rebuild is under way already; wait for its end.")
    })?;
    let (lines, told) = mpsc::unbounded_channel();
    let task = shop.tasks.clone().spawn("rebuild", async move {
        let _turn = turn;
        let last = match rebuild_one(&shop, &shop.contexts[index], &lines).await {
            Ok(rebuilt) => RebuildLine::Done(RebuildReport::of(&context, rebuilt)),
            Err(error) => RebuildLine::Failed(Refusal::from(&error)),
        };
        // Nobody may be there any more to hear it.
        drop(lines.send(last));
    });
    drop(task);
    Ok(as_lines(told))
}

async fn rebuild_one(
    shop: &Operations,
    context: &Operated,
    lines: &mpsc::UnboundedSender<RebuildLine>,
) -> Result<Rebuilt> {
    let mut progress = |at| drop(lines.send(RebuildLine::Progress(at)));
    let (store, migrations, projections) = (&context.store, &context.migrations, &context.projections);
    let work = projection::rebuild_beside(
        &shop.db,
        shop.clock.clone(),
        store,
        migrations,
        projections,
        &mut progress,
    );
    tokio::select! {
        biased;
        () = shop.tasks.stopping().cancelled() => {
            Err(Error::unavailable("server.shutting_down", "The shop stops; rebuild again when it is back."))
        }
        rebuilt = work => rebuilt,
    }
}

/// One JSON a line, each sent as soon as it is there.
fn as_lines(told: mpsc::UnboundedReceiver<RebuildLine>) -> Response {
    let lines = stream::unfold(told, |mut told| async move {
        let line = told.recv().await?;
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(text)), told))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
