//! `GET /docs/errors/{code}` and `merx explain`: what a code means, as the `type` of a problem promises.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, header};
use merx_http::{Access, Answer, Path, Route};
use merx_kernel::Error;

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The route of the pages.
pub fn route() -> Route {
    Route::get("/docs/errors/{code}", Access::Public, page, &())
        .id("getErrorPage")
        .group("service")
        .summary("What an error code means and what to do; Markdown")
        .raw_response(200, &["text/markdown"])
        .errors(&["request.no_error_page"])
}

/// The page about a code.
pub fn find(code: &str) -> Option<&'static str> {
    let index = PAGES.binary_search_by(|(known, _)| (*known).cmp(code)).ok()?;
    Some(PAGES[index].1)
}

async fn page(headers: HeaderMap, Path(code): Path<String>) -> Answer<Response> {
    let Some(text) = find(&code) else {
        return Err(Error::not_found("request.no_error_page", "There is no page for this code.").into());
    };
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")];
        return Ok((policy, Html(for_people(&code, text))).into_response());
    }
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response())
}

/// The page as a browser shows it: the text as it is written, on a page that can be read.
fn for_people(code: &str, text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = escaped
        .strip_prefix("# ")
        .map_or(escaped.as_str(), |rest| rest.split_once('\n').map_or("", |(_, body)| body));
    let paragraphs: String = body
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| format!("<p>{}</p>", marked(paragraph)))
        .collect();
    // The code is one of ours: it was found in the list.
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{code}</title><style>:root{{color-scheme:light dark}}\
         body{{font:17px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1.25rem}}\
         h1{{font-size:1.3rem;overflow-wrap:anywhere}}p{{white-space:pre-line}}</style><h1>{code}</h1>{paragraphs}</html>"
    )
}

/// `code` and **emphasis** as HTML.
fn marked(text: &str) -> String {
    [("**", "<b>", "</b>"), ("`", "<code>", "</code>")].iter().fold(
        text.to_owned(),
        |text, (mark, open, close)| {
            let parts: Vec<&str> = text.split(mark).collect();
            // A mark without its end stays as it is.
            if parts.len().is_multiple_of(2) {
                return text;
            }
            let tags = [*open, *close].into_iter().cycle();
            let mut out = parts[0].to_owned();
            for (tag, part) in tags.zip(&parts[1..]) {
                out.push_str(tag);
                out.push_str(part);
            }
            out
        },
    )
}
