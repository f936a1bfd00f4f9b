//! Speaks to a running shop through its admin socket; with none running, to the same routes in this process: under
//! the data lock to change something, and reading only otherwise.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, Response},
};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use merx_kernel::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use crate::{
    admin::{Refusal, SOCKET},
    cli::Place,
    files::DataFolder,
    instance::{self, Mode},
    shop::Shop,
};

/// How long what an operator set going (a saga tried again) may take before the command ends without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A way to the admin routes of a shop.
pub enum AdminClient {
    /// It runs.
    Socket(UnixStream),
    /// It rests; while this process changes it, nobody else may.
    Resting(Router, Box<Shop>, Option<DataFolder>),
}

impl AdminClient {
    /// Finds the running shop, or opens the resting one.
    ///
    /// # Errors
    /// What the configuration, the data folder or the database says.
    pub async fn connect(place: &Place, mode: Mode) -> Result<Self> {
        let config = instance::config_of(place)?;
        if let Ok(stream) = UnixStream::connect(config.data_dir.join(SOCKET)).await {
            return Ok(Self::Socket(stream));
        }
        let folder = match mode {
            Mode::ReadWrite => Some(DataFolder::claim(&config.data_dir)?),
            Mode::ReadOnly => None,
        };
        let shop = instance::open(&config, mode)?;
        if mode == Mode::ReadWrite {
            shop.migrate().await?;
        }
        Ok(Self::Resting(shop.resting_admin()?, Box::new(shop), folder))
    }

    /// One request; a client is good for one.
    ///
    /// # Errors
    /// What the route refuses.
    pub async fn ask<T: DeserializeOwned>(self, method: Method, path: &str) -> Result<T> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "merx")
            .body(Body::empty())
            .map_err(|e| Error::invalid("argument", "cannot stand in a path").with_source(e))?;
        let answer = match self {
            Self::Socket(stream) => over_socket(stream, request).await?,
            Self::Resting(router, shop, _folder) => {
                let Ok(answer) = router.oneshot(request).await;
                let answer = collect(answer).await;
                shop.deps.tasks.shutdown(PATIENCE).await?;
                shop.deps.db.close().await;
                answer?
            }
        };
        read(answer)
    }
}

fn lost(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("server.admin_socket", "The running shop does not answer on its admin socket.")
        .with_source(source)
}

async fn over_socket(stream: UnixStream, request: Request<Body>) -> Result<Response<Bytes>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let (answer, _) = tokio::join!(
        async move {
            let answer = sender.send_request(request).await.map_err(lost)?;
            drop(sender);
            collect(answer.map(Body::new)).await
        },
        connection
    );
    answer
}

async fn collect(answer: Response<Body>) -> Result<Response<Bytes>> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(lost)?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

fn read<T: DeserializeOwned>(answer: Response<Bytes>) -> Result<T> {
    let status = answer.status();
    let body = answer.into_body();
    if status.is_success() {
        let text: &[u8] = if body.is_empty() { b"null" } else { &body };
        return serde_json::from_slice(text).map_err(lost);
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Err(Error::new(ErrorKind::Rejected, refusal.code, refusal.message)),
        Err(_) => Err(Error::invalid("argument", format!("the shop refused it ({status})"))),
    }
}
