//! Versions of what people edit, and bodies that are not JSON.

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use merx_http::{Access, Idempotency, IfMatch, Info, RawBody, Route, Versioned, openapi, respond};
use merx_platform::store::Saved;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::kit::Kit;

#[derive(Serialize, JsonSchema)]
struct Thing {
    name: &'static str,
    version: i64,
}

const MEDIA: &[&str] = &["image/png", "image/jpeg"];

fn routes() -> Vec<Route> {
    let thing = || Versioned { version: 7, body: Thing { name: "thing", version: 7 } };
    let put = async move |seen: IfMatch| -> Result<Versioned<Thing>, merx_http::Problem> {
        seen.check(7)?;
        Ok(Versioned { version: 8, ..thing() })
    };
    let count = async |RawBody(bytes): RawBody| bytes.len().to_string();
    vec![
        Route::get("/v1/thing", Access::Public, async move || thing(), &())
            .id("getThing")
            .summary("Reads")
            .response::<Thing>(200),
        Route::put("/v1/thing", Access::Public, put, &())
            .id("putThing")
            .summary("Writes")
            .if_match()
            .response::<Thing>(200),
        Route::post("/v1/bytes", Access::Public, count, &())
            .id("countBytes")
            .summary("Counts")
            .raw_body(MEDIA)
            .body_bytes_max(3_000_000)
            .raw_response(200, &["text/plain"])
            .idempotency(Idempotency::Natural("it changes nothing")),
    ]
}

async fn ask(request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let router = Kit::new().with_routes(routes()).router;
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (head.status, head.headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(start_paused = true)]
async fn only_the_version_that_is_there_is_overwritten() {
    let (status, headers, _) = ask(Request::get("/v1/thing").body(Body::empty()).unwrap()).await;
    assert_eq!((status.as_u16(), headers["etag"].to_str().unwrap()), (200, "\"7\""));
    for (tags, status, code) in [
        (&["\"7\""][..], 200, ""),
        (&["\"6\""], 412, "request.version_stale"),
        (&["\"-7\""], 412, "request.version_stale"),
        (&[], 428, "request.version_missing"),
        (&["\"7\"", "\"7\""], 400, "request.invalid"),
        (&["\"6\", \"7\""], 400, "request.invalid"),
        (&["W/\"7\""], 400, "request.invalid"),
        (&["*"], 400, "request.invalid"),
        (&["7"], 400, "request.invalid"),
        (&["\"\""], 400, "request.invalid"),
        (&["\"99999999999999999999\""], 400, "request.invalid"),
    ] {
        let request = tags.iter().fold(Request::put("/v1/thing"), |r, tag| r.header("if-match", *tag));
        let (got, headers, body) = ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!((got.as_u16(), body["code"].as_str().unwrap_or("")), (status, code), "{tags:?}");
        assert_eq!(headers.get("etag").map(|t| t.to_str().unwrap()), (status == 200).then_some("\"8\""));
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_come_whole_up_to_the_routes_own_limit() {
    for (length, status) in [(0, 200), (2_500_000, 200), (3_000_000, 200), (3_000_001, 413)] {
        let request = Request::post("/v1/bytes").header("content-type", "application/json");
        let (got, _, body) = ask(request.body(Body::from(vec![b'x'; length])).unwrap()).await;
        assert_eq!(got.as_u16(), status, "{length}");
        if status == 200 {
            assert_eq!(body.to_string().trim_matches('"'), length.to_string());
        }
    }
}

#[test]
fn the_description_says_so() {
    assert_eq!(Route::check(&routes()), Vec::<String>::new());
    let described = openapi(&routes(), &Info::default());
    let put = &described["paths"]["/v1/thing"]["put"];
    assert_eq!(
        (&put["parameters"][0]["name"], &put["parameters"][0]["required"]),
        (&json!("If-Match"), &json!(true))
    );
    assert!(put["responses"]["4XX"].to_string().contains("request.version_stale"));
    let post = &described["paths"]["/v1/bytes"]["post"];
    let bytes = json!({"schema": {"type": "string", "format": "binary"}});
    assert_eq!(post["requestBody"]["content"], json!({"image/jpeg": bytes, "image/png": bytes}));
    assert_eq!(post["responses"]["200"]["content"], json!({"text/plain": {"schema": {"type": "string"}}}));
    let tag = &described["paths"]["/v1/thing"]["get"]["responses"]["200"]["headers"]["ETag"];
    assert_eq!(tag, &json!({"$ref": "#/components/headers/ETag"}));
    assert!(post["responses"]["200"]["headers"]["ETag"].is_null(), "bytes have no version");
}

#[test]
fn a_kept_answer_that_tells_its_version_has_it_as_the_tag() {
    for (status, body, tag) in [
        (201, r#"{"id":1,"version":3}"#, Some("\"3\"")),
        (200, r#"{"version":12}"#, Some("\"12\"")),
        (201, r#"{"id":1}"#, None),
        (201, r#"{"version":"3"}"#, None),
        (201, r#"{"inner":{"version":3}}"#, None),
        (202, "", None),
        (409, r#"{"version":3}"#, None),
    ] {
        let response = respond(Saved { status, body: body.to_owned() });
        let given = response.headers().get("etag").map(|tag| tag.to_str().unwrap());
        assert_eq!((response.status().as_u16(), given), (status, tag), "{body}");
    }
}
