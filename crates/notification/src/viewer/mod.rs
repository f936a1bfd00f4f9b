//! The mail viewer: the mails a shop sent while it is tried out, as pages. Served on the loopback only: it shows
//! addresses and codes.

mod pages;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use merx_kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    transport::{Folder, Kept, Letter},
    words::Language,
};
use pages::Pages;

/// The most mails of one answer.
const SHOWN_MAX: usize = 200;

#[derive(Clone)]
struct Viewer {
    folder: Folder,
    pages: Arc<Pages>,
}

/// Which mails.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    /// A part of the recipient's address.
    #[serde(default)]
    q: String,
    /// The language of the pages: zh or en.
    lang: Option<String>,
}

/// Which mails, for programs.
#[derive(Debug, Default, Deserialize)]
struct WantedJson {
    /// The recipient's whole address.
    to: Option<String>,
    /// Only later ones: the id of a mail, or a time (RFC 3339).
    after: Option<String>,
}

/// A mail, for programs.
#[derive(Serialize)]
struct MailJson {
    id: String,
    #[serde(flatten)]
    letter: Letter,
}

/// The pages over the mails of `folder`: `GET /` (list, search by `q`), `GET /mails/{id}`, its parts `/html` and
/// `/eml`, and `GET /mails?to=&after=` as JSON, oldest first.
///
/// # Errors
/// `Internal` for a page template that cannot be read.
pub fn router(folder: Folder) -> Result<Router> {
    let viewer = Viewer { folder, pages: Arc::new(Pages::new()?) };
    Ok(Router::new()
        .route("/", get(list))
        .route("/mails", get(json))
        .route("/mails/{id}", get(one))
        .route("/mails/{id}/html", get(html))
        .route("/mails/{id}/eml", get(eml))
        .layer(middleware::from_fn(local))
        .with_state(viewer))
}

/// Answers requests to this machine by its own names only: a page elsewhere that points its name at the loopback (DNS
/// rebinding) must not read mails.
async fn local(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|v| v.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    let ours = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
    if !ours {
        return (StatusCode::MISDIRECTED_REQUEST, "The mail viewer answers on the loopback only.\n")
            .into_response();
    }
    next.run(request).await
}

fn language(lang: Option<&str>, headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    lang.or(accepted).map(Language::of).unwrap_or_default()
}

fn page(html: String, policy: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, html).into_response()
}

const CHROME: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
/// A mail's own HTML: no script, no origin, nothing loaded from anywhere.
const INNER: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

fn failed(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "the mail viewer cannot answer");
    (StatusCode::INTERNAL_SERVER_ERROR, "The mails cannot be read; the log says why.\n").into_response()
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "There is no such mail. Only the newest 1,000 are kept.\n").into_response()
}

impl Viewer {
    /// At most [`SHOWN_MAX`] mails that `wanted` names, the newest first.
    async fn newest(&self, wanted: impl Fn(&Letter) -> bool) -> std::io::Result<Vec<Kept>> {
        let mut found = Vec::new();
        for id in self.folder.ids().await? {
            // A file may go while the folder is read.
            found.extend(self.folder.read(&id).await.filter(|kept| wanted(&kept.letter)));
            if found.len() == SHOWN_MAX {
                break;
            }
        }
        Ok(found)
    }
}

async fn list(State(viewer): State<Viewer>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let needle = wanted.q.trim().to_lowercase();
    let language = language(wanted.lang.as_deref(), &headers);
    let found = viewer.newest(|l| needle.is_empty() || l.to.to_lowercase().contains(&needle)).await;
    match found {
        Ok(mails) => match viewer.pages.list(&mails, wanted.q.trim(), language) {
            Ok(html) => page(html, CHROME),
            Err(error) => failed(&error.chain()),
        },
        Err(error) => failed(&error),
    }
}

async fn one(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(kept) = viewer.folder.read(&id).await else { return absent() };
    match viewer.pages.mail(&kept, language(wanted.lang.as_deref(), &headers)) {
        Ok(html) => page(html, CHROME),
        Err(error) => failed(&error.chain()),
    }
}

async fn html(State(viewer): State<Viewer>, Path(id): Path<String>) -> Response {
    match viewer.folder.read(&id).await {
        Some(kept) => page(kept.letter.html, INNER),
        None => absent(),
    }
}

async fn eml(State(viewer): State<Viewer>, Path(id): Path<String>) -> Response {
    let Some(kept) = viewer.folder.read(&id).await else { return absent() };
    let Ok(message) = kept.letter.message() else { return absent() };
    let name = format!("attachment; filename=\"{}.eml\"", kept.id);
    let mut response = message.formatted().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("message/rfc822"));
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

async fn json(State(viewer): State<Viewer>, Query(wanted): Query<WantedJson>) -> Response {
    let after = wanted.after.as_deref().unwrap_or_default();
    let moment = Timestamp::parse_rfc3339(after).ok();
    let ids = match viewer.folder.ids().await {
        Ok(ids) => ids,
        Err(error) => return failed(&error),
    };
    let mut found = Vec::new();
    for id in ids.into_iter().rev().filter(|id| moment.is_some() || id.as_str() > after) {
        let Some(kept) = viewer.folder.read(&id).await else { continue };
        let to = wanted.to.as_ref().is_none_or(|to| kept.letter.to.eq_ignore_ascii_case(to));
        if to && moment.is_none_or(|moment| kept.letter.at > moment) {
            found.push(MailJson { id: kept.id, letter: kept.letter });
        }
        if found.len() == SHOWN_MAX {
            break;
        }
    }
    merx_http::Json(serde_json::json!({ "items": found })).into_response()
}

/// A page template that does not fit.
fn broken(error: minijinja::Error) -> Error {
    Error::internal("a page of the mail viewer cannot be rendered").with_source(error)
}
