//! Asks over the network: the server's side in front of any generated service, and the [`Peer`] of a service
//! elsewhere. What both do to a call is what [`Peer::local`] does: deadline, trace, caller and errors are the same.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use merx_kernel::{Error, ErrorKind, Result, Secret};
use tonic::{Status, body::Body, transport::Channel};
use tower::{Service, ServiceExt as _};

use super::{Peer, Transport, out_of_time, serve, status_of};

/// What the processes of one shop show each other with every call. Never printed.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// The fewest characters: as many as 128 random bits have in base 32.
    pub const CHARS_MIN: usize = 26;

    /// Checks it.
    ///
    /// # Errors
    /// `Invalid` for one that is too short to be a secret or cannot stand in a header.
    pub fn new(token: &Secret<String>) -> Result<Self> {
        let token = token.expose();
        if token.len() < Self::CHARS_MIN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let text = format!("must have at least {} ASCII characters and no spaces", Self::CHARS_MIN);
            return Err(Error::invalid("/grpc/token", text));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::invalid("/grpc/token", "cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A service as it is shown to other processes: every call opens the scope its headers describe, and one that does
/// not carry the token is refused before anything of it is read.
#[derive(Clone, Debug)]
pub struct Served<S> {
    inner: S,
    token: Token,
}

impl<S> Served<S> {
    /// The service behind `Authorization: Bearer <token>`.
    pub const fn new(inner: S, token: Token) -> Self {
        Self { inner, token }
    }

    fn admits(&self, request: &Request<Body>) -> bool {
        let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        same(given, self.token.0.as_bytes())
    }
}

impl<S> Service<Request<Body>> for Served<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !self.admits(&request) {
            let refused = Error::new(
                ErrorKind::Unauthenticated,
                "rpc.token_wrong",
                "The call does not carry this shop's internal token (authorization: Bearer …).",
            );
            return Box::pin(async move { Ok(status_of(&refused).into_http()) });
        }
        let inner = self.inner.clone();
        Box::pin(async move {
            let headers = request.headers().clone();
            Ok(serve(&headers, inner.oneshot(request)).await)
        })
    }
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

impl Peer {
    /// The way to a service in another process, at the other end of `channel`.
    pub fn remote(channel: Channel, token: Token) -> Self {
        Self::over(Remote { channel, token })
    }
}

struct Remote {
    channel: Channel,
    token: Token,
}

impl Transport for Remote {
    fn call(&self, mut request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        request.headers_mut().insert(AUTHORIZATION, self.token.0.clone());
        let channel = self.channel.clone();
        Box::pin(async move {
            let answer = channel.oneshot(request).await;
            if answer.as_ref().map_or_else(|e| timed_out(e), is_cut_off) {
                return out_of_time().into_http();
            }
            answer.unwrap_or_else(|e| {
                let text = "The other process does not answer; whether the call took effect is not known.";
                status_of(&Error::unavailable("rpc.unavailable", text).with_source(e)).into_http()
            })
        })
    }
}

/// The transport keeps the deadline too, and says so in words of its own when it is the first to notice: here.
fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.is::<tonic::TimeoutExpired>())
}

/// And at the other end, where nothing else cancels a call that is still waited for.
fn is_cut_off(response: &Response<Body>) -> bool {
    response.headers().get(Status::GRPC_STATUS).is_some_and(|code| code == "1")
}
