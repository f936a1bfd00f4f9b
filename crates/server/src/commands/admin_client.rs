//! Speaks to a running shop through its admin socket; with none running, to the same routes in this process: under
//! the data lock to change something, and reading only otherwise.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, Response, header},
};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use merx_kernel::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use super::reading;
use crate::{
    admin::{Operations, Refusal, SOCKET, operations},
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
        let shop = match mode {
            Mode::ReadWrite => {
                let shop = instance::open(&config, mode)?;
                shop.migrate().await?;
                shop
            }
            Mode::ReadOnly => reading::open(&config).await?,
        };
        let router = shop.resting_admin()?.merge(operations(Operations::of(&shop)));
        Ok(Self::Resting(router, Box::new(shop), folder))
    }

    /// One request; a client is good for one.
    ///
    /// # Errors
    /// What the route refuses.
    pub async fn ask<T: DeserializeOwned>(self, method: Method, path: &str) -> Result<T> {
        self.send(request(method, path, Body::empty())?, async |answer| read(collect(answer).await?)).await
    }

    /// One request with a body.
    ///
    /// # Errors
    /// What the route refuses.
    pub async fn tell<T: DeserializeOwned>(self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(lost)?;
        let request = request(Method::POST, path, Body::from(body))?;
        self.send(request, async |answer| read(collect(answer).await?)).await
    }

    /// One request that is answered line by line.
    ///
    /// # Errors
    /// What the route refuses; `server.admin_socket` when the shop goes away before the end.
    pub async fn lines<T: DeserializeOwned>(self, path: &str, mut each: impl FnMut(T)) -> Result<()> {
        let take = async |answer: Response<Body>| {
            if !answer.status().is_success() {
                return read::<()>(collect(answer).await?);
            }
            let (mut body, mut text) = (answer.into_body(), Vec::new());
            while let Some(frame) = body.frame().await {
                text.extend_from_slice(&frame.map_err(lost)?.into_data().unwrap_or_default());
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    each(serde_json::from_slice(&line).map_err(lost)?);
                }
            }
            Ok(())
        };
        self.send(request(Method::POST, path, Body::empty())?, take).await
    }

    async fn send<T>(
        self,
        request: Request<Body>,
        take: impl AsyncFnOnce(Response<Body>) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Socket(stream) => over_socket(stream, request, take).await,
            Self::Resting(router, shop, _folder) => {
                let Ok(answer) = router.oneshot(request).await;
                let taken = take(answer).await;
                shop.deps.tasks.shutdown(PATIENCE).await?;
                shop.deps.db.close().await;
                taken
            }
        }
    }
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "merx")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|e| Error::invalid("argument", "cannot stand in a path").with_source(e))
}

fn lost(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("server.admin_socket", "The running shop does not answer on its admin socket.")
        .with_source(source)
}

async fn over_socket<T>(
    stream: UnixStream,
    request: Request<Body>,
    take: impl AsyncFnOnce(Response<Body>) -> Result<T>,
) -> Result<T> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let (answer, _) = tokio::join!(
        async move {
            let answer = sender.send_request(request).await.map_err(lost)?;
            drop(sender);
            take(answer.map(Body::new)).await
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
        Ok(refusal) => Err(refused(refusal)),
        Err(_) => Err(Error::invalid("argument", format!("the shop refused it ({status})"))),
    }
}

/// A refusal that came over the socket, as an error here.
pub fn refused(refusal: Refusal) -> Error {
    Error::new(ErrorKind::Rejected, refusal.code, refusal.message)
}
