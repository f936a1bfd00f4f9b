//! `GET /order-links/{token}`: where the link in a guest's mail leads while the shop has no pages of its own. It says how
//! to go on and looks nothing up, so that it tells nobody whether a token is good.

use axum::response::{Html, IntoResponse};
use http::header;
use merx_http::{Access, Answer, Path, Route};

const PAGE: &str = r#"<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>订单链接 · Order link</title>
<style>:root{color-scheme:light dark}body{font:17px/1.6 system-ui,"Noto Sans CJK SC","PingFang SC",sans-serif;max-width:40rem;margin:3rem auto;padding:0 1.25rem}
code{overflow-wrap:anywhere}pre{white-space:pre-wrap;overflow-wrap:anywhere}</style>
<h1>订单链接</h1><p>持有此链接的人可以查看、支付或取消该访客的订单，请勿转发。本商店目前没有网页：请在商店的应用中打开此链接，或使用接口：</p>
<h1 lang="en">Order link</h1><p lang="en">Whoever has this link may look at, pay or cancel the orders of this guest: do not pass it on. This shop has no pages
yet: open the link in the shop's app, or use the API. The token is the part of the address after <code>/order-links/</code>, up to the question mark:</p>
<pre>POST /v1/guests/sessions  {"token": "mgt_…"}
GET  /v1/orders           Authorization: Bearer &lt;access_token&gt;</pre></html>"#;

/// The route of the page.
pub fn route() -> Route {
    Route::get("/order-links/{token}", Access::Public, page, &())
        .id("getOrderLink")
        .group("ordering")
        .summary("Where the link in a guest's mail leads; HTML")
        .raw_response(200, &["text/html"])
}

async fn page(Path(_): Path<String>) -> Answer<impl IntoResponse> {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        // The address is the secret.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Html(PAGE)))
}
