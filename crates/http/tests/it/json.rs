//! JSON from outside.

use axum::body::Body;
use http::Request;
use merx_http::check_json;
use proptest::prelude::*;

use crate::kit::{Kit, ORDER, json_post};

#[tokio::test(start_paused = true)]
async fn good_json_is_read() {
    let kit = Kit::new();
    let reply = kit.send(ORDER).await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (201, "/v1/orders/1"));
    assert_eq!(reply.json()["text"], "a 2");
    let charset = Request::post("/v1/public").header("content-type", "Application/JSON; charset=\"UTF-8\"");
    assert_eq!(kit.ask(charset.body(Body::from(ORDER)).unwrap()).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_property_is_named_by_its_pointer() {
    let kit = Kit::new();
    for (body, pointer) in [
        (r#"{"name":"a","lines":[{"sku":"x","quantity":0}]}"#, "/lines/0/quantity"),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":1},{"sku":1,"quantity":1}]}"#, "/lines/1/sku"),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":1e400}]}"#, ""),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":99999999999999999999}]}"#, "/lines/0/quantity"),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":1,"price":1}]}"#, "/lines/0/price"),
        (r#"{"name":"a\u0000b","lines":[]}"#, "/name"),
        (r#"{"name":"","lines":[]}"#, "/name"),
        (r#"{"name":"a","lines":null}"#, "/lines"),
        (r#"{"name":"a"}"#, ""),
        (r#"{"name":"a","lines":[],"status":"paid"}"#, "/status"),
        ("[]", ""),
    ] {
        let reply = kit.send(body).await;
        assert_eq!(reply.status.as_u16(), 400, "{body}: {}", reply.text);
        if reply.json()["code"] == "request.invalid" {
            assert_eq!(reply.pointers(), [pointer], "{body}: {}", reply.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_number_may_be_written_with_a_point() {
    let kit = Kit::new();
    for (number, taken) in
        [("2.0", true), ("2.000", true), ("2.5", false), ("2.01", false), ("-2.0", false), ("2.", false)]
    {
        let body = format!(r#"{{"name":"a \\\" 1.0","lines":[{{"sku":"x-1.0","quantity":{number}}}]}}"#);
        let reply = kit.send(body.clone()).await;
        assert_eq!(reply.status.as_u16(), if taken { 201 } else { 400 }, "{body}: {}", reply.text);
        if taken {
            assert_eq!(reply.json()["text"], "a \\\" 1.0 2", "texts are left alone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said_in_plain_english() {
    let kit = Kit::new();
    let detail = |reply: crate::kit::Reply| reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    for (body, said) in [
        (r#"{"name":5,"lines":[]}"#, "must be a text"),
        (r#"{"name":"a","lines":{}}"#, "must be a list"),
        (r#"{"name":"a","lines":[5]}"#, "must be an object"),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":"hunter2"}]}"#, "must be a whole number"),
        (r#"{"name":"a","lines":[{"sku":"x","quantity":1.5}]}"#, "must be a whole number"),
        (r#"{"name":"a"}"#, "the property `lines` is missing"),
        (
            r#"{"name":"a","lines":[],"status":"paid"}"#,
            "`status` is not known here; known are `name`, `lines`",
        ),
    ] {
        let said_of = detail(kit.send(body).await);
        assert!(said_of.starts_with(said), "{body}: {said_of}");
        assert!(!said_of.contains("hunter2"), "what was sent is not sent back");
    }
    for (path, said) in [
        ("/v1/list?limit=x", "must be a whole number"),
        ("/v1/list?limit=99999999999999999999", "is a number too large"),
        ("/v1/items/x", "must be a whole number from 0 to 4294967295"),
    ] {
        assert_eq!(detail(kit.get(path).await), said, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_in_a_path_the_wrong_one_is_named() {
    let kit = Kit::new();
    let (account, session) = ("acc_00000000000000000000000001", "ses_00000000000000000000000001");
    assert_eq!(kit.get(&format!("/v1/pairs/{account}/{session}")).await.status, 200);
    for (path, wrong) in [
        (format!("/v1/pairs/x/{session}"), "account"),
        (format!("/v1/pairs/{account}/{account}"), "session"),
        ("/v1/pairs/x/y".to_owned(), "account"),
    ] {
        assert_eq!(kit.get(&path).await.pointers(), [wrong], "{path}");
    }
}

/// serde reads an array into a struct by the order of its fields; our contract knows no such order.
#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let kit = Kit::new();
    for body in ["[\"tea\",2]", "null", "3", "\"tea\""] {
        let problem = kit.send(body.to_owned()).await.is_problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["detail"], "the body must be a JSON object", "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn ambiguous_and_broken_json_is_refused() {
    let kit = Kit::new();
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    for body in [
        r#"{"name":"a","name":"b","lines":[]}"#,
        r#"{"name":"a","n\u0061me":"b","lines":[]}"#,
        r#"{"name":"a","lines":[{"sku":"x","sku":"y","quantity":1}]}"#,
        r#"{"name":"a","lines":[]} {}"#,
        r#"{"name":"a","lines":[]"#,
        r#"{"name":"\ud800","lines":[]}"#,
        r#"{'name':'a'}"#,
        "\u{feff}{}",
        "",
        "NaN",
        &deep,
        &"[".repeat(60_000),
        &"{\"a\":".repeat(10_000),
    ] {
        kit.send(body.to_owned()).await.is_problem(400, "request.malformed_json");
    }
    kit.send(vec![b'"', 0xff, b'"']).await.is_problem(400, "request.malformed_json");
    assert!(check_json(format!("{}1{}", "[".repeat(32), "]".repeat(32)).as_bytes()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_the_promised_media_type_is_read() {
    let kit = Kit::new();
    for media in [
        "",
        "text/plain",
        "application/jsonx",
        "application/json; charset=gbk",
        "application/x-www-form-urlencoded",
    ] {
        let asked =
            Request::post("/v1/public").header("content-type", media).body(Body::from(ORDER)).unwrap();
        kit.ask(asked).await.is_problem(415, "request.unsupported_media_type");
    }
    let packed = json_post("/v1/public").header("content-encoding", "gzip").body(Body::from(ORDER)).unwrap();
    kit.ask(packed).await.is_problem(415, "request.unsupported_media_type");
    let missing = Request::post("/v1/public").body(Body::from(ORDER)).unwrap();
    kit.ask(missing).await.is_problem(415, "request.unsupported_media_type");
}

#[tokio::test(start_paused = true)]
async fn forms_are_read_as_they_came() {
    let kit = Kit::new();
    let form = |body: &'static [u8]| {
        let media = "application/x-www-form-urlencoded; charset=utf-8";
        Request::post("/v1/notify").header("content-type", media).body(Body::from(body)).unwrap()
    };
    let reply = kit.ask(form(b"a=1&subject=%E6%89%8B%E6%9C%BA+x")).await;
    assert_eq!(reply.json()["text"], r#"[("a", "1"), ("subject", "手机 x")]"#);
    let twice = kit.ask(form(b"a=1&b=2&a=3")).await;
    twice.is_problem(400, "request.invalid");
    assert_eq!(twice.pointers(), ["a"]);
    kit.ask(form(&[b'a', b'=', 0xff])).await.is_problem(400, "request.malformed_form");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = check_json(&bytes);
    }

    #[test]
    fn what_passes_means_the_same_to_serde(value in json_value()) {
        let text = value.to_string();
        prop_assert!(check_json(text.as_bytes()).is_ok());
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,10}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 50, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}
