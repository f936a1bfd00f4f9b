//! A server that fails, is slow to recover, sends too much, or speaks of something else.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use libtest_mimic::Trial;
use merx_platform::objects::{OBJECT_BYTES_MAX, ObjectKey, ObjectStore as _};

use crate::{run, store};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, case: fn()| {
        Trial::test(format!("faults::{name}"), move || {
            case();
            Ok(())
        })
    };
    vec![
        trial("a_failure_is_tried_again", tried_again),
        trial("a_refusal_is_not", refused_once),
        trial("a_missing_bucket_is_no_missing_object", no_bucket),
        trial("more_than_an_object_is_not_read", too_much),
        trial("a_list_of_something_else_is_refused", no_list),
        trial("nobody_listens", nobody),
    ]
}

fn key() -> ObjectKey {
    ObjectKey::new("a/b").expect("a key")
}

/// Answers each connection with the next of `answers`; the thread's value is what was asked.
fn serve(answers: Vec<Vec<u8>>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("s3+http://{}/merx", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = Vec::new();
            let mut byte = [0u8; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("bytes") == 1 {
                head.push(byte[0]);
            }
            asked.push(String::from_utf8_lossy(&head).into_owned());
            // The client may have seen enough.
            let _ = stream.write_all(&answer);
        }
        asked
    });
    (url, server)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn tried_again() {
    let answers = vec![answer("503 Slow Down", ""), answer("500 Oops", ""), answer("200 OK", "here")];
    let (url, server) = serve(answers);
    let found = run(store(&url, "id", "secret").get(&key())).expect("answers");
    assert_eq!(found.as_deref(), Some(&b"here"[..]));
    let asked = server.join().expect("served");
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|head| head.starts_with("GET /merx/a/b HTTP/1.1")), "{asked:?}");
    assert!(asked.iter().all(|head| head.contains("Credential=id/")), "{asked:?}");
}

fn refused_once() {
    let denied = answer("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>");
    let (url, server) = serve(vec![denied]);
    let error = run(store(&url, "id", "secret").delete(&key())).expect_err("refused");
    assert!(error.is("objects.unavailable") && error.chain().contains("403 AccessDenied"), "{error:?}");
    assert_eq!(server.join().expect("served").len(), 1);
}

fn no_bucket() {
    let missing = |code: &str| answer("404 Not Found", &format!("<Error><Code>{code}</Code></Error>"));
    let (url, server) = serve(vec![missing("NoSuchBucket"), missing("NoSuchKey")]);
    let store = store(&url, "id", "secret");
    assert!(run(store.get(&key())).expect_err("refused").chain().contains("NoSuchBucket"));
    assert_eq!(run(store.get(&key())).expect("answers"), None);
    server.join().expect("served");
}

fn too_much() {
    let huge = "x".repeat(OBJECT_BYTES_MAX + 1);
    let (url, server) = serve(vec![answer("200 OK", &huge)]);
    let error = run(store(&url, "id", "secret").get(&key())).expect_err("refused");
    assert!(error.is("internal"), "{error:?}");
    server.join().expect("served");
}

fn no_list() {
    let (url, server) = serve(vec![answer("200 OK", "<html>"), answer("200 OK", "<A><Contents/></A>")]);
    let store = store(&url, "id", "secret");
    assert!(run(store.list(&key(), None, 5)).expect_err("refused").is("objects.unavailable"));
    assert_eq!(run(store.list(&key(), None, 5)).expect("answers"), []);
    let asked = server.join().expect("served");
    assert!(asked[0].starts_with("GET /merx?list-type=2&max-keys=5&prefix=a%2Fb%2F HTTP/1.1"), "{asked:?}");
}

fn nobody() {
    let error = run(store("s3+http://127.0.0.1:1/merx", "id", "secret").get(&key())).expect_err("refused");
    assert!(error.is("objects.unavailable") && error.kind().is_retryable(), "{error:?}");
}
