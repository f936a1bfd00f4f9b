//! The object stores of the platform against the contract, and what is promised of keys, folders and configuration.

use std::{path::Path, sync::Arc};

use libtest_mimic::Trial;
use merx_kernel::Secret;
use merx_platform::objects::{
    FolderStore, MemoryStore, ObjectKey, ObjectStore, ObjectsConfig, ObjectsPlace,
    contract::{CASES, Store},
};

use crate::paused::plain;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        plain("objects: only safe keys are keys", keys),
        plain("objects: the folder shows no unfinished file and forgets what a crash left", unfinished),
        plain("objects: the URL chooses the place, and every mistake is named", places),
    ];
    for (name, case) in CASES {
        trials.push(plain(&format!("objects: {name} [folder]"), move || {
            let folder = tempfile::tempdir().expect("a folder");
            let store = FolderStore::open(folder.path().join("objects")).expect("opens");
            run(case(Store { store: Arc::new(store), folder: key("case") }));
        }));
        trials.push(plain(&format!("objects: {name} [memory]"), move || {
            run(case(Store { store: Arc::new(MemoryStore::default()), folder: key("case") }));
        }));
    }
    trials
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a key")
}

fn run<T>(work: impl Future<Output = merx_kernel::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work).expect("kept")
}

fn keys() {
    for good in ["a", "pictures/0a/b.webp", "a..b", "0-_.", &"x".repeat(200)] {
        assert!(ObjectKey::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/.b",
        ".unfinished/1",
        "A",
        "a b",
        "a\\b",
        "a\0",
        "ä",
        "a%2f",
        "a?b",
        &"x".repeat(201),
    ] {
        assert!(ObjectKey::new(bad).is_err(), "{bad}");
    }
    assert!(key("a/b").is_in(&key("a")) && !key("ab").is_in(&key("a")) && !key("a").is_in(&key("a")));
}

fn unfinished() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = FolderStore::open(folder.path()).expect("opens");
    run(store.put(&key("a/b"), b"x".to_vec().into(), "text/plain"));
    let left = folder.path().join(".unfinished/7");
    std::fs::write(&left, "half").expect("written");
    // A file that is none of ours is not shown.
    std::fs::write(folder.path().join("a/Not Ours"), "x").expect("written");
    // Who only reads beside a running shop takes nothing away from it, and makes nothing.
    assert_eq!(run(FolderStore::beside(folder.path()).list(&key("a"), None, 10)), [key("a/b")]);
    assert!(left.exists());
    let elsewhere = folder.path().join("none");
    assert_eq!(run(FolderStore::beside(&elsewhere).get(&key("a/b"))), None);
    assert!(!elsewhere.exists());
    let store = FolderStore::open(folder.path()).expect("opens again");
    assert!(!left.exists());
    assert_eq!(run(store.list(&key("a"), None, 10)), [key("a/b")]);
    // The place of a folder is taken by a file: refused with the path.
    std::fs::write(folder.path().join("file"), "x").expect("written");
    let error = FolderStore::open(folder.path().join("file")).expect_err("refused");
    assert!(error.is("objects.folder_unusable") && error.message().contains("file"), "{error}");
}

fn places() {
    let place = |url: Option<&str>| {
        let secret = || Some(Secret::new("x".to_owned()));
        let config = ObjectsConfig {
            url: url.map(str::to_owned),
            access_key_id: secret(),
            secret_access_key: secret(),
            ..ObjectsConfig::default()
        };
        config.check().and_then(|()| config.place(Path::new("/data")))
    };
    let s3 = |endpoint: &str, prefix: Option<&str>| ObjectsPlace::S3 {
        endpoint: endpoint.to_owned(),
        bucket: "merx".to_owned(),
        prefix: prefix.map(key),
    };
    assert_eq!(place(None).expect("default"), ObjectsPlace::Folder("/data/objects".into()));
    assert_eq!(place(Some("folder:/srv/o")).expect("folder"), ObjectsPlace::Folder("/srv/o".into()));
    assert_eq!(place(Some("folder:o")).expect("folder"), ObjectsPlace::Folder("/data/o".into()));
    assert_eq!(place(Some("s3://s3.example/merx")).expect("s3"), s3("https://s3.example", None));
    assert_eq!(
        place(Some("s3+http://127.0.0.1:9000/merx/shop/a/")).expect("s3"),
        s3("http://127.0.0.1:9000", Some("shop/a"))
    );
    for bad in
        ["", "s3:", "s3://", "s3://host", "s3://host/B", "s3://u:p@host/merx", "ftp://x/merx", "folder:"]
    {
        let error = place(Some(bad)).expect_err(bad);
        assert!(error.is("config.invalid") && error.fields()[0].pointer == "objects.url", "{bad}: {error}");
    }
    let keyless = ObjectsConfig { url: Some("s3://host/merx".to_owned()), ..ObjectsConfig::default() };
    let error = keyless.check().expect_err("no keys");
    assert_eq!(error.fields()[0].pointer, "objects.access_key_id");
}
