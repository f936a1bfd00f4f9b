//! The way out over the network.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::future::BoxFuture;
use merx_kernel::{Error, Result as Outcome};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Outbound, OutboundAnswer, OutboundFailure, OutboundRequest, policy::Reach};

/// How long a connection, with its TLS handshake, may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request to the same host, and how many.
const IDLE_MAX: Duration = Duration::from_secs(30);
const IDLE_PER_HOST_MAX: usize = 4;

/// Looks names up.
pub trait Names: Send + Sync + 'static {
    /// Every address of `host`.
    fn look_up(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The names of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) },
        )
    }
}

/// Why a name leads nowhere; travels through reqwest as the cause of its error.
#[derive(Clone, Debug)]
struct NameFailed(OutboundFailure);

impl fmt::Display for NameFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
impl std::error::Error for NameFailed {}

/// The resolver of a client: the only one it has, so what it hands out is what is connected to.
struct Checked {
    names: Arc<dyn Names>,
    reach: Reach,
    plain: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach, plain) = (self.names.clone(), self.reach, self.plain);
        Box::pin(async move {
            let found = names.look_up(name.as_str().to_owned()).await;
            let addresses = found.ok().filter(|all| !all.is_empty());
            let addresses = addresses.ok_or(NameFailed(OutboundFailure::Unresolved))?;
            // One bad address among good ones is a trick too: which would be taken is chance.
            for address in &addresses {
                reach.allows(*address, plain).map_err(|why| NameFailed(OutboundFailure::Refused(why)))?;
            }
            let all: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(all)
        })
    }
}

/// Over the network. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Web {
    reach: Reach,
    https: reqwest::Client,
    plain: reqwest::Client,
}

impl Web {
    /// As far as `reach`, with the names `names` knows.
    ///
    /// # Errors
    /// `Internal` when TLS cannot be set up.
    pub fn new(reach: Reach, names: Arc<dyn Names>) -> Outcome<Self> {
        let client = |plain: bool| {
            reqwest::Client::builder()
                .dns_resolver(Arc::new(Checked { names: names.clone(), reach, plain }))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .https_only(!plain)
                .connect_timeout(CONNECT_MAX)
                .pool_idle_timeout(IDLE_MAX)
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .user_agent(concat!("Merx/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| Error::internal("the client for outgoing HTTP cannot be built").with_source(e))
        };
        Ok(Self { reach, https: client(false)?, plain: client(true)? })
    }
}

/// What became of it, from the chain of causes.
fn failure(error: &reqwest::Error) -> OutboundFailure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(NameFailed(why)) = this.downcast_ref() {
            return why.clone();
        }
        cause = this.source();
    }
    if error.is_timeout() {
        OutboundFailure::Timeout
    } else if error.is_connect() || error.is_builder() {
        OutboundFailure::Unreachable
    } else {
        OutboundFailure::Broken
    }
}

#[async_trait]
impl Outbound for Web {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundFailure> {
        let target = self.reach.target(&request.url).map_err(OutboundFailure::Refused)?;
        let client = if target.plain { &self.plain } else { &self.https };
        let call = client
            .request(request.method, target.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(request.time_max);
        let mut response = call.send().await.map_err(|e| failure(&e))?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let (mut body, mut whole) = (BytesMut::new(), true);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = request.answer_bytes_max - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        whole = false;
                        break;
                    }
                }
                Ok(None) => break,
                // The head has told what became of the request.
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Ok(OutboundAnswer { status, headers, body: body.freeze(), whole })
    }
}
