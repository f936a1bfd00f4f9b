//! Signature Version 4 of AWS, as S3 wants it in the `Authorization` header:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use merx_kernel::{Error, Result, Secret, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs, for which region.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The id of the access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret<String>,
    /// `us-east-1`.
    pub region: String,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The path, escaped already.
    pub path: &'a str,
    /// Name and value, not escaped, sorted by name.
    pub query: &'a [(&'a str, &'a str)],
    /// Names in lower case, sorted; `host` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub body: &'a [u8],
    /// When: S3 refuses what is more than fifteen minutes off.
    pub at: Timestamp,
}

/// What goes into the request beside what was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The escaped query.
    pub query: String,
    /// Headers to add.
    pub headers: [(&'static str, String); 3],
}

/// Signs a request.
///
/// # Errors
/// `Internal` for a moment that has no civil time.
pub fn sign(credentials: &Credentials, request: &SignedRequest<'_>) -> Result<Signed> {
    let moment = jiff::Timestamp::from_millisecond(request.at.as_millis())
        .map_err(|e| Error::internal("the time cannot be written for a signature").with_source(e))?;
    let (date, time) = (moment.strftime("%Y%m%d").to_string(), moment.strftime("%Y%m%dT%H%M%SZ").to_string());
    let content = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let query: Vec<String> =
        request.query.iter().map(|(n, v)| format!("{}={}", escaped(n), escaped(v))).collect();
    let query = query.join("&");

    let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
    headers.extend([("x-amz-content-sha256", content.as_str()), ("x-amz-date", time.as_str())]);
    headers.sort_unstable();
    let lines: String = headers.iter().map(|(n, v)| format!("{n}:{}\n", v.trim())).collect();
    let names = headers.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(";");
    let canonical = format!("{}\n{}\n{query}\n{lines}\n{names}\n{content}", request.method, request.path);
    let scope = format!("{date}/{}/s3/aws4_request", credentials.region);
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");

    let first = format!("AWS4{}", credentials.secret_access_key.expose());
    let key = [date.as_str(), &credentials.region, "s3", "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex(&mac(&key, to_sign.as_bytes()));
    let id = &credentials.access_key_id;
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}");
    let headers = [("authorization", authorization), ("x-amz-content-sha256", content), ("x-amz-date", time)];
    Ok(Signed { query, headers })
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
