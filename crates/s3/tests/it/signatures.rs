//! The examples of AWS's own documentation ("Examples: Signature Calculations").

use libtest_mimic::Trial;
use merx_kernel::{Secret, Timestamp};
use merx_s3::{Credentials, SignedRequest, sign};

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("signatures::the_published_examples", || {
        published();
        Ok(())
    })]
}

fn published() {
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        region: "us-east-1".to_owned(),
    };
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let request = SignedRequest {
        method: "GET",
        path: "/",
        query: &[],
        headers: &[host],
        body: b"",
        at: Timestamp::parse_rfc3339("2013-05-24T00:00:00Z").expect("a time"),
    };
    let with_range = [host, ("range", "bytes=0-9")];
    let with_date =
        [("date", "Fri, 24 May 2013 00:00:00 GMT"), host, ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let cases = [
        (
            "get object",
            SignedRequest { path: "/test.txt", headers: &with_range, ..request },
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "put object",
            SignedRequest {
                method: "PUT",
                path: "/test%24file.text",
                headers: &with_date,
                body: b"Welcome to Amazon S3.",
                ..request
            },
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "get bucket lifecycle",
            SignedRequest { query: &[("lifecycle", "")], ..request },
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "list objects",
            SignedRequest { query: &[("max-keys", "2"), ("prefix", "J")], ..request },
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (name, request, expected) in cases {
        let signed = sign(&credentials, &request).expect("signs");
        let (header, authorization) = &signed.headers[0];
        assert_eq!(*header, "authorization");
        assert!(authorization.ends_with(&format!("Signature={expected}")), "{name}: {authorization}");
        assert!(!format!("{credentials:?}").contains("wJalr"), "a secret is not printed");
    }
}
