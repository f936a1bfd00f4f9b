//! What hyper refuses by itself, before a request is one: a head that is too large or not HTTP. It answers with an empty
//! body; here the body becomes the problem every other refusal has.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use merx_kernel::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{problem::Problem, request};

/// A bare refusal is shorter; a longer write is not looked at.
const BARE_BYTES_MAX: usize = 512;

/// Writes a problem where a bare refusal is written.
pub(crate) struct ExplainRefusals<T> {
    inner: T,
    /// What is written instead, and how much of it is.
    instead: Option<(Vec<u8>, usize)>,
}

impl<T> ExplainRefusals<T> {
    pub(crate) const fn new(inner: T) -> Self {
        Self { inner, instead: None }
    }
}

/// The whole answer to write instead of a bare refusal; `None` for anything else. What the router answers has the id of
/// its request.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > BARE_BYTES_MAX || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = text.ends_with("\r\n\r\n")
        && text.contains("content-length: 0\r\n")
        && !text.contains(request::HEADER);
    if !bare {
        return None;
    }
    let (code, message) = match text.get(9..12)? {
        "431" => ("request.headers_too_large", "The head of the request is larger than we read."),
        "414" => ("request.uri_too_long", "The path and query are longer than we read."),
        "400" => ("request.malformed_http", "This is not the HTTP/1.1 we read."),
        _ => return None,
    };
    let problem = Problem::from(Error::new(ErrorKind::Invalid, code, message));
    let body = serde_json::to_string(&problem.body()).ok()?;
    let line = text.split("\r\n").next()?;
    let answer = format!(
        "{line}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\n{body}",
        body.len(),
    );
    Some(answer.into_bytes())
}

impl<T: AsyncRead + Unpin> AsyncRead for ExplainRefusals<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ExplainRefusals<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.instead.is_none() {
            this.instead = explained(buf).map(|answer| (answer, 0));
        }
        let Some((answer, done)) = &mut this.instead else {
            return Pin::new(&mut this.inner).poll_write(cx, buf);
        };
        while *done < answer.len() {
            match ready!(Pin::new(&mut this.inner).poll_write(cx, &answer[*done..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *done += written,
            }
        }
        this.instead = None;
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare refusal has no body, so it is one piece.
        match bufs {
            [one] => self.poll_write(cx, one),
            _ => Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs),
        }
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
