//! `GET /docs/errors/{code}` and `merx explain`: what a code means, as the `type` of a problem promises.

use axum::response::IntoResponse;
use http::header;
use merx_http::{Access, Answer, Path, Route};
use merx_kernel::Error;

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The route of the pages.
pub fn route() -> Route {
    Route::get("/docs/errors/{code}", Access::Public, page, &())
        .id("getErrorPage")
        .summary("What an error code means and what to do; Markdown")
        .empty_response(200)
        .errors(&["request.no_error_page"])
}

/// The page about a code.
pub fn find(code: &str) -> Option<&'static str> {
    let index = PAGES.binary_search_by(|(known, _)| (*known).cmp(code)).ok()?;
    Some(PAGES[index].1)
}

async fn page(Path(code): Path<String>) -> Answer<impl IntoResponse> {
    let Some(text) = find(&code) else {
        return Err(Error::not_found("request.no_error_page", "There is no page for this code.").into());
    };
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text))
}
