//! The contract of object stores on a real server, and that the server does look at signatures.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use libtest_mimic::Trial;
use merx_platform::objects::{
    ObjectKey, ObjectStore as _,
    contract::{CASES, Store},
};

use crate::{run, store};

const NOT_RUN: &str = "MERX_TEST_S3_URL is not set";

/// The key of the test's server, and its secret.
fn key() -> (String, String) {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    (of("MERX_TEST_S3_KEY"), of("MERX_TEST_S3_SECRET"))
}

pub fn trials() -> Vec<Trial> {
    let mut names: Vec<String> = CASES.iter().map(|(name, _)| format!("contract: {name} [S3]")).collect();
    names.push("contract: a wrong secret is refused [S3]".to_owned());
    let Ok(url) = std::env::var("MERX_TEST_S3_URL") else {
        let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
        return names.into_iter().map(|name| absent(&name, required)).collect();
    };
    let mut trials: Vec<Trial> = CASES
        .iter()
        .zip(&names)
        .map(|((_, case), name)| {
            let url = url.clone();
            Trial::test(name, move || {
                let (id, secret) = key();
                let store = store(&format!("{url}/{}", fresh_folder()), &id, &secret);
                let folder = ObjectKey::new("case").expect("a key");
                run(case(Store { store: Arc::new(store), folder })).map_err(|e| e.chain())?;
                Ok(())
            })
        })
        .collect();
    trials.extend(names.pop().map(|name| {
        Trial::test(name, move || {
            let object = ObjectKey::new("x/y").expect("a key");
            let error = run(store(&url, &key().0, "wrong").put(&object, "x".into(), "text/plain"))
                .expect_err("refused");
            assert!(
                error.is("objects.unavailable") && error.chain().contains("SignatureDoesNotMatch"),
                "{error:?}"
            );
            Ok(())
        })
    }));
    trials
}

fn absent(name: &str, required: bool) -> Trial {
    if required {
        return Trial::test(name, || Err(format!("{NOT_RUN}, and MERX_REQUIRE_SERVICES=1").into()));
    }
    let name = name.replace("[S3]", &format!("[S3: NOT RUN, {NOT_RUN}]"));
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

/// The bucket outlives the tests: each case has a prefix of its own.
fn fresh_folder() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut random = [0u8; 8];
    merx_kernel::Entropy::fill(&merx_platform::time::OsEntropy, &mut random);
    format!("t{}-{}-{:x}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed), u64::from_be_bytes(random))
}
