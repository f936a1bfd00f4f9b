//! Only who calls the sandbox by its own name, or by one of this machine's, is let in: a foreign page whose name was
//! made to lead here (DNS rebinding) cannot read trades or arm switches.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::sandbox::Sandbox;

/// Names of this machine.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// Refuses a request under a foreign name with 421.
pub(crate) async fn only(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_none_or(|host| is_home(&sandbox, host)) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "the sandbox answers under its own name only\n").into_response()
}

fn is_home(sandbox: &Sandbox, host: &str) -> bool {
    host == authority(&sandbox.config().public_url) || LOOPBACK.contains(&without_port(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whether a form was sent by a page of the sandbox itself: browsers name the origin of every POST.
pub(crate) fn is_own_page(sandbox: &Sandbox, headers: &axum::http::HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| {
        let (scheme, rest) = origin.split_once("://").unwrap_or_default();
        matches!(scheme, "http" | "https") && is_home(sandbox, rest)
    })
}
